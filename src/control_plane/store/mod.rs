//! What is stored, since when, and who shall hear of it. One owner of all state: reads are answered from memory, writes
//! compare and swap by revision, and nothing is seen by anybody nor answered before it is durable.
//!
//! **In memory** a write is done when its future is first polled: no thread, no clock, so tests are exact. **In a file**
//! ([`file`]) one thread ([`writer`]) makes writes durable that have come together, by one transaction and one fsync.
//! Everything else is the same code: [`batch`] checks writes and makes events of them, [`state`] takes them in, [`list`]
//! and [`watch`] read.
//!
//! The history is in memory only. A restart forgets it, as a compaction does.

mod batch;
mod copy;
mod event;
mod file;
mod history;
mod key;
mod list;
mod new_file;
mod state;
mod stored;
mod trouble;
mod watch;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use batch::{Change, Expected, LARGEST, NotWritten, Premise};
pub use copy::Copy;
pub use event::{Event, EventKind};
pub use history::Keep;
pub use key::{Key, NoName, Prefix, ResourceName};
pub use list::{OutOfReach, Page, Paging};
pub use new_file::make_names_durable;
pub use stored::{Labels, Revision, Stored, Unreadable};
pub use trouble::{NotBackedUp, NotOpened, Trouble};
pub use watch::{Beginning, Notice, Watch};

use batch::{Batch, Write};
use file::{File, Place};
use state::State;
use stored::Contents;
use writer::Writer;

/// A handle; clones are the same store. The file is given back when the last of them is dropped, or at [`Store::close`].
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    /// None: in memory.
    writer: Option<Writer>,
    /// Where its file is.
    path: Option<Arc<Path>>,
}

struct Shared(RwLock<State>);

impl Store {
    pub fn in_memory(keep: Keep) -> Self {
        let state = State::new(Contents::nothing(), keep);
        Self {
            shared: Arc::new(Shared(RwLock::new(state))),
            writer: None,
            path: None,
        }
    }

    /// Makes the file where there is none. Blocks: it reads all of the file and checks it.
    pub fn open(path: &Path, keep: Keep) -> Result<Self, NotOpened> {
        file::make_sure_of(path)?;
        Self::of(Place::Path(path.to_owned()), keep)
    }

    fn of(place: Place, keep: Keep) -> Result<Self, NotOpened> {
        let path = match &place {
            Place::Path(path) => Some(Arc::from(path.as_path())),
            #[cfg(test)]
            Place::Disk(_) => None,
        };
        let (file, contents) = File::open(place)?;
        let shared = Arc::new(Shared(RwLock::new(State::new(contents, keep))));
        let writer = Writer::start(file, &shared)?;
        Ok(Self {
            shared,
            writer: Some(writer),
            path,
        })
    }

    /// Of the last write that is durable.
    pub fn revision(&self) -> Revision {
        self.shared.read().revision()
    }

    pub fn get(&self, key: &Key) -> Option<Stored> {
        self.shared.read().get(key).cloned()
    }

    pub fn list(&self, prefix: &Prefix, paging: &Paging) -> Result<Page, OutOfReach> {
        self.shared.read().list(prefix, paging)
    }

    pub fn watch(&self, prefix: &Prefix, beginning: Beginning) -> Result<Watch, OutOfReach> {
        Watch::begin(&self.shared, &mut self.shared.write(), prefix, beginning)
    }

    /// Comes back when it is durable, or says why it is not. Who drops the future no longer hears which.
    pub async fn write(&self, key: Key, expected: Expected, change: Change) -> Result<Stored, NotWritten> {
        self.write_upon(None, key, expected, change).await
    }

    /// The same, if something else is still so when it is written.
    pub async fn write_upon(
        &self,
        premise: Option<Premise>,
        key: Key,
        expected: Expected,
        change: Change,
    ) -> Result<Stored, NotWritten> {
        let write = Write {
            key,
            expected,
            premise,
            change,
        };
        match &self.writer {
            Some(writer) => writer.write(write).await,
            None => self.shared.write_now(write),
        }
    }

    /// A copy of everything at one revision, as a file that a store can be opened with. It is there whole or not at all,
    /// and is not put over another file. Blocks, but holds up neither readers nor writers. A store that is stopped is
    /// opened for it.
    pub fn backup(&self, to: &Path) -> Result<Revision, NotBackedUp> {
        let contents = self.shared.read().contents();
        file::back_up(to, &contents)?;
        Ok(contents.revision)
    }

    /// The same as an open file, and its length, for who shall be sent it. It has no name, and lies on the store's disk.
    pub fn unnamed_backup(&self) -> Result<(fs::File, u64), NotBackedUp> {
        let contents = self.shared.read().contents();
        match &self.path {
            Some(path) => file::back_up_unnamed(path, &contents),
            None => file::back_up_unnamed(&std::env::temp_dir().join("quartermaster"), &contents),
        }
    }

    /// Ends all watches, refuses all writes from now on and gives the file back. What is there can still be read.
    pub async fn close(&self) {
        match &self.writer {
            Some(writer) => writer.close().await,
            None => self.shared.write().close(),
        }
    }
}

impl Shared {
    fn write_now(&self, write: Write) -> Result<Stored, NotWritten> {
        let mut state = self.write();
        if state.is_closed() {
            return Err(Trouble::Closed.into());
        }
        let mut batch = Batch::after(state.revision());
        let stored = batch.add(write, |key| state.get(key).cloned())?;
        state.publish(batch.into_events());
        Ok(stored)
    }

    // Nothing that is done with the lock held can panic half-way, so a poisoned one is still good.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
