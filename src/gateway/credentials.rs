//! As whom we connect: the gateway's shared token, a device key, or the control UI's identity.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::device::DeviceKey;
use super::frame;

/// A gateway's shared token. Never printed; compared and remembered by its [`Fingerprint`].
#[derive(Clone)]
pub struct Token(SecretString);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("is empty")]
    Empty,
    #[error("is not text (UTF-8)")]
    NotText,
    #[error("holds a control character; a stray newline inside it is the usual cause")]
    ControlCharacter,
}

/// Tells one set of credentials from another without keeping either. Lives in memory only: of a weak token
/// even a hash would say too much.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Token {
    /// Surrounding white space is dropped: `echo secret | base64` has put a newline into many a Secret.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| TokenError::NotText)?
            .trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(TokenError::ControlCharacter);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// For the frame that carries it to the gateway, and nothing else.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The tokens that a gateway was given or gave. Nothing stops it from quoting them, and its words reach conditions and
/// logs.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<Token>);

impl Secrets {
    pub(super) fn of(tokens: impl IntoIterator<Item = Option<Token>>) -> Self {
        Self(tokens.into_iter().flatten().collect())
    }

    /// A text without any of them in it.
    pub(super) fn hide(&self, text: &str) -> String {
        let Self(tokens) = self;
        tokens
            .iter()
            .fold(text.to_owned(), |text, token| text.replace(token.expose(), "…"))
    }

    /// A peer's words, cleared of them and then fit for a condition.
    pub(super) fn tame(&self, text: &str) -> String {
        frame::tame(&self.hide(text))
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(…)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// None for a gateway that asks for none.
    pub token: Option<Token>,
    pub identity: Identity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The token alone. Gateways grant it scopes on loopback; 2026.2.9 grants them everywhere.
    TokenOnly,
    /// The token and an Ed25519 device that somebody approves once.
    Device(Arc<DeviceKey>),
    /// The control UI's identity, for gateways up to 2026.7 that switch device pairing off.
    ControlUi,
}

impl Identity {
    /// The id of the device that is presented, if one is.
    pub fn device_id(&self) -> Option<&str> {
        match self {
            Self::Device(key) => Some(key.id()),
            Self::TokenOnly | Self::ControlUi => None,
        }
    }
}

impl Credentials {
    pub fn fingerprint(&self) -> Fingerprint {
        let Self { token, identity } = self;
        let mut hash = Sha256::new();
        hash.update(token.as_ref().map_or("", Token::expose));
        hash.update([0]);
        hash.update(match identity {
            Identity::TokenOnly => "token",
            Identity::Device(key) => key.id(),
            Identity::ControlUi => "control-ui",
        });
        Fingerprint(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_checked() {
        assert_eq!(Token::from_bytes(b" abc\n").unwrap().expose(), "abc");
        assert_eq!(Token::from_bytes(b" \n").unwrap_err(), TokenError::Empty);
        assert_eq!(
            Token::from_bytes(b"a\nb").unwrap_err(),
            TokenError::ControlCharacter
        );
        assert_eq!(Token::from_bytes(&[0xff, 0xfe]).unwrap_err(), TokenError::NotText);
    }

    #[test]
    fn debug_shows_no_token() {
        let token = Token::from_bytes(b"hunter2").unwrap();
        let credentials = Credentials {
            token: Some(token),
            identity: Identity::TokenOnly,
        };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }

    #[test]
    fn another_token_or_identity_is_another_fingerprint() {
        let with = |token: &str, identity| Credentials {
            token: Token::from_bytes(token.as_bytes()).ok(),
            identity,
        };
        let one = with("a", Identity::TokenOnly).fingerprint();
        assert!(one == with("a", Identity::TokenOnly).fingerprint());
        assert!(one != with("b", Identity::TokenOnly).fingerprint());
        assert!(one != with("a", Identity::ControlUi).fingerprint());
    }
}
