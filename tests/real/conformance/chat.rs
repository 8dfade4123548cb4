//! Messages to an agent: admitted once for each idempotency key. No model is configured, so each turn fails; what the
//! operator relies on is what was admitted, and what can be read back.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::seen::Seen;
use super::subject::{Subject, V2026_2_9};

const SENT: [&str; 3] = ["/runId", "/status", "/summary"];

fn message(agent: &str, text: &str, key: &str) -> Value {
    json!({ "sessionKey": format!("agent:{agent}:main"), "message": text, "idempotencyKey": key })
}

/// Asks for the turn's end, which comes as an event to who can read.
async fn turn_ends(s: &Subject, client: &mut Client, run: &str) -> Value {
    let is_it = |event: &Value| {
        let over = ["final", "error", "aborted"];
        event["event"] == "chat"
            && event["payload"]["runId"] == run
            && event["payload"]["state"]
                .as_str()
                .is_some_and(|state| over.contains(&state))
    };
    // 2026.2.9 says nothing of a turn that fails.
    let patience = if s.contract == V2026_2_9 { 2 } else { 120 };
    let ended = client.event_like(Duration::from_secs(patience), is_it).await;
    ended.map_or(Value::Null, |event| event["payload"].clone())
}

pub async fn a_message_is_admitted_once(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let send = message(bench, "Hello.", "key-once");
    let first = client.call("chat.send", &send).await;
    seen.answer("send", &first, &["/runId", "/status"]);
    let ended = turn_ends(s, &mut client, "key-once").await;
    seen.line("a chat event ends the turn", ended.is_object());
    seen.line("  in the session", &ended["sessionKey"]);
    let again = send_when_idle(&mut client, &send).await;
    seen.line("the same again is", kind_of_replay(&again));
    seen
}

/// The event that ends a turn comes a moment before the gateway has done with its key.
async fn send_when_idle(client: &mut Client, send: &Value) -> Answer {
    for _ in 0..200 {
        let answer = client.call("chat.send", send).await;
        match &answer {
            Answer::Ok(payload) if payload["status"] == "in_flight" => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Answer::Ok(_) | Answer::Refused { .. } | Answer::Closed(..) | Answer::Silent => return answer,
        }
    }
    panic!("in flight for ever: {send}")
}

/// Whether the outcome of the first is told; the words of the failure are the model's.
pub fn kind_of_replay(answer: &Answer) -> String {
    match answer {
        Answer::Ok(payload) => format!("ok {} {}", payload["runId"], payload["status"]),
        Answer::Refused { error, payload } => format!(
            "{} with payload {} {}",
            error["code"].as_str().unwrap_or("?"),
            payload["runId"],
            payload["status"]
        ),
        Answer::Closed(..) | Answer::Silent => "lost".to_owned(),
    }
}

pub async fn the_same_key_while_it_runs(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let send = message(bench, "Hello.", "key-twice");
    // Both are on their way before the first turn can have ended.
    let first = client.send("chat.send", &send).await;
    let second = client.send("chat.send", &send).await;
    seen.answer("first", &client.answer(&first).await, &SENT[..2]);
    seen.answer("second", &client.answer(&second).await, &SENT[..2]);
    turn_ends(s, &mut client, "key-twice").await;
    seen
}

pub async fn the_same_key_for_another_text(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let answer = client
        .call("chat.send", &message(bench, "One.", "key-other"))
        .await;
    seen.answer("one", &answer, &SENT[..2]);
    turn_ends(s, &mut client, "key-other").await;
    let answer = send_when_idle(&mut client, &message(bench, "Another.", "key-other")).await;
    match &answer {
        Answer::Refused { error, .. } if error["details"].is_object() => seen.answer("another", &answer, &[]),
        Answer::Ok(_) | Answer::Refused { .. } | Answer::Closed(..) | Answer::Silent => {
            seen.line("another is", kind_of_replay(&answer));
        }
    }
    seen
}

/// By this the operator learns whether a message of unknown outcome has arrived.
pub async fn history_names_the_key(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let answer = client
        .call("chat.send", &message(bench, "Remember me.", "key-history"))
        .await;
    seen.answer("send", &answer, &SENT[..2]);
    turn_ends(s, &mut client, "key-history").await;
    let asked = json!({ "sessionKey": format!("agent:{bench}:main"), "limit": 50 });
    let mut mine = Value::Null;
    for _ in 0..40 {
        let history = client.call("chat.history", &asked).await.must();
        let messages = history["messages"].as_array().cloned().unwrap_or_default();
        mine = messages
            .into_iter()
            .find(|message| message.to_string().contains("Remember me."))
            .unwrap_or(Value::Null);
        if mine.is_object() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seen.answer("the message", &Answer::Ok(mine), &["/role", "/idempotencyKey"]);
    let answer = client.call("chat.history", &asked).await;
    seen.answer("history", &answer, &["/sessionKey"]);
    seen
}

pub async fn history_of_nothing(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    for key in ["agent:main:never", "agent:nobody:main"] {
        let answer = client.call("chat.history", &json!({ "sessionKey": key })).await;
        seen.answer(key, &answer, &["/sessionKey", "/messages"]);
    }
    let answer = client.call("chat.history", &json!({})).await;
    seen.answer("without a key", &answer, &[]);
    seen
}

pub async fn sends_that_are_refused(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let tries = [
        ("to nobody", message("nobody", "x", "refused-1")),
        (
            "in the words of the old documents",
            json!({ "key": "agent:main:main", "message": "x", "deliver": true }),
        ),
        (
            "without a key",
            json!({ "sessionKey": "agent:main:main", "message": "x" }),
        ),
        ("an empty key", message("main", "x", "")),
        ("an empty message", message("main", "", "refused-2")),
        ("a blank message", message("main", "   ", "refused-3")),
        (
            "without a message",
            json!({ "sessionKey": "agent:main:main", "idempotencyKey": "refused-4" }),
        ),
        (
            "an unknown property",
            json!({ "sessionKey": "agent:main:main", "message": "x",
            "idempotencyKey": "refused-5", "colour": "red" }),
        ),
    ];
    for (what, params) in tries {
        // 2026.2.9 knows no agents here: what it admits ends by itself.
        let answer = client.call("chat.send", &params).await;
        seen.answer(what, &answer, &["/runId", "/status"]);
    }
    seen
}

pub async fn an_abort_of_nothing(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let answer = client
        .call(
            "chat.abort",
            &json!({ "sessionKey": format!("agent:{bench}:idle") }),
        )
        .await;
    seen.answer("abort", &answer, &["/ok", "/aborted", "/runIds"]);
    seen
}

pub async fn a_wake(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let tries = [
        json!({ "mode": "next-heartbeat", "text": "x" }),
        json!({ "mode": "someday", "text": "x" }),
        json!({ "mode": "next-heartbeat" }),
        json!({ "mode": "next-heartbeat", "text": "x", "colour": "red" }),
    ];
    for params in tries {
        let answer = client.call("wake", &params).await;
        seen.answer(&params.to_string(), &answer, &["/ok"]);
    }
    seen
}
