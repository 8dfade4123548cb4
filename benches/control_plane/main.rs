//! `make bench`: the embedded control plane beside etcd and kube-apiserver. Prints one table and never fails on a time;
//! docs/performance.md says what is measured and how.
//!
//! `cargo bench --bench control_plane -- nosync` runs the parts whose names hold that word (`fsync`, `nosync`); `RUNS=9`
//! measures more often, `AGENTS=1000` with fewer objects.
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

#[macro_use]
#[path = "../../tests/real/bed/mod.rs"]
mod bed;
#[path = "../gateway/cost.rs"]
mod cost;
#[path = "../gateway/table.rs"]
mod runs;

mod agents;
mod embedded;
mod load;
mod side;
mod sides;
mod table;
mod watchers;

use std::path::Path;

use bed::evidence::say;
use sides::{Scale, measure};
use table::Table;

fn main() {
    // Cargo itself adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    if let [word, folder, port] = words.as_slice()
        && word == embedded::WORD
    {
        runtime.block_on(embedded::serve(Path::new(folder), port.parse().unwrap()));
        return;
    }
    let asked = |part: &str| words.is_empty() || words.iter().any(|word| part.contains(word.as_str()));
    let number = |name: &str, usual: usize| {
        std::env::var(name).map_or(usual, |value| value.parse().expect("RUNS and AGENTS are numbers"))
    };
    let scale = Scale {
        runs: number("RUNS", 5),
        agents: number("AGENTS", 10_000),
    };
    let mut table = Table::default();
    if asked("fsync") {
        let folder = bed::Scratch::new("control-planes");
        table.heading("both on the disk, both with fsync");
        runtime.block_on(measure(&mut table, folder.path(), true, scale));
    }
    if asked("nosync") {
        // Where an fsync costs nothing: our store has no switch for it, and needs none.
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            let folder = memory.join(format!("quartermaster-bench-{}", std::process::id()));
            let _removed = Removed(folder.clone());
            table.heading("both in memory (tmpfs), theirs with --unsafe-no-fsync");
            let scale = Scale {
                agents: scale.agents / 2,
                ..scale
            };
            runtime.block_on(measure(&mut table, &folder, false, scale));
        } else {
            say("make bench, control plane without fsync: skipped, there is no /dev/shm");
        }
    }
    table.print();
}

struct Removed(std::path::PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
