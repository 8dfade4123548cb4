//! What was read of agents' files, so that a pass that changes nothing reads nothing. In memory alone: what is forgotten is
//! read again. Contents are kept only where they are not what is wanted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use super::{Found, Said};
use crate::fact::Fact;
use crate::gateway::Connection;
use crate::resource::Agent;

/// Clones are the same memory.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<ObjectRef<Agent>, OfAgent>>>);

#[derive(Default, Clone)]
pub(super) struct OfAgent {
    /// Tells one connection from the next: after a restart of the gateway all is read anew.
    pub(super) connection: Weak<Connection>,
    pub(super) ask: String,
    pub(super) since: Option<Instant>,
    /// Absent: it was not there. What is not in it was not read, or written since.
    pub(super) files: BTreeMap<String, Fact<Found>>,
    pub(super) said: Option<Said>,
    /// The key of the message that this process has promised last, and has not tried to send.
    pub(super) promised: Option<String>,
}

impl Seen {
    /// A file is about to be written, or its write was not answered: what it holds is unknown.
    pub fn doubt(&self, agent: &ObjectRef<Agent>, file: &str) {
        self.with(agent, |seen| seen.files.remove(file));
    }

    /// A file was read, or what it holds follows from the answer to a write.
    pub fn note(&self, agent: &ObjectRef<Agent>, file: &str, found: Fact<Found>) {
        self.with(agent, |seen| seen.files.insert(file.to_owned(), found));
    }

    pub fn heard(&self, agent: &ObjectRef<Agent>, said: Said) {
        self.with(agent, |seen| seen.said = Some(said));
    }

    /// The status holds the promise of this message since now.
    pub fn promised(&self, agent: &ObjectRef<Agent>, id: String) {
        self.with(agent, |seen| seen.promised = Some(id));
    }

    /// A message is about to be sent: from now on it may have been.
    pub fn attempted(&self, agent: &ObjectRef<Agent>) {
        self.with(agent, |seen| seen.promised = None);
    }

    pub fn forget(&self, agent: &ObjectRef<Agent>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(agent);
    }

    pub(super) fn of(&self, agent: &ObjectRef<Agent>) -> OfAgent {
        self.with(agent, |seen| seen.clone())
    }

    pub(super) fn with<T>(&self, agent: &ObjectRef<Agent>, act: impl FnOnce(&mut OfAgent) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(agent.clone()).or_default())
    }
}
