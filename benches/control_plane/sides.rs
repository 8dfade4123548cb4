//! The same asked of both, one after the other, each first in turn.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, Request};
use bytes::Bytes;
use kube::client::Body;

use crate::agents::{AGENTS, Payload, get, reading, replacement};
use crate::bed::evidence::say;
use crate::cost::Cost;
use crate::load::send;
use crate::side::Side;
use crate::table::{Better, Table};
use crate::watchers::{self, WATCHERS};

#[derive(Clone, Copy)]
pub struct Scale {
    pub runs: usize,
    pub agents: usize,
}

/// One after another tells what one client feels, many at once what the server can do.
const IN_FLIGHT: [usize; 2] = [1, 64];
/// Of the agents of a run, so many are written one after another.
const ALONE: usize = 100;
/// So many of the others are changed: to change all would take theirs minutes.
const CHANGED: usize = 500;
const RESTARTS: usize = 3;
/// What a collector has not given back yet is no cost of the objects.
const REST: Duration = Duration::from_secs(10);

pub async fn measure(table: &mut Table, folder: &Path, fsync: bool, scale: Scale) {
    let mut sides = vec![Side::ours(folder).await];
    match Side::theirs(folder, fsync).await {
        Ok(theirs) => sides.push(theirs),
        // Ours alone is better than nothing.
        Err(missing) => missing.skip("make bench, etcd and kube-apiserver"),
    }
    let mut figures = Figures(table);
    if fsync {
        figures.memory("memory, no agents", &sides);
    }

    let payload = Payload::new();
    let (writes, names) = written(&mut sides, &payload, scale).await;
    writes.show(&mut figures);
    if !fsync {
        // The rest asks nothing of the disk.
        return;
    }
    tokio::time::sleep(REST).await;
    let count = names.len();
    figures.memory(&format!("memory after these, {count} agents"), &sides);
    figures.disk(&sides);
    lists(&mut figures, &mut sides, count, scale.runs).await;
    fan_out(&mut figures, &mut sides, &payload, &names, scale.runs).await;
    restarts(&mut figures, &mut sides, count).await;
    tokio::time::sleep(REST).await;
    figures.memory(&format!("memory after a restart, {count} agents"), &sides);
}

/// What one side did in each run.
type Costs = Vec<Vec<(usize, Cost)>>;

#[derive(Default)]
struct Writes(Vec<(String, usize, Costs)>);

/// Every agent is created, by the run that it belongs to; the first of each run are replaced, given a status and read.
async fn written(sides: &mut [Side], payload: &Payload, scale: Scale) -> (Writes, Vec<String>) {
    let mut writes = Writes::default();
    let mut all = Vec::new();
    let each = scale.agents / scale.runs;
    for run in 0..scale.runs {
        let names: Vec<String> = (0..each).map(|i| format!("triage-{run}-{i:04}")).collect();
        let (alone, together) = names.split_at(ALONE.min(each / 2));
        for (in_flight, names) in [(IN_FLIGHT[0], alone), (IN_FLIGHT[1], together)] {
            let mut created: Vec<Vec<Bytes>> = vec![Vec::new(); sides.len()];
            // The connections are there before anything is measured.
            for side in sides.iter() {
                let warm = (0..in_flight).map(|_| get("/version")).collect();
                send(side.client(), in_flight, warm).await;
            }
            for (what, requests) in [
                ("created", Making::Creation),
                ("replaced", Making::Replacement),
                ("status applied", Making::Status),
                ("read", Making::Reading),
            ] {
                for turn in 0..sides.len() {
                    let index = (run + turn) % sides.len();
                    let requests: Vec<Request<Body>> = match requests {
                        Making::Creation => names.iter().map(|name| payload.creation(name)).collect(),
                        Making::Replacement => created[index].iter().take(CHANGED).map(replacement).collect(),
                        Making::Status => {
                            let names = names.iter().take(CHANGED);
                            names.map(|name| payload.status(name, 5)).collect()
                        }
                        Making::Reading => names.iter().take(CHANGED).map(|name| reading(name)).collect(),
                    };
                    let side = &mut sides[index];
                    let client = side.client().clone();
                    side.start_clock();
                    let answers = send(&client, in_flight, requests).await;
                    let cost = side.stop_clock();
                    writes.add(what, in_flight, index, (answers.len(), cost));
                    if what == "created" {
                        created[index] = answers;
                    }
                }
            }
        }
        say(&format!("bench: run {} of {} is written", run + 1, scale.runs));
        all.extend(names);
    }
    (writes, all)
}

enum Making {
    Creation,
    Replacement,
    Status,
    Reading,
}

impl Writes {
    fn add(&mut self, what: &str, in_flight: usize, side: usize, done: (usize, Cost)) {
        let Self(rows) = self;
        let found = rows
            .iter()
            .position(|(name, n, _)| name == what && *n == in_flight);
        let row = found.unwrap_or_else(|| {
            rows.push((what.to_owned(), in_flight, vec![Vec::new(); 2]));
            rows.len() - 1
        });
        rows[row].2[side].push(done);
    }

