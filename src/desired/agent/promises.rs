//! What the status holds of earlier passes and later ones may rely on. Stored before it was acted on, so that a crash can
//! neither forget nor double it.

use std::collections::{BTreeMap, BTreeSet};

use crate::resource::agent::{Binding, FileStatus, TokenStatus, Wake};

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Promises {
    /// The object has our finalizer: it cannot go without us.
    pub held: bool,
    pub binding: Option<Binding>,
    /// Settings of the entry that are ours to take out: `heartbeat.every`.
    pub owned_paths: BTreeSet<String>,
    pub owned_bindings: BTreeSet<String>,
    pub files: BTreeMap<String, FileStatus>,
    pub wake: Option<Wake>,
    pub token: Option<TokenStatus>,
}
