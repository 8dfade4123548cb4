//! What the status holds of earlier passes and later ones may rely on. Stored before it was acted on, so that a crash can
//! neither forget nor double it.

use std::collections::{BTreeMap, BTreeSet};

use crate::resource::agent::{Binding, FileStatus, SessionReset, TokenStatus, Wake};
use crate::resource::{Agent, names};

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Promises {
    /// The object has our finalizer: it cannot go without us.
    pub held: bool,
    pub binding: Option<Binding>,
    /// There may be an entry by our hand.
    pub entered: bool,
    /// Settings of the entry that are ours to take out: `heartbeat.every`.
    pub owned_paths: BTreeSet<String>,
    pub owned_bindings: BTreeSet<String>,
    /// Of the settings that the entry was found to hold.
    pub entry_hash: Option<String>,
    pub files: BTreeMap<String, FileStatus>,
    pub wake: Option<Wake>,
    pub token: Option<TokenStatus>,
    pub session_reset: Option<SessionReset>,
}

impl Promises {
    pub(super) fn of(agent: &Agent) -> Self {
        let finalizers = agent.metadata.finalizers.as_deref().unwrap_or_default();
        let held = finalizers.iter().any(|name| name == names::FINALIZER);
        let Some(status) = &agent.status else {
            return Self {
                held,
                ..Self::default()
            };
        };
        let entry = status.entry.clone();
        let files = status.files.iter();
        Self {
            held,
            binding: status.binding.clone(),
            entered: entry.is_some(),
            owned_paths: entry.iter().flat_map(|entry| entry.owned_paths.clone()).collect(),
            owned_bindings: entry
                .iter()
                .flat_map(|entry| entry.owned_bindings.clone())
                .collect(),
            entry_hash: entry.as_ref().and_then(|entry| entry.hash.clone()),
            files: files.map(|file| (file.name.clone(), file.clone())).collect(),
            wake: status.wake.clone(),
            token: status.token.clone(),
            session_reset: status.session_reset.clone(),
        }
    }
}
