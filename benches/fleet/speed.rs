//! `kubectl apply` to all ready, beside the same by hand. Every run has a gateway of its own.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::applied::{Applied, apply};
use crate::bed::Missing;
use crate::bed::evidence::say;
use crate::by_hand::provision;
use crate::calls::{Calls, config_writes, reads, words};
use crate::content::{self, Content};
use crate::cost::Cost;
use crate::manifests;
use crate::stage::{Kubernetes, Stage, gateway};
use crate::table::{Runs, Table};

#[derive(Default)]
struct Measured {
    applied: Vec<Applied>,
    by_hand: Vec<Cost>,
    calls: Vec<Calls>,
    api_writes: Vec<f64>,
    loads: Vec<f64>,
}

pub fn measure(kubernetes: &Kubernetes<'_>, runs: usize) -> Result<Table, Missing> {
    let mut measured = Measured::default();
    let mut fleet = Vec::new();
    for run in 0..runs {
        // Whoever comes first has the quieter machine, or not: each is first in turn. Ids are others in each run, and as long.
        if run % 2 == 1 {
            measured.by_hand(kubernetes, &fleet)?;
        }
        fleet = measured.apply(kubernetes)?;
        if run % 2 == 0 {
            measured.by_hand(kubernetes, &fleet)?;
        }
        measured.say(run, runs);
    }
    let mut table = Table::default();
    measured.tell(&mut table, &fleet);
    Ok(table)
}

impl Measured {
    fn apply(&mut self, kubernetes: &Kubernetes<'_>) -> Result<Vec<Content>, Missing> {
        let stage = Stage::set(kubernetes, &[])?;
        self.applied.push(apply(&stage));
        self.loads.push(load());
        let calls = stage.calls();
        let writes = stage.api_writes();
        let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
        for write in &writes {
            let kind = format!("{} {}/{}", write.verb, write.resource, write.subresource);
            *by_kind.entry(kind).or_default() += 1;
        }
        say(&format!("bench: called: {}; written: {by_kind:?}", words(&calls)));
        self.calls.push(calls);
        self.api_writes.push(writes.len() as f64);
        Ok(content::of_all(&stage))
    }

    fn by_hand(&mut self, kubernetes: &Kubernetes<'_>, fleet: &[Content]) -> Result<(), Missing> {
        let gateway = gateway()?;
        self.by_hand
            .push(kubernetes.runtime.block_on(provision(&gateway, fleet)));
        Ok(())
    }

    fn say(&self, run: usize, runs: usize) {
        let (Some(applied), Some(by_hand)) = (self.applied.last(), self.by_hand.last()) else {
            return;
        };
        say(&format!(
            "bench: run {} of {runs}: applied {:.2} s (kubectl {:.2}, first ready {:.2}), by hand {:.2} s, load {:.1}",
            run + 1,
            applied.operator.took.as_secs_f64(),
            applied.kubectl.as_secs_f64(),
            applied.first.as_secs_f64(),
            by_hand.took.as_secs_f64(),
            load()
        ));
    }

    fn tell(&self, table: &mut Table, fleet: &[Content]) {
        let seconds =
            |times: &mut dyn Iterator<Item = Duration>| Runs::of(times.map(|time| time.as_secs_f64()));
        let ours = seconds(&mut self.applied.iter().map(|it| it.operator.took));
        let theirs = seconds(&mut self.by_hand.iter().map(|it| it.took));
        let pairs = self.applied.iter().zip(&self.by_hand);
        let in_each =
            pairs.map(|(ours, theirs)| ours.operator.took.as_secs_f64() / theirs.took.as_secs_f64());
        let bytes: usize = fleet
            .iter()
            .flat_map(|agent| agent.files.values())
            .map(String::len)
            .sum();
        let files: usize = fleet.iter().map(|agent| agent.files.len()).sum();
        let cpu = |of: fn(&Applied) -> &Cost| Runs::of(self.applied.iter().map(|it| of(it).cpu));

        table.heading(&format!(
            "{} agents, {files} files, {} kB; real kube-apiserver, real 2026.9.6",
            manifests::size(),
            bytes / 1000
        ));
        table.row("kubectl apply until the last is ready", &ours, 2, "s", "");
        table.row(
            "  until kubectl has ended",
            &seconds(&mut self.applied.iter().map(|it| it.kubectl)),
            2,
            "s",
            "",
        );
        table.row(
            "  until the first is ready",
            &seconds(&mut self.applied.iter().map(|it| it.first)),
            2,
            "s",
            "",
        );
        table.row(
            "  config writes",
            &Runs::of(self.calls.iter().map(config_writes)),
            0,
            "",
            "<= 3",
        );
        table.row(
            "  other calls that write",
            &Runs::of(
                self.calls
                    .iter()
                    .map(|calls| crate::calls::writes(calls) - config_writes(calls)),
            ),
            0,
            "",
            "",
        );
        table.row(
            "  calls that read",
            &Runs::of(self.calls.iter().map(reads)),
            0,
            "",
            "",
        );
        table.row(
            "  writes to the API server",
            &Runs::of(self.api_writes.iter().copied()),
            0,
            "",
            "",
        );
        table.row("  the operator's CPU time", &cpu(|it| &it.operator), 2, "s", "");
        table.row("  the gateway's CPU time", &cpu(|it| &it.gateway), 2, "s", "");
        table.row("the same by hand, without a cluster", &theirs, 2, "s", "");
        table.row(
            "  the gateway's CPU time",
            &Runs::of(self.by_hand.iter().map(|it| it.cpu)),
            2,
            "s",
            "",
        );
        table.row(
            "ratio of the medians",
            &Runs::of([ours.median() / theirs.median()]),
            2,
            "",
            "<= 1.3",
        );
        table.row("ratio in each pair", &Runs::of(in_each), 2, "", "");
        table.row(
            "load of the machine (2 cores)",
            &Runs::of(self.loads.iter().copied()),
            1,
            "",
            "",
        );
    }
}

/// How many processes wanted to run in the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
