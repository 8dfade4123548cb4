//! `make bench`: what our gateway client costs beside a socket and frames written by hand. Prints one table and never fails
//! on a time; docs/performance.md says what is measured and how.
//!
//! `cargo bench --bench gateway -- simulated` runs the parts whose names hold that word; `RUNS=9` measures more often.
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
#[path = "../../tests/fleet/mod.rs"]
mod fleet;

mod bare;
mod cost;
mod memory;
mod real;
mod simulated;
mod table;

use table::Table;

fn main() {
    // Cargo itself adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let asked = |part: &str| words.is_empty() || words.iter().any(|word| part.contains(word.as_str()));
    let runs = std::env::var("RUNS").map_or(5, |runs| runs.parse().expect("RUNS is a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut table = Table::default();
    // First, while this process has not held much.
    if asked("memory") {
        runtime.block_on(memory::measure(&mut table));
    }
    if asked("simulated") {
        runtime.block_on(simulated::measure(&mut table, runs));
    }
    if asked("real") {
        runtime.block_on(real::measure(&mut table, runs));
    }
    table.print();
}
