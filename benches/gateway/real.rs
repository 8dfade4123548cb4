//! 56 agents with five documents each on a real gateway: our session beside a sequence by hand over one connection, and
//! beside a product that opens a connection for each call. Each run has a gateway of its own, new and empty.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use quartermaster::gateway::dial::Network;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::bare::Bare;
use crate::bed::evidence::say;
use crate::bed::{Gateway, Missing, OpenClaw, Scratch};
use crate::fleet::seat::Seat;
use crate::fleet::{Agent, of_56, provision};
use crate::table::{Runs, Table};

const VERSION: &str = "2026.9.6";
/// As many as our connection allows itself.
const IN_FLIGHT: usize = 16;
/// Of 56: one by one they take minutes.
const ONE_BY_ONE: usize = 6;

pub async fn measure(table: &mut Table, runs: usize) {
    if let Err(missing) = measured(table, runs).await {
        missing.skip("make bench, real gateway");
    }
}

async fn measured(table: &mut Table, runs: usize) -> Result<(), Missing> {
    let (mut floor, mut session, mut passes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut writes, mut connections) = (Vec::new(), Vec::new());
    for run in 0..runs {
        // Whoever comes first has the quieter machine, or not: each is first in turn.
        for turn in 0..3 {
            match (run + turn) % 3 {
                0 => floor.push(fresh(by_hand).await?),
                1 => {
                    let (took, [wrote, connected]) = fresh(by_session).await?;
                    session.push(took);
                    writes.push(wrote);
                    connections.push(connected);
                }
                _ => passes.push(fresh(by_passes).await?),
            }
        }
        let last = |times: &[Duration]| times.last().map_or(0.0, Duration::as_secs_f64);
        say(&format!(
            "bench: run {} of {runs}: by hand {:.2} s, session {:.2} s, passes {:.2} s",
            run + 1,
            last(&floor),
            last(&session),
            last(&passes)
        ));
    }
    let one_by_one = fresh(a_connection_for_each_call).await?;

    let ratio = |ours: &[Duration]| {
        Runs::of(
            ours.iter()
                .zip(&floor)
                .map(|(o, f)| o.as_secs_f64() / f.as_secs_f64()),
        )
    };
    let of_medians =
        |ours: &[Duration]| Runs::of([Runs::seconds(ours).median() / Runs::seconds(&floor).median()]);
    let extrapolated = one_by_one.as_secs_f64() * 56.0 / ONE_BY_ONE as f64;
    table.heading(&format!(
        "real {VERSION}, 56 agents with 5 documents each, no wakes"
    ));
    table.row("by hand over one connection", &Runs::seconds(&floor), 2, "s", "");
    table.row(
        "our session: entries and documents, hashes compared",
        &Runs::seconds(&session),
        2,
        "s",
        "",
    );
    table.row("  ratio of the medians", &of_medians(&session), 2, "", "<= 1.15");
    table.row("  ratio in each pair", &ratio(&session), 2, "", "");
    table.row("  config writes", &Runs::of(writes), 0, "", "<= 2");
    table.row("  connections", &Runs::of(connections), 0, "", "1");
    table.row(
        "our session: passes until nothing differs",
        &Runs::seconds(&passes),
        2,
        "s",
        "",
    );
    table.row("  ratio of the medians", &of_medians(&passes), 2, "", "");
    table.row(
        &format!("a connection for each call, {ONE_BY_ONE} agents"),
        &Runs::seconds(&[one_by_one]),
        1,
        "s",
        "",
    );
    table.row(
        "  times 56/6 (it grows faster than that)",
        &Runs::of([extrapolated]),
        0,
        "s",
        "",
    );
    table.row(
        "  our session is faster by",
        &Runs::of([extrapolated / Runs::seconds(&session).median()]),
        0,
        "times",
        ">= 15",
    );
    Ok(())
}

struct Bench {
    gateway: OpenClaw,
    fleet: Vec<Agent>,
}

