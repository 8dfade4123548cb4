//! Writes that become durable together. Each is checked against what is durable and what came before it in the batch.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::{Event, EventKind};
use super::key::Key;
use super::stored::{Revision, Stored, Unreadable};
use super::trouble::Trouble;
use crate::control_plane::Object;

/// What the writer believes to be stored, or would overwrite unseen what another wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Absent,
    At(Revision),
}

/// The store sets the object's resourceVersion.
pub enum Change {
    Put(Object),
    /// With the last state, as the DELETED event shows it.
    Delete(Object),
}

/// Another object that a write rests upon. It is looked at in the order of the writes, so nothing comes between the look
/// and the write; nothing is written for it.
#[derive(Debug, Clone)]
pub struct Premise {
    pub key: Key,
    /// The writer has looked at it as it was then, and need not be asked again.
    pub seen: Revision,
    /// Whether a later state will do as well.
    pub holds: fn(&Stored) -> bool,
}

pub(super) struct Write {
    pub(super) key: Key,
    pub(super) expected: Expected,
    pub(super) premise: Option<Premise>,
    pub(super) change: Change,
}

/// Bytes of an object. etcd's: without it an object would grow with each patch, and each watcher be sent all of it.
pub const LARGEST: usize = 3 << 19;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// Somebody else wrote it meanwhile. Here is what is there now.
    #[error("the object has changed meanwhile")]
    Changed { present: Option<Stored> },
    /// What it rests upon does not hold any more. Here is what has become of that.
    #[error("another object, on which this one depends, has changed meanwhile")]
    Unfounded { present: Option<Stored> },
    #[error("the object would be {length} bytes long, and {LARGEST} are kept")]
    TooLarge { length: usize },
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Storage(#[from] Trouble),
}

pub(super) struct Batch {
    revision: Revision,
    events: Vec<Arc<Event>>,
    bytes: usize,
    /// Of each object that the batch changes, the last event.
    latest: HashMap<Key, Arc<Event>>,
}

impl Expected {
    /// What was read shall still be so.
    pub fn of(stored: Option<&Stored>) -> Self {
        stored.map_or(Self::Absent, |stored| Self::At(stored.revision))
    }
}

impl Premise {
    fn is_so(&self, present: Option<&Stored>) -> bool {
        let Self { key: _, seen, holds } = self;
        present.is_some_and(|present| present.revision == *seen || holds(present))
    }
}

impl Batch {
    pub(super) fn after(revision: Revision) -> Self {
        Self {
            revision,
            events: Vec::new(),
            bytes: 0,
            latest: HashMap::new(),
        }
    }

    pub(super) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn into_events(self) -> Vec<Arc<Event>> {
        self.events
    }

    /// `durable`: what there is of an object outside the batch.
    pub(super) fn add(
        &mut self,
        write: Write,
        durable: impl Fn(&Key) -> Option<Stored>,
    ) -> Result<Stored, NotWritten> {
        let Write {
            key,
            expected,
            premise,
            change,
        } = write;
        let now = |key: &Key| match self.latest.get(key) {
            Some(event) => event.remains().cloned(),
            None => durable(key),
        };
        if let Some(premise) = premise {
            let present = now(&premise.key);
            if !premise.is_so(present.as_ref()) {
                return Err(NotWritten::Unfounded { present });
            }
        }
        let present = now(&key);
        if Expected::of(present.as_ref()) != expected {
            return Err(NotWritten::Changed { present });
        }
        let (kind, object) = match (change, &present) {
            (Change::Put(object), None) => (EventKind::Added, object),
            (Change::Put(object), Some(_)) => (EventKind::Modified, object),
            (Change::Delete(last), Some(_)) => (EventKind::Deleted, last),
            // There is nothing to delete, as when somebody else was first.
            (Change::Delete(_), None) => return Err(NotWritten::Changed { present }),
        };
        let stored = Stored::new(object, self.revision.next())?;
        // What is too large, from before there was a bound, can still go.
        let length = stored.bytes.len();
        if length > LARGEST && kind != EventKind::Deleted {
            return Err(NotWritten::TooLarge { length });
        }
        self.revision = stored.revision;
        let event = Arc::new(Event {
            key: key.clone(),
            kind,
            stored: stored.clone(),
            previous: present,
        });
        self.bytes += stored.bytes.len();
        self.latest.insert(key, Arc::clone(&event));
        self.events.push(event);
        Ok(stored)
    }
}
