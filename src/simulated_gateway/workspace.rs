//! Where files lie: in memory, or in a folder of the machine. Texts that are equal are kept once, so that ten thousand
//! agents with the same files cost little.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::contract::Contract;
use super::{Settings, Workspace};

/// The paths that the gateway knows itself by.
#[derive(Debug, Clone)]
pub(super) struct Places {
    root: String,
}

impl Places {
    pub(super) fn of(settings: &Settings) -> Self {
        let root = match &settings.workspace {
            Workspace::Memory => "/srv/openclaw".to_owned(),
            Workspace::Folder(folder) => folder.to_string_lossy().trim_end_matches('/').to_owned(),
        };
        Self { root }
    }

    pub(super) fn config_path(&self) -> String {
        format!("{}/openclaw.json", self.root)
    }

    pub(super) fn log_path(&self) -> String {
        format!("{}/gateway.log", self.root)
    }

    pub(super) fn state(&self) -> String {
        format!("{}/state", self.root)
    }

    fn home(&self) -> String {
        format!("{}/home", self.root)
    }

    pub(super) fn agent_dir(&self, id: &str) -> String {
        format!("{}/agents/{id}/agent", self.state())
    }

    /// Relative paths start where the gateway was started.
    pub(super) fn resolve(&self, path: &str) -> String {
        let path = path.trim();
        let full = if path == "~" {
            self.home()
        } else if let Some(rest) = path.strip_prefix("~/") {
            format!("{}/{rest}", self.home())
        } else if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.root)
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in full.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    pub(super) fn default_workspace(&self, contract: Contract, id: &str, is_default: bool) -> String {
        match (contract, is_default) {
            (Contract::V2026_9_6, true) => format!("{}/workspace", self.state()),
            (Contract::V2026_7_35 | Contract::V2026_2_9, true) => {
                format!("{}/.openclaw/workspace", self.home())
            }
            (_, false) => format!("{}/workspace-{id}", self.state()),
        }
    }
}

impl Places {
    /// Whether agents.delete gets a workspace away. 2026.7.35 touches nothing outside of its home, and says `ok`.
    pub(super) fn may_be_trashed(&self, contract: Contract, workspace: &str) -> bool {
        match contract {
            Contract::V2026_7_35 => Path::new(workspace).starts_with(self.home()),
            Contract::V2026_9_6 | Contract::V2026_2_9 => true,
        }
    }
}

/// A file as it was read.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) text: Arc<str>,
    pub(super) hash: [u8; 32],
    pub(super) at_ms: i64,
}

/// Why a path is not a file that may be read: a link, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsafe;

#[derive(Debug)]
pub(super) struct Workspaces {
    place: Place,
    /// 2026.2.9 follows links, and reads whatever size.
    trusting: bool,
    /// Workspaces whose birth is over: BOOTSTRAP.md is neither seeded there nor listed any more.
    grown: BTreeMap<String, bool>,
}

#[derive(Debug)]
enum Place {
    Memory {
        folders: HashMap<String, BTreeMap<String, File>>,
        texts: HashMap<[u8; 32], Arc<str>>,
        /// How many texts there were when the unused ones were last dropped.
        swept_at: usize,
    },
    Folder(PathBuf),
}

/// 2026.9.6 reads no larger file.
const LARGEST: u64 = 16 << 20;

impl Workspaces {
    pub(super) fn of(settings: &Settings) -> Self {
        let place = match &settings.workspace {
            Workspace::Memory => Place::Memory {
                folders: HashMap::new(),
                texts: HashMap::new(),
                swept_at: 64,
            },
            Workspace::Folder(folder) => Place::Folder(folder.clone()),
        };
        Self {
            place,
            trusting: settings.contract == Contract::V2026_2_9,
            grown: BTreeMap::new(),
        }
    }

    pub(super) fn is_grown(&self, workspace: &str) -> bool {
        self.grown.get(workspace).copied().unwrap_or_default()
    }

    pub(super) fn grow(&mut self, workspace: &str) {
        self.grown.insert(workspace.to_owned(), true);
    }

    /// A file that may be read; None where there is none.
    pub(super) fn look(&self, workspace: &str, name: &str) -> Result<Option<File>, Unsafe> {
        match &self.place {
            Place::Memory { folders, .. } => {
                let file = folders.get(workspace).and_then(|folder| folder.get(name));
                if !self.trusting && file.is_some_and(|file| file.text.len() as u64 > LARGEST) {
                    return Err(Unsafe);
                }
                Ok(file.cloned())
            }
            Place::Folder(root) => look_on_disk(&host_path(root, workspace).join(name), self.trusting),
        }
    }

    pub(super) fn read(&self, workspace: &str, name: &str) -> Option<File> {
        self.look(workspace, name).ok().flatten()
    }

