//! What 10,000 agents cost: a simulated gateway as a process of its own, and our side of the connection, which holds one
//! reading of its configuration.

use std::fs;
use std::sync::Arc;

use quartermaster::gateway::dial::Network;
use serde_json::{Map, Value, json};

use crate::bare::Bare;
use crate::bed::{Launch, Scratch, eventually};
use crate::fleet::seat::Seat;
use crate::fleet::{Agent, fleet};
use crate::table::{Runs, Table};

const TOKEN: &str = "sesame";
const IN_FLIGHT: usize = 64;

pub async fn measure(table: &mut Table) {
    let agents = fleet("/srv/fleet", 1, 9_998);
    let folder = Scratch::new("simulated");
    let process = Launch::new("simulated gateway", env!("CARGO_BIN_EXE_quartermaster"))
        .args(["simulate-gateway", "--delays", "0"])
        .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
        .start(&folder.join("output.log"));
    let url = eventually("the simulated gateway says its URL", 30, || {
        assert!(process.is_alive(), "{}", process.last_words());
        let log = process.log();
        log.lines()
            .find(|line| line.starts_with("ws://"))
            .map(str::to_owned)
    });
    let theirs = || resident(process.pid());

    table.heading("memory (resident), 10,000 agents");
    table.row(
        "the simulated gateway with none",
        &Runs::of([theirs()]),
        1,
        "MB",
        "",
    );
    let mut bare = Bare::connect(&url, TOKEN).await;
    let entries: Map<String, Value> = agents
        .iter()
        .map(|agent| (agent.id.to_string(), Value::Object(agent.entry.clone())))
        .collect();
    let config = bare.call("config.get", &json!({})).await;
    let raw = json!({ "agents": { "ownership": "explicit", "entries": entries } });
    let patch = json!({ "raw": raw.to_string(), "baseHash": config["hash"] });
    bare.call("config.patch", &patch).await;
    let answer = bare.call("config.get", &json!({})).await.to_string().len();
    drop((config, raw, patch, entries));
    table.row(
        "the simulated gateway with their entries",
        &Runs::of([theirs()]),
        1,
        "MB",
        "",
    );
    let documents: usize = agents
        .iter()
        .flat_map(|agent| &agent.documents)
        .map(|d| d.content.len())
        .sum();
    bare.pipeline(IN_FLIGHT, agents.iter().flat_map(sets)).await;
    bare.close().await;
    let what = format!("  and five documents each ({} MB of text)", documents >> 20);
    table.row(&what, &Runs::of([theirs()]), 1, "MB", "");
    drop(agents);

    let before = resident(std::process::id());
    let seat = Seat::take(Arc::new(Network), &url, TOKEN, 1);
    let connection = seat.online().await.connection;
    let reading = connection.config_get().await.unwrap();
    assert_eq!(reading.entries.len(), 10_001);
    let more = resident(std::process::id()) - before;
    table.row(
        &format!(
            "our side: one reading of the configuration ({} MB of JSON)",
            answer >> 20
        ),
        &Runs::of([more.max(0.0)]),
        1,
        "MB",
        "",
    );
    drop(reading);
    seat.session.close().await;
}

fn sets(agent: &Agent) -> impl Iterator<Item = (&'static str, Value)> {
    agent.documents.iter().map(|document| {
        let params =
            json!({ "agentId": agent.id.as_str(), "name": document.name, "content": document.content });
        ("agents.files.set", params)
    })
}

/// Megabytes of a process that lie in memory.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}
