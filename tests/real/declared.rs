//! What users declare, on real parts: the tables of `tests/declared/`, played on a real API server, by the operator as a process
//! with the rights of `deploy/`, in a real gateway, which is looked at on its disk.

#[path = "../declared/effects/mod.rs"]
mod effects;
#[path = "../declared/ground.rs"]
pub mod ground;
#[path = "../declared/mistakes/mod.rs"]
mod mistakes;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::bed::{Cluster, Gateway, OpenClaw, evidence, shared_cluster};
use crate::line::Line;
use ground::{File, Ground, Inside};

/// The rows of a round at once, and all scenes beside one another: a gateway needs a second for each write of its
/// configuration, and the fast bed plays each row by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_has_its_effect_in_a_2026_9_6() {
    let cluster = real!(shared_cluster());
    // Who removes what belongs to an object that is gone.
    real!(cluster.controller_manager());
    let openclaw = Arc::new(real!(OpenClaw::start(Gateway::version("2026.9.6"))));
    // Somebody else's agent, which a scene takes over.
    let stranger = json!({ "name": "stranger", "workspace": home(&openclaw).join("stranger") });
    openclaw.rpc("agents.create", &stranger);
    let line = Line::start(cluster, "declared");
    let ground = ground(cluster, &line, &openclaw).await;
    let begun = Instant::now();
    let mut faults = effects::play_together(&ground).await.err().unwrap_or_default();
    let rows = begun.elapsed();
    faults.extend(effects::play_scenes(&ground).await.err().unwrap_or_default());
    let scenes = begun.elapsed() - rows;
    assert!(
        faults.is_empty(),
        "{}\n{}",
        faults.join("\n"),
        line.operator.log()
    );
    let covered = effects::covered().unwrap();
    let note = format!("2026.9.6; rows took {rows:.0?}, scenes {scenes:.0?}");
    evidence::record(
        "declared",
        "fields with their effect shown in a real gateway",
        covered.shown as u64,
        &note,
    );
}

/// Those mistakes that only the gateway itself can call mistakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_2026_9_6_refuses_is_told_and_heals() {
    let cluster = real!(shared_cluster());
    let openclaw = Arc::new(real!(OpenClaw::start(Gateway::version("2026.9.6"))));
    let line = Line::start(cluster, "mistakes");
    let ground = ground(cluster, &line, &openclaw).await;
    match mistakes::play(&ground, mistakes::Bed::Real).await {
        Ok(count) => evidence::record(
            "declared",
            "mistakes told by a real gateway, and healed",
            count as u64,
            "2026.9.6",
        ),
        Err(faults) => panic!("{}\n{}", faults.join("\n"), line.operator.log()),
    }
}

async fn ground(cluster: &Cluster, line: &Line<'_>, openclaw: &Arc<OpenClaw>) -> Ground {
    let disk = Disk {
        openclaw: Arc::clone(openclaw),
    };
    Ground {
        client: cluster.client().await,
        namespace: line.namespace.name().to_owned(),
        url: openclaw.url(),
        token: openclaw.token().to_owned(),
        // On its own loopback a gateway asks for no device; `line::network` shows that across a network.
        far_url: None,
        inside: Arc::new(disk),
        // This only decides how long a failing test takes.
        patience: Duration::from_secs(400),
        rest: Duration::from_secs(1),
        words: AtomicU32::new(0),
    }
}

fn home(openclaw: &OpenClaw) -> PathBuf {
    openclaw.state_folder().with_file_name("home")
}

/// When it was written, in nanoseconds.
fn stamp(file: &Metadata) -> u128 {
    let written = file.modified().unwrap();
    written.duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// A gateway's own disk.
struct Disk {
    openclaw: Arc<OpenClaw>,
}

impl Disk {
    fn folder(&self, workspace: &str) -> PathBuf {
        match workspace.strip_prefix("~/") {
            Some(inside) => home(&self.openclaw).join(inside),
            None => PathBuf::from(workspace),
        }
    }
}

impl Inside for Disk {
    fn configuration(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.openclaw.config_file()).unwrap()).unwrap()
    }

    fn files(&self, _: &str, workspace: &str) -> BTreeMap<String, File> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(self.folder(workspace))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A gateway's own notes lie there, too, and this one it takes away by itself.
            if !name.ends_with(".md") || name == "BOOTSTRAP.md" {
                continue;
            }
            if let (Ok(text), Ok(file)) = (std::fs::read_to_string(entry.path()), entry.metadata()) {
                let stamp = stamp(&file);
                files.insert(name, File { text, stamp });
            }
        }
        files
    }

    fn edit(&self, _: &str, workspace: &str, name: &str, text: &str) {
        std::fs::write(self.folder(workspace).join(name), text).unwrap();
    }

    fn configuration_stamp(&self) -> u128 {
        let file = std::fs::metadata(self.openclaw.config_file()).unwrap();
        stamp(&file)
    }
}
