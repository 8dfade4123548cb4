//! The gateway's names, parsed once.

use std::fmt;

/// An agent's id, as the gateway itself would normalise it: what it answers with is what was sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(String);

/// `agent:<id>:<rest>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no agent id: 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit")]
pub struct NotAnAgentId(String);

const LONGEST_ID: usize = 64;

impl AgentId {
    pub fn parse(text: &str) -> Result<Self, NotAnAgentId> {
        let begins = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let of = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if begins && text.len() <= LONGEST_ID && text.bytes().all(of) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnAgentId(text.chars().take(2 * LONGEST_ID).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The session that a gateway opens for an agent by itself.
    pub fn main_session(&self) -> SessionKey {
        SessionKey(format!("agent:{self}:main"))
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl SessionKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_the_gateway_would_not_change() {
        for good in [
            "a",
            "mc-c91361ef-6d85-439c-82e1-8f388a302e6a",
            "0_0",
            &"a".repeat(64),
        ] {
            assert_eq!(AgentId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "_a", "A", "a b", "ä", "a/b", "a.b", &"a".repeat(65)] {
            assert!(AgentId::parse(bad).is_err(), "{bad}");
        }
    }
}