/// Runs it on a gateway that has just started, for the first time, in a folder of its own.
async fn fresh<T, F: Future<Output = T>>(run: impl FnOnce(Bench) -> F) -> Result<T, Missing> {
    let workspaces = Scratch::new("fleet");
    let gateway = spawn_blocking(|| OpenClaw::start(Gateway::version(VERSION)))
        .await
        .unwrap()?;
    // It has work of its own after it has said hello.
    sleep(Duration::from_secs(3)).await;
    let fleet = of_56(&workspaces.path().display().to_string());
    Ok(run(Bench { gateway, fleet }).await)
}

/// config.get, one config.patch, agents.files.set as fast as the gateway takes them.
async fn by_hand(Bench { gateway, fleet }: Bench) -> Duration {
    let start = Instant::now();
    let mut bare = Bare::connect(&gateway.url(), gateway.token()).await;
    let config = bare.call("config.get", &json!({})).await;
    let entries: Map<String, Value> = fleet
        .iter()
        .map(|agent| (agent.id.to_string(), Value::Object(agent.entry.clone())))
        // Without a block of its own `main` would fall silent: the session writes it, too.
        .chain([("main".to_owned(), json!({ "heartbeat": {} }))])
        .collect();
    let raw = json!({ "agents": { "ownership": "explicit", "entries": entries } });
    let patch = json!({ "raw": raw.to_string(), "baseHash": config["hash"] });
    bare.call("config.patch", &patch).await;
    bare.pipeline(IN_FLIGHT, fleet.iter().flat_map(sets)).await;
    let took = start.elapsed();
    bare.close().await;
    took
}

fn sets(agent: &Agent) -> impl Iterator<Item = (&'static str, Value)> {
    agent.documents.iter().map(|document| {
        let params =
            json!({ "agentId": agent.id.as_str(), "name": document.name, "content": document.content });
        ("agents.files.set", params)
    })
}

/// The same through our session, which makes sure of each: how long, how many config writes, how many connections.
async fn by_session(Bench { gateway, fleet }: Bench) -> (Duration, [f64; 2]) {
    let start = Instant::now();
    let seat = Seat::take(Arc::new(Network), &gateway.url(), gateway.token(), 1);
    for put in provision::entries(&seat, &fleet).await {
        put.unwrap();
    }
    let connection = seat.online().await.connection;
    let connection = &connection;
    let all = fleet
        .iter()
        .flat_map(|agent| agent.documents.iter().map(move |document| (agent, document)));
    join_all(all.map(|(agent, document)| async move {
        provision::write(connection, agent, document, None).await.unwrap();
    }))
    .await;
    let took = start.elapsed();
    let counts = ["config.patch", "connect"].map(|method| seat.calls_of(method) as f64);
    seat.session.close().await;
    (took, counts)
}

/// As a controller goes about it: everything is read before it is written, and once more at the end.
async fn by_passes(Bench { gateway, fleet }: Bench) -> Duration {
    let start = Instant::now();
    let seat = Seat::take(Arc::new(Network), &gateway.url(), gateway.token(), 1);
    provision::until_so(&seat, &fleet, None).await;
    let took = start.elapsed();
    seat.session.close().await;
    took
}

/// One agent after another, each call over a connection of its own, and a pause after each creation for the gateway to
/// notice it.
async fn a_connection_for_each_call(Bench { gateway, fleet }: Bench) -> Duration {
    let once = async |method: &str, params: Value| {
        let mut bare = Bare::connect(&gateway.url(), gateway.token()).await;
        let answer = bare.call(method, &params).await;
        bare.close().await;
        answer
    };
    let start = Instant::now();
    for agent in fleet.iter().take(ONE_BY_ONE) {
        let (id, workspace) = (agent.id.as_str(), agent.workspace());
        once("agents.create", json!({ "name": id, "workspace": workspace })).await;
        sleep(Duration::from_millis(750)).await;
        let update = json!({ "agentId": id, "name": agent.entry["name"], "workspace": workspace });
        once("agents.update", update).await;
        let config = once("config.get", json!({})).await;
        let entry = json!({ "workspace": workspace, "heartbeat": agent.entry["heartbeat"] });
        let raw = json!({ "agents": { "entries": { id: entry } } });
        let patch = json!({ "raw": raw.to_string(), "baseHash": config["hash"] });
        once("config.patch", patch).await;
        once("agents.files.list", json!({ "agentId": id })).await;
        for (method, params) in sets(agent) {
            once(method, params).await;
        }
    }
    start.elapsed()
}
