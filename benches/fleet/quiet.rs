//! A fleet of which nothing is wanted any more. That nothing is written is no figure: it fails where something is.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::ListParams;
use quartermaster::resource::Agent;
use quartermaster::resource::agent::WakeState;

use crate::applied::apply;
use crate::bed::evidence::say;
use crate::bed::{Missing, eventually};
use crate::calls::{Calls, reads, since, words, writes};
use crate::cost::Watch;
use crate::manifests;
use crate::speed::load;
use crate::stage::{Kubernetes, Stage};
use crate::table::{Runs, Table};

/// Messages are paced, and 56 failed turns keep a gateway busy for half a minute; 56 hashes are 20 s of a core.
const PATIENCE: u64 = 600;

pub fn measure(kubernetes: &Kubernetes<'_>, minutes: usize) -> Result<(), Missing> {
    let stage = Stage::set(kubernetes, &["--leader-elect"])?;
    apply(&stage);
    until_settled(&stage);

    let (calls, passes, written) = (stage.calls(), stage.passes(), stage.api_writes().len());
    let watches =
        [stage.operator.process(), stage.gateway.process()].map(|process| Watch::start(process.pid()));
    for minute in 0..minutes {
        std::thread::sleep(Duration::from_secs(60));
        let so_far = stage.api_writes().len() - written;
        say(&format!(
            "bench: quiet for {} min, {so_far} API writes, load {:.1}",
            minute + 1,
            load()
        ));
    }
    let [operator, gateway] = watches.map(Watch::stop);
    let calls = since(&calls, &stage.calls());
    let passes = since(&passes, &stage.passes());
    let api_writes = stage.api_writes().split_off(written);

    let seconds = operator.took.as_secs_f64();
    let share = |cpu: f64| Runs::of([cpu / seconds * 100.0]);
    let mut table = Table::default();
    table.heading(&format!(
        "{} agents, all so, for {minutes} minutes; renewals of the lease aside",
        manifests::size()
    ));
    table.row(
        "writes to the API server",
        &Runs::of([api_writes.len() as f64]),
        0,
        "",
        "0",
    );
    table.row("calls that write", &Runs::of([writes(&calls)]), 0, "", "0");
    table.row(
        "calls that read, a minute",
        &Runs::of([reads(&calls) / seconds * 60.0]),
        0,
        "",
        "",
    );
    table.row(
        "passes, a minute",
        &Runs::of([passes.values().sum::<f64>() / seconds * 60.0]),
        0,
        "",
        "",
    );
    table.row(
        "the operator's CPU time, of one core",
        &share(operator.cpu),
        3,
        "%",
        "< 0.1",
    );
    table.row(
        "the gateway's CPU time, of one core",
        &share(gateway.cpu),
        2,
        "%",
        "",
    );
    table.row("load of the machine (2 cores)", &Runs::of([load()]), 1, "", "");
    table.print();
    say(&format!(
        "bench: called: {}; passes: {}",
        words(&calls),
        words(&passes)
    ));
    assert!(
        api_writes.is_empty(),
        "written although nothing had changed: {api_writes:#?}"
    );
    assert!(
        writes(&calls) == 0.0,
        "called although nothing had changed: {}",
        words(&calls)
    );
    Ok(())
}

/// Every agent is awake and every token hashed.
pub fn until_settled(stage: &Stage<'_>) {
    let start = Instant::now();
    eventually("every agent is awake and every token hashed", PATIENCE, || {
        is_settled(stage).then_some(())
    });
    // What the last of these has caused is told within seconds.
    std::thread::sleep(Duration::from_secs(15));
    say(&format!(
        "bench: settled {:.0} s after all were ready",
        start.elapsed().as_secs_f64()
    ));
}

fn is_settled(stage: &Stage<'_>) -> bool {
    std::thread::sleep(Duration::from_secs(1));
    let listed = stage.api::<Agent>();
    let agents = stage
        .kubernetes
        .runtime
        .block_on(listed.list(&ListParams::default()))
        .unwrap();
    let is_settled = |agent: &Agent| {
        let status = agent.status.as_ref();
        let token = status.and_then(|status| status.token.as_ref());
        let wake = status.and_then(|status| status.wake.as_ref());
        let is_told =
            wake.is_some_and(|wake| wake.state != Some(WakeState::Intended) && wake.due_since.is_none());
        is_told && token.is_some_and(|token| token.hash.is_some())
    };
    agents.iter().all(is_settled)
}