    /// Whatever its size: what a list shows of it.
    pub(super) fn size(&self, workspace: &str, name: &str) -> Option<(u64, i64)> {
        match &self.place {
            Place::Memory { folders, .. } => {
                let file = folders.get(workspace)?.get(name)?;
                Some((file.text.len() as u64, file.at_ms))
            }
            Place::Folder(root) => {
                let path = host_path(root, workspace).join(name);
                let found = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
                Some((found.len(), modified(&found)))
            }
        }
    }

    pub(super) fn write(
        &mut self,
        workspace: &str,
        name: &str,
        text: &str,
        now_ms: i64,
    ) -> Result<File, String> {
        let hash: [u8; 32] = Sha256::digest(text).into();
        match &mut self.place {
            Place::Memory {
                folders,
                texts,
                swept_at,
            } => {
                let text = Arc::clone(texts.entry(hash).or_insert_with(|| Arc::from(text)));
                if texts.len() > 2 * *swept_at {
                    texts.retain(|_, text| Arc::strong_count(text) > 1);
                    *swept_at = texts.len().max(64);
                }
                let file = File {
                    text,
                    hash,
                    at_ms: now_ms,
                };
                folders
                    .entry(workspace.to_owned())
                    .or_default()
                    .insert(name.to_owned(), file.clone());
                Ok(file)
            }
            Place::Folder(root) => {
                let folder = host_path(root, workspace);
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap_or(&folder))
                    .and_then(|()| fs::write(&path, text))
                    .map_err(|error| error.to_string())?;
                let at_ms = fs::metadata(&path).map_or(now_ms, |found| modified(&found));
                Ok(File {
                    text: Arc::from(text),
                    hash,
                    at_ms,
                })
            }
        }
    }

    pub(super) fn remove(&mut self, workspace: &str, name: &str) -> bool {
        match &mut self.place {
            Place::Memory { folders, .. } => folders
                .get_mut(workspace)
                .is_some_and(|folder| folder.remove(name).is_some()),
            Place::Folder(root) => fs::remove_file(host_path(root, workspace).join(name)).is_ok(),
        }
    }

    /// Removes a whole workspace; false where there was none.
    pub(super) fn trash(&mut self, workspace: &str) -> bool {
        self.grown.remove(workspace);
        match &mut self.place {
            Place::Memory { folders, .. } => folders.remove(workspace).is_some(),
            Place::Folder(root) => fs::remove_dir_all(host_path(root, workspace)).is_ok(),
        }
    }

    /// By path. Those on a disk are for the disk's owner to look at.
    pub(super) fn in_memory(&self) -> BTreeMap<String, String> {
        let folders = match &self.place {
            Place::Memory { folders, .. } => folders,
            Place::Folder(_) => return BTreeMap::new(),
        };
        let all = folders
            .iter()
            .flat_map(|(folder, files)| files.iter().map(move |(name, file)| (folder, name, file)));
        all.map(|(folder, name, file)| (format!("{folder}/{name}"), file.text.to_string()))
            .collect()
    }

    pub(super) fn exists(&self, workspace: &str) -> bool {
        match &self.place {
            Place::Memory { folders, .. } => folders.contains_key(workspace),
            Place::Folder(root) => host_path(root, workspace).is_dir(),
        }
    }

    /// The files of a workspace by name; folders are not gone into.
    pub(super) fn list(&self, workspace: &str) -> Vec<(String, u64, i64)> {
        match &self.place {
            Place::Memory { folders, .. } => folders
                .get(workspace)
                .into_iter()
                .flatten()
                .map(|(name, file)| (name.clone(), file.text.len() as u64, file.at_ms))
                .collect(),
            Place::Folder(root) => {
                let Ok(entries) = fs::read_dir(host_path(root, workspace)) else {
                    return Vec::new();
                };
                let mut found: Vec<_> = entries
                    .filter_map(Result::ok)
                    .filter_map(|entry| {
                        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                        let name = entry.file_name().into_string().ok()?;
                        Some((name, metadata.len(), modified(&metadata)))
                    })
                    .collect();
                found.sort();
                found
            }
        }
    }
}

/// Everything stays below the folder that was given.
fn host_path(root: &Path, path: &str) -> PathBuf {
    let path = Path::new(path);
    if path.starts_with(root) {
        path.to_owned()
    } else {
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

fn look_on_disk(path: &Path, trusting: bool) -> Result<Option<File>, Unsafe> {
    use std::os::unix::fs::MetadataExt as _;
    let found = if trusting {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    let Ok(found) = found else {
        return Ok(None);
    };
    if !trusting && (!found.is_file() || found.nlink() > 1 || found.len() > LARGEST) {
        return Err(Unsafe);
    }
    let Ok(bytes) = fs::read(path) else {
        return Ok(None);
    };
    Ok(Some(File {
        hash: Sha256::digest(&bytes).into(),
        text: Arc::from(String::from_utf8_lossy(&bytes)),
        at_ms: modified(&found),
    }))
}

fn modified(found: &fs::Metadata) -> i64 {
    let since = found
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}
