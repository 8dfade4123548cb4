//! What ends connections: restarts, and a change of the token.

use std::time::Duration;

use serde_json::json;

use super::client::{Answer, Client};
use super::roster::PATCHED;
use super::seen::Seen;
use super::subject::{Subject, V2026_7_35};

const LONG: Duration = Duration::from_secs(40);

/// What an open connection hears, from the write to its end.
async fn farewell(seen: &mut Seen, client: &mut Client, patience: Duration) {
    let end = client.closed(patience).await;
    let shutdown = client.events.iter().find(|event| event["event"] == "shutdown");
    match shutdown {
        None => seen.line("event shutdown", "none"),
        Some(event) => seen.answer(
            "event shutdown",
            &Answer::Ok(event["payload"].clone()),
            &["/reason", "/restartExpectedMs"],
        ),
    }
    seen.end("the connection", end.as_ref());
}

/// A key that the running gateway cannot take over: `env`.
pub async fn a_change_of_env_restarts(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, before) = s.client_as(&s.greeting()).await;
    let (_, hash) = s.config(&mut client).await;
    let raw = json!({ "env": { "vars": { "CONFORMANCE": "1" } } }).to_string();
    let answer = client
        .call("config.patch", &json!({ "raw": raw, "baseHash": hash }))
        .await;
    // 7.35 may close before it has answered; the write is done either way.
    if s.contract == V2026_7_35 {
        seen.line(
            "config.patch is answered or closed",
            !matches!(answer, Answer::Refused { .. } | Answer::Silent),
        );
    } else {
        seen.answer("config.patch", &answer, &PATCHED);
    }
    farewell(&mut seen, &mut client, LONG).await;
    s.settle_after("config.patch", &mut client).await;
    let (config, _) = s.config(&mut client).await;
    seen.line("written", &config["env"]["vars"]["CONFORMANCE"]);
    let (_, after) = s.client_as(&s.greeting()).await;
    let (one, two) = (&before["server"]["bootId"], &after["server"]["bootId"]);
    seen.line("another bootId", one.is_string() && one != two);
    seen
}

/// A level of the log is taken over by newer gateways; 2026.2.9 restarts for anything.
pub async fn a_change_of_the_log_level(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, hash) = s.config(&mut client).await;
    let raw = json!({ "logging": { "level": "warn" } }).to_string();
    let answer = client
        .call("config.patch", &json!({ "raw": raw, "baseHash": hash }))
        .await;
    seen.answer("config.patch", &answer, &PATCHED);
    farewell(&mut seen, &mut client, Duration::from_secs(4)).await;
    if s.contract.restarts_after_writes() {
        s.settle_after("config.patch", &mut client).await;
    }
    seen
}

/// After agents.create 2026.2.9 restarts as well, and its agent is there afterwards.
pub async fn after_agents_create(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let params = json!({ "name": "restarter", "workspace": s.workspace("restarter") });
    let answer = client.call("agents.create", &params).await;
    seen.answer("agents.create", &answer, &["/ok"]);
    farewell(&mut seen, &mut client, Duration::from_secs(4)).await;
    if s.contract.restarts_after_writes() {
        s.settle(&mut client).await;
    }
    s.wait_for(&mut client, "restarter").await;
    s.delete(&mut client, "restarter").await.must();
    seen
}

/// Connections with the old token are closed, the new token is good at once. 2026.7.35 restarts about a second after it
/// has closed them, and 2026.2.9 a second time: whether a client is greeted before that is chance, so it is waited for.
pub async fn a_new_token(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, hash) = s.config(&mut client).await;
    let new = format!("{}-new", s.token);
    let raw = json!({ "gateway": { "auth": { "token": new } } }).to_string();
    let answer = client
        .call("config.patch", &json!({ "raw": raw, "baseHash": hash }))
        .await;
    if s.contract == V2026_7_35 {
        seen.line(
            "config.patch is answered or closed",
            !matches!(answer, Answer::Refused { .. } | Answer::Silent),
        );
    } else {
        seen.answer("config.patch", &answer, &PATCHED);
    }
    farewell(&mut seen, &mut client, LONG).await;
    let old = std::mem::replace(&mut s.token, new);
    s.settle_after("config.patch", &mut client).await;
    if s.contract == V2026_7_35 {
        s.settle_if_closed(&mut client, Duration::from_secs(5)).await;
    }
    seen.answer(
        "the new token",
        &client.call("health", &json!({})).await,
        &["/ok"],
    );
    let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
    let answer = client.greet(&super::subject::greeting(&old)).await;
    seen.answer("the old token", &answer, &[]);
    seen
}

/// Asked for in so many words.
pub async fn a_restart_on_request(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let answer = client
        .call("gateway.restart.request", &json!({ "reason": "conformance" }))
        .await;
    seen.answer("gateway.restart.request", &answer, &["/ok"]);
    farewell(&mut seen, &mut client, LONG).await;
    s.settle(&mut client).await;
    seen
}
