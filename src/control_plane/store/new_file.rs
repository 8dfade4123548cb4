//! A file that is new: whole, durable, and in nobody's way. It is written beside its place and then linked into it, and
//! that fails where a file is: no crash leaves half a store under its name, and of two programs one is first.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use redb::Database;
use redb::backends::FileBackend;

use super::file;
use super::stored::Contents;

/// An error of the kind `AlreadyExists`: there is a file, and it is as it was.
pub(super) fn write(path: &Path, contents: &Contents) -> Result<(), redb::Error> {
    let (beside, file) = begin(path)?;
    let done = fill(file, contents).and_then(|()| Ok(put_in_place(&beside, path)?));
    if done.is_err() {
        // What went wrong is worth more than that this did, too.
        fs::remove_file(&beside).ok();
    }
    done?;
    Ok(make_names_durable(path)?)
}

/// A copy that is gone when it is closed: nothing is left of it if we are killed while somebody reads it.
pub(super) fn unnamed(beside_path: &Path, contents: &Contents) -> Result<fs::File, redb::Error> {
    let (beside, file) = begin(beside_path)?;
    let reading = file.try_clone();
    let done = fill(file, contents);
    fs::remove_file(&beside)?;
    done?;
    Ok(reading?)
}

/// A file beside its place, for its owner's eyes: there are Secrets in it.
pub(super) fn begin(path: &Path) -> io::Result<(PathBuf, fs::File)> {
    let beside = beside(path);
    // Left by a process that had our number and was killed.
    if beside.try_exists()? {
        fs::remove_file(&beside)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&beside)?;
    Ok((beside, file))
}

fn fill(file: fs::File, contents: &Contents) -> Result<(), redb::Error> {
    let backend = FileBackend::new(file)?;
    let database = Database::builder().create_with_backend(backend)?;
    file::begin(&database, contents)?;
    Ok(database.close()?)
}

pub(super) fn put_in_place(beside: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(beside, path) {
        Ok(()) => fs::remove_file(beside),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Some file systems have no links. There the look and the renaming are two steps.
        Err(_) if path.try_exists()? => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(beside, path),
    }
}

/// In the same folder: a link cannot leave its file system. Several of a process are told apart.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    PathBuf::from(name)
}

/// A file is durable under its name once its folder is.
pub fn make_names_durable(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
