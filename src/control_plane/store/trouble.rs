//! What a store's file can do to us, in words that say which file and what to do.

use std::io;
use std::path::Path;

/// Why a write is refused that has nothing to do with the object. Nobody sees it while the program runs; if it is killed
/// before the file could be mended, the write may be found after the restart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The next write tries again.
    #[error("there is no room for {file}: {error}; nothing was written; free some space and try again")]
    Full { file: String, error: String },
    /// Nothing is written any more. Once an fsync has failed, what the system shows of a file need not be on the disk:
    /// to go on could ruin what is there.
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
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let file = file.to_owned();
        // What mends itself when somebody deletes something.
        if matches!(kind(error), Some(StorageFull | QuotaExceeded | FileTooLarge)) {
            let error = text(error);
            return Self::Full { file, error };
        }
        let error = if matches!(error, redb::Error::DatabaseAlreadyOpen) {
            "another process has taken it over".to_owned()
        } else {
            text(error)
        };
        Self::Failing { file, error }
    }
}

impl NotOpened {
    pub(super) fn of(file: &str, error: &redb::Error) -> Self {
        use redb::Error::{Corrupted, DatabaseAlreadyOpen, TableDoesNotExist, TableTypeMismatch};
        let file = file.to_owned();
        // The kind with which redb says that it is no file of its own.
        let foreign = kind(error) == Some(io::ErrorKind::InvalidData);
        if foreign || matches!(error, TableDoesNotExist(_) | TableTypeMismatch { .. }) {
            return Self::NoStore { file };
        }
        if matches!(error, DatabaseAlreadyOpen) {
            return Self::InUse { file };
        }
        if let Corrupted(what) = error {
            let what = what.clone();
            return Self::Damaged { file, what };
        }
        if kind(error) == Some(io::ErrorKind::UnexpectedEof) {
            let what = "it has been cut short".to_owned();
            return Self::Damaged { file, what };
        }
        let error = text(error);
        Self::Failing { file, error }
    }
}

impl NotBackedUp {
    pub(super) fn of(to: &Path, error: &redb::Error) -> Self {
        let file = to.display().to_string();
        if kind(error) == Some(io::ErrorKind::AlreadyExists) {
            return Self::Exists { file };
        }
        let error = text(error);
        Self::Failing { file, error }
    }
}

fn kind(error: &redb::Error) -> Option<io::ErrorKind> {
    if let redb::Error::Io(error) = error {
        Some(error.kind())
    } else {
        None
    }
}

fn text(error: &redb::Error) -> String {
    if let redb::Error::Io(error) = error {
        error.to_string()
    } else {
        error.to_string()
    }
}
