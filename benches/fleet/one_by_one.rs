//! The way of the product that is replaced: one agent after another, a connection for each call, one write of the
//! configuration for each agent, and a pause for the gateway to notice it. As far as a 2026.9.6 takes it: it writes
//! `agents.list` and `channels.defaults.heartbeat`, which are refused there, so its entries go where ours go.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::applied::apply;
use crate::bare::Bare;
use crate::bed::evidence::say;
use crate::bed::{Missing, OpenClaw};
use crate::content::{self, Content};
use crate::cost::{Cost, Watch};
use crate::manifests;
use crate::speed::load;
use crate::stage::{Kubernetes, Stage, gateway};
use crate::table::{Runs, Table};

pub fn measure(kubernetes: &Kubernetes<'_>) -> Result<Table, Missing> {
    let stage = Stage::set(kubernetes, &[])?;
    let applied = apply(&stage).operator.took.as_secs_f64();
    let fleet = content::of_all(&stage);
    drop(stage);
    let gateway = gateway()?;
    let mut calls = 0;
    let cost = kubernetes
        .runtime
        .block_on(provision(&gateway, &fleet, &mut calls));
    let took = cost.took.as_secs_f64();
    let mut table = Table::default();
    table.heading(&format!(
        "{} agents one after another, a connection for each call",
        manifests::size()
    ));
    table.row("all of them", &Runs::of([took]), 1, "s", "");
    table.row("  connections", &Runs::of([f64::from(calls)]), 0, "", "");
    table.row("  the gateway's CPU time", &Runs::of([cost.cpu]), 1, "s", "");
    table.row(
        "kubectl apply until the last is ready, just before",
        &Runs::of([applied]),
        2,
        "s",
        "",
    );
    table.row("  is faster by", &Runs::of([took / applied]), 1, "times", ">= 15");
    table.row("load of the machine (2 cores)", &Runs::of([load()]), 1, "", "");
    Ok(table)
}

async fn provision(gateway: &OpenClaw, fleet: &[Content], calls: &mut u32) -> Cost {
    let watch = Watch::start(gateway.process().pid());
    for (number, agent) in fleet.iter().enumerate() {
        one(gateway, agent, calls).await;
        if number % 8 == 7 {
            say(&format!("bench: one by one: {} of {}", number + 1, fleet.len()));
        }
    }
    watch.stop()
}

/// Without its message.
async fn one(gateway: &OpenClaw, agent: &Content, calls: &mut u32) {
    let (id, workspace) = (agent.id.as_str(), agent.workspace.as_str());
    let mut once = async |method: &str, params: Value| {
        *calls += 1;
        let mut bare = Bare::connect(&gateway.url(), gateway.token()).await;
        let answer = bare.try_call(method, &params).await;
        bare.close().await;
        answer
    };
    once("agents.create", json!({ "name": id, "workspace": workspace }))
        .await
        .unwrap();
    sleep(Duration::from_millis(750)).await;
    let update = json!({ "agentId": id, "name": agent.display_name, "workspace": workspace });
    // A gateway that has made an agent does not find it at once; it is asked five times.
    let mut updated = once("agents.update", update.clone()).await;
    for pause in [500, 1000, 2000, 4000] {
        if updated.is_ok() {
            break;
        }
        sleep(Duration::from_millis(pause)).await;
        updated = once("agents.update", update.clone()).await;
    }
    updated.unwrap();
    let config = once("config.get", json!({})).await.unwrap();
    let raw = json!({ "agents": { "entries": { id: agent.entry } } });
    let patch = json!({ "raw": raw.to_string(), "baseHash": config["hash"] });
    once("config.patch", patch).await.unwrap();
    once("agents.files.list", json!({ "agentId": id })).await.unwrap();
    for (name, content) in &agent.files {
        let file = json!({ "agentId": id, "name": name, "content": content });
        once("agents.files.set", file).await.unwrap();
    }
    // There is no session yet, which is no reason to stop.
    once(
        "sessions.reset",
        json!({ "key": agent.id.main_session().as_str() }),
    )
    .await
    .ok();
}
