//! The Ed25519 identity by which a gateway knows this operator, once somebody has approved it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

#[derive(Clone)]
pub struct DeviceKey {
    key: SigningKey,
    id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an Ed25519 key: 32 bytes, base64url")]
pub struct NotADeviceKey;

impl DeviceKey {
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        let id = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key, id }
    }

    /// Reads what [`DeviceKey::encoded`] wrote.
    pub fn decode(text: &[u8]) -> Result<Self, NotADeviceKey> {
        let bytes = Zeroizing::new(
            URL_SAFE_NO_PAD
                .decode(text.trim_ascii())
                .map_err(|_| NotADeviceKey)?,
        );
        let seed = bytes.as_slice().try_into().map_err(|_| NotADeviceKey)?;
        Ok(Self::from_seed(seed))
    }

    /// The private key, for the Secret that keeps it.
    pub fn encoded(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.key.as_bytes()))
    }

    /// SHA-256 of the public key in hex: what `openclaw devices list` shows.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    /// The signature over one connect request.
    pub fn sign(&self, proof: &Proof<'_>) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(proof.payload(&self.id).as_bytes()).to_bytes())
    }
}

/// What a device signs, in the gateway's words.
pub struct Proof<'a> {
    pub client_id: &'a str,
    pub client_mode: &'a str,
    pub role: &'a str,
    pub scopes: &'a [&'a str],
    pub signed_at_ms: i64,
    pub token: &'a str,
    pub nonce: &'a str,
    /// With it version 3 of what is signed, which gateways know from 2026.2.26 on; version 2 is known to all.
    pub platform: Option<&'a str>,
}

impl Proof<'_> {
    fn payload(&self, device_id: &str) -> Zeroizing<String> {
        let Self {
            client_id,
            client_mode,
            role,
            scopes,
            signed_at_ms,
            token,
            nonce,
            platform,
        } = self;
        let scopes = scopes.join(",");
        let common = Zeroizing::new(format!(
            "{device_id}|{client_id}|{client_mode}|{role}|{scopes}|{signed_at_ms}|{token}|{nonce}"
        ));
        Zeroizing::new(match platform {
            None => format!("v2|{}", *common),
            // The last part is the device's family, and we name none.
            Some(platform) => format!("v3|{}|{platform}|", *common),
        })
    }
}

impl PartialEq for DeviceKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for DeviceKey {}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DeviceKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector that real gateways accepted.
    #[test]
    fn the_golden_vector() {
        let key = DeviceKey::from_seed(&[7; 32]);
        assert_eq!(
            key.id(),
            "fe812c12f3ab4ce6ac5db69ac352f906cb1b11ef43fb33e252ef7ff552263889"
        );
        assert_eq!(key.public_key(), "6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw");
        let proof = Proof {
            client_id: "gateway-client",
            client_mode: "backend",
            role: "operator",
            scopes: &["operator.read", "operator.write", "operator.admin"],
            signed_at_ms: 1_795_166_530_382,
            token: "test-token",
            nonce: "dea77535-0230-4744-b88c-1cf203db61cd",
            platform: None,
        };
        assert_eq!(
            key.sign(&proof),
            "O2jjittmDkpwkVlQ72pkEB-H03lUgJCfGl2-9UTUj5F01fNxmgHf1gCMBggmiVOFtUJuH9QUNAbIIIUCzde0DQ"
        );
    }

    #[test]
    fn a_key_survives_its_secret() {
        let key = DeviceKey::from_seed(&[9; 32]);
        assert_eq!(DeviceKey::decode(key.encoded().as_bytes()).unwrap(), key);
        assert_eq!(DeviceKey::decode(b"short").unwrap_err(), NotADeviceKey);
    }

    #[test]
    fn debug_shows_no_key() {
        let key = DeviceKey::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains(key.encoded().as_str()));
    }
}
