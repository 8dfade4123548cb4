//! The gateway's names, parsed once.

use std::fmt;

/// An agent's id, as the gateway itself would normalise it: what it answers with is what was sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(String);

/// `agent:<id>:<rest>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no agent id: 1 to 64 of a-z, 0-9, - and _, not beginning with -")]
pub struct NotAnAgentId(String);

const LONGEST_ID: usize = 64;

impl AgentId {
    pub fn parse(text: &str) -> Result<Self, NotAnAgentId> {
        let begins = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let of = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if begins && text.len() <= LONGEST_ID && text.bytes().all(of) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnAgentId(text.chars().take(2 * LONGEST_ID).collect()))
        }
    }

    /// The id that a gateway takes another spelling for: `Ops Team` in a configuration is the agent `ops-team`, and what
    /// nothing is left of is `main`.
    pub fn normalised(text: &str) -> Self {
        let lower = text.trim().to_ascii_lowercase();
        if let Ok(already) = Self::parse(&lower) {
            return already;
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let mut id = String::new();
        let mut in_gap = false;
        for c in lower.chars() {
            match (is_plain(c), in_gap) {
                (true, _) => id.push(c),
                (false, false) => id.push('-'),
                (false, true) => {}
            }
            in_gap = !is_plain(c);
        }
        let id: String = id.trim_matches('-').chars().take(LONGEST_ID).collect();
        Self::parse(&id).unwrap_or_else(|_| Self("main".to_owned()))
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
            "_a",
            &"a".repeat(64),
        ] {
            assert_eq!(AgentId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "A", "a b", "ä", "a/b", "a.b", &"a".repeat(65)] {
            assert!(AgentId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_spelling_is_the_same_agent() {
        let of = |text: &str| AgentId::normalised(text).to_string();
        for (text, id) in [
            ("ops", "ops"),
            ("Ops", "ops"),
            (" Ops Team ", "ops-team"),
            ("a..b", "a-b"),
            ("a-.b", "a--b"),
            ("/x/", "x"),
        ] {
            assert_eq!(of(text), id, "{text:?}");
        }
        assert_eq!(of(&"A".repeat(80)), "a".repeat(64));
        assert_eq!(
            (of("_Ops"), of("  "), of("äö")),
            ("_ops".into(), "main".into(), "main".into())
        );
    }
}
