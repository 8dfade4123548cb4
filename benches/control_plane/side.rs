//! One of the two that are measured: its processes, its files, and a client of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::Client;
use quartermaster::resource;
use serde_json::json;

use crate::agents::{AGENTS, NAMESPACE, get};
use crate::bed::{Cluster, Missing, Purpose, client_of};
use crate::cost::{Cost, Watch};
use crate::embedded::Embedded;
use crate::load::answer;

pub struct Side {
    server: Server,
    data: PathBuf,
    client: Client,
    clock: Option<Clock>,
}

enum Server {
    Ours(Box<Embedded>),
    Theirs(Box<Cluster>),
}

struct Clock {
    start: Instant,
    cpu: Vec<Watch>,
}

const PATIENCE: Duration = Duration::from_secs(120);

impl Side {
    pub async fn ours(folder: &Path) -> Self {
        let data = folder.join("ours");
        let embedded = Embedded::start(&data);
        let client = client_of(&embedded.kubeconfig()).await;
        let side = Self {
            server: Server::Ours(Box::new(embedded)),
            data,
            client,
            clock: None,
        };
        side.until_it_lists(0).await;
        side.make_namespace().await;
        side
    }

    pub async fn theirs(folder: &Path, fsync: bool) -> Result<Self, Missing> {
        let data = folder.join("theirs");
        let purpose = Purpose::Figures {
            data: data.clone(),
            fsync,
        };
        let cluster = Cluster::start_for(&purpose)?;
        let definitions = json!({ "apiVersion": "v1", "kind": "List", "items": resource::definitions() });
        cluster.apply(&definitions.to_string());
        let client = client_of(&cluster.kubeconfig()).await;
        let side = Self {
            server: Server::Theirs(Box::new(cluster)),
            data,
            client,
            clock: None,
        };
        side.until_it_lists(0).await;
        side.make_namespace().await;
        Ok(side)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn start_clock(&mut self) {
        let cpu = self.pids().into_iter().map(Watch::start).collect();
        self.clock = Some(Clock {
            start: Instant::now(),
            cpu,
        });
    }

    /// Time, and the CPU time of all its processes.
    pub fn stop_clock(&mut self) -> Cost {
        let Clock { start, cpu } = self.clock.take().expect("it was started");
        Cost {
            took: start.elapsed(),
            cpu: cpu.into_iter().map(|watch| watch.stop().cpu).sum(),
        }
    }

    /// Ends it and starts it anew; how long it takes from there until all agents were listed.
    pub async fn restart(&mut self, agents: usize) -> Duration {
        // Without the connections, which would be waited for.
        self.client = match &mut self.server {
            Server::Ours(embedded) => client_of(&embedded.kubeconfig()).await,
            Server::Theirs(cluster) => client_of(&cluster.kubeconfig()).await,
        };
        match &mut self.server {
            Server::Ours(embedded) => embedded.restart(),
            Server::Theirs(cluster) => cluster.restart(),
        }
        let start = Instant::now();
        self.until_it_lists(agents).await;
        start.elapsed()
    }

    /// Megabytes of all its processes that lie in memory.
    pub fn resident(&self) -> f64 {
        let of = |pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
            let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            kilobytes / 1024.0
        };
        self.pids().into_iter().map(of).sum()
    }

    /// Megabytes of its files, as the disk counts them.
    pub fn on_disk(&self) -> f64 {
        blocks(&self.data) as f64 * 512.0 / f64::from(1 << 20)
    }

    fn pids(&self) -> Vec<u32> {
        match &self.server {
            Server::Ours(embedded) => vec![embedded.process().pid()],
            Server::Theirs(cluster) => vec![cluster.etcd().pid(), cluster.api_server().pid()],
        }
    }

    async fn until_it_lists(&self, agents: usize) {
        let start = Instant::now();
        loop {
            if let Ok(body) = answer(&self.client, get(AGENTS)).await {
                let found = count_of(&body, b"\"kind\":\"Agent\"");
                assert_eq!(found, agents, "what was written is still there");
                return;
            }
            assert!(start.elapsed() < PATIENCE, "no list of agents in {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn make_namespace(&self) {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        let request = axum::http::Request::post("/api/v1/namespaces")
            .header("content-type", "application/json")
            .body(kube::client::Body::from(namespace.to_string().into_bytes()));
        answer(&self.client, request.unwrap()).await.unwrap();
    }
}

fn count_of(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len()).filter(|part| part == &word).count()
}

fn blocks(path: &Path) -> u64 {
    let Ok(about) = fs::symlink_metadata(path) else {
        return 0; // gone meanwhile
    };
    if !about.is_dir() {
        return about.blocks();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| blocks(&entry.path())).sum()
}
