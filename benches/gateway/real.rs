//! 56 agents with five documents each on a real gateway: our session beside a sequence by hand over one connection, and
//! beside a product that opens a connection for each call. Each run has a gateway of its own, new and empty.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use quartermaster::gateway::dial::Network;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::bare::Bare;
use crate::bed::evidence::say;
use crate::bed::{Gateway, Missing, OpenClaw, Scratch};
use crate::cost::{Cost, Watch};
use crate::fleet::provision::Wakes;
use crate::fleet::seat::Seat;
use crate::fleet::{Agent, of_56, provision};
use crate::table::{Runs, Table};

const VERSION: &str = "2026.9.6";
/// As many as our connection allows itself.
const IN_FLIGHT: usize = 16;
/// Of the first and of the last agents of 56: one by one all of them take minutes.
const ONE_BY_ONE: usize = 3;

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
                    let (cost, [wrote, connected]) = fresh(by_session).await?;
                    session.push(cost);
                    writes.push(wrote);
                    connections.push(connected);
                }
                _ => passes.push(fresh(by_passes).await?),
            }
        }
        let last = |costs: &[Cost]| costs.last().map_or(0.0, |cost| cost.took.as_secs_f64());
        say(&format!(
            "bench: run {} of {runs}: by hand {:.2} s, session {:.2} s, passes {:.2} s",
            run + 1,
            last(&floor),
            last(&session),
            last(&passes)
        ));
    }
    let [first, last] = fresh(a_connection_for_each_call).await?;

    let times = |costs: &[Cost]| Runs::of(costs.iter().map(|cost| cost.took.as_secs_f64()));
    let cpu = |costs: &[Cost]| Runs::of(costs.iter().map(|cost| cost.cpu));
    let of_medians = |ours: &[Cost]| Runs::of([times(ours).median() / times(&floor).median()]);
    let of_cpu = |ours: &[Cost]| Runs::of([cpu(ours).median() / cpu(&floor).median()]);
    let in_each = |ours: &[Cost]| {
        let pairs = ours.iter().zip(&floor);
        Runs::of(pairs.map(|(ours, floor)| ours.took.as_secs_f64() / floor.took.as_secs_f64()))
    };
    let each = (first.took + last.took).as_secs_f64() / (2 * ONE_BY_ONE) as f64;
    let extrapolated = each * 56.0;

    table.heading(&format!(
        "real {VERSION}, 56 agents with 5 documents each, no wakes"
    ));
    table.row("by hand over one connection", &times(&floor), 2, "s", "");
    table.row("  the gateway's CPU time", &cpu(&floor), 2, "s", "");
    table.row(
        "our session: entries and documents, hashes compared",
        &times(&session),
        2,
        "s",
        "",
    );
    table.row("  ratio of the medians", &of_medians(&session), 2, "", "<= 1.15");
    table.row("  ratio in each pair", &in_each(&session), 2, "", "");
    table.row("  ratio of the gateway's CPU times", &of_cpu(&session), 2, "", "");
    table.row("  config writes", &Runs::of(writes), 0, "", "<= 2");
    table.row("  connections", &Runs::of(connections), 0, "", "1");
    table.row(
        "our session: passes until nothing differs",
        &times(&passes),
        2,
        "s",
        "",
    );
    table.row("  ratio of the medians", &of_medians(&passes), 2, "", "");
    table.row("  ratio of the gateway's CPU times", &of_cpu(&passes), 2, "", "");
    let few = format!("a connection for each call: the first {ONE_BY_ONE} agents");
    table.row(&few, &times(&[first]), 1, "s", "");
    table.row(&format!("  the last {ONE_BY_ONE}"), &times(&[last]), 1, "s", "");
    table.row(
        "  all 56, extrapolated from their mean",
        &Runs::of([extrapolated]),
        0,
        "s",
        "",
    );
    let faster = extrapolated / times(&session).median();
    table.row(
        "  our session is faster by",
        &Runs::of([faster]),
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
async fn by_hand(Bench { gateway, fleet }: Bench) -> Cost {
    let watch = Watch::start(gateway.process().pid());
    let mut bare = Bare::connect(&gateway.url(), gateway.token()).await;
    patch(&mut bare, &fleet).await;
    bare.pipeline(IN_FLIGHT, fleet.iter().flat_map(sets)).await;
    let cost = watch.stop();
    bare.close().await;
    cost
}

async fn patch(bare: &mut Bare<TcpStream>, agents: &[Agent]) {
    let config = bare.call("config.get", &json!({})).await;
    let entries: Map<String, Value> = agents
        .iter()
        .map(|agent| (agent.id.to_string(), Value::Object(agent.entry.clone())))
        // Without a block of its own `main` would fall silent: the session writes it, too.
        .chain([("main".to_owned(), json!({ "heartbeat": {} }))])
        .collect();
    let raw = json!({ "agents": { "ownership": "explicit", "entries": entries } });
    let patch = json!({ "raw": raw.to_string(), "baseHash": config["hash"] });
    bare.call("config.patch", &patch).await;
}

fn sets(agent: &Agent) -> impl Iterator<Item = (&'static str, Value)> {
    agent.documents.iter().map(|document| {
        let params =
            json!({ "agentId": agent.id.as_str(), "name": document.name, "content": document.content });
        ("agents.files.set", params)
    })
}

/// The same through our session, which makes sure of each: how long, how many config writes, how many connections.
async fn by_session(Bench { gateway, fleet }: Bench) -> (Cost, [f64; 2]) {
    let watch = Watch::start(gateway.process().pid());
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
    let cost = watch.stop();
    let counts = ["config.patch", "connect"].map(|method| seat.calls_of(method) as f64);
    seat.session.close().await;
    (cost, counts)
}

/// As a controller goes about it: everything is read before it is written, and once more at the end.
async fn by_passes(Bench { gateway, fleet }: Bench) -> Cost {
    let watch = Watch::start(gateway.process().pid());
    let seat = Seat::take(Arc::new(Network), &gateway.url(), gateway.token(), 1);
    provision::until_so(&seat, &fleet, &mut Wakes::new()).await;
    let cost = watch.stop();
    seat.session.close().await;
    cost
}

/// One agent after another, each call over a connection of its own, and a pause after each creation for the gateway to
/// notice it. What an agent costs grows with how many there are, so: the first ones and the last ones.
async fn a_connection_for_each_call(Bench { gateway, fleet }: Bench) -> [Cost; 2] {
    let (first, rest) = fleet.split_at(ONE_BY_ONE);
    let (between, last) = rest.split_at(rest.len() - ONE_BY_ONE);
    let watch = Watch::start(gateway.process().pid());
    one_by_one(&gateway, first).await;
    let costs_at_first = watch.stop();
    let mut bare = Bare::connect(&gateway.url(), gateway.token()).await;
    patch(&mut bare, between).await;
    bare.close().await;
    let watch = Watch::start(gateway.process().pid());
    one_by_one(&gateway, last).await;
    [costs_at_first, watch.stop()]
}

async fn one_by_one(gateway: &OpenClaw, agents: &[Agent]) {
    let once = async |method: &str, params: Value| {
        let mut bare = Bare::connect(&gateway.url(), gateway.token()).await;
        let answer = bare.call(method, &params).await;
        bare.close().await;
        answer
    };
    for agent in agents {
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
}
