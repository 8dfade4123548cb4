//! An agent's entry in the gateway's configuration: the settings that are ours, and no others.

use std::collections::BTreeSet;
use std::fmt;

use crate::gateway::Binding;
use crate::gateway::configuration::Entry;

#[derive(Clone, PartialEq)]
pub struct WantedEntry {
    /// What it shall hold. Settings that were ours and are wanted no more are null: they are taken out.
    pub fields: Entry,
    /// The settings that it holds by our hand then, as paths.
    pub paths: BTreeSet<String>,
    pub bindings: BTreeSet<Binding>,
}

/// Without the values: a setting may hold a secret.
impl fmt::Debug for WantedEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fields: _,
            paths,
            bindings,
        } = self;
        out.debug_struct("WantedEntry")
            .field("paths", paths)
            .field("bindings", bindings)
            .finish_non_exhaustive()
    }
}
