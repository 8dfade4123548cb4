//! How much is too much.

use std::time::Duration;

use serde_json::json;

use super::client::Answer;
use super::seen::Seen;
use super::subject::{Subject, V2026_2_9};

/// Frames: 25 MiB, and 512 kB on 2026.2.9. No error is said, the connection is closed.
pub async fn a_frame_that_is_too_big(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let size = if s.contract == V2026_2_9 {
        600_000
    } else {
        27_000_000
    };
    let file = json!({ "agentId": "main", "name": "USER.md", "content": "x".repeat(size) });
    let id = client.send("agents.files.set", &file).await;
    seen.answer("a frame over policy.maxPayload", &client.answer(&id).await, &[]);
    let mut client = s.client().await;
    seen.answer(
        "another connection",
        &client.call("health", &json!({})).await,
        &["/ok"],
    );
    seen
}

/// 256 requests may wait to start; the gateway is then busy, and says so at once.
pub async fn too_many_at_once(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let mut asked = Vec::new();
    for _ in 0..2000 {
        asked.push(client.send("agents.list", &json!({})).await);
    }
    let (mut ok, mut busy, mut other) = (0, Vec::new(), 0);
    for id in asked {
        match client.answer_within(&id, Duration::from_secs(60)).await {
            Answer::Ok(_) => ok += 1,
            refused @ Answer::Refused { .. } => busy.push(refused),
            Answer::Closed(..) | Answer::Silent => other += 1,
        }
    }
    seen.line("some of 2000 are served", ok > 0);
    seen.line("some are not", !busy.is_empty());
    if let Some(first) = busy.first() {
        seen.answer("what they are told", first, &[]);
        seen.line("all are told the same", busy.iter().all(|one| one == first));
    }
    seen.line("without any answer", other);
    let answer = client.call("health", &json!({})).await;
    seen.answer("the next request", &answer, &["/ok"]);
    seen
}

/// Writes of the configuration are rationed by the minute and by connection: 30, 3 before 2026.8, none on 2026.2.9.
/// A patch that is refused or changes nothing counts too.
pub async fn the_write_budget(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, hash) = s.config(&mut client).await;
    // Nothing to change, so nothing is written and 2026.2.9 need not restart.
    let nothing = json!({ "raw": "[]", "baseHash": hash });
    let mut served = 0;
    let mut over = None;
    for _ in 0..35 {
        let answer = client.call("config.patch", &nothing).await;
        if answer.message().contains("rate limit") {
            over = Some(answer);
            break;
        }
        served += 1;
    }
    seen.line("config.patch served", served);
    match over {
        None => seen.line("then", "no limit in 35"),
        Some(answer) => {
            seen.answer("then", &answer, &[]);
            if let Answer::Refused { error, .. } = &answer {
                let wait = error["retryAfterMs"].as_u64();
                seen.line(
                    "retryAfterMs up to a minute",
                    wait.is_some_and(|ms| ms > 0 && ms <= 60_000),
                );
            }
        }
    }
    let answer = client.call("config.apply", &nothing).await;
    seen.answer("config.apply on the same connection", &answer, &[]);
    let answer = client
        .call("config.set", &json!({ "raw": "[]", "baseHash": hash }))
        .await;
    seen.answer("config.set on the same connection", &answer, &[]);
    let file = json!({ "agentId": "main", "name": "USER.md", "content": "x" });
    seen.answer(
        "agents.files.set on it",
        &client.call("agents.files.set", &file).await,
        &["/ok"],
    );
    let mut another = s.client().await;
    seen.answer(
        "config.patch on another connection",
        &another.call("config.patch", &nothing).await,
        &[],
    );
    seen
}

/// config.set and config.apply take the whole document.
pub async fn whole_documents(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let tries = [
        ("not JSON", json!({ "raw": "{" })),
        ("a list", json!({ "raw": "[]" })),
        ("no base hash", json!({ "raw": "{}" })),
        ("another base hash", json!({ "raw": "{}", "baseHash": "old" })),
        ("an unknown key", json!({ "raw": "{\"colour\":1}" })),
    ];
    for method in ["config.set", "config.apply"] {
        for (what, params) in &tries {
            let mut client = s.client().await;
            let (_, hash) = s.config(&mut client).await;
            let mut params = params.clone();
            if params.get("baseHash").is_none() && *what != "no base hash" {
                params["baseHash"] = json!(hash);
            }
            let answer = client.call(method, &params).await;
            seen.answer(&format!("{method} {what}"), &answer, &["/ok"]);
        }
    }
    let (_, hash) = s.config(&mut client).await;
    seen.line("a hash is still there", !hash.is_empty());
    seen
}

pub async fn the_schema_can_be_asked(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let paths = [
        "gateway.port",
        "agents.defaults.heartbeat",
        "agents.entries.*.heartbeat",
        "agents.list",
        "bindings",
        "env",
        "gateway.auth.token",
        "no.such.path",
    ];
    for path in paths {
        let answer = client
            .call("config.schema.lookup", &json!({ "path": path }))
            .await;
        seen.answer(path, &answer, &["/path", "/reloadKind"]);
    }
    let answer = client.call("config.schema", &json!({})).await;
    seen.answer("config.schema", &answer, &["/schema/type"]);
    seen
}
