//! The gateway client's writes against real gateways: bindings, lists that get shorter, texts and agents that are most of
//! the file, blocks of others that come and go. No write of it is refused.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use quartermaster::gateway::commit::{EntryChange, NotCommitted, Removal};
use quartermaster::gateway::configuration::Configuration;
use quartermaster::gateway::connection::Outcome;
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::dial::Network;
use quartermaster::gateway::names::AgentId;
use quartermaster::gateway::session::{State, Surroundings, Target, Wanted};
use quartermaster::gateway::{Address, Binding, Credentials, Guard, Session, Token, Trust};
use serde_json::{Value, json};

use crate::bed::{Gateway, OpenClaw, eventually_async, evidence};

/// Each call with its outcome.
type Calls = Arc<Mutex<Vec<(String, Outcome)>>>;

async fn session_to(openclaw: &OpenClaw) -> (Session, Calls) {
    let calls = Calls::default();
    let told = Arc::clone(&calls);
    let surroundings = Surroundings {
        dial: Arc::new(Network),
        guard: Guard::default(),
        device_tokens: Arc::new(InMemory::default()),
        commit_meter: Arc::new(|_| {}),
        meter: Arc::new(move |method, outcome| told.lock().unwrap().push((method.to_owned(), outcome))),
    };
    let wanted = Wanted {
        target: Target {
            address: Address::parse(&openclaw.url()).unwrap(),
            trust: Trust::System,
            credentials: Credentials {
                token: Token::from_bytes(openclaw.token().as_bytes()).ok(),
                identity: Identity::TokenOnly,
            },
        },
        ask: String::new(),
    };
    let session = Session::start(wanted, surroundings, 7, || {});
    eventually_async("the session is up", 60, async || {
        matches!(session.link().state, State::Up(_)).then_some(())
    })
    .await;
    (session, calls)
}

fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

/// 2026.2.9 restarts after every write.
async fn read(session: &Session) -> Arc<Configuration> {
    let reading = async || session.readings().new_one().await.ok();
    eventually_async("the configuration is read", 60, reading).await
}

#[tokio::test]
async fn a_2026_9_6_takes_everything_that_the_client_writes() {
    writes("2026.9.6").await;
}

#[tokio::test]
async fn a_2026_7_35_takes_everything_that_the_client_writes() {
    writes("2026.7.35").await;
}

#[tokio::test]
async fn a_2026_2_9_takes_everything_that_the_client_writes() {
    writes("2026.2.9").await;
}

async fn writes(version: &str) {
    let openclaw = real!(OpenClaw::start(Gateway::version(version)));
    let workspace = openclaw.state_folder().join("whale");
    let (session, calls) = session_to(&openclaw).await;
    let commits = session.commits();
    let change = |more: Value, bindings: &[&str]| {
        let mut fields = json!({ "name": "Whale", "workspace": workspace.display().to_string() });
        fields
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        EntryChange {
            bindings: Some(
                bindings
                    .iter()
                    .map(|words| Binding::parse(words).unwrap())
                    .collect(),
            ),
            ..EntryChange::new(id("whale"), fields.as_object().unwrap().clone())
        }
    };
    // Each step is a write, and 2026.7.35 takes three a minute.
    let prompt = "p".repeat(if version == "2026.9.6" { 20_000 } else { 3_000 });
    let large = json!({ "heartbeat": { "every": "10m", "prompt": prompt }, "skills": ["a", "b", "c"],
        "tools": { "deny": ["exec", "write"], "allow": ["read"] } });
    let small =
        json!({ "heartbeat": { "every": "10m", "prompt": "Look around." }, "skills": ["b"], "tools": null });

    let mut preserved = BTreeSet::new();
    let mut steps = vec![(&large, &["telegram:*", "discord"][..]), (&small, &["discord"])];
    if version == "2026.9.6" {
        // It leaves as most of the file.
        steps.push((&large, &[]));
    }
    for (more, bindings) in steps {
        let committed = commits.put(change(more.clone(), bindings)).await.unwrap();
        assert_eq!(
            (committed.left_out, committed.conflicts),
            (vec![], vec![]),
            "{version}"
        );
        preserved = committed.preserved;
        let now = read(&session).await;
        let there = Value::Object(now.entries[&id("whale")].clone());
        assert_eq!(there["heartbeat"], more["heartbeat"], "{version}");
        assert_eq!(
            (&there["skills"], &there["tools"]),
            (&more["skills"], &more["tools"]),
            "{version}"
        );
        assert_eq!(now.bindings.len(), bindings.len(), "{version}");
    }
    assert_eq!(preserved, BTreeSet::from([id("main")]), "{version}");
    assert_eq!(
        read(&session).await.entries[&id("main")]["heartbeat"],
        json!({}),
        "{version}"
    );

    let unknown = commits.put(change(json!({ "toolz": {} }), &[])).await;
    assert!(
        matches!(unknown, Err(NotCommitted::Rejected(_))),
        "{version}: {unknown:?}"
    );

    let removal = Removal {
        agent: id("whale"),
        with_files: true,
        preserved,
    };
    let removed = commits.take_out(removal).await.unwrap();
    assert!(
        removed.deleted.is_some() && removed.preserved.is_empty(),
        "{version}"
    );
    let now = read(&session).await;
    assert!(!now.entries.contains_key(&id("whale")), "{version}");
    assert_eq!(
        now.entries
            .get(&id("main"))
            .and_then(|main| main.get("heartbeat")),
        None,
        "{version}"
    );

    let calls = calls.lock().unwrap().clone();
    let refused: Vec<&(String, Outcome)> = calls
        .iter()
        .filter(|(method, outcome)| !method.starts_with("config.schema") && *outcome == Outcome::Refused)
        .collect();
    assert_eq!(refused, [] as [&(String, Outcome); 0], "{version}");
    let writes = calls
        .iter()
        .filter(|(method, _)| method == "config.patch")
        .count();
    evidence::record(
        "writes",
        &format!("{version} takes the client's writes"),
        writes as u64,
        "none refused",
    );
    session.close().await;
}
