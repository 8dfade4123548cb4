//! `make bench`: a fleet of 56 agents, from `kubectl apply` to all of them ready, on a real Kubernetes and real gateways.
//! Prints a table of each part and never fails on a time; docs/performance.md says what is measured and how.
//!
//! `cargo bench --bench fleet -- quiet` runs the parts whose names hold that word (`speed`, `one-by-one`, `quiet`, `checked`,
//! `template`); `RUNS=9` measures more often, `MINUTES=1` is quiet for a shorter time, `WORKERS=1` has fewer agents to try it with.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    unused_macros,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench is run by hand and may end in a panic; the beds of the real tests offer more than it uses"
)]

#[path = "../gateway/bare.rs"]
mod bare;
#[macro_use]
#[path = "../../tests/real/bed/mod.rs"]
mod bed;
#[path = "../gateway/cost.rs"]
mod cost;
#[path = "../../tests/fleet/mod.rs"]
mod fleet;
#[path = "../gateway/table.rs"]
mod table;

mod applied;
mod by_hand;
mod calls;
mod checked;
mod content;
mod manifests;
mod one_by_one;
mod quiet;
mod speed;
mod stage;
mod template;

use bed::{Missing, shared_cluster};
use stage::Kubernetes;
use tokio::runtime::Runtime;

fn main() {
    // Cargo itself adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let asked = |part: &str| words.is_empty() || words.iter().any(|word| part.contains(word.as_str()));
    let number = |name: &str, usual: usize| {
        std::env::var(name).map_or(usual, |value| {
            value.parse().expect("RUNS and MINUTES are numbers")
        })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let measured = measured(&runtime, asked, number("RUNS", 5), number("MINUTES", 5));
    if let Err(missing) = measured {
        missing.skip("make bench, fleet");
    }
}

fn measured(
    runtime: &Runtime,
    asked: impl Fn(&str) -> bool,
    runs: usize,
    minutes: usize,
) -> Result<(), Missing> {
    // Needs nothing that is real.
    if asked("template") {
        template::measure(runtime, runs).print();
    }
    let others = ["speed", "one-by-one", "quiet", "checked"];
    if !others.into_iter().any(&asked) {
        return Ok(());
    }
    let kubernetes = Kubernetes::prepare(shared_cluster()?, runtime);
    // Each at once, whatever becomes of the next.
    if asked("speed") {
        speed::measure(&kubernetes, runs)?.print();
    }
    if asked("one-by-one") {
        one_by_one::measure(&kubernetes)?.print();
    }
    if asked("quiet") {
        quiet::measure(&kubernetes, minutes)?;
    }
    if asked("checked") {
        checked::measure(&kubernetes, runs)?;
    }
    Ok(())
}
