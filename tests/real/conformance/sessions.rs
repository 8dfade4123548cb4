//! Sessions of agents: reset, changed, listed, deleted.

use serde_json::json;

use super::client::Answer;
use super::seen::Seen;
use super::subject::Subject;

pub async fn a_reset_makes_a_session(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let key = format!("agent:{bench}:main");
    let list = client.call("sessions.list", &json!({ "agentId": bench })).await;
    seen.answer("list before", &list, &["/count"]);
    let first = client.call("sessions.reset", &json!({ "key": key })).await;
    seen.answer("reset", &first, &["/ok", "/key"]);
    let second = client
        .call("sessions.reset", &json!({ "key": key, "reason": "reset" }))
        .await;
    seen.answer("reset again", &second, &["/ok", "/key"]);
    let of = |answer: &Answer, field: &str| match answer {
        Answer::Ok(payload) => payload["entry"][field].clone(),
        Answer::Refused { .. } | Answer::Closed(..) | Answer::Silent => json!("no answer"),
    };
    seen.line(
        "the same sessionId",
        of(&first, "sessionId") == of(&second, "sessionId"),
    );
    let (one, two) = (of(&first, "lifecycleRevision"), of(&second, "lifecycleRevision"));
    seen.line("a lifecycleRevision, and another", one.is_string() && one != two);
    let list = client.call("sessions.list", &json!({ "agentId": bench })).await;
    seen.answer(
        "list after",
        &list,
        &["/count", "/sessions/0/key", "/sessions/0/kind"],
    );
    seen
}

pub async fn resets_that_are_refused(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let tries = [
        json!({}),
        json!({ "key": "" }),
        json!({ "key": "agent:main:refused", "reason": "because" }),
        json!({ "key": "agent:main:refused", "colour": "red" }),
    ];
    for params in tries {
        let answer = client.call("sessions.reset", &params).await;
        seen.answer(&params.to_string(), &answer, &["/ok"]);
    }
    seen
}

/// No error, and junk is left behind.
pub async fn a_session_of_nobody(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let answer = client
        .call("sessions.reset", &json!({ "key": "agent:nobody:main" }))
        .await;
    seen.answer("reset", &answer, &["/ok", "/key"]);
    seen
}

pub async fn deletes(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    for key in ["agent:main:main", "agent:bench:main", "agent:bench:not-there"] {
        let answer = client.call("sessions.delete", &json!({ "key": key })).await;
        seen.answer(key, &answer, &["/ok", "/key", "/deleted"]);
    }
    let key = format!("agent:{bench}:side");
    client.call("sessions.reset", &json!({ "key": key })).await.must();
    for what in ["a session that is there", "again"] {
        let answer = client.call("sessions.delete", &json!({ "key": key })).await;
        seen.answer(what, &answer, &["/ok", "/deleted"]);
    }
    seen
}

pub async fn a_label(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let key = format!("agent:{bench}:main");
    let answer = client
        .call("sessions.patch", &json!({ "key": key, "label": "Quartermaster" }))
        .await;
    seen.answer("label", &answer, &["/ok", "/key", "/entry/label"]);
    let answer = client
        .call("sessions.patch", &json!({ "key": key, "label": null }))
        .await;
    seen.answer("no label", &answer, &["/ok", "/entry/label"]);
    let answer = client
        .call("sessions.patch", &json!({ "key": key, "colour": "red" }))
        .await;
    seen.answer("an unknown property", &answer, &["/ok"]);
    seen
}

pub async fn the_shape_of_the_list(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let list = client
        .call("sessions.list", &json!({ "agentId": bench, "limit": 5 }))
        .await
        .must();
    for key in [
        "count",
        "totalCount",
        "limitApplied",
        "hasMore",
        "nextOffset",
        "sessions",
    ] {
        seen.line(key, list.get(key).is_some());
    }
    let answer = client.call("sessions.list", &json!({ "colour": "red" })).await;
    seen.answer("an unknown property", &answer, &["/count"]);
    seen
}
