//! What each contract does, in the gateway's words.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::{Client, connect_params, gateway, settings};
use crate::simulated_gateway::{Contract, Deed, Fault, Hit, Peer, SimulatedGateway, Turns, When};

const NEW: Contract = Contract::V2026_9_6;
const MIDDLE: Contract = Contract::V2026_7_35;
const OLD: Contract = Contract::V2026_2_9;

fn agent(name: &str) -> Value {
    json!({ "name": name, "workspace": format!("/w/{name}") })
}

fn entries(contract: Contract, entries: &Value) -> Value {
    if contract == NEW {
        return json!({ "agents": { "ownership": "explicit", "entries": entries } });
    }
    let list: Vec<Value> = entries
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, entry)| {
            let mut entry = entry.clone();
            entry["id"] = json!(id);
            entry
        })
        .collect();
    json!({ "agents": { "list": list } })
}

#[tokio::test(start_paused = true)]
async fn a_new_agent_is_not_found_at_first_on_9_6_alone() {
    for contract in [NEW, MIDDLE] {
        let mut settings = settings(contract);
        settings.delays = 1.0;
        let gateway = SimulatedGateway::new(settings);
        let mut client = Client::admin(&gateway).await;
        client.call("agents.create", agent("a")).await.unwrap();
        let file = json!({ "agentId": "a", "name": "SOUL.md", "content": "x" });
        let first = client.call("agents.files.set", file.clone()).await;
        assert_eq!(first.is_err(), contract == NEW, "{first:?}");
        assert_eq!(
            client.refusal("agents.create", agent("a")).await,
            "agent \"a\" already exists"
        );
        sleep(Duration::from_secs(1)).await;
        client.call("agents.files.set", file).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn writes_take_turns() {
    let mut settings = settings(NEW);
    settings.delays = 1.0;
    let gateway = SimulatedGateway::new(settings);
    let mut client = Client::admin(&gateway).await;
    let start = Instant::now();
    for n in 0..10 {
        let params = agent(&format!("a{n}"));
        client
            .send(
                &json!({ "type": "req", "id": format!("w{n}"), "method": "agents.create", "params": params }),
            )
            .await;
    }
    let list = client.call("agents.list", json!({})).await.unwrap();
    assert_eq!(
        list["agents"].as_array().unwrap().len(),
        1,
        "reads do not wait for writes"
    );
    let mut answered = 0;
    while answered < 10 {
        let frame = client.frame().await.unwrap();
        if frame["type"] == "res" {
            assert_eq!(frame["id"], format!("w{answered}"), "in order of arrival");
            answered += 1;
        }
    }
    assert!(
        start.elapsed() > Duration::from_millis(10 * 200),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn patches_are_compared_and_swapped() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        let mut client = Client::admin(&gateway).await;
        let patch = entries(contract, &json!({ "p1": { "name": "P1" } }));
        let message = client
            .refusal("config.patch", json!({ "raw": patch.to_string() }))
            .await;
        let expected = if contract == NEW {
            "config base hash required for agents.entries.p1.name, agents.ownership; re-run config.get and retry with baseHash"
        } else {
            "config base hash required; re-run config.get and retry"
        };
        assert_eq!(message, expected);
        let stale = json!({ "raw": patch.to_string(), "baseHash": "old" });
        assert_eq!(
            client.refusal("config.patch", stale).await,
            "config changed since last load; re-run config.get and retry"
        );
        let done = client.patch(&patch).await.unwrap();
        assert_eq!(done.get("hash").is_some(), contract == NEW);
        assert_eq!(done.get("restart").is_some(), contract == OLD);
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_of_a_list_replaces_it_on_2_9() {
    for (contract, left) in [(MIDDLE, vec!["p1", "p2"]), (OLD, vec!["p2", "main"])] {
        let gateway = gateway(contract);
        for id in ["p1", "p2"] {
            let mut client = Client::admin(&gateway).await;
            client
                .patch(&entries(contract, &json!({ id: { "name": id } })))
                .await
                .unwrap();
            sleep(Duration::from_secs(61)).await;
        }
        let mut client = Client::admin(&gateway).await;
        let list = client.call("agents.list", json!({})).await.unwrap();
        let ids: Vec<_> = list["agents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|agent| &agent["id"])
            .collect();
        assert_eq!(ids, left, "{contract}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_write_restarts_2_9_and_nothing_of_the_kind_the_others() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        let mut client = Client::admin(&gateway).await;
        client.call("agents.create", agent("a")).await.unwrap();
        let lives = tokio::time::timeout(Duration::from_secs(5), client.closed()).await;
        if contract == OLD {
            assert_eq!(lives.unwrap(), (1012, "service restart".to_owned()));
            assert!(client.heard().contains(&"shutdown"));
        } else {
            assert!(lives.is_err(), "{contract}: {lives:?}");
        }
    }
}

/// For the file that has changed, and because the patch asks for it.
#[tokio::test(start_paused = true)]
async fn a_patch_restarts_2_9_twice() {
    let mut settings = settings(OLD);
    settings.delays = 1.0;
    let gateway = SimulatedGateway::new(settings);
    let mut client = Client::admin(&gateway).await;
    client
        .patch(&json!({ "logging": { "level": "warn" } }))
        .await
        .unwrap();
    let start = Instant::now();
    for due_ms in [500, 2000] {
        assert_eq!(client.closed().await, (1012, "service restart".to_owned()));
        assert_eq!(start.elapsed().as_millis(), due_ms);
        sleep(Duration::from_millis(100)).await;
        client = Client::admin(&gateway).await;
    }
    let third = tokio::time::timeout(Duration::from_secs(20), client.closed()).await;
    assert!(third.is_err(), "{third:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_halves_the_file_is_refused_but_by_2_9() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        let mut client = Client::admin(&gateway).await;
        let whale = json!({ "main": {}, "whale": { "name": "w".repeat(20_000) } });
        client.patch(&entries(contract, &whale)).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        let mut client = Client::admin(&gateway).await;
        let gone = client.call("agents.delete", json!({ "agentId": "whale" })).await;
        match contract {
            Contract::V2026_2_9 => assert!(gone.is_ok(), "{gone:?}"),
            Contract::V2026_7_35 | Contract::V2026_9_6 => {
                let error = gone.unwrap_err();
                let message = error["message"].as_str().unwrap();
                assert_eq!(error["code"], "UNAVAILABLE");
                assert!(message.starts_with("Error: Config write rejected: "), "{message}");
                assert!(message.contains("(size-drop:2"), "{message}");
                let shorter = json!({ "whale": { "name": "w".repeat(12_000) } });
                client.patch(&entries(contract, &shorter)).await.unwrap();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_token_ends_who_came_with_the_old_one() {
    for contract in [NEW, MIDDLE] {
        let gateway = gateway(contract);
        let mut client = Client::admin(&gateway).await;
        let hash = client.call("config.get", json!({})).await.unwrap()["hash"].take();
        let raw = json!({ "gateway": { "auth": { "token": "new" } } }).to_string();
        let answer = client
            .ask("config.patch", json!({ "raw": raw, "baseHash": hash }))
            .await;
        let close = match answer {
            Ok(answer) => {
                assert_eq!(contract, NEW, "7.35 closes before it answers");
                answer.unwrap();
                client.closed().await
            }
            Err(close) => close,
        };
        assert_eq!(close, (4001, "gateway auth changed".to_owned()));
        // 7.35 restarts as well.
        sleep(Duration::from_secs(1)).await;
        let mut again = Client::open(&gateway, Peer::LOOPBACK).await;
        let mut params = connect_params();
        params["auth"]["token"] = json!("new");
        again.call("connect", params).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_goes_only_by_its_own_method_on_9_6() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    client
        .patch(&entries(NEW, &json!({ "p1": { "name": "P1" } })))
        .await
        .unwrap();
    let error = client
        .patch(&json!({ "agents": { "entries": { "p1": null } } }))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        json!({ "code": "UNAVAILABLE",
            "message": "Error: Config write would drop agent roster entries without an explicit deletion: p1." })
    );
    let gone = client
        .call("agents.delete", json!({ "agentId": "p1" }))
        .await
        .unwrap();
    assert_eq!(gone["removedBindings"], 0);
    assert_eq!(
        client.refusal("agents.delete", json!({ "agentId": "p1" })).await,
        "agent \"p1\" not found"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_heartbeat_block_stops_the_default_one() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    let mut jobs = async |patch: Value| {
        client.events.clear();
        client.patch(&patch).await.unwrap();
        let told = client.events.iter().filter(|frame| frame["event"] == "cron");
        let told = told.map(|frame| {
            let (action, job) = (
                &frame["payload"]["action"],
                &frame["payload"]["job"]["declarationKey"],
            );
            format!("{} {}", action.as_str().unwrap(), job.as_str().unwrap())
        });
        told.collect::<Vec<_>>()
    };
    let with = |block: Value| entries(NEW, &json!({ "p1": { "heartbeat": block } }));
    assert_eq!(
        jobs(with(json!({ "every": "5m" }))).await,
        [
            "added heartbeat:p1",
            "added skill-collection-review:p1",
            "removed heartbeat:main"
        ]
    );
    assert_eq!(
        jobs(with(Value::Null)).await,
        ["added heartbeat:main", "removed heartbeat:p1"]
    );
}

#[tokio::test(start_paused = true)]
async fn only_known_files_are_taken() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        let mut client = Client::admin(&gateway).await;
        for (name, old, middle, new) in [
            ("AGENTS.md", true, true, true),
            ("IDENTITY.md", true, true, true),
            ("TOOLS.md", true, true, false),
            ("HEARTBEAT.md", true, true, false),
            ("memory.md", true, false, false),
            ("BOARD.md", false, false, false),
            ("agents.md", false, false, false),
            ("../x", false, false, false),
        ] {
            let taken = match contract {
                OLD => old,
                MIDDLE => middle,
                NEW => new,
            };
            let file = json!({ "agentId": "main", "name": name, "content": "x" });
            match client.call("agents.files.set", file).await {
                Ok(answer) => {
                    assert!(taken, "{contract} {name}");
                    assert_eq!(answer["file"]["content"], "x");
                    assert_eq!(answer["file"].get("hash").is_some(), contract == NEW);
                }
                Err(error) => {
                    assert!(!taken, "{contract} {name}");
                    assert_eq!(error["message"], format!("unsupported file \"{name}\""));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_swapped_only_from_what_was_read() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    let file = |content: &str| json!({ "agentId": "main", "name": "SOUL.md", "content": content });
    let hash = client.call("agents.files.set", file("one")).await.unwrap()["file"]["hash"].take();
    gateway.perform(Deed::EditFile {
        agent: "main".into(),
        name: "SOUL.md".into(),
        content: "two".into(),
    });
    let mut swap = file("three");
    swap["expectedHash"] = hash;
    let error = client.call("agents.files.set", swap).await.unwrap_err();
    assert_eq!(error["details"]["type"], "agent_file_conflict");
    assert_eq!(gateway.file("main", "SOUL.md").as_deref(), Some("two"));
    let mut old = Client::admin(&super::client::gateway(MIDDLE)).await;
    let mut swap = file("x");
    swap["expectedHash"] = json!("0".repeat(64));
    assert_eq!(
        old.refusal("agents.files.set", swap).await,
        "invalid agents.files.set params: at root: unexpected property 'expectedHash'"
    );
}

#[tokio::test(start_paused = true)]
async fn ten_wrong_tokens_lock_an_address_out() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        let far = Peer("10.0.0.9".parse().unwrap());
        let mut params = connect_params();
        params["auth"]["token"] = json!("wrong");
        for _ in 0..10 {
            let mut client = Client::open(&gateway, far).await;
            let error = client.call("connect", params.clone()).await.unwrap_err();
            assert_eq!(
                error["message"],
                "unauthorized: gateway token mismatch (provide gateway auth token)"
            );
            assert_eq!(client.closed().await.0, 1008);
        }
        let answer = Client::open(&gateway, far)
            .await
            .call("connect", connect_params())
            .await;
        if contract == OLD {
            answer.unwrap();
            continue;
        }
        let error = answer.unwrap_err();
        assert_eq!(error["details"]["code"], "AUTH_RATE_LIMITED");
        assert_eq!(error.get("retryAfterMs").is_some(), contract == NEW);
        Client::admin(&gateway).await;
        sleep(Duration::from_secs(301)).await;
        Client::open(&gateway, far)
            .await
            .call("connect", connect_params())
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_alone_has_no_scopes_from_afar() {
    let gateway = gateway(NEW);
    let mut client = Client::open(&gateway, Peer("10.0.0.9".parse().unwrap())).await;
    let hello = client.call("connect", connect_params()).await.unwrap();
    assert_eq!(hello["auth"]["scopes"], json!([]));
    client.call("health", json!({})).await.unwrap();
    let error = client.call("agents.list", json!({})).await.unwrap_err();
    assert_eq!(
        error,
        json!({ "code": "FORBIDDEN", "message": "missing scope: operator.read",
            "details": { "code": "MISSING_SCOPE", "missingScope": "operator.read", "requiredScopes": ["operator.read"] } })
    );
    assert_eq!(
        client.refusal("nonexistent", json!({})).await,
        "missing scope: operator.admin"
    );
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_none_are_answered() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    for (text, id, message) in [
        (
            "{\"a\":1}",
            "invalid",
            "must have required property 'type'; at root: unexpected property 'a'",
        ),
        ("[]", "invalid", "must be object"),
        (
            "{\"type\":\"req\",\"id\":\"a\",\"method\":\"\"}",
            "a",
            "at /method: must not have fewer than 1 characters",
        ),
    ] {
        client.send_text("not json").await;
        client.send_text(text).await;
        let frame = client.frame().await.unwrap();
        assert_eq!(frame["id"], id);
        assert_eq!(
            frame["error"]["message"],
            format!("invalid request frame: {message}")
        );
    }
    let mut client = Client::open(&gateway, Peer::LOOPBACK).await;
    let message = "invalid handshake: first request must be connect";
    assert_eq!(client.refusal("health", json!({})).await, message);
    assert_eq!(client.closed().await, (1008, message.to_owned()));
    let mut silent = Client::open(&gateway, Peer::LOOPBACK).await;
    assert_eq!(silent.closed().await, (1000, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_taken_once() {
    for contract in Contract::ALL {
        let mut settings = settings(contract);
        settings.delays = 1.0;
        let gateway = SimulatedGateway::new(settings);
        let mut client = Client::admin(&gateway).await;
        let send = |message: &str| json!({ "sessionKey": "agent:main:main", "message": message, "idempotencyKey": "k", "deliver": false });
        assert_eq!(
            client.call("chat.send", send("a")).await.unwrap(),
            json!({ "runId": "k", "status": "started" })
        );
        assert_eq!(
            client.call("chat.send", send("a")).await.unwrap()["status"],
            "in_flight"
        );
        assert_eq!(
            client.call("chat.send", send("b")).await.is_err(),
            contract == NEW,
            "another message"
        );
        sleep(Duration::from_secs(3)).await;
        client
            .send(&json!({ "type": "req", "id": "again", "method": "chat.send", "params": send("a") }))
            .await;
        let frame = loop {
            let frame = client.frame().await.unwrap();
            if frame["id"] == "again" {
                break frame;
            }
        };
        assert_eq!(frame["ok"], contract != NEW);
        assert_eq!(
            frame["payload"]["status"],
            if contract == NEW { "error" } else { "ok" }
        );
        let history = client
            .call("chat.history", json!({ "sessionKey": "agent:main:main" }))
            .await
            .unwrap();
        let keys: Vec<_> = history["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| &m["idempotencyKey"])
            .collect();
        assert_eq!(keys.contains(&&json!("k:user")), contract != OLD);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_consumes_bootstrap_once_the_agent_is_somebody() {
    let mut settings = settings(NEW);
    settings.turns = Turns::Reply("hello".into());
    let gateway = SimulatedGateway::new(settings);
    let mut client = Client::admin(&gateway).await;
    client.call("agents.create", agent("a")).await.unwrap();
    let wake = |key: &str| json!({ "sessionKey": "agent:a:main", "message": "m", "idempotencyKey": key });
    client.call("chat.send", wake("1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(gateway.file("a", "BOOTSTRAP.md").is_some());
    let soul = json!({ "agentId": "a", "name": "SOUL.md", "content": "somebody" });
    client.call("agents.files.set", soul).await.unwrap();
    client.call("chat.send", wake("2")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.file("a", "BOOTSTRAP.md"), None);
}

#[tokio::test(start_paused = true)]
async fn faults_strike_the_call_they_were_armed_for() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    let fault = |nth, when, hit| Fault {
        method: "agents.create".into(),
        nth,
        when,
        hit,
    };
    gateway.inject(fault(
        2,
        When::After,
        Hit::Close {
            code: 1012,
            reason: "service restart".into(),
        },
    ));
    client.call("agents.create", agent("a")).await.unwrap();
    assert_eq!(client.ask("agents.create", agent("b")).await.unwrap_err().0, 1012);
    let mut client = Client::admin(&gateway).await;
    assert_eq!(
        client.refusal("agents.create", agent("b")).await,
        "agent \"b\" already exists",
        "it was carried out"
    );
    let error = json!({ "code": "UNAVAILABLE", "message": "no" });
    gateway.inject(fault(1, When::Before, Hit::Refuse(error.clone())));
    assert_eq!(client.call("agents.create", agent("c")).await.unwrap_err(), error);
    client.call("agents.create", agent("c")).await.unwrap();
    assert_eq!(gateway.calls_of("agents.create"), 5);
    gateway.perform(Deed::LoseEntry { agent: "c".into() });
    assert_eq!(
        client
            .refusal("agents.files.list", json!({ "agentId": "c" }))
            .await,
        "agent \"c\" not found"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wedged_lock_stops_writes_and_no_reads() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    gateway.perform(Deed::WedgeWrites);
    client
        .send(&json!({ "type": "req", "id": "w", "method": "agents.create", "params": agent("a") }))
        .await;
    sleep(Duration::from_secs(100)).await;
    client.call("agents.list", json!({})).await.unwrap();
    assert!(
        !client.events.iter().any(|frame| frame["id"] == "w"),
        "it is never answered"
    );
    assert!(client.heard().contains(&"tick"));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_gateway_says_nothing() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    gateway.perform(Deed::Freeze);
    let asked = tokio::time::timeout(Duration::from_secs(200), client.call("health", json!({}))).await;
    assert!(asked.is_err());
    assert!(client.heard().is_empty(), "not even a tick");
    gateway.perform(Deed::Thaw);
    client.call("health", json!({})).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_says_so() {
    let gateway = gateway(NEW);
    let mut client = Client::admin(&gateway).await;
    gateway.perform(Deed::Freeze);
    gateway.perform(Deed::Thaw);
    for n in 0..2000 {
        client
            .send(&json!({ "type": "req", "id": n.to_string(), "method": "agents.list" }))
            .await;
    }
    let (mut busy, mut fine) = (0, 0);
    while busy + fine < 2000 {
        let frame = client.frame().await.unwrap();
        if frame["error"]["message"] == "The server is busy. Please try again in a moment." {
            busy += 1;
        } else if frame["ok"] == true {
            fine += 1;
        }
    }
    assert!(busy > 0 && fine >= 256, "{busy} busy, {fine} fine");
}

/// What history knows of a message: whether it is in it, and its state while it is not.
async fn whereabouts(client: &mut Client, run: &str) -> (bool, Value) {
    let history = client
        .call("chat.history", json!({ "sessionKey": "agent:main:main" }))
        .await
        .unwrap();
    let messages = history["messages"].as_array().unwrap();
    let written = messages
        .iter()
        .any(|message| message["idempotencyKey"] == format!("{run}:user"));
    let pending = history["pendingInputs"]["items"].as_array();
    let pending = pending.and_then(|items| items.iter().find(|item| item["runId"] == run));
    (written, pending.map_or(Value::Null, |item| item["state"].clone()))
}

#[tokio::test(start_paused = true)]
async fn a_killed_9_6_has_lost_a_first_message_and_keeps_a_further_one_that_nobody_carries_out() {
    let mut settings = settings(NEW);
    settings.delays = 1.0;
    let gateway = SimulatedGateway::new(settings);
    let send = |run: &str| json!({ "sessionKey": "agent:main:main", "message": "x", "idempotencyKey": run });
    let killed = async |client: &mut Client| {
        gateway.perform(Deed::Kill);
        assert_eq!(client.closed().await.0, 0, "no close frame");
        sleep(Duration::from_secs(10)).await;
        Client::admin(&gateway).await
    };
    let mut client = Client::admin(&gateway).await;
    client.call("chat.send", send("first")).await.unwrap();
    assert_eq!(whereabouts(&mut client, "first").await, (false, Value::Null));
    client = killed(&mut client).await;
    assert_eq!(whereabouts(&mut client, "first").await, (false, Value::Null));
    let again = client.call("chat.send", send("first")).await.unwrap();
    assert_eq!(again["status"], "started");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(whereabouts(&mut client, "first").await, (true, Value::Null));

    client.call("chat.send", send("further")).await.unwrap();
    assert_eq!(
        whereabouts(&mut client, "further").await,
        (false, json!("queued"))
    );
    client = killed(&mut client).await;
    for _ in 0..2 {
        assert_eq!(
            whereabouts(&mut client, "further").await,
            (false, json!("interrupted"))
        );
        assert_eq!(
            client.refusal("chat.send", send("further")).await,
            "Error: Pending input ownership ended; submit a new turn to continue"
        );
    }
    client.call("chat.send", send("instead")).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(whereabouts(&mut client, "instead").await, (true, Value::Null));
}

#[tokio::test(start_paused = true)]
async fn events_are_numbered_for_each_connection_but_on_2_9_for_all() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        gateway.perform(Deed::Flood(3));
        let mut client = Client::admin(&gateway).await;
        gateway.perform(Deed::Flood(1));
        let tick = client.frame().await.unwrap();
        assert_eq!(
            tick["seq"],
            if contract == OLD { 5 } else { 1 },
            "{contract}: {tick}"
        );
    }
}
