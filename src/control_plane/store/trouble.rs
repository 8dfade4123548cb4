//! What a store's file can do to us, in words that say which file and what to do.

use std::io;
use std::path::Path;

/// Why a write is refused that has nothing to do with the object. It may be found written after a restart, if the program
/// ends before the file could be mended; while the program runs nobody sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The next write tries again.
    #[error("there is no room for {file}: {error}; nothing was written; free some space and try again")]
    Full { file: String, error: String },
    /// Nothing is written any more. Once an fsync has failed, what the system shows of a file need not be on the disk: to
    /// go on could ruin what is there.
    #[error(
        "{file} cannot be written any more: {error}; look after the disk, then start quartermaster again"
    )]
    Failing { file: String, error: String },
    #[error("the store is closed")]
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    #[error(
        "{file} is used by another process: a store has one at a time; stop that one, or name another file"
    )]
    InUse { file: String },
    #[error(
        "{file} was written by a newer quartermaster (format {found}, this one knows {known}): use the newer one"
    )]
    Newer { file: String, found: u64, known: u64 },
    #[error("{file} is no store of quartermaster: name another file")]
    NoStore { file: String },
    #[error("{file} is damaged: {what}; put a backup in its place")]
    Damaged { file: String, what: String },
    #[error("{file} cannot be opened: {error}")]
    Failing { file: String, error: String },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBackedUp {
    #[error("{file} exists already: name a file that does not")]
    Exists { file: String },
    #[error("{file} cannot be written: {error}")]
    Failing { file: String, error: String },
}

impl Trouble {
    pub(super) fn of(file: &str, error: &redb::Error) -> Self {
        let file = file.to_owned();
        match error {
            redb::Error::Io(error) if is_full(error) => Self::Full {
                file,
                error: error.to_string(),
            },
            redb::Error::DatabaseAlreadyOpen => Self::Failing {
                file,
                error: "another process has taken it over".to_owned(),
            },
            error => Self::Failing {
                file,
                error: error.to_string(),
            },
        }
    }
}

/// What mends itself when somebody deletes something.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl NotOpened {
    pub(super) fn of(file: &str, error: &redb::Error) -> Self {
        let file = file.to_owned();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse { file },
            redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => {
                Self::NoStore { file }
            }
            // So redb says that it is no file of its own.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::NoStore { file },
            redb::Error::Corrupted(what) => Self::Damaged {
                file,
                what: what.clone(),
            },
            error => Self::Failing {
                file,
                error: error.to_string(),
            },
        }
    }
}

impl NotBackedUp {
    pub(super) fn of(to: &Path, error: &redb::Error) -> Self {
        let file = to.display().to_string();
        match error {
            redb::Error::Io(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::Exists { file },
            error => Self::Failing {
                file,
                error: error.to_string(),
            },
        }
    }
}
