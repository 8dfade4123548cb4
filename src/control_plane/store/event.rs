//! One revision: what a write has made of one object.

use super::key::Key;
use super::stored::{Revision, Stored};

/// Shared by the history and by every watcher.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    pub key: Key,
    pub kind: EventKind,
    /// What the event shows; of a deletion the last state, with the deletion's revision.
    pub stored: Stored,
    /// What it replaced. A watcher with a selector needs it: what no longer matches is DELETED for it.
    pub previous: Option<Stored>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

impl Event {
    pub fn revision(&self) -> Revision {
        self.stored.revision
    }

    /// What is there after it.
    pub(super) fn remains(&self) -> Option<&Stored> {
        match self.kind {
            EventKind::Added | EventKind::Modified => Some(&self.stored),
            EventKind::Deleted => None,
        }
    }

    /// The bytes of objects that whoever holds it holds.
    pub(super) fn held(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, |previous| previous.bytes.len());
        self.stored.bytes.len() + previous
    }

    /// The memory that the history holds because of it. What it replaced is held by nobody else, as is the last state of
    /// a deleted object; what it wrote is the present state, or what a later event replaced.
    pub(super) fn cost(&self) -> usize {
        let Self {
            key,
            kind: _,
            stored,
            previous,
        } = self;
        let replaced = previous.as_ref().map_or(0, |previous| previous.bytes.len());
        let last = if self.remains().is_none() {
            stored.bytes.len()
        } else {
            0
        };
        // Two counts and an entry of the queue beside the event itself.
        let own = size_of::<Self>() + key.path().len() + 48;
        own + replaced + last
    }
}
