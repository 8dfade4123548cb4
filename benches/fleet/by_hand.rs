//! The floor: the same entries and the same files through our gateway client with as few requests as possible. One reading,
//! one write of the configuration, every file written and read back. No cluster, nothing looked at before, nobody told.

use std::sync::Arc;

use futures::future::join_all;
use quartermaster::gateway::dial::Network;
use serde_json::{Map, Value, json};

use crate::bed::OpenClaw;
use crate::content::Content;
use crate::cost::{Cost, Watch};
use crate::fleet::seat::Seat;

/// Time from before the connection is opened; the CPU time is the gateway's.
pub async fn provision(gateway: &OpenClaw, fleet: &[Content]) -> Cost {
    let watch = Watch::start(gateway.process().pid());
    let seat = Seat::take(Arc::new(Network), &gateway.url(), gateway.token(), 1);
    let connection = seat.online().await.connection;
    let now = connection.config_get().await.unwrap();
    let entries: Map<String, Value> = fleet
        .iter()
        .map(|agent| (agent.id.to_string(), Value::Object(agent.entry.clone())))
        // Without a block of its own `main` would fall silent: the operator writes it, too.
        .chain([("main".to_owned(), json!({ "heartbeat": {} }))])
        .collect();
    let count = entries.len();
    let raw = json!({ "agents": { "ownership": "explicit", "entries": entries } });
    connection
        .config_patch(&raw, &now.hash, count, &[])
        .await
        .unwrap();
    let files = || {
        let of = |agent| move |(name, text)| (agent, name, text);
        fleet
            .iter()
            .flat_map(move |agent: &Content| agent.files.iter().map(of(agent)))
    };
    // As many at a time as our connection allows itself.
    for written in
        join_all(files().map(|(agent, name, text)| connection.file_set(&agent.id, name, text, None))).await
    {
        written.unwrap();
    }
    let back = join_all(files().map(|(agent, name, _)| connection.file_get(&agent.id, name))).await;
    for ((agent, name, text), back) in files().zip(back) {
        assert_eq!(&back.unwrap().unwrap().content, text, "{name} of {}", agent.id);
    }
    let cost = watch.stop();
    seat.session.close().await;
    cost
}
