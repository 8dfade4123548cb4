//! A backup that another process sends in pieces. It is looked through before it is given its name: half of one, or something
//! else, never stands where a backup is looked for.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::file::{self, Place};
use super::new_file;
use super::stored::Revision;
use super::trouble::{NotBackedUp, NotOpened};

pub struct Copy {
    to: PathBuf,
    beside: PathBuf,
    file: File,
}

impl Copy {
    pub fn begin(to: &Path) -> Result<Self, NotBackedUp> {
        let failing = |error| NotBackedUp::of(to, &redb::Error::Io(error));
        // Said before all of it is sent, and found out again at the end.
        if to.try_exists().map_err(failing)? {
            return Err(failing(std::io::ErrorKind::AlreadyExists.into()));
        }
        let (beside, file) = new_file::begin(to).map_err(failing)?;
        Ok(Self {
            to: to.to_owned(),
            beside,
            file,
        })
    }

    pub fn write(&mut self, piece: &[u8]) -> Result<(), NotBackedUp> {
        let written = self.file.write_all(piece);
        written.map_err(|error| NotBackedUp::of(&self.to, &redb::Error::Io(error)))
    }

    /// Under its name and durable, or not there.
    pub fn finish(self) -> Result<Revision, NotBackedUp> {
        let failing = |error| NotBackedUp::of(&self.to, &redb::Error::Io(error));
        self.file.sync_all().map_err(failing)?;
        let whole = file::File::open(Place::Path(self.beside.clone()));
        let revision = match whole {
            Ok((_, contents)) => contents.revision,
            Err(error) => {
                return Err(NotBackedUp::Failing {
                    file: self.to.display().to_string(),
                    error: format!("what came is no whole store ({})", self.without_name(&error)),
                });
            }
        };
        new_file::put_in_place(&self.beside, &self.to).map_err(failing)?;
        new_file::make_names_durable(&self.to).map_err(failing)?;
        Ok(revision)
    }

    /// The file that it speaks of is gone when it is read.
    fn without_name(&self, error: &NotOpened) -> String {
        error
            .to_string()
            .replace(&self.beside.display().to_string(), "the copy")
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // It is not there any more if all went well.
        fs::remove_file(&self.beside).ok();
    }
}
