//! Things that take minutes to make and never change: built once for each user, then found.
//!
//! An entry's name is the hash of all that it is made from, so a changed pin is another entry and nothing is ever
//! stale. It is built in a folder beside its place and renamed at the end, under a lock between processes: a build
//! that is killed half-way leaves no broken entry, and two test programs never build the same thing twice.
//! Nothing is pruned; the folder can be removed at any time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The entry `name` made from `parts`, by `build` (which is given an empty folder) if it is not there yet.
pub fn cached(name: &str, parts: &[&[u8]], build: impl FnOnce(&Path)) -> PathBuf {
    let root = cache_folder();
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let key: String = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let entry = root.join(format!("{name}-{key}"));
    if entry.exists() {
        return entry;
    }
    let beside = |end: &str| root.join(format!("{name}-{key}.{end}"));
    let lock = File::create(beside("lock")).unwrap_or_else(|error| unusable(&root, &error));
    lock.lock().unwrap_or_else(|error| unusable(&root, &error));
    // Another process may have built it while we waited.
    if !entry.exists() {
        let half_built = beside("building");
        let _of_a_killed_build = fs::remove_dir_all(&half_built);
        fs::create_dir_all(&half_built).unwrap_or_else(|error| unusable(&root, &error));
        build(&half_built);
        fs::rename(&half_built, &entry).unwrap_or_else(|error| unusable(&root, &error));
    }
    entry
}

/// A folder of the cache that is used, not built: what lies there may be lost at any time.
pub fn cache_corner(name: &str) -> PathBuf {
    let folder = cache_folder().join(name);
    fs::create_dir_all(&folder).unwrap_or_else(|error| unusable(&folder, &error));
    folder
}

fn cache_folder() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = set("QUARTERMASTER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("quartermaster")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/quartermaster")))
        .expect("one of QUARTERMASTER_CACHE, XDG_CACHE_HOME, HOME says where built things are kept");
    fs::create_dir_all(&folder).unwrap_or_else(|error| unusable(&folder, &error));
    folder
}

fn unusable(folder: &Path, error: &std::io::Error) -> ! {
    panic!(
        "{}: {error}; QUARTERMASTER_CACHE may name another folder for built things",
        folder.display()
    )
}