    fn show(&self, figures: &mut Figures<'_>) {
        let Self(rows) = self;
        for (what, in_flight, costs) in rows {
            let rate = |(count, cost): &(usize, Cost)| *count as f64 / cost.took.as_secs_f64();
            let cpu = |(count, cost): &(usize, Cost)| cost.cpu * 1e6 / *count as f64;
            let of = |figure: &dyn Fn(&(usize, Cost)) -> f64| -> Vec<Vec<f64>> {
                costs
                    .iter()
                    .map(|side| side.iter().map(figure).collect())
                    .collect()
            };
            let name = format!("{what} a second, {in_flight} in flight");
            figures.row(&name, Better::More, "", &of(&rate));
            // Below, hundredths of a second are too coarse.
            if *in_flight > 1 {
                figures.row("  CPU time of each", Better::Less, "us", &of(&cpu));
            }
        }
    }
}

async fn lists(figures: &mut Figures<'_>, sides: &mut [Side], count: usize, runs: usize) {
    for (how, takes_gzip) in [
        ("as it is", false),
        ("as kube's client asks, which takes gzip", true),
    ] {
        let (mut times, mut sizes) = (both(), both());
        for run in 0..runs {
            for turn in 0..sides.len() {
                let index = (run + turn) % sides.len();
                let mut request = get(AGENTS);
                if !takes_gzip {
                    let identity = HeaderValue::from_static("identity");
                    request.headers_mut().insert("accept-encoding", identity);
                }
                let start = Instant::now();
                let answers = send(sides[index].client(), 1, vec![request]).await;
                times[index].push(start.elapsed().as_secs_f64() * 1e3);
                sizes[index].push(answers[0].len() as f64 / f64::from(1 << 20));
            }
        }
        figures.row(&format!("list of {count}, {how}"), Better::Less, "ms", &times);
        if !takes_gzip {
            figures.row("  its size", Better::Less, "MB", &sizes);
        }
    }
}

async fn fan_out(
    figures: &mut Figures<'_>,
    sides: &mut [Side],
    payload: &Payload,
    names: &[String],
    runs: usize,
) {
    let (mut half, mut most, mut rate, mut cpu) = (both(), both(), both(), both());
    let mut cut = [0; 2];
    for run in 0..runs {
        for turn in 0..sides.len() {
            let index = (run + turn) % sides.len();
            let mut found = watchers::measure(&mut sides[index], payload, names, 10 + 2 * run).await;
            found.latencies.sort();
            cut[index] += found.cut;
            let at = |part: f64| {
                let place = (found.latencies.len() as f64 * part) as usize;
                found.latencies[place].as_secs_f64() * 1e3
            };
            half[index].push(at(0.5));
            most[index].push(at(0.99));
            rate[index].push(found.deliveries as f64 / found.flood.took.as_secs_f64());
            cpu[index].push(found.flood.cpu * 1e6 / found.deliveries as f64);
        }
    }
    let what = format!("write to event, {WATCHERS} watchers, median");
    figures.row(&what, Better::Less, "ms", &half);
    figures.row("  of 100 the slowest", Better::Less, "ms", &most);
    figures.row(
        &format!("events a second to {WATCHERS} watchers"),
        Better::More,
        "",
        &rate,
    );
    figures.row("  CPU time of each, its write included", Better::Less, "us", &cpu);
    let [ours, theirs] = cut;
    if ours + theirs > 0 {
        say(&format!(
            "bench: watches that the server ended, for being slow: ours {ours}, theirs {theirs}"
        ));
    }
}

async fn restarts(figures: &mut Figures<'_>, sides: &mut [Side], count: usize) {
    let mut times = both();
    for _ in 0..RESTARTS {
        for (index, side) in sides.iter_mut().enumerate() {
            times[index].push(side.restart(count).await.as_secs_f64());
        }
    }
    let what = format!("start to the first list, {count} agents");
    figures.row(&what, Better::Less, "s", &times);
}

fn both() -> Vec<Vec<f64>> {
    vec![Vec::new(); 2]
}

struct Figures<'a>(&'a mut Table);

impl Figures<'_> {
    fn row(&mut self, what: &str, better: Better, unit: &str, sides: &[Vec<f64>]) {
        self.0.row(what, better, unit, &sides[0], &sides[1]);
    }

    fn memory(&mut self, what: &str, sides: &[Side]) {
        let mut found = both();
        for (index, side) in sides.iter().enumerate() {
            found[index].push(side.resident());
        }
        self.row(what, Better::Less, "MB", &found);
    }

    fn disk(&mut self, sides: &[Side]) {
        let mut found = both();
        for (index, side) in sides.iter().enumerate() {
            found[index].push(side.on_disk());
        }
        self.row("  on the disk", Better::Less, "MB", &found);
    }
}
