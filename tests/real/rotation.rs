//! The tokens of ten agents are changed in a real gateway, for a real API server, while the agents report with what stands in
//! their files on the gateway's disk and the operator is killed (SIGKILL): nobody is refused, and each token changes exactly
//! once. `tests/rotations` does the same to two hundred, and more often.
//!
//! `KILL_SEED=7` kills at the same moments again.

#[path = "../rotations/clients.rs"]
mod clients;
#[path = "../rotations/consumer.rs"]
mod consumer;
#[path = "../rotations/laws.rs"]
mod laws;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use quartermaster::resource::{Agent, names};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::agents::disk::Disk;
use crate::bed::{Gateway, OpenClaw, evidence, shared_cluster};
use crate::crashes::kept::{self, Kept};
use crate::crashes::moment::Signs;
use crate::line::{Line, manifest};
use clients::{Clients, Habit, Read, old_ones_count, token_in};
use consumer::Consumer;

const VERSION: &str = "2026.9.6";
/// Beside a lead and the main agent that nobody wrote.
const WORKERS: usize = 8;
const AGENTS: usize = WORKERS + 2;
const KILLS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(240);
const HASTY: Habit = Habit {
    thinks: Duration::ZERO,
    rests: Duration::from_millis(2),
};
const SLOW: Habit = Habit {
    thinks: Duration::from_millis(400),
    rests: Duration::ZERO,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_while_tokens_are_changed() {
    let seed = std::env::var("KILL_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let cluster = block_in_place(shared_cluster);
    let cluster = real!(cluster);
    let openclaw = block_in_place(|| OpenClaw::start(Gateway::version(VERSION)));
    let openclaw = real!(openclaw);
    let mut line = block_in_place(|| Line::start(cluster, "rotation"));
    let client = cluster.client().await;
    block_in_place(|| {
        line.token("harbour", openclaw.token());
        line.apply(&fleet(&openclaw.url()));
    });
    let signs = Signs::none();
    let seen = signs.clone();
    let namespace = line.namespace.name().to_owned();
    let kept = Kept::begin(&client, &namespace, move |kind| {
        if kind == "Secret" {
            seen.seen();
        }
    });
    let prompt = Consumer::begin(client.clone(), &namespace, Duration::ZERO).await;
    let lagging = Consumer::begin(client, &namespace, Duration::from_secs(1)).await;
    until(&line, "the fleet is Ready", || not_ready(&prompt)).await;

    let home = openclaw.state_folder().with_file_name("home");
    let (names, read) = (names_of(&prompt), reader(&prompt, &home));
    let mut clients = Clients::default();
    for consumer in [&prompt, &lagging] {
        for habit in [HASTY, SLOW, SLOW] {
            clients.begin(&names, habit, Arc::clone(&read), Arc::clone(consumer));
        }
    }
    clients.report(10).await;

    let before = tokens(&prompt);
    let from = signs.so_far();
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut shares: Vec<f64> = (0..KILLS).map(|_| rng.random_range(0.0..0.9)).collect();
    shares.sort_by(f64::total_cmp);
    let told = format!("KILL_SEED={seed}, killed at {shares:?}");
    block_in_place(|| line.apply(SYNC));
    let mut inside = 0;
    for share in shares {
        // Two versions of each Secret.
        let nth = from + ((2 * AGENTS) as f64 * share) as u64;
        let nth = nth.max(signs.so_far());
        tokio::select! {
            () = signs.are_more_than(nth) => {}
            () = until(&line, &told, || to_change(&prompt, &before)) => {}
        }
        block_in_place(|| line.operator.kill());
        inside += u64::from(to_change(&prompt, &before) > 0);
        block_in_place(|| line.start_operator_without_waiting());
    }
    until(&line, &told, || to_change(&prompt, &before)).await;
    until(&line, &told, || not_ready(&prompt)).await;

    let promotions = laws::exactly(1, &kept.tokens(&told).await, &told);
    assert_eq!(promotions.len(), AGENTS, "{told}");
    old_ones_count(&before, &prompt, &told).await;
    clients.report(2).await;
    let counts = clients.end().await;
    counts.are_good(&told);
    block_in_place(|| {
        each_is_in_one_file(&prompt, &before, &home, &told);
        secrets_were_written_as_often(&line, &told);
    });
    let lists = prompt.lists() + lagging.lists();
    let note = format!(
        "{counts}, {lists} lists; {KILLS} kills, {inside} while tokens were being changed; KILL_SEED={seed}"
    );
    evidence::say(&format!(
        "rotation: {} authentications, {note}",
        counts.authentications
    ));
    evidence::record(
        "rotation",
        &format!("real {VERSION}, real API server: reports while tokens are changed"),
        counts.authentications,
        &note,
    );
}

const SYNC: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: TemplateSync
metadata: { name: leaked }
spec:
  gatewayRef: { name: harbour }
  rotateTokens: true
";

fn fleet(url: &str) -> String {
    let agent = |name: &str, role: &str| {
        format!(
            "---\napiVersion: quartermaster.dev/v1alpha1\nkind: Agent\nmetadata: {{name: {name}}}\n\
             spec:\n  role: {role}\n  boardRef: {{name: crew}}\n"
        )
    };
    let workers: String = (0..WORKERS)
        .map(|n| agent(&format!("hand-{n}"), "Worker"))
        .collect();
    format!(
        "{}---\napiVersion: quartermaster.dev/v1alpha1\nkind: Board\nmetadata: {{name: crew}}\n\
         spec:\n  gatewayRef: {{name: harbour}}\n  maxAgents: {WORKERS}\n{}{workers}",
        manifest("harbour", url, ""),
        agent("mate", "Lead")
    )
}

async fn until(line: &Line<'_>, told: &str, left: impl Fn() -> usize) {
    let start = Instant::now();
    loop {
        let left = left();
        if left == 0 {
            return;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{told}: {left} agents are not done\n{}",
            line.operator.log()
        );
        sleep(Duration::from_millis(20)).await;
    }
}

fn not_ready(consumer: &Consumer) -> usize {
    let is_ready = |agent: &Arc<Agent>| {
        let mut conditions = agent.status.iter().flat_map(|status| &status.conditions);
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    AGENTS - consumer.agents().iter().filter(|agent| is_ready(agent)).count()
}

fn to_change(consumer: &Consumer, before: &BTreeMap<String, String>) -> usize {
    let now = tokens(consumer);
    let is_old = |(agent, token): (&String, &String)| now.get(agent) == Some(token);
    let under_way = consumer.tokens().into_iter().filter(|secret| {
        let data = secret.data.as_ref();
        data.is_some_and(|data| data.contains_key(names::TOKEN_NEXT_KEY))
    });
    before.iter().filter(|one| is_old(*one)).count() + under_way.count()
}

/// In force, by agent.
fn tokens(consumer: &Consumer) -> BTreeMap<String, String> {
    let secrets = consumer.tokens();
    let of = secrets.iter().map(|secret| {
        let token = &secret.data.as_ref().unwrap()[names::TOKEN_KEY].0;
        (
            secret.labels()[names::AGENT_LABEL].clone(),
            String::from_utf8(token.clone()).unwrap(),
        )
    });
    of.collect()
}

fn names_of(consumer: &Consumer) -> Vec<String> {
    consumer.agents().iter().map(|agent| agent.name_any()).collect()
}

/// Reads the file that carries an agent's token on the gateway's disk.
fn reader(consumer: &Consumer, home: &Path) -> Read {
    let folder = |agent: &Arc<Agent>| {
        let told = agent.status.as_ref().unwrap().workspace.clone().unwrap();
        let inside = told.strip_prefix("~/").map(|inside| home.join(inside));
        (agent.name_any(), inside.unwrap_or_else(|| PathBuf::from(told)))
    };
    let folders: HashMap<String, PathBuf> = consumer.agents().iter().map(folder).collect();
    Arc::new(move |agent: &str| {
        let text = fs::read_to_string(folders[agent].join("AGENTS.md")).ok()?;
        token_in(&text).map(str::to_owned)
    })
}

fn each_is_in_one_file(consumer: &Consumer, before: &BTreeMap<String, String>, home: &Path, told: &str) {
    let agents = consumer.agents();
    let agents = agents
        .iter()
        .map(|agent| (agent.name_any(), serde_json::to_value(agent.as_ref()).unwrap()));
    let disk = Disk::read(home, &agents.collect());
    for (agent, token) in tokens(consumer) {
        let holding = disk.holding(&token);
        let is_its = matches!(&holding[..], [(of, _)] if *of == agent);
        assert!(is_its, "{told}: the token of {agent} is in {holding:?}");
        let old = disk.holding(&before[&agent]);
        assert!(old.is_empty(), "{told}: the one before of {agent} is in {old:?}");
    }
}

/// As the API server's own log has it: one create and two patches a token that were not refused, and nothing else.
fn secrets_were_written_as_often(line: &Line<'_>, told: &str) {
    let written = line.cluster.writes_by(&line.user());
    let secrets: Vec<_> = written
        .iter()
        .filter(|event| event.resource == "secrets" && event.code < 300)
        .collect();
    let of = |verb: &str| secrets.iter().filter(|event| event.verb == verb).count();
    assert_eq!(
        (of("create"), of("patch"), secrets.len()),
        (AGENTS, 2 * AGENTS, 3 * AGENTS),
        "{told}: {secrets:?}"
    );
}
