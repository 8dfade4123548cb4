//! Frames that are not as they should be, after hello.

use std::time::Duration;

use serde_json::json;

use super::seen::Seen;
use super::subject::Subject;

/// Says the frame as it is, writes down the answer to `id`, and whether the connection still serves.
async fn say(s: &mut Subject, frame: &str, id: &str) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    client.say(frame).await;
    let answer = client.answer_within(id, Duration::from_secs(10)).await;
    seen.answer("answer", &answer, &["/ok"]);
    let after = client.call("health", &json!({})).await;
    seen.answer("health after it", &after, &["/ok"]);
    seen
}

/// For frames that have no answer: the next request is served, and nothing came before its answer.
async fn is_ignored(s: &mut Subject, frame: &str) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    client.say(frame).await;
    let after = client.call("health", &json!({})).await;
    seen.answer("health after it", &after, &["/ok"]);
    let answer = client.answer_within("invalid", Duration::ZERO).await;
    seen.answer("answer to it", &answer, &[]);
    seen
}

pub async fn an_unknown_method(s: &mut Subject) -> Seen {
    say(
        s,
        r#"{"type":"req","id":"a","method":"no.such.method","params":{}}"#,
        "a",
    )
    .await
}

pub async fn an_unknown_property_of_the_frame(s: &mut Subject) -> Seen {
    say(
        s,
        r#"{"type":"req","id":"a","method":"health","colour":"red"}"#,
        "a",
    )
    .await
}

pub async fn an_id_that_is_a_number(s: &mut Subject) -> Seen {
    say(s, r#"{"type":"req","id":7,"method":"health"}"#, "7").await
}

pub async fn an_empty_id(s: &mut Subject) -> Seen {
    say(s, r#"{"type":"req","id":"","method":"health"}"#, "").await
}

pub async fn no_id(s: &mut Subject) -> Seen {
    say(s, r#"{"type":"req","method":"health"}"#, "invalid").await
}

pub async fn no_method(s: &mut Subject) -> Seen {
    say(s, r#"{"type":"req","id":"a"}"#, "a").await
}

pub async fn an_empty_method(s: &mut Subject) -> Seen {
    say(s, r#"{"type":"req","id":"a","method":""}"#, "a").await
}

pub async fn an_unknown_type(s: &mut Subject) -> Seen {
    say(s, r#"{"type":"question","id":"a","method":"health"}"#, "a").await
}

pub async fn text_that_is_no_json(s: &mut Subject) -> Seen {
    is_ignored(s, "hello").await
}

pub async fn json_that_is_a_list(s: &mut Subject) -> Seen {
    is_ignored(s, "[]").await
}

pub async fn json_that_is_null(s: &mut Subject) -> Seen {
    is_ignored(s, "null").await
}

pub async fn params_may_be_absent(s: &mut Subject) -> Seen {
    say(s, r#"{"type":"req","id":"a","method":"health"}"#, "a").await
}

pub async fn params_that_are_null(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    for method in ["health", "agents.list", "config.get", "device.pair.list"] {
        let answer = client.call(method, &serde_json::Value::Null).await;
        seen.answer(method, &answer, &[]);
    }
    seen
}

pub async fn params_that_are_a_list(s: &mut Subject) -> Seen {
    say(
        s,
        r#"{"type":"req","id":"a","method":"agents.list","params":[]}"#,
        "a",
    )
    .await
}

pub async fn a_param_that_is_not_known(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    for method in [
        "agents.list",
        "config.get",
        "device.pair.list",
        "health",
        "status",
    ] {
        let answer = client.call(method, &json!({ "colour": "red" })).await;
        seen.answer(method, &answer, &[]);
    }
    seen
}

pub async fn a_binary_request_is_served(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    client
        .say_bytes(br#"{"type":"req","id":"a","method":"health"}"#.to_vec())
        .await;
    let answer = client.answer_within("a", Duration::from_secs(10)).await;
    seen.answer("answer", &answer, &["/ok"]);
    seen
}

pub async fn an_id_used_twice_is_answered_twice(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let frame = r#"{"type":"req","id":"a","method":"health"}"#;
    client.say(frame).await;
    client.say(frame).await;
    for _ in 0..2 {
        let answer = client.answer("a").await;
        seen.answer("answer", &answer, &["/ok"]);
    }
    seen
}
