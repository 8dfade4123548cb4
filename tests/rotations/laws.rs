//! What each version of the Secrets must have told, whatever happened to the operator.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::Tokens;

/// A token that came into force.
#[derive(Debug)]
pub struct Promotion {
    pub agent: String,
    pub token: String,
    /// From when on a watcher knew; it was so a moment before.
    pub told: tokio::time::Instant,
}

/// Each agent's token became another one exactly so often: as many were stored as next and no more, each came into force
/// once, and the one before was kept beside it.
pub fn exactly(times: usize, histories: &BTreeMap<String, Vec<Tokens>>, told: &str) -> Vec<Promotion> {
    let mut promotions = Vec::new();
    for (agent, history) in histories {
        let mut in_force: Vec<&str> = Vec::new();
        let mut nexts: Vec<&str> = Vec::new();
        for Tokens {
            token,
            next,
            previous,
            told: at,
        } in history
        {
            let token = token.as_deref();
            let token = token.unwrap_or_else(|| panic!("{told}: a version of {agent}'s Secret has no token"));
            if let Some(next) = next.as_deref().filter(|next| nexts.last() != Some(next)) {
                nexts.push(next);
            }
            match in_force.last() {
                Some(before) if *before == token => {}
                None => in_force.push(token),
                Some(before) => {
                    assert_eq!(
                        previous.as_deref(),
                        Some(*before),
                        "{told}: the one before of {agent} went at once"
                    );
                    promotions.push(Promotion {
                        agent: agent.clone(),
                        token: token.to_owned(),
                        told: *at,
                    });
                    in_force.push(token);
                }
            }
        }
        let distinct: BTreeSet<&str> = in_force.iter().copied().collect();
        assert_eq!(
            (in_force.len(), distinct.len()),
            (times + 1, times + 1),
            "{told}: {agent} had so many tokens, and so many different ones"
        );
        // Not shown: these are tokens.
        let as_stored = nexts == in_force.get(1..).unwrap_or_default();
        assert!(
            as_stored,
            "{told}: {agent} had {} next ones for {times} that came into force",
            nexts.len()
        );
    }
    promotions
}
