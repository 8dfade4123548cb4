//! A watch is a place in the history, not a queue: it takes up no memory that grows, holds up nobody who writes, and a
//! hundred of them share each event. One that is slower than the history is long ends, as the API server ends it.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::watch;

use super::Shared;
use super::event::{Event, EventKind};
use super::key::Prefix;
use super::list::{OutOfReach, Paging};
use super::state::State;
use super::stored::Revision;

pub struct Watch {
    shared: Arc<Shared>,
    prefix: Prefix,
    /// Everything up to here was taken out of the history.
    seen: Revision,
    /// What is left of the state at the beginning, which is told first.
    initial: Option<Paging>,
    /// Taken out and not yet told.
    ready: VecDeque<Notice>,
    changed: watch::Receiver<()>,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    After(Revision),
    /// What is there now is told first, as ADDED.
    WithPresent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Event(Arc<Event>),
    /// After [`Beginning::WithPresent`]: what came before was all that there was at this revision.
    InitialEventsEnd(Revision),
}

/// So many are taken at a time: the lock is held for microseconds.
const TAKEN: NonZeroUsize = NonZeroUsize::new(128).unwrap();

enum Taken {
    Something,
    Nothing,
    /// It fell behind, or the store is closed.
    Over,
}

impl Watch {
    pub(super) fn begin(
        shared: &Arc<Shared>,
        state: &mut State,
        prefix: &Prefix,
        beginning: Beginning,
    ) -> Result<Self, OutOfReach> {
        let current = state.revision();
        let (seen, initial) = match beginning {
            Beginning::After(revision) => (revision, None),
            Beginning::WithPresent => (
                current,
                Some(Paging {
                    after: None,
                    limit: Some(TAKEN),
                    at: Some(current),
                }),
            ),
        };
        let complete_since = state.complete_since(prefix.resource());
        if seen < complete_since {
            return Err(OutOfReach::Expired {
                asked: seen,
                complete_since,
            });
        }
        Ok(Self {
            shared: Arc::clone(shared),
            prefix: prefix.clone(),
            seen,
            initial,
            ready: VecDeque::new(),
            changed: state.changes_of(prefix.resource()),
        })
    }

    /// None: the watch is over, and the watcher must list anew. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            if let Some(notice) = self.ready.pop_front() {
                return Some(notice);
            }
            match self.take() {
                Taken::Something => {}
                Taken::Nothing => self.changed.changed().await.ok()?,
                Taken::Over => return None,
            }
        }
    }

    /// Everything of interest up to this revision has been told. None: something is still to be told.
    pub fn bookmark(&mut self) -> Option<Revision> {
        if self.ready.is_empty() && matches!(self.take(), Taken::Nothing) {
            return Some(self.seen);
        }
        None
    }

    fn take(&mut self) -> Taken {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        if state.is_closed() {
            return Taken::Over;
        }
        match self.initial.take() {
            Some(paging) => self.take_initial(&state, paging),
            None => self.take_events(&state),
        }
    }

    fn take_initial(&mut self, state: &State, mut paging: Paging) -> Taken {
        let Ok(page) = state.list(&self.prefix, &paging) else {
            return Taken::Over;
        };
        let last = page.items.last().map(|(key, _)| key.clone());
        let added = page.items.into_iter().map(|(key, stored)| {
            Notice::Event(Arc::new(Event {
                key,
                kind: EventKind::Added,
                stored,
                previous: None,
            }))
        });
        self.ready.extend(added);
        if page.remaining > 0 {
            paging.after = last;
            self.initial = Some(paging);
        } else {
            self.ready.push_back(Notice::InitialEventsEnd(page.revision));
        }
        Taken::Something
    }

    fn take_events(&mut self, state: &State) -> Taken {
        let Some(resource) = state.resource(self.prefix.resource()) else {
            return Taken::Nothing;
        };
        let Some(mut events) = resource.history.after(self.seen) else {
            return Taken::Over;
        };
        let wanted = events
            .by_ref()
            .filter(|event| self.prefix.holds(event.key.path()));
        let wanted = wanted.take(TAKEN.get());
        self.ready.extend(wanted.cloned().map(Notice::Event));
        // A watch may begin at a revision that has not come yet.
        self.seen = self.seen.max(match (events.next(), self.ready.back()) {
            (Some(_), Some(Notice::Event(last))) => last.revision(),
            (Some(_) | None, Some(Notice::Event(_) | Notice::InitialEventsEnd(_)) | None) => state.revision(),
        });
        if self.ready.is_empty() {
            Taken::Nothing
        } else {
            Taken::Something
        }
    }
}
