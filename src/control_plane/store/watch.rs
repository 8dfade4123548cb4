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
/// And no more than so many bytes, or one event: a watcher that no longer reads holds them for as long as it is there, when
/// nobody else does any more.
const TAKEN_BYTES: usize = 64 << 10;

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

    /// Bytes of objects that were taken and not yet told.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let held = |notice: &Notice| match notice {
            Notice::Event(event) => event.held(),
            Notice::InitialEventsEnd(_) => 0,
        };
        self.ready.iter().map(held).sum()
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
        let Ok(mut page) = state.list(&self.prefix, &paging) else {
            return Taken::Over;
        };
        let mut room = Room::new();
        let fitting = page
            .items
            .iter()
            .take_while(|(_, stored)| room.takes(stored.bytes.len()));
        let fitting = fitting.count();
        let left = page.remaining + page.items.len() - fitting;
        page.items.truncate(fitting);
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
        if left > 0 {
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
        let Some(events) = resource.history.after(self.seen) else {
            return Taken::Over;
        };
        let mut room = Room::new();
        // A watch may begin at a revision that has not come yet.
        let mut seen = self.seen.max(state.revision());
        for event in events.filter(|event| self.prefix.holds(event.key.path())) {
            if !room.takes(event.held()) {
                seen = match self.ready.back() {
                    Some(Notice::Event(last)) => last.revision(),
                    Some(Notice::InitialEventsEnd(_)) | None => self.seen,
                };
                break;
            }
            self.ready.push_back(Notice::Event(Arc::clone(event)));
        }
        self.seen = seen;
        if self.ready.is_empty() {
            Taken::Nothing
        } else {
            Taken::Something
        }
    }
}

/// Of what is taken at a time.
struct Room {
    events: usize,
    bytes: usize,
}

impl Room {
    fn new() -> Self {
        Self {
            events: TAKEN.get(),
            bytes: TAKEN_BYTES,
        }
    }

    /// The first always fits.
    fn takes(&mut self, bytes: usize) -> bool {
        let is_first = self.events == TAKEN.get();
        if self.events == 0 || (bytes > self.bytes && !is_first) {
            return false;
        }
        self.events -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}
