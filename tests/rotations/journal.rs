//! What the gateways told of the agents' files, as a witness at each of them heard it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use quartermaster::simulated_gateway::{Contract, When};
use serde_json::Value;
use tokio::time::Instant;

use crate::clients::token_in;
use crate::laws::Promotion;

/// Clones are the same.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    /// The token in an agent's file, by the agent's id and the file's name.
    written: HashMap<(String, String), String>,
    /// When a gateway first told that a file has this token.
    known: HashMap<String, Instant>,
}

impl Journal {
    /// True: a file was or is about to be written.
    pub fn saw(&self, contract: Contract, when: When, method: &str, params: &Value) -> bool {
        let text = |key: &str| params[key].as_str().unwrap_or_default().to_owned();
        let file = || (text("agentId"), text("name"));
        let mut entries = self.0.lock().unwrap();
        match (method, when) {
            ("agents.files.set", When::After) => {
                if let Some(token) = token_in(&text("content")) {
                    entries.written.insert(file(), token.to_owned());
                    // Its answer says what is stored.
                    if contract == Contract::V2026_9_6 {
                        entries.told_of(token);
                    }
                }
                true
            }
            ("agents.files.set", When::Before) => true,
            ("agents.files.get", When::After) => {
                if let Some(token) = entries.written.get(&file()).cloned() {
                    entries.told_of(&token);
                }
                false
            }
            _ => false,
        }
    }

    /// Nothing came into force that the agent's file did not have, as its gateway told.
    pub fn was_in_the_file_before(&self, promotions: &[Promotion], told: &str) {
        let entries = self.0.lock().unwrap();
        for Promotion {
            agent,
            token,
            told: promoted,
        } in promotions
        {
            let known = entries.known.get(token);
            let is_early = known.is_none_or(|known| known > promoted);
            assert!(
                !is_early,
                "{told}: a token of {agent} came into force before its file was known to have it"
            );
        }
    }
}

impl Entries {
    fn told_of(&mut self, token: &str) {
        self.known.entry(token.to_owned()).or_insert_with(Instant::now);
    }
}
