//! Ids of agents: whatever it is called, lower-cased, with dashes for what does not belong.

use super::contract::Contract;
use super::refusal::Refusal;

const LONGEST: usize = 64;

/// What the gateway makes of a name or id.
pub(super) fn normalise(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    if is_id(&lower) {
        return lower;
    }
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
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
    id.trim_matches('-').chars().take(LONGEST).collect()
}

pub(super) fn is_id(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && text.len() <= LONGEST
}

/// The id of a new agent of this name, unless no agent may be called so.
pub(super) fn of_new(name: &str, contract: Contract) -> Result<String, Refusal> {
    let id = normalise(name);
    match contract {
        Contract::V2026_9_6 => {
            if name.trim().is_empty() {
                Err(Refusal::invalid("agent name is required"))
            } else if id.is_empty() {
                Err(Refusal::invalid(format!(
                    "Agent name \"{name}\" has no valid id characters. Use at least one letter a-z or digit."
                )))
            } else if id == "openclaw" {
                Err(Refusal::invalid("\"openclaw\" is reserved"))
            } else {
                Ok(id)
            }
        }
        // What has no id at all falls back to the main agent's.
        Contract::V2026_7_35 | Contract::V2026_2_9 => {
            if id.is_empty() || id == "main" {
                Err(Refusal::invalid("\"main\" is reserved"))
            } else {
                Ok(id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids_as_recorded() {
        assert_eq!(normalise("mc-c91361ef-6d85"), "mc-c91361ef-6d85");
        assert_eq!(normalise("MC c91361ef-6d85"), "mc-c91361ef-6d85");
        assert_eq!(normalise("Ops Triage Lead!"), "ops-triage-lead");
        assert_eq!(normalise(&"a".repeat(100)), "a".repeat(64));
        assert_eq!(normalise("日本語"), "");
    }

    #[test]
    fn what_may_not_be_called_so() {
        let says = |name, contract| of_new(name, contract).unwrap_err().message;
        assert_eq!(says("openclaw", Contract::V2026_9_6), "\"openclaw\" is reserved");
        assert_eq!(says("   ", Contract::V2026_9_6), "agent name is required");
        assert_eq!(says("日本語", Contract::V2026_7_35), "\"main\" is reserved");
        assert_eq!(of_new("openclaw", Contract::V2026_2_9).unwrap(), "openclaw");
        assert_eq!(of_new("main", Contract::V2026_9_6).unwrap(), "main");
    }
}
