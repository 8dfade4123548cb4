//! The device block of a `connect`: an Ed25519 key that signs what is asked for, together with the challenge.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::contract::Contract;
use super::refusal::Refusal;

/// A device whose signature was found good.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) public_key: String,
}

/// What a signature is made over, besides the device's own id.
pub(super) struct Signed<'a> {
    pub(super) client_id: &'a str,
    pub(super) client_mode: &'a str,
    pub(super) role: &'a str,
    pub(super) scopes: &'a [String],
    pub(super) token: &'a str,
    pub(super) platform: &'a str,
    pub(super) family: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_ms: i64,
    pub(super) on_loopback: bool,
}

const TOLERANCE_MS: u64 = 120_000;

impl Device {
    /// Checks the block as the gateway does, in its order.
    pub(super) fn verify(block: &Value, signed: &Signed<'_>, contract: Contract) -> Result<Self, Refusal> {
        let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
        let refuse = |code: &str, reason: &str, message: &str| {
            let refusal = Refusal::invalid(message);
            match contract {
                Contract::V2026_2_9 => refusal,
                Contract::V2026_7_35 | Contract::V2026_9_6 => {
                    refusal.details(json!({ "code": format!("DEVICE_AUTH_{code}"), "reason": reason }))
                }
            }
        };
        let (id, public_key) = (text("id"), text("publicKey"));
        let key: Option<[u8; 32]> = decode(public_key).and_then(|bytes| bytes.try_into().ok());
        let Some(key) = key.filter(|key| hex(&Sha256::digest(key)) == id) else {
            return Err(refuse(
                "DEVICE_ID_MISMATCH",
                "device-id-mismatch",
                "device identity mismatch",
            ));
        };
        let signed_at = block.get("signedAt").and_then(Value::as_i64).unwrap_or_default();
        if signed_at.abs_diff(signed.now_ms) > TOLERANCE_MS {
            return Err(refuse(
                "SIGNATURE_EXPIRED",
                "device-signature-stale",
                "device signature expired",
            ));
        }
        let nonce = block.get("nonce").and_then(Value::as_str);
        match nonce {
            // Only the oldest gateways, and only on a loopback, do without.
            None if !signed.on_loopback => {
                return Err(refuse(
                    "NONCE_REQUIRED",
                    "device-nonce-missing",
                    "device nonce required",
                ));
            }
            Some(nonce) if nonce != signed.nonce => {
                return Err(refuse(
                    "NONCE_MISMATCH",
                    "device-nonce-mismatch",
                    "device nonce mismatch",
                ));
            }
            None | Some(_) => {}
        }
        let signature = decode(text("signature"))
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .zip(VerifyingKey::from_bytes(&key).ok());
        let good = signature.is_some_and(|(signature, key)| {
            payloads(id, signed, signed_at, nonce, contract)
                .iter()
                .any(|payload| key.verify_strict(payload.as_bytes(), &signature).is_ok())
        });
        if !good {
            return Err(refuse(
                "SIGNATURE_INVALID",
                "device-signature",
                "device signature invalid",
            ));
        }
        Ok(Self {
            id: id.to_owned(),
            public_key: URL_SAFE_NO_PAD.encode(key),
        })
    }
}

/// Every text that this contract takes for signed: v2, and v3 or (long ago, without a nonce) v1.
fn payloads(
    id: &str,
    signed: &Signed<'_>,
    signed_at: i64,
    nonce: Option<&str>,
    contract: Contract,
) -> Vec<String> {
    let Signed {
        client_id,
        client_mode,
        role,
        scopes,
        token,
        platform,
        family,
        nonce: _,
        now_ms: _,
        on_loopback: _,
    } = signed;
    let common = format!(
        "{id}|{client_id}|{client_mode}|{role}|{}|{signed_at}|{token}",
        scopes.join(",")
    );
    let Some(nonce) = nonce else {
        return vec![format!("v1|{common}")];
    };
    let mut payloads = vec![format!("v2|{common}|{nonce}")];
    match contract {
        Contract::V2026_2_9 => {}
        Contract::V2026_7_35 | Contract::V2026_9_6 => payloads.push(format!(
            "v3|{common}|{nonce}|{}|{}",
            platform.trim().to_lowercase(),
            family.trim().to_lowercase()
        )),
    }
    payloads
}

fn decode(text: &str) -> Option<Vec<u8>> {
    [&URL_SAFE_NO_PAD, &URL_SAFE, &STANDARD_NO_PAD, &STANDARD]
        .into_iter()
        .find_map(|alphabet| alphabet.decode(text).ok())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
