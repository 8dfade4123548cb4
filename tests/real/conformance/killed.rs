//! What a gateway still has after SIGKILL: the operator relies on what was answered, and must know what an answer did
//! not promise. Each case kills at the moment of an answer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chat::kind_of_replay;
use super::client::{Answer, Client};
use super::roster::patch_of;
use super::seen::Seen;
use super::subject::Subject;

const SOON: Duration = Duration::from_secs(10);

fn message(agent: &str, key: &str) -> Value {
    json!({ "sessionKey": format!("agent:{agent}:main"), "message": format!("Said with {key}."), "idempotencyKey": key })
}

/// Where a message is, by chat.history: its own key in `messages`, its state in `pendingInputs`.
async fn find(seen: &mut Seen, client: &mut Client, agent: &str, key: &str) {
    let asked = json!({ "sessionKey": format!("agent:{agent}:main"), "limit": 50 });
    let history = client.call("chat.history", &asked).await.must();
    let said = format!("Said with {key}.");
    let of = |list: &Value, is_it: &dyn Fn(&Value) -> bool| {
        let list = list.as_array().cloned().unwrap_or_default();
        Answer::Ok(list.into_iter().find(|item| is_it(item)).unwrap_or(Value::Null))
    };
    let written = |message: &Value| message["role"] == "user" && message.to_string().contains(&said);
    seen.answer(
        "in history",
        &of(&history["messages"], &written),
        &["/idempotencyKey"],
    );
    let pending = of(&history["pendingInputs"]["items"], &|item| item["runId"] == key);
    seen.answer("as pending", &pending, &["/state"]);
}

/// Until chat.history knows of a message, in whatever state: `started` is answered a moment before it does.
async fn kept(client: &mut Client, agent: &str, key: &str) {
    let asked = json!({ "sessionKey": format!("agent:{agent}:main"), "limit": 50 });
    let said = format!("Said with {key}.");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let history = client.call("chat.history", &asked).await.must();
        if history.to_string().contains(&said) {
            return;
        }
    }
}

