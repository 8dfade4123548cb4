//! What lies in the agents' workspaces on the gateway's disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// By agent.
pub struct Disk(BTreeMap<String, Workspace>);

struct Workspace {
    path: PathBuf,
    /// Every file that is text, by its path in the workspace.
    files: BTreeMap<String, String>,
}

impl Disk {
    /// `home`: of whoever runs the gateway.
    pub fn read(home: &Path, agents: &BTreeMap<String, Value>) -> Self {
        let workspace = |agent: &Value| {
            let told = agent["status"]["workspace"].as_str().unwrap();
            let path = match told.strip_prefix("~/") {
                Some(inside) => home.join(inside),
                None => PathBuf::from(told),
            };
            let mut files = BTreeMap::new();
            read_into(&mut files, &path, &path);
            Workspace { path, files }
        };
        Self(
            agents
                .iter()
                .map(|(name, agent)| (name.clone(), workspace(agent)))
                .collect(),
        )
    }

    pub fn path(&self, agent: &str) -> PathBuf {
        self.0[agent].path.clone()
    }

    pub fn file(&self, agent: &str, name: &str) -> Option<&str> {
        self.0[agent].files.get(name).map(String::as_str)
    }

    /// In which files of which agents these words are.
    pub fn holding(&self, words: &str) -> Vec<(String, String)> {
        let of_agent = |(agent, workspace): (&String, &Workspace)| -> Vec<(String, String)> {
            let holding = workspace.files.iter().filter(|(_, text)| text.contains(words));
            holding.map(|(file, _)| (agent.clone(), file.clone())).collect()
        };
        self.0.iter().flat_map(of_agent).collect()
    }
}

/// A workspace may hold a repository and a database of the gateway's; what cannot be read as text is none of ours.
fn read_into(files: &mut BTreeMap<String, String>, root: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_into(files, root, &path);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(name, text);
        }
    }
}

/// A file of its own, and not a section that another one carries; the way we want it, and not the agent's.
pub fn is_kept(file: &Value) -> bool {
    file["state"] == "InSync" && file["carriedIn"].is_null()
}

/// The files that are ours to keep as they are, by the status of each agent.
fn kept(agents: &BTreeMap<String, Value>) -> BTreeSet<(String, String)> {
    let of_agent = |(name, agent): (&String, &Value)| -> Vec<(String, String)> {
        let files = agent["status"]["files"].as_array().into_iter().flatten();
        files
            .filter(|file| is_kept(file))
            .map(|file| (name.clone(), file["name"].as_str().unwrap().to_owned()))
            .collect()
    };
    agents.iter().flat_map(of_agent).collect()
}

/// Which of them show these words. A text may break where it was wrapped, so spaces count as any gap.
pub fn showing(disk: &Disk, agents: &BTreeMap<String, Value>, words: &str) -> BTreeSet<(String, String)> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shows = |(agent, file): &(String, String)| {
        disk.file(agent, file)
            .is_some_and(|text| plain(text).contains(words))
    };
    kept(agents).into_iter().filter(shows).collect()
}

/// Which of them are others than before.
pub fn changed(before: &Disk, after: &Disk, agents: &BTreeMap<String, Value>) -> BTreeSet<(String, String)> {
    let differs = |(agent, file): &(String, String)| before.file(agent, file) != after.file(agent, file);
    kept(agents).into_iter().filter(differs).collect()
}

pub fn sha256(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
