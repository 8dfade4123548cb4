//! Being let in, and all the ways of not being let in.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::seen::Seen;
use super::subject::Subject;

/// Long enough for a busy machine, short enough for a case that expects silence.
const CLOSES: Duration = Duration::from_secs(10);

pub async fn the_challenge_comes_first(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (_client, challenge) = Client::open(&s.url).await.expect("a challenge");
    seen.line("nonce is a text", challenge["nonce"].is_string());
    seen.line("ts is a number", challenge["ts"].is_number());
    seen
}

pub async fn hello_has_the_shape_we_read(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (_client, hello) = s.client_as(&s.greeting()).await;
    let fields = [
        "/type",
        "/protocol",
        "/server/version",
        "/policy/maxPayload",
        "/policy/maxBufferedBytes",
    ];
    seen.answer("hello", &Answer::Ok(hello.clone()), &fields);
    seen.answer("ticks", &Answer::Ok(hello.clone()), &["/policy/tickIntervalMs"]);
    seen.answer(
        "auth",
        &Answer::Ok(hello.clone()),
        &["/auth/method", "/auth/role", "/auth/scopes"],
    );
    for text in [
        "/server/connId",
        "/server/bootId",
        "/snapshot/appliedConfigHash",
        "/snapshot/configPath",
    ] {
        seen.line(text, hello.pointer(text).is_some_and(Value::is_string));
    }
    for number in [
        "/snapshot/uptimeMs",
        "/snapshot/stateVersion/health",
        "/snapshot/stateVersion/presence",
    ] {
        seen.line(number, hello.pointer(number).is_some_and(Value::is_number));
    }
    for list in [
        "/features/methods",
        "/features/events",
        "/snapshot/presence",
        "/snapshot/health/agents",
    ] {
        seen.line(list, hello.pointer(list).is_some_and(Value::is_array));
    }
    seen
}

/// By these the operator knows what a gateway can do.
pub async fn hello_advertises_what_the_gateway_can_do(s: &mut Subject) -> Seen {
    const RELIED_ON: [&str; 44] = [
        "agent.identity.get",
        "agent.wait",
        "agents.create",
        "agents.delete",
        "agents.files.get",
        "agents.files.list",
        "agents.files.set",
        "agents.list",
        "agents.update",
        "agents.workspace.get",
        "agents.workspace.list",
        "chat.abort",
        "chat.history",
        "chat.send",
        "config.apply",
        "config.get",
        "config.patch",
        "config.schema",
        "config.schema.lookup",
        "config.set",
        "cron.add",
        "cron.list",
        "cron.remove",
        "cron.scratch.set",
        "cron.status",
        "device.pair.approve",
        "device.pair.list",
        "device.pair.reject",
        "device.pair.remove",
        "device.token.revoke",
        "device.token.rotate",
        "exec.approvals.get",
        "gateway.identity.get",
        "gateway.restart.request",
        "health",
        "secrets.store.set",
        "sessions.delete",
        "sessions.files.set",
        "sessions.list",
        "sessions.patch",
        "sessions.reset",
        "status",
        "system.info",
        "wake",
    ];
    let mut seen = s.seen();
    let (_client, hello) = s.client_as(&s.greeting()).await;
    for method in RELIED_ON {
        seen.line(method, lists(&hello, "/features/methods", method));
    }
    seen
}

pub async fn hello_advertises_its_events(s: &mut Subject) -> Seen {
    const RELIED_ON: [&str; 12] = [
        "chat",
        "config.changed",
        "connect.challenge",
        "cron",
        "device.pair.requested",
        "device.pair.resolved",
        "health",
        "heartbeat",
        "presence",
        "sessions.changed",
        "shutdown",
        "tick",
    ];
    let mut seen = s.seen();
    let (_client, hello) = s.client_as(&s.greeting()).await;
    for event in RELIED_ON {
        seen.line(event, lists(&hello, "/features/events", event));
    }
    seen
}

fn lists(hello: &Value, list: &str, name: &str) -> bool {
    let list = hello.pointer(list).and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|item| item == name))
}

/// Greets and writes down the answer and how the connection ended.
async fn try_greeting(s: &Subject, seen: &mut Seen, what: &str, greeting: &Value) {
    let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
    let answer = client.greet(greeting).await;
    seen.answer(what, &answer, &["/protocol", "/auth/scopes"]);
    if !answer.is_ok() {
        seen.end("then", client.closed(CLOSES).await.as_ref());
    }
}

async fn changed(s: &mut Subject, change: impl Fn(&mut Value)) -> Seen {
    let mut seen = s.seen();
    let mut greeting = s.greeting();
    change(&mut greeting);
    try_greeting(s, &mut seen, "connect", &greeting).await;
    seen
}

pub async fn a_wrong_token_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["auth"]["token"] = json!("wrong")).await
}

pub async fn an_empty_token_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["auth"]["token"] = json!("")).await
}

pub async fn no_token_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["auth"] = json!({})).await
}

pub async fn no_auth_at_all_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| {
        g.as_object_mut().expect("an object").remove("auth");
    })
    .await
}

pub async fn the_token_may_come_as_a_password(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut greeting = s.greeting();
    greeting["auth"] = json!({ "password": s.token });
    try_greeting(s, &mut seen, "connect", &greeting).await;
    seen
}

