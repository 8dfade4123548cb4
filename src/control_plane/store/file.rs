//! The store's file: what is present, and nothing else. redb makes a transaction of it whole or not at all; here is when
//! one begins, what is done when it fails, and what keeps the file small.

use std::fmt;
use std::fs;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::event::Event;
use super::key::{Key, ResourceName};
use super::new_file;
use super::stored::{Contents, Revision, Stored};
use super::trouble::{NotBackedUp, NotOpened, Trouble};

pub(super) struct File {
    place: Place,
    /// None: after a failure. redb wants to be opened anew, and looks the file over then.
    database: Option<Database>,
    /// What the file holds for certain.
    durable: Revision,
    /// The batch that failed: the file may hold it.
    doubtful: Vec<Arc<Event>>,
    given_up: Option<Trouble>,
    /// After the last compaction: how long the file was, and what was in it.
    compacted: Option<(u64, u64)>,
}

pub(super) enum Place {
    Path(PathBuf),
    #[cfg(test)]
    Disk(super::tests::disk::Disk),
}

/// `resource/path` and the object.
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const FORMAT: u64 = 1;

/// Everything is read from memory; this is for the branches on the way to what is written.
const CACHE: usize = 16 << 20;
/// redb begins with 1.5 MB and keeps 4 kB objects in pages of 8 kB: below these, compacting gains little.
const SMALL: u64 = 16 << 20;
const LOOSE: u64 = 4;

/// Makes a store's file where there is none.
pub(super) fn make_sure_of(path: &Path) -> Result<(), NotOpened> {
    let failing = |error: &dyn fmt::Display| NotOpened::Failing {
        file: path.display().to_string(),
        error: error.to_string(),
    };
    if path.try_exists().map_err(|error| failing(&error))? {
        return Ok(());
    }
    match new_file::write(path, &Contents::nothing()) {
        // Another process was faster.
        Err(redb::Error::Io(error)) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|error| failing(&error)),
    }
}

pub(super) fn back_up(to: &Path, contents: &Contents) -> Result<(), NotBackedUp> {
    new_file::write(to, contents).map_err(|error| NotBackedUp::of(to, &error))
}

/// The same without a name, and how long it is.
pub(super) fn back_up_unnamed(beside: &Path, contents: &Contents) -> Result<(fs::File, u64), NotBackedUp> {
    let failing = |error| NotBackedUp::of(beside, &error);
    let mut file = new_file::unnamed(beside, contents).map_err(failing)?;
    let length = file.seek(SeekFrom::End(0)).and_then(|length| {
        file.rewind()?;
        Ok(length)
    });
    Ok((file, length.map_err(|error| failing(error.into()))?))
}

/// Fills a database that is new.
pub(super) fn begin(database: &Database, contents: &Contents) -> Result<(), redb::Error> {
    let Contents { revision, objects } = contents;
    let objects = objects.iter().map(|(key, stored)| (key, Some(stored)));
    write(database, *revision, objects)
}

impl File {
    /// With everything that is in it.
    pub(super) fn open(place: Place) -> Result<(Self, Contents), NotOpened> {
        let name = place.to_string();
        let failed = |error: redb::Error| NotOpened::of(&name, &error);
        let database = place.open().map_err(failed)?;
        let about = About::read(&database).map_err(failed)?;
        match about.format {
            None => return Err(NotOpened::NoStore { file: name }),
            Some(found) if found > FORMAT => {
                return Err(NotOpened::Newer {
                    file: name,
                    found,
                    known: FORMAT,
                });
            }
            Some(_) => {}
        }
        let contents = read(&database, about.revision).map_err(failed)?;
        let mut file = Self {
            place,
            database: Some(database),
            durable: about.revision,
            doubtful: Vec::new(),
            given_up: None,
            compacted: None,
        };
        let objects = contents.objects.iter();
        file.tidy(objects.map(|(_, stored)| stored.bytes.len()).sum());
        Ok((file, contents))
    }

    pub(super) fn name(&self) -> String {
        self.place.to_string()
    }

