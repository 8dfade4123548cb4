//! The last events of one resource. Watchers read it at their own pace, so a slow one costs nobody anything; one that is
//! slower than what is kept has fallen behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::event::Event;
use super::stored::Revision;

pub(super) struct History {
    events: VecDeque<(Instant, Arc<Event>)>,
    /// Everything after this revision is here.
    complete_since: Revision,
}

/// How much history is kept: of each resource so many events, or those of so long, whichever is more; and of all
/// resources together so many bytes at most.
#[derive(Debug, Clone)]
pub struct Keep {
    pub events: usize,
    pub age: Duration,
    pub bytes: usize,
}

impl Default for Keep {
    /// Five minutes is what etcd keeps below an API server. 10,000 Agents, each written once, are 40 MB.
    fn default() -> Self {
        Self {
            events: 10_000,
            age: Duration::from_secs(300),
            bytes: 64 << 20,
        }
    }
}

impl History {
    pub(super) fn since(revision: Revision) -> Self {
        Self {
            events: VecDeque::new(),
            complete_since: revision,
        }
    }

    pub(super) fn complete_since(&self) -> Revision {
        self.complete_since
    }

    /// The events after that revision. None: some of them are forgotten.
    pub(super) fn after(&self, revision: Revision) -> Option<impl Iterator<Item = &Arc<Event>>> {
        let from = self
            .events
            .partition_point(|(_, event)| event.revision() <= revision);
        let events = self.events.range(from..).map(|(_, event)| event);
        (revision >= self.complete_since).then_some(events)
    }

    pub(super) fn push(&mut self, event: Arc<Event>, now: Instant) {
        self.events.push_back((now, event));
    }

    /// Whether the oldest is neither among so many nor of so late.
    pub(super) fn is_long(&self, keep: &Keep, now: Instant) -> bool {
        let many = self.events.len() > keep.events;
        let old = |(at, _): &(Instant, _)| now.saturating_duration_since(*at) > keep.age;
        many && self.events.front().is_some_and(old)
    }

    pub(super) fn oldest(&self) -> Option<Revision> {
        self.events.front().map(|(_, event)| event.revision())
    }

    pub(super) fn newest(&self) -> Option<Revision> {
        self.events.back().map(|(_, event)| event.revision())
    }

    /// Forgets the oldest.
    pub(super) fn forget(&mut self) -> Option<Arc<Event>> {
        let (_, event) = self.events.pop_front()?;
        self.complete_since = event.revision();
        Some(event)
    }
}
