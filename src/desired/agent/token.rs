//! The token by which an agent proves who it is to us.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// 256 random bits as URL-safe base64. Never printed; told from others by its fingerprint.
#[derive(Clone)]
pub struct AgentToken(SecretString);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no agent token: 32 to 128 of A-Z, a-z, 0-9, - and _")]
pub struct NotAnAgentToken;

impl AgentToken {
    /// Of random bytes that the caller brings.
    pub fn of(bytes: &[u8; 32]) -> Self {
        Self(SecretString::from(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// One that somebody else chose is taken too, where it could not break out of the quotes that it stands in.
    pub fn parse(text: &str) -> Result<Self, NotAnAgentToken> {
        let text = text.trim();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (32..=128).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(NotAnAgentToken)
        }
    }

    /// The secret itself: for the Secret, and for the one file that carries it.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// SHA-256, in hexadecimal. Of 256 random bits it reveals nothing.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.reveal());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl PartialEq for AgentToken {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl Eq for AgentToken {}

impl fmt::Debug for AgentToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AgentToken")
    }
}
