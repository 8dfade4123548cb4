//! What a client may do: the pair of client id and mode that keeps its scopes without a device, and what is said to
//! one that lacks a scope.

use serde_json::{Value, json};

use super::client::Client;
use super::seen::Seen;
use super::subject::Subject;

async fn scopes_of(s: &mut Subject, pairs: &[(&str, &str)]) -> Seen {
    let mut seen = s.seen();
    for (id, mode) in pairs {
        let mut greeting = s.greeting();
        greeting["client"]["id"] = json!(id);
        greeting["client"]["mode"] = json!(mode);
        let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
        let answer = client.greet(&greeting).await;
        seen.answer(&format!("{id}/{mode}"), &answer, &["/auth/scopes"]);
        // 2026.2.9 says no scopes in hello-ok: what may be done shows them.
        let list = client.call("agents.list", &json!({})).await;
        seen.answer("  agents.list", &list, &["/defaultId"]);
    }
    seen
}

pub async fn pairs_that_keep_their_scopes(s: &mut Subject) -> Seen {
    scopes_of(s, &[("gateway-client", "backend"), ("cli", "cli")]).await
}

pub async fn pairs_that_lose_their_scopes(s: &mut Subject) -> Seen {
    let pairs = [
        ("gateway-client", "cli"),
        ("gateway-client", "ui"),
        ("cli", "backend"),
        ("test", "test"),
    ];
    scopes_of(s, &pairs).await
}

pub async fn an_origin_takes_the_scopes_away(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let origin = format!("http://{}", s.address());
    let (mut client, _) = Client::open_with(&s.url, &[("origin", &origin)])
        .await
        .expect("a challenge");
    seen.answer("connect", &client.greet(&s.greeting()).await, &["/auth/scopes"]);
    let list = client.call("agents.list", &json!({})).await;
    seen.answer("agents.list", &list, &["/defaultId"]);
    seen
}

async fn with_scopes(s: &Subject, scopes: Option<&[&str]>) -> (Client, Value) {
    let mut greeting = s.greeting();
    match scopes {
        Some(scopes) => greeting["scopes"] = json!(scopes),
        None => {
            greeting.as_object_mut().expect("an object").remove("scopes");
        }
    }
    s.client_as(&greeting).await
}

/// Params that every version refuses, where the call would do something: who has the scope hears of the params.
const CALLS: [(&str, &str); 12] = [
    ("health", "{}"),
    ("status", "{}"),
    ("agents.list", "{}"),
    ("config.get", "{}"),
    ("agents.create", "{}"),
    ("agents.files.set", "{}"),
    ("config.patch", "{}"),
    ("sessions.reset", "{}"),
    ("chat.send", "{}"),
    ("device.pair.list", "{}"),
    ("cron.list", "{}"),
    ("no.such.method", "{}"),
];

async fn what_may_be_done(s: &mut Subject, scopes: Option<&[&str]>, calls: &[&str]) -> Seen {
    let mut seen = s.seen();
    let (mut client, hello) = with_scopes(s, scopes).await;
    seen.line("hello", hello.pointer("/auth/scopes").unwrap_or(&Value::Null));
    for (method, params) in CALLS.iter().filter(|(method, _)| calls.contains(method)) {
        let params: Value = serde_json::from_str(params).expect("JSON");
        let answer = client.call(method, &params).await;
        seen.answer(method, &answer, &[]);
    }
    seen
}

pub async fn with_no_scopes(s: &mut Subject) -> Seen {
    let all: Vec<&str> = CALLS.iter().map(|(method, _)| *method).collect();
    what_may_be_done(s, Some(&[]), &all).await
}

pub async fn with_scopes_left_out(s: &mut Subject) -> Seen {
    what_may_be_done(s, None, &["health", "agents.list", "device.pair.list"]).await
}

pub async fn with_read_alone(s: &mut Subject) -> Seen {
    let all: Vec<&str> = CALLS.iter().map(|(method, _)| *method).collect();
    what_may_be_done(s, Some(&["operator.read"]), &all).await
}

pub async fn with_write_alone(s: &mut Subject) -> Seen {
    let all: Vec<&str> = CALLS.iter().map(|(method, _)| *method).collect();
    what_may_be_done(s, Some(&["operator.write"]), &all).await
}

pub async fn with_admin_alone(s: &mut Subject) -> Seen {
    let calls = [
        "agents.list",
        "device.pair.list",
        "chat.send",
        "cron.list",
        "no.such.method",
    ];
    what_may_be_done(s, Some(&["operator.admin"]), &calls).await
}

pub async fn with_pairing_alone(s: &mut Subject) -> Seen {
    let calls = ["health", "agents.list", "device.pair.list", "agents.create"];
    what_may_be_done(s, Some(&["operator.pairing"]), &calls).await
}

pub async fn with_a_scope_that_there_is_not(s: &mut Subject) -> Seen {
    what_may_be_done(
        s,
        Some(&["operator.read", "operator.cook"]),
        &["agents.list", "agents.create"],
    )
    .await
}