/// Until the turn with this key is over.
async fn idle(client: &mut Client, send: &Value) -> Answer {
    let start = Instant::now();
    loop {
        let answer = client.call("chat.send", send).await;
        let runs = matches!(&answer, Answer::Ok(payload) if payload["status"] != "ok");
        if !runs || start.elapsed() > Duration::from_secs(90) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn after_a_kill(s: &mut Subject, seen: &mut Seen, client: &mut Client) {
    s.kill();
    seen.end("the connection", client.closed(SOON).await.as_ref());
    s.start_again();
    *client = s.client().await;
}

/// The first one of a session, killed as soon as `started` was read.
pub async fn a_first_message_that_was_started(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let send = message(bench, "key-killed");
    seen.answer("send", &client.call("chat.send", &send).await, &["/status"]);
    after_a_kill(s, &mut seen, &mut client).await;
    find(&mut seen, &mut client, bench, "key-killed").await;
    seen.line(
        "the same again",
        kind_of_replay(&client.call("chat.send", &send).await),
    );
    idle(&mut client, &send).await;
    find(&mut seen, &mut client, bench, "key-killed").await;
    seen
}

/// A further one, once chat.history knows of it. On 2026.9.6 that is as pending; nobody carries it out any more.
pub async fn a_further_message_that_was_started(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let send = message(bench, "key-further");
    seen.answer("send", &client.call("chat.send", &send).await, &["/status"]);
    kept(&mut client, bench, "key-further").await;
    after_a_kill(s, &mut seen, &mut client).await;
    find(&mut seen, &mut client, bench, "key-further").await;
    seen.line(
        "the same again",
        kind_of_replay(&client.call("chat.send", &send).await),
    );
    seen.line("and again", kind_of_replay(&idle(&mut client, &send).await));
    find(&mut seen, &mut client, bench, "key-further").await;
    let other = message(bench, "key-other-key");
    seen.line(
        "by another key",
        kind_of_replay(&client.call("chat.send", &other).await),
    );
    idle(&mut client, &other).await;
    find(&mut seen, &mut client, bench, "key-other-key").await;
    seen
}

/// The turn is over, and has failed: there is no model.
pub async fn a_message_whose_turn_is_over(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let send = message(bench, "key-over");
    seen.answer("send", &client.call("chat.send", &send).await, &["/status"]);
    idle(&mut client, &send).await;
    after_a_kill(s, &mut seen, &mut client).await;
    find(&mut seen, &mut client, bench, "key-over").await;
    seen.line(
        "the same again",
        kind_of_replay(&client.call("chat.send", &send).await),
    );
    idle(&mut client, &send).await;
    seen
}

/// Everything that the operator writes, each killed for at the moment of the last answer.
pub async fn what_was_answered(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let key = format!("agent:{bench}:killed");
    client.call("sessions.reset", &json!({ "key": key })).await.must();
    let label = json!({ "key": key, "label": "kept" });
    client.call("sessions.patch", &label).await.must();
    let job = json!({
        "name": "killed", "schedule": { "kind": "every", "everyMs": 3_600_000 }, "sessionTarget": "isolated",
        "wakeMode": "next-heartbeat", "enabled": false, "payload": { "kind": "agentTurn", "message": "x" },
    });
    client.call("cron.add", &job).await.must();
    let raw = json!({ "logging": { "level": "debug" } });
    s.patch(&mut client, &raw).await.must();
    let file = json!({ "agentId": bench, "name": "USER.md", "content": "before the kill" });
    client.call("agents.files.set", &file).await.must();
    let params = json!({ "name": "killed", "workspace": s.workspace("killed") });
    seen.answer(
        "agents.create",
        &client.call("agents.create", &params).await,
        &["/ok"],
    );
    after_a_kill(s, &mut seen, &mut client).await;
    s.wait_for(&mut client, "killed").await;
    seen.line("the agent", "is there");
    let get = json!({ "agentId": bench, "name": "USER.md" });
    let answer = client.call("agents.files.get", &get).await;
    seen.answer("the file", &answer, &["/file/content"]);
    let (config, _) = s.config(&mut client).await;
    seen.line("the config", &config["logging"]["level"]);
    let list = client
        .call("sessions.list", &json!({ "agentId": bench }))
        .await
        .must();
    let rows = list["sessions"].as_array().cloned().unwrap_or_default();
    let row = rows
        .into_iter()
        .find(|row| row["key"] == json!(key))
        .unwrap_or(Value::Null);
    seen.answer("the session", &Answer::Ok(row), &["/label"]);
    let list = client
        .call("cron.list", &json!({ "includeDisabled": true }))
        .await
        .must();
    let jobs = list["jobs"].as_array().cloned().unwrap_or_default();
    let job = jobs
        .into_iter()
        .find(|job| job["name"] == "killed")
        .unwrap_or(Value::Null);
    seen.answer("the job", &Answer::Ok(job), &["/schedule/everyMs", "/enabled"]);
    seen
}

/// A write that was not answered: afterwards it is there as a whole or not at all. How soon it can be done again is not
/// observed: a 2026.9.6 that has just started may take minutes to answer a config.patch.
pub async fn a_write_under_way(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, hash) = s.config(&mut client).await;
    let entry = |id: &str| json!({ "name": id, "workspace": s.workspace(id) });
    let raw = patch_of(
        s.contract,
        &[
            ("main", json!({})),
            ("cut-1", entry("cut-1")),
            ("cut-2", entry("cut-2")),
        ],
    );
    let params = json!({ "raw": raw.to_string(), "baseHash": hash });
    client.send("config.patch", &params).await;
    after_a_kill(s, &mut seen, &mut client).await;
    let (config, _) = s.config(&mut client).await;
    let text = config["agents"].to_string();
    let (one, two) = (text.contains("\"cut-1\""), text.contains("\"cut-2\""));
    seen.line("both or none", one == two);
    seen
}
