//! What a gateway says by itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::roster::{patch, patch_of};
use super::seen::Seen;
use super::subject::{Contract, Subject, V2026_2_9, V2026_7_35, V2026_9_6};

/// How long news may take. A 2026.7.35 has none of these kinds; that nothing comes needs no long wait.
fn soon(contract: Contract) -> Duration {
    Duration::from_secs(match contract {
        V2026_9_6 => 20,
        V2026_7_35 | V2026_2_9 => 3,
    })
}

/// All that takes half a minute, at once: a tick comes every 30 s; events are counted for each connection, from 1 and
/// without a gap; and who says nothing for 15 s (10 s on 2026.2.9) is sent away.
pub async fn what_time_brings(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut silent, _) = Client::open(&s.url).await.expect("a challenge");
    let mut client = s.client().await;
    let mut heard = Vec::new();
    let until = Instant::now() + Duration::from_secs(45);
    while !heard.iter().any(|event: &Value| event["event"] == "tick") && Instant::now() < until {
        heard.extend(client.event_like(Duration::from_secs(1), |_| true).await);
    }
    let tick = heard.last().cloned().unwrap_or(Value::Null);
    seen.line("a tick has a ts", tick["payload"]["ts"].is_number());
    let counted: Vec<u64> = heard.iter().filter_map(|event| event["seq"].as_u64()).collect();
    let wanted: Vec<u64> = (1..=heard.len() as u64).collect();
    seen.line("each event has the next seq from 1", counted == wanted);
    seen.end(
        "who says nothing",
        silent.closed(Duration::from_secs(30)).await.as_ref(),
    );
    seen
}

/// To who may read; who may not hears no agents' news.
pub async fn a_patch_is_told(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut reader = s.client().await;
    let mut greeting = s.greeting();
    greeting["scopes"] = json!([]);
    let (mut stranger, _) = s.client_as(&greeting).await;
    let mut writer = s.client().await;
    let level = json!({ "logging": { "level": "info" } });
    let answer = s.patch(&mut writer, &level).await;
    seen.answer("config.patch", &answer, &["/ok", "/changedPaths"]);
    let told = reader.event("config.changed", soon(s.contract)).await;
    let told = told.map_or(Value::Null, |event| event["payload"].clone());
    seen.line(
        "config.changed has path and ts",
        told["path"].is_string() && told["ts"].is_number(),
    );
    let (_, hash) = s.config(&mut writer).await;
    seen.line("and the hash of config.get", told["hash"] == json!(hash));
    let told = stranger.event("config.changed", Duration::from_secs(1)).await;
    seen.line("told to who has no scopes", told.is_some());
    let level = json!({ "logging": { "level": null } });
    patch(s, &level, &json!({})).await.must();
    seen
}

/// A file is no configuration: an operator must look to see what others wrote.
pub async fn a_file_is_not_told(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    while client
        .event_like(Duration::from_millis(300), |_| true)
        .await
        .is_some()
    {}
    let file = json!({ "agentId": bench, "name": "USER.md", "content": "told?" });
    client.call("agents.files.set", &file).await.must();
    let news = |event: &Value| {
        let idle = ["tick", "health", "presence"];
        event["event"].as_str().is_some_and(|name| !idle.contains(&name))
    };
    let told = client.event_like(Duration::from_secs(2), news).await;
    seen.line(
        "an event about it",
        told.map_or("none".to_owned(), |event| event["event"].to_string()),
    );
    seen
}

/// An agent that is made, by whoever does it. Of its end nothing is asserted: on a busy machine 2026.9.6 once said
/// nothing of agents.delete for 20 s.
pub async fn a_new_agent_is_told(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let params = json!({ "name": "told", "workspace": s.workspace("told") });
    client.call("agents.create", &params).await.must();
    let event = client.event("config.changed", soon(s.contract)).await;
    seen.line("config.changed after agents.create", event.is_some());
    s.wait_for(&mut client, "told").await;
    s.delete(&mut client, "told").await.must();
    seen
}

/// A heartbeat is a job: making one and taking it away is told as such.
pub async fn a_heartbeat_is_told_as_a_job(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let entry = |block: Value| {
        let entry = json!({ "workspace": s.workspace("beater"), "heartbeat": block });
        patch_of(s.contract, &[("beater", entry)])
    };
    let raw = entry(json!({ "every": "10m" }));
    patch(s, &raw, &json!({})).await.must();
    let about = |action: &'static str| {
        move |event: &Value| {
            event["event"] == "cron"
                && event["payload"]["action"] == action
                && event["payload"]["job"]["declarationKey"] == "heartbeat:beater"
        }
    };
    let added = client.event_like(soon(s.contract), about("added")).await;
    seen.line("cron added heartbeat:beater", added.is_some());
    patch(s, &entry(Value::Null), &json!({})).await.must();
    let removed = client.event_like(soon(s.contract), about("removed")).await;
    seen.line("cron removed heartbeat:beater", removed.is_some());
    s.delete(&mut client, "beater").await.must();
    seen
}