    /// All of it, durably, or nothing.
    pub(super) fn commit(&mut self, events: &[Arc<Event>]) -> Result<(), Trouble> {
        if let Some(trouble) = &self.given_up {
            return Err(trouble.clone());
        }
        let Some(last) = events.last() else {
            return Ok(());
        };
        let changes = events.iter().map(|event| (&event.key, event.remains()));
        let written = match self.mended() {
            Ok(database) => write(database, last.revision(), changes).inspect_err(|_| {
                self.doubtful = events.to_vec();
            }),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                self.durable = last.revision();
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Makes the file smaller where it is far longer than what is in it.
    pub(super) fn tidy(&mut self, present_bytes: usize) {
        let Ok(length) = self.place.length() else { return };
        let present = u64::try_from(present_bytes).unwrap_or(u64::MAX);
        let is_loose = length > SMALL.max(present.saturating_mul(LOOSE));
        // It may be as small as it gets, and then every write would try again.
        let has_changed = self.compacted.is_none_or(|(length_then, present_then)| {
            length >= length_then.saturating_mul(2) || present <= present_then / 2
        });
        if !(is_loose && has_changed) {
            return;
        }
        if let Err(trouble) = self.compact() {
            tracing::warn!("the store could not be compacted: {trouble}");
        }
        self.compacted = Some((self.place.length().unwrap_or(length), present));
    }

    pub(super) fn compact(&mut self) -> Result<(), Trouble> {
        let Some(database) = &mut self.database else {
            return Ok(());
        };
        database
            .compact()
            .map(drop)
            .map_err(|error| self.failed(&error.into()))
    }

    pub(super) fn close(mut self) {
        // What was refused shall not be there at the next start. If that cannot be helped now, it could not before.
        if self.given_up.is_none() {
            self.mended().map(drop).ok();
        }
    }

    fn failed(&mut self, error: &redb::Error) -> Trouble {
        self.database = None;
        let trouble = Trouble::of(&self.name(), error);
        if let Trouble::Failing { .. } = trouble {
            self.given_up = Some(trouble.clone());
        }
        trouble
    }

    /// The database, open, and holding what is durable: a batch that was refused is not in it.
    fn mended(&mut self) -> Result<&Database, redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let database = self.place.open()?;
                self.undo_what_is_doubtful(&database)?;
                database
            }
        };
        self.doubtful.clear();
        Ok(self.database.insert(database))
    }

    fn undo_what_is_doubtful(&self, database: &Database) -> Result<(), redb::Error> {
        let found = About::read(database)?.revision;
        if found == self.durable {
            return Ok(());
        }
        if self.doubtful.last().map(|event| event.revision()) != Some(found) {
            let what = format!("it is at revision {found} and should be at {}", self.durable);
            return Err(redb::Error::Corrupted(what));
        }
        let before = self.doubtful.iter().rev();
        let before = before.map(|event| (&event.key, event.previous.as_ref()));
        write(database, self.durable, before)
    }
}

/// What a file says of itself.
struct About {
    format: Option<u64>,
    revision: Revision,
}

impl About {
    fn read(database: &Database) -> Result<Self, redb::Error> {
        let about = database.begin_read()?.open_table(ABOUT)?;
        let number = |name| Ok::<_, redb::Error>(about.get_owned(name)?.map(|found| found.value()));
        Ok(Self {
            format: number("format")?,
            revision: Revision(number("revision")?.unwrap_or_default()),
        })
    }
}

fn read(database: &Database, revision: Revision) -> Result<Contents, redb::Error> {
    let damaged = |key: &str, what: &dyn fmt::Display| redb::Error::Corrupted(format!("{key}: {what}"));
    let mut objects = Vec::new();
    let mut resource: Option<ResourceName> = None;
    for entry in database.begin_read()?.open_table(OBJECTS)?.iter()? {
        let (key, bytes) = entry?;
        let key = key.value();
        let stored =
            Stored::read(Bytes::copy_from_slice(bytes.value())).map_err(|error| damaged(key, &error))?;
        if stored.revision > revision {
            return Err(damaged(key, &format!("it is newer than the store ({revision})")));
        }
        let parsed = parsed(key, &mut resource).ok_or_else(|| damaged(key, &"no key of a store"))?;
        objects.push((parsed, stored));
    }
    Ok(Contents { revision, objects })
}

/// `resource`: of the key before, which is mostly the same and then shared.
fn parsed(key: &str, resource: &mut Option<ResourceName>) -> Option<Key> {
    let (name, path) = key.split_once('/')?;
    if resource.as_ref().is_none_or(|resource| resource.as_str() != name) {
        *resource = Some(ResourceName::new(name).ok()?);
    }
    let (namespace, name) = match path.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, path),
    };
    Key::new(resource.as_ref()?, namespace, name).ok()
}

/// One transaction and one fsync. None: it is taken out.
fn write<'a>(
    database: &Database,
    revision: Revision,
    changes: impl Iterator<Item = (&'a Key, Option<&'a Stored>)>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        for (key, stored) in changes {
            let key = key.to_string();
            match stored {
                Some(stored) => objects.insert(&*key, &*stored.bytes)?,
                None => objects.remove(&*key)?,
            };
        }
        let mut about = transaction.open_table(ABOUT)?;
        about.insert("format", FORMAT)?;
        about.insert("revision", revision.0)?;
    }
    Ok(transaction.commit()?)
}

impl Place {
    fn open(&self) -> Result<Database, redb::Error> {
        let mut builder = Database::builder();
        // All of it is read anyway, and what is damaged shall be said, not be met later.
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        Ok(match self {
            Self::Path(path) => builder.open(path)?,
            #[cfg(test)]
            Self::Disk(disk) => builder.create_with_backend(disk.clone())?,
        })
    }

    fn length(&self) -> std::io::Result<u64> {
        match self {
            Self::Path(path) => Ok(path.metadata()?.len()),
            #[cfg(test)]
            Self::Disk(disk) => Ok(disk.length()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            #[cfg(test)]
            Self::Disk(_) => f.write_str("the disk of the test"),
        }
    }
}
