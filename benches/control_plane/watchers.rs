//! A hundred watches of the same agents, each over a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::Client;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::agents::{AGENTS, Payload, get};
use crate::cost::Cost;
use crate::load::{answer, send};
use crate::side::Side;

pub const WATCHERS: usize = 100;
/// One after another: how long until each watcher has it.
const ALONE: usize = 20;
/// As fast as it takes them: how many arrive.
const AT_ONCE: usize = 300;
const PATIENCE: Duration = Duration::from_secs(60);

pub struct FanOut {
    /// From before the request to the event's arrival, each watcher's.
    pub latencies: Vec<Duration>,
    /// Until the last of `deliveries` had arrived.
    pub flood: Cost,
    pub deliveries: usize,
    /// Watches that the server ended.
    pub cut: usize,
}

pub async fn measure(side: &mut Side, payload: &Payload, names: &[String], turn: usize) -> FanOut {
    let list = answer(side.client(), get(&format!("{AGENTS}?limit=1")))
        .await
        .unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    let cut = Arc::new(AtomicUsize::new(0));
    let mut watches = Vec::new();
    for _ in 0..WATCHERS {
        let watcher = Watcher {
            client: side.client().clone(),
            version: version.to_owned(),
            seen: seen.clone(),
        };
        let opened = watcher.open().await;
        watches.push(tokio::spawn(watcher.run(opened, Arc::clone(&cut))));
    }

    let mut arrived = async |wanted: usize| {
        let mut times = Vec::with_capacity(wanted);
        while times.len() < wanted {
            let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
            times.push(next.expect("every watcher is told").unwrap());
        }
        times
    };
    let mut latencies = Vec::new();
    for name in names.iter().take(ALONE) {
        let request = payload.status(name, turn);
        let start = Instant::now();
        let (sent, times) = tokio::join!(answer(side.client(), request), arrived(WATCHERS));
        sent.unwrap();
        latencies.extend(times.into_iter().map(|time| time - start));
    }

    let written = names.len().min(AT_ONCE);
    let requests = names
        .iter()
        .take(written)
        .map(|name| payload.status(name, turn + 1));
    let requests: Vec<_> = requests.collect();
    let deliveries = written * WATCHERS;
    let client = side.client().clone();
    side.start_clock();
    tokio::join!(send(&client, 64, requests), arrived(deliveries));
    let flood = side.stop_clock();
    for watch in watches {
        watch.abort();
    }
    FanOut {
        latencies,
        flood,
        deliveries,
        cut: cut.load(Ordering::Relaxed),
    }
}

struct Watcher {
    client: Client,
    /// Of the last event.
    version: String,
    seen: mpsc::UnboundedSender<Instant>,
}

type Events = axum::body::BodyDataStream;

impl Watcher {
    /// Says when each event arrived. Where it is cut off, as a server does with one that is slow, it goes on from the last.
    async fn run(mut self, opened: Events, cut: Arc<AtomicUsize>) {
        let mut events = opened;
        loop {
            self.hear(events).await;
            cut.fetch_add(1, Ordering::Relaxed);
            events = self.open().await;
        }
    }

    async fn open(&self) -> Events {
        let Self { version, .. } = self;
        let path = format!("{AGENTS}?watch=true&resourceVersion={version}&timeoutSeconds=600");
        let response = self.client.send(get(&path)).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        axum::body::Body::new(response.into_body()).into_data_stream()
    }

    async fn hear(&mut self, mut events: Events) {
        let mut line = Vec::new();
        while let Some(Ok(bytes)) = events.next().await {
            for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if !part.ends_with(b"\n") {
                    break;
                }
                self.seen.send(Instant::now()).ok();
                self.version = version_of(&line).to_owned();
                line.clear();
            }
        }
    }
}

/// Without reading the whole: a hundred watchers would be measured by how fast they parse.
fn version_of(event: &[u8]) -> &str {
    const FIELD: &str = "\"resourceVersion\":\"";
    let event = std::str::from_utf8(event).unwrap();
    let (_, rest) = event
        .split_once(FIELD)
        .unwrap_or_else(|| panic!("no event: {event}"));
    rest.split_once('"').unwrap().0
}