/// Loopback is never locked out; a try more than the limit is still a mismatch, and the right token is let in.
pub async fn wrong_tokens_do_not_lock_loopback_out(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut greeting = s.greeting();
    greeting["auth"]["token"] = json!("wrong again");
    for _ in 0..3 {
        try_greeting(s, &mut seen, "wrong", &greeting).await;
    }
    try_greeting(s, &mut seen, "right", &s.greeting()).await;
    seen
}

pub async fn a_protocol_range_above_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| {
        g["minProtocol"] = json!(5);
        g["maxProtocol"] = json!(6);
    })
    .await
}

pub async fn a_protocol_range_below_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| {
        g["minProtocol"] = json!(1);
        g["maxProtocol"] = json!(2);
    })
    .await
}

pub async fn protocol_3_alone(s: &mut Subject) -> Seen {
    changed(s, |g| g["maxProtocol"] = json!(3)).await
}

pub async fn protocol_4_alone(s: &mut Subject) -> Seen {
    changed(s, |g| g["minProtocol"] = json!(4)).await
}

pub async fn a_wide_range_is_answered_with_the_gateways_own(s: &mut Subject) -> Seen {
    changed(s, |g| {
        g["minProtocol"] = json!(1);
        g["maxProtocol"] = json!(9);
    })
    .await
}

pub async fn an_unknown_property_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["colour"] = json!("red")).await
}

pub async fn an_unknown_property_of_the_client_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["client"]["colour"] = json!("red")).await
}

pub async fn an_unknown_property_of_auth_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["auth"]["colour"] = json!("red")).await
}

pub async fn an_unknown_client_id_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["client"]["id"] = json!("quartermaster")).await
}

pub async fn an_unknown_client_mode_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["client"]["mode"] = json!("operator")).await
}

pub async fn a_client_without_a_version_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| {
        g["client"].as_object_mut().expect("an object").remove("version");
    })
    .await
}

pub async fn an_unknown_role_is_refused(s: &mut Subject) -> Seen {
    changed(s, |g| g["role"] = json!("overlord")).await
}

pub async fn no_role_means_operator(s: &mut Subject) -> Seen {
    changed(s, |g| {
        g.as_object_mut().expect("an object").remove("role");
    })
    .await
}

pub async fn the_control_ui_needs_more_than_a_token(s: &mut Subject) -> Seen {
    changed(s, |g| {
        g["client"]["id"] = json!("openclaw-control-ui");
        g["client"]["mode"] = json!("ui");
    })
    .await
}

pub async fn the_control_ui_of_this_machine_needs_a_device(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut greeting = s.greeting();
    greeting["client"]["id"] = json!("openclaw-control-ui");
    greeting["client"]["mode"] = json!("ui");
    let origin = format!("http://{}", s.address());
    let (mut client, _) = Client::open_with(&s.url, &[("origin", &origin)])
        .await
        .expect("a challenge");
    seen.answer("connect", &client.greet(&greeting).await, &["/auth/scopes"]);
    seen.end("then", client.closed(CLOSES).await.as_ref());
    seen
}

pub async fn a_proxys_header_is_refused_before_the_upgrade(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let forwarded = Client::open_with(&s.url, &[("x-forwarded-for", "10.1.2.3")]).await;
    match forwarded {
        Err(why) => seen.line("upgrade", why),
        Ok((mut client, _)) => {
            let answer = client.greet(&s.greeting()).await;
            seen.answer("connect", &answer, &["/auth/scopes"]);
        }
    }
    seen
}

pub async fn a_foreign_host_header_is_let_in(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    match Client::open_with(&s.url, &[("host", "gw.default.svc:18789")]).await {
        Err(why) => seen.line("upgrade", why),
        Ok((mut client, _)) => {
            let answer = client.greet(&s.greeting()).await;
            seen.answer("connect", &answer, &["/auth/scopes"]);
        }
    }
    seen
}

pub async fn the_first_frame_must_be_connect(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
    let answer = client.call("agents.list", &json!({})).await;
    seen.answer("agents.list", &answer, &[]);
    seen.end("then", client.closed(CLOSES).await.as_ref());
    seen
}

pub async fn text_before_connect_that_is_no_json(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
    client.say("hello").await;
    let answer = client.greet(&s.greeting()).await;
    seen.answer("connect after it", &answer, &["/type"]);
    seen
}

pub async fn a_frame_before_connect_that_is_none(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
    client.say(r#"{"type":"req","id":"odd"}"#).await;
    seen.answer("a request without a method", &client.answer("odd").await, &[]);
    seen.end("then", client.closed(CLOSES).await.as_ref());
    seen
}

pub async fn a_binary_connect(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
    let frame = json!({ "type": "req", "id": "hello", "method": "connect", "params": s.greeting() });
    client.say_bytes(frame.to_string().into_bytes()).await;
    seen.answer("connect", &client.answer("hello").await, &["/type"]);
    seen
}

pub async fn connect_is_said_once(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let again = client.call("connect", &s.greeting()).await;
    seen.answer("again", &again, &[]);
    let goes_on = client.call("health", &json!({})).await;
    seen.answer("health after it", &goes_on, &["/ok"]);
    seen
}

pub async fn a_big_frame_before_connect_closes(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, _) = Client::open(&s.url).await.expect("a challenge");
    let mut greeting = s.greeting();
    greeting["userAgent"] = json!("x".repeat(70_000));
    seen.answer("connect of 70 kB", &client.greet(&greeting).await, &["/type"]);
    seen
}
