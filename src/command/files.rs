//! What `-f` names: files, folders, standard input.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::cluster::manifests::{self, Manifest};

#[derive(Debug, Args)]
pub(super) struct Files {
    /// A file, a folder (its .yaml, .yml and .json files), or - for standard input; may be given several times.
    #[arg(long = "filename", short, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Look into the folders of a folder, too.
    #[arg(long, short = 'R', requires = "files")]
    recursive: bool,
}

impl Files {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All of it, before anything is done with the first.
    pub(super) fn read(&self) -> anyhow::Result<Vec<Manifest>> {
        let mut manifests = Vec::new();
        for file in &self.files {
            if file.as_os_str() == "-" {
                let mut text = String::new();
                io::stdin()
                    .read_to_string(&mut text)
                    .context("cannot read standard input")?;
                manifests.extend(manifests::read(&text, "standard input")?);
                continue;
            }
            for path in files_at(file, self.recursive)? {
                let shown = path.display().to_string();
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
                manifests.extend(manifests::read(&text, &shown)?);
            }
        }
        if manifests.is_empty() {
            let named: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
            bail!("there is no manifest in {}", named.join(", "));
        }
        Ok(manifests)
    }
}

/// The file itself, or the manifests of a folder in the order of their names.
fn files_at(path: &Path, recursive: bool) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = || format!("cannot read the folder {}", path.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).with_context(unreadable)? {
        entries.push(entry.with_context(unreadable)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let known = ["yaml", "yml", "json"];
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        // Not what a link leads to: it may lead back here.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if recursive {
                files.extend(files_at(&path, recursive)?);
            }
        } else if known.contains(&end) {
            files.push(path);
        }
    }
    Ok(files)
}
