//! `quartermaster apply`, `get` and `delete`: for who has no kubectl.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use kube::discovery::Scope;
use tokio::time::{Instant, sleep};

use super::target::{ClusterArgs, block_on};
use crate::cluster::manifests::{self, Applied, Manifest, Table, Wanted};

/// Who applies by hand.
const MANAGER: &str = "quartermaster-apply";

#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// A file, a folder (its .yaml, .yml and .json files), or - for standard input; may be given several times.
    #[arg(long = "filename", short, required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Take over fields that somebody else set.
    #[arg(long)]
    force_conflicts: bool,
    /// Wait until everything that was applied is Ready.
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    timeout: u64,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// A file, a folder or - for standard input; may be given several times.
    #[arg(long = "filename", short, required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Do not wait until everything is gone.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for each, in seconds.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    timeout: u64,
}

#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// A kind (ocgw, ocboard, ocagent, ocsync, secrets, ...), or openclaw for all of ours.
    kind: String,
    /// One object [default: all].
    name: Option<String>,
    /// All namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Only what has these labels.
    #[arg(long = "selector", short = 'l', value_name = "SELECTOR")]
    labels: Option<String>,
    /// How it is printed.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Wide,
    Json,
    Yaml,
}

impl Apply {
    pub fn execute(self) -> anyhow::Result<()> {
        block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<()> {
        let manifests = read_all(&self.files)?;
        let (client, namespace) = self.cluster.connect().await?;
        let mut refused = 0;
        for manifest in &manifests {
            match manifest
                .apply(&client, &namespace, MANAGER, self.force_conflicts)
                .await
            {
                Ok((applied, _)) => {
                    let word = match applied {
                        Applied::Created => "created",
                        Applied::Changed => "changed",
                        Applied::Same => "as it was",
                    };
                    say(&format!("{} {word}", manifest.shown()))?;
                }
                Err(error) => {
                    refused += 1;
                    say(&format!("{} refused: {error}", manifest.shown()))?;
                }
            }
        }
        if refused > 0 {
            bail!("{refused} of {} refused", manifests.len());
        }
        if self.wait {
            let patience = Duration::from_secs(self.timeout);
            wait_until_ready(&client, &namespace, &manifests, patience).await?;
        }
        Ok(())
    }
}

/// Our kinds tell whether they are Ready; of all else there is nothing to wait for.
async fn wait_until_ready(
    client: &kube::Client,
    namespace: &str,
    manifests: &[Manifest],
    patience: Duration,
) -> anyhow::Result<()> {
    let until = Instant::now() + patience;
    let mut told = None;
    loop {
        let mut waiting = Vec::new();
        for manifest in manifests {
            if let Some(why) = manifest.not_ready(client, namespace).await? {
                waiting.push(format!("{}: {why}", manifest.shown()));
            }
        }
        if waiting.is_empty() {
            return say("everything is Ready");
        }
        if told.as_ref() != Some(&waiting) {
            for line in &waiting {
                say(&format!("  waiting for {line}"))?;
            }
            told = Some(waiting.clone());
        }
        if Instant::now() >= until {
            bail!("not Ready after {} s: {}", patience.as_secs(), waiting.join("; "));
        }
        sleep(Duration::from_millis(300)).await;
    }
}

impl Delete {
    pub fn execute(self) -> anyhow::Result<()> {
        block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<()> {
        let manifests = read_all(&self.files)?;
        let (client, namespace) = self.cluster.connect().await?;
        let wait = (!self.no_wait).then(|| Duration::from_secs(self.timeout));
        // What was applied last goes first: nothing waits for what it still needs.
        for manifest in manifests.iter().rev() {
            let there = manifest.delete(&client, &namespace, wait).await?;
            let word = if there { "deleted" } else { "was not there" };
            say(&format!("{} {word}", manifest.shown()))?;
        }
        Ok(())
    }
}

/// `openclaw` is the category of our kinds.
const OURS: [&str; 4] = ["ocgw", "ocboard", "ocagent", "ocsync"];

impl Get {
    pub fn execute(self) -> anyhow::Result<()> {
        block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<()> {
        let (client, namespace) = self.cluster.connect().await?;
        let kinds = match self.kind.as_str() {
            "openclaw" => OURS.to_vec(),
            kind => vec![kind],
        };
        let wanted = Wanted {
            namespace: (!self.all_namespaces).then_some(namespace),
            name: self.name.clone(),
            labels: self.labels.clone(),
        };
        let mut some = false;
        for word in &kinds {
            let found = manifests::find_kind(&client, word).await?;
            let Some((resource, scope)) = found else {
                bail!("no kind {word} is served here; `quartermaster get openclaw` shows ours");
            };
            match self.output {
                Output::Table | Output::Wide => {
                    let table = manifests::table(&client, &resource, &scope, &wanted).await?;
                    if table.rows.is_empty() {
                        continue;
                    }
                    if some {
                        say("")?;
                    }
                    some = true;
                    let prefix = (kinds.len() > 1).then_some(*word);
                    let with_namespace = self.all_namespaces && matches!(scope, Scope::Namespaced);
                    say(&printed(
                        &table,
                        self.output == Output::Wide,
                        with_namespace,
                        prefix,
                    ))?;
                }
                Output::Json | Output::Yaml => {
                    let value = manifests::whole(&client, &resource, &scope, &wanted).await?;
                    some = true;
                    say(&match self.output {
                        Output::Yaml => format!("---\n{}", serde_saphyr::to_string(&value)?.trim_end()),
                        Output::Json | Output::Table | Output::Wide => serde_json::to_string_pretty(&value)?,
                    })?;
                }
            }
        }
        if !some {
            let place = wanted
                .namespace
                .as_deref()
                .map_or("any namespace".to_owned(), |name| format!("namespace {name}"));
            say(&format!("nothing in {place}"))?;
        }
        Ok(())
    }
}

/// Columns as wide as their widest cell.
pub(super) fn printed(table: &Table, wide: bool, with_namespace: bool, prefix: Option<&str>) -> String {
    let shown: Vec<usize> = (0..table.column_definitions.len())
        .filter(|index| {
            table
                .column_definitions
                .get(*index)
                .is_some_and(|column| wide || column.priority == 0)
        })
        .collect();
    let head = shown
        .iter()
        .filter_map(|index| table.column_definitions.get(*index))
        .map(|column| column.name.to_uppercase());
    let mut lines: Vec<Vec<String>> = vec![
        with_namespace
            .then(|| "NAMESPACE".to_owned())
            .into_iter()
            .chain(head)
            .collect(),
    ];
    for row in &table.rows {
        let namespace = row.object.metadata.namespace.clone().unwrap_or_default();
        let cells = shown.iter().enumerate().map(|(place, index)| {
            let cell = match row.cells.get(*index) {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(serde_json::Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            match prefix {
                Some(prefix) if place == 0 => format!("{prefix}/{cell}"),
                Some(_) | None => cell,
            }
        });
        lines.push(
            with_namespace
                .then_some(namespace)
                .into_iter()
                .chain(cells)
                .collect(),
        );
    }
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let lines: Vec<String> = lines
        .iter()
        .map(|line| {
            let cells = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

fn read_all(files: &[PathBuf]) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for file in files {
        if file.as_os_str() == "-" {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .context("cannot read standard input")?;
            manifests.extend(manifests::read(&text, "standard input")?);
            continue;
        }
        for path in files_at(file)? {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
            manifests.extend(manifests::read(&text, &shown)?);
        }
    }
    if manifests.is_empty() {
        bail!("there is no manifest in what -f names");
    }
    Ok(manifests)
}

/// The file itself, or the manifests of a folder in the order of their names.
fn files_at(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let known = ["yaml", "yml", "json"];
    files.retain(|file| {
        file.extension()
            .and_then(|end| end.to_str())
            .is_some_and(|end| known.contains(&end))
    });
    files.sort();
    Ok(files)
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}").context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_printed_as_kubectl_prints_it() {
        let table: Table = serde_json::from_value(json!({
            "columnDefinitions": [
                { "name": "Name", "priority": 0 }, { "name": "Url", "priority": 1 }, { "name": "Ready", "priority": 0 },
            ],
            "rows": [
                { "cells": ["harbour", "ws://x", "True"], "object": { "metadata": { "name": "harbour", "namespace": "a" } } },
                { "cells": ["b", "ws://y", null], "object": { "metadata": { "name": "b", "namespace": "team" } } },
            ],
        }))
        .unwrap();
        assert_eq!(
            printed(&table, false, false, None),
            "NAME      READY\nharbour   True\nb"
        );
        assert_eq!(
            printed(&table, true, true, Some("ocgw")),
            "NAMESPACE   NAME           URL      READY\na           ocgw/harbour   ws://x   True\nteam        ocgw/b         ws://y"
        );
    }
}
