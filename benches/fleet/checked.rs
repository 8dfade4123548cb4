//! A full look at a fleet that is as it should be, asked for by its owner, and one at a fleet that somebody has edited: how many
//! requests each is, and how long it takes beside the fewest requests that could do it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use quartermaster::gateway::dial::Network;
use quartermaster::resource::{Agent, Gateway};
use serde_json::json;

use crate::applied::apply;
use crate::bed::evidence::say;
use crate::bed::{Missing, eventually};
use crate::calls::{self, Calls, reads, since, words, writes};
use crate::content::{self, Content};
use crate::cost::{Cost, Watch};
use crate::fleet::seat::Seat;
use crate::manifests;
use crate::quiet::until_settled;
use crate::stage::{Kubernetes, Stage};
use crate::table::{Runs, Table};

const PATIENCE: u64 = 120;
const EDIT: &str = "\nObey the gulls.\n";

pub fn measure(kubernetes: &Kubernetes<'_>, runs: usize) -> Result<(), Missing> {
    let stage = Stage::set(kubernetes, &[])?;
    apply(&stage);
    until_settled(&stage);
    let mut fleet = content::of_all(&stage);
    for agent in &mut fleet {
        // Gone with the first turn.
        agent.files.remove("BOOTSTRAP.md");
    }
    let least = 1 + fleet.iter().map(|agent| agent.files.len()).sum::<usize>();

    let (mut looks, mut by_hand, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        if run % 2 == 1 {
            by_hand.push(kubernetes.runtime.block_on(read(&stage, &fleet)));
        }
        let (cost, called) = look(&stage, || {});
        assert!(writes(&called) == 0.0, "{}", words(&called));
        looks.push(cost);
        calls.push(called);
        if run % 2 == 0 {
            by_hand.push(kubernetes.runtime.block_on(read(&stage, &fleet)));
        }
    }

    let folder = stage.gateway.state_folder().with_file_name("home");
    let souls: Vec<_> = fleet
        .iter()
        .filter(|agent| agent.files.contains_key("SOUL.md") && agent.id.to_string().starts_with("mc-"))
        .map(|agent| {
            let inside = agent.workspace.trim_start_matches("~/");
            (folder.join(inside).join("SOUL.md"), &agent.files["SOUL.md"])
        })
        .collect();
    let (mended, mending) = look(&stage, || {
        for (path, text) in &souls {
            std::fs::write(path, format!("{text}{EDIT}")).unwrap();
        }
    });
    for (path, text) in &souls {
        assert_eq!(
            &std::fs::read_to_string(path).unwrap(),
            *text,
            "{}",
            path.display()
        );
    }
    assert!(writes(&mending) == souls.len() as f64, "{}", words(&mending));

    let seconds = |costs: &[Cost]| Runs::of(costs.iter().map(|cost| cost.took.as_secs_f64()));
    let (ours, theirs) = (seconds(&looks), seconds(&by_hand));
    let mut table = Table::default();
    table.heading(&format!(
        "A full look at {} agents, real 2026.9.6",
        manifests::size()
    ));
    let requests = Runs::of(calls.iter().map(reads));
    table.row("requests", &requests, 0, "", "");
    table.row(
        "  the fewest that there could be",
        &Runs::of([least as f64]),
        0,
        "",
        "",
    );
    table.row("until every agent has answered that it looked", &ours, 2, "s", "");
    table.row("  the fewest requests, by hand", &theirs, 2, "s", "");
    table.row(
        "  ratio of the medians",
        &Runs::of([ours.median() / theirs.median()]),
        2,
        "",
        "",
    );
    let cpu = |costs: &[Cost]| Runs::of(costs.iter().map(|cost| cost.cpu));
    table.row("the gateway's CPU time", &cpu(&looks), 2, "s", "");
    table.row("  the fewest requests, by hand", &cpu(&by_hand), 2, "s", "");
    table.heading(&format!(
        "The same, and SOUL.md of {} agents was edited on the disk",
        souls.len()
    ));
    table.row(
        "until all is put right and answered",
        &seconds(&[mended]),
        2,
        "s",
        "",
    );
    table.row("  requests that read", &Runs::of([reads(&mending)]), 0, "", "");
    table.row(
        "  requests that write",
        &Runs::of([writes(&mending)]),
        0,
        "",
        &souls.len().to_string(),
    );
    table.print();
    say(&format!(
        "bench: a look called: {}; with edits: {}",
        words(calls.last().unwrap_or(&Calls::new())),
        words(&mending)
    ));
    Ok(())
}

/// From the request until every Agent has answered it; the CPU time is the gateway's.
fn look(stage: &Stage<'_>, first: impl FnOnce()) -> (Cost, Calls) {
    // What the last one has caused is over by then.
    std::thread::sleep(Duration::from_secs(3));
    let word = format!("{:016x}", rand::random::<u64>());
    let before = stage.calls();
    first();
    let watch = Watch::start(stage.gateway.process().pid());
    let runtime = stage.kubernetes.runtime;
    let asked =
        Patch::Merge(json!({ "metadata": { "annotations": { "quartermaster.dev/reconcile-at": word } } }));
    let gateways = stage.api::<Gateway>();
    runtime
        .block_on(gateways.patch("harbour", &PatchParams::default(), &asked))
        .unwrap();
    let mut told = Instant::now();
    let start = told;
    let mut waiting = BTreeMap::new();
    eventually("every agent has looked", PATIENCE, || {
        let agents = runtime
            .block_on(stage.api::<Agent>().list(&ListParams::default()))
            .unwrap();
        told = Instant::now();
        waiting = agents
            .iter()
            .filter(|agent| {
                let status = agent.status.as_ref();
                status.and_then(|status| status.last_handled_request.as_deref()) != Some(&word)
            })
            .map(|agent| (agent.name_any(), ()))
            .collect();
        waiting.is_empty().then_some(())
    });
    let mut cost = watch.stop();
    cost.took = told - start;
    (cost, since(&before, &stage.calls()))
}

/// The configuration once, and every file once.
async fn read(stage: &Stage<'_>, fleet: &[Content]) -> Cost {
    let seat = Seat::take(Arc::new(Network), &stage.gateway.url(), stage.gateway.token(), 1);
    let connection = seat.online().await.connection;
    let watch = Watch::start(stage.gateway.process().pid());
    let config = connection.config_get().await.unwrap();
    let files = fleet
        .iter()
        .flat_map(|agent| agent.files.iter().map(move |(name, text)| (agent, name, text)));
    let found = join_all(
        files
            .clone()
            .map(|(agent, name, _)| connection.file_get(&agent.id, name)),
    )
    .await;
    for ((agent, name, text), found) in files.zip(found) {
        assert_eq!(&found.unwrap().unwrap().content, text, "{name} of {}", agent.id);
    }
    let cost = watch.stop();
    drop(config);
    seat.session.close().await;
    cost
}
