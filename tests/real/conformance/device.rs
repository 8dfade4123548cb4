//! An Ed25519 device as a gateway knows it, with every version of the signature and every way to get it wrong.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub struct Device {
    key: SigningKey,
    pub id: String,
}

impl Device {
    /// One that no gateway has seen: the same seed is another device in another run.
    pub fn new() -> Self {
        Self::of(&rand::random())
    }

    pub fn of(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        let id = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key, id }
    }

    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    /// The greeting with this device's block, signed for this challenge in version 2, which all gateways take.
    pub fn greeting(&self, greeting: &Value, challenge: &Value) -> Value {
        self.signed(2, greeting, challenge)
    }

    pub fn signed(&self, version: u8, greeting: &Value, challenge: &Value) -> Value {
        let mut greeting = greeting.clone();
        let text = |pointer: &str| {
            greeting
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let scopes: Vec<&str> = greeting["scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let nonce = challenge["nonce"].as_str().unwrap_or_default();
        let token = match text("/auth/token") {
            "" => text("/auth/deviceToken"),
            token => token,
        };
        let mut payload = format!(
            "v{version}|{}|{}|{}|{}|{}|{}|{token}",
            self.id,
            text("/client/id"),
            text("/client/mode"),
            text("/role"),
            scopes.join(","),
            challenge["ts"],
        );
        if version >= 2 {
            payload.push_str(&format!("|{nonce}"));
        }
        if version >= 3 {
            payload.push_str(&format!("|{}|", text("/client/platform")));
        }
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(payload.as_bytes()).to_bytes());
        let mut device = json!({
            "id": self.id,
            "publicKey": self.public_key(),
            "signature": signature,
            "signedAt": challenge["ts"],
        });
        // Version 1 is from before the challenge.
        if version >= 2 {
            device["nonce"] = challenge["nonce"].clone();
        }
        greeting["device"] = device;
        greeting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors that real gateways accepted.
    #[test]
    fn the_golden_vectors() {
        let device = Device::of(&[7; 32]);
        assert_eq!(
            device.id,
            "fe812c12f3ab4ce6ac5db69ac352f906cb1b11ef43fb33e252ef7ff552263889"
        );
        let greeting = json!({
            "client": { "id": "gateway-client", "mode": "backend", "platform": "linux" },
            "role": "operator",
            "scopes": ["operator.read", "operator.write", "operator.admin"],
            "auth": { "token": "test-token" },
        });
        let challenge =
            json!({ "nonce": "dea77535-0230-4744-b88c-1cf203db61cd", "ts": 1_795_166_530_382_u64 });
        let signature =
            |version| device.signed(version, &greeting, &challenge)["device"]["signature"].clone();
        assert_eq!(
            signature(2),
            "O2jjittmDkpwkVlQ72pkEB-H03lUgJCfGl2-9UTUj5F01fNxmgHf1gCMBggmiVOFtUJuH9QUNAbIIIUCzde0DQ"
        );
        assert_eq!(
            signature(3),
            "QUrmM1bcumzVAo3KmBViQUshf9aZdweYYsfNipowyS-LbPVcUJKN5yZyICHv4wScAjJQXXzVWeqdUwnwM8tbBw"
        );
    }
}
