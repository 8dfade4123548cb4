//! Ten thousand agents in one process must be cheap.

use serde_json::{Map, json};

use super::client::{Client, gateway};
use crate::simulated_gateway::Contract;

#[tokio::test]
async fn ten_thousand_agents_by_one_patch() {
    const AGENTS: usize = 10_000;
    let gateway = gateway(Contract::V2026_9_6);
    let mut client = Client::admin(&gateway).await;
    let entries: Map<_, _> = (0..AGENTS)
        .map(|n| {
            let entry = json!({ "name": format!("Agent {n}"), "workspace": format!("/w/workspace-mc-{n}"),
                "heartbeat": { "every": "10m" } });
            (format!("mc-{n}"), entry)
        })
        .collect();
    let patch = json!({ "agents": { "ownership": "explicit", "entries": entries } });
    client.patch(&patch).await.unwrap();
    let list = client.call("agents.list", json!({})).await.unwrap();
    assert_eq!(list["agents"].as_array().unwrap().len(), AGENTS + 1);
    let file = json!({ "agentId": "mc-9999", "name": "SOUL.md", "content": "# Soul\n" });
    client.call("agents.files.set", file).await.unwrap();
}
