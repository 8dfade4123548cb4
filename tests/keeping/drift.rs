//! Fifty agents, and somebody else who writes into their files on the gateway's disk.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{ListParams, Patch, PatchParams};
use quartermaster::resource::{Agent, Gateway};
use quartermaster::simulated_gateway::Deed;
use serde_json::json;
use tokio::time::sleep;

use super::bed::Bed;
use super::{events, find};

const WORKERS: usize = 50;
/// `spec.resyncInterval`'s default, and the most that chance adds to it.
const A_LOOK: Duration = Duration::from_secs(60 + 12);

/// Fifty workers and the main agent, awake and hashed; what the workers' SOUL.md say, by their ids.
async fn fifty() -> (Bed, BTreeMap<String, String>) {
    let bed = Bed::whole().await;
    super::gateway(&bed).await;
    super::board(&bed, WORKERS as i32).await;
    for number in 1..=WORKERS {
        super::agent(&bed, &format!("worker-{number}"), "Worker").await;
    }
    super::until_gateway(&bed, "all are ready", |gateway| {
        (gateway.status.as_ref()?.agents.as_ref()?.summary == "51/51").then_some(())
    })
    .await;
    sleep(Duration::from_secs(300)).await;
    let agents = bed.api::<Agent>().list(&ListParams::default()).await.unwrap();
    let ids = agents
        .iter()
        .filter_map(|agent| agent.status.as_ref()?.agent_id.clone());
    let workers = ids.filter(|id| !id.starts_with("mc-gateway-"));
    let souls: BTreeMap<String, String> = workers
        .map(|id| {
            let soul = bed.gateway.file(&id, "SOUL.md").unwrap();
            (id, soul)
        })
        .collect();
    assert_eq!(souls.len(), WORKERS);
    (bed, souls)
}

fn edit(bed: &Bed, souls: &BTreeMap<String, String>, more: &str) {
    for (id, soul) in souls {
        bed.gateway.perform(Deed::EditFile {
            agent: id.clone(),
            name: "SOUL.md".to_owned(),
            content: format!("{soul}{more}"),
        });
    }
}

/// What was called more often than before, without the messages that keep a connection alive.
fn called_since(bed: &Bed, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = bed.gateway.calls().into_iter().map(|(method, count)| {
        let before = before.get(&method).copied().unwrap_or_default();
        (method, count - before)
    });
    more.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn what_fifty_have_been_changed_to_is_put_right_with_fifty_writes_at_the_next_look() {
    let (bed, souls) = fifty().await;
    let files = bed.gateway.files();
    let undisturbed = bed.gateway.calls();
    sleep(A_LOOK).await;
    let a_look = called_since(&bed, &undisturbed);
    assert_eq!(a_look.get("agents.files.set"), None, "{a_look:?}");

    edit(&bed, &souls, "I was here\n");
    let before = bed.gateway.calls();
    sleep(A_LOOK).await;
    let called = called_since(&bed, &before);
    assert_eq!(bed.gateway.files(), files);
    assert_eq!(
        called.get("agents.files.set"),
        Some(&(WORKERS as u64)),
        "{called:?}"
    );
    for method in ["config.patch", "chat.send", "sessions.reset"] {
        assert_eq!(called.get(method), None, "{method}: {called:?}");
    }
    let told = events(&bed, "DriftCorrected").await;
    assert_eq!(told.len(), WORKERS, "{told:?}");
    assert!(told.iter().all(|note| note.contains("SOUL.md")), "{told:?}");

    let (writes, before) = (bed.all_writes(), bed.gateway.calls());
    sleep(A_LOOK * 10).await;
    assert_eq!(bed.all_writes(), writes);
    assert_eq!(called_since(&bed, &before).get("agents.files.set"), None);
}

#[tokio::test(start_paused = true)]
async fn what_fifty_have_been_changed_to_is_told_and_left_where_that_is_asked_for() {
    let (bed, souls) = fifty().await;
    let report = Patch::Merge(json!({ "spec": { "drift": "Report" } }));
    let gateways = bed.api::<Gateway>();
    gateways
        .patch("harbour", &PatchParams::default(), &report)
        .await
        .unwrap();
    sleep(A_LOOK).await;
    let pasted = "f".repeat(20) + &"0".repeat(23);
    edit(&bed, &souls, &format!("I was here\nAUTH_TOKEN=\"{pasted}\"\n"));
    let (files, before) = (bed.gateway.files(), bed.gateway.calls());
    sleep(A_LOOK).await;

    let called = called_since(&bed, &before);
    for method in ["agents.files.set", "config.patch", "chat.send"] {
        assert_eq!(called.get(method), None, "{method}: {called:?}");
    }
    assert_eq!(bed.gateway.files(), files);
    let agents = bed.api::<Agent>().list(&ListParams::default()).await.unwrap();
    let mut told = 0;
    for agent in agents {
        let status = agent.status.unwrap();
        assert!(super::is(&status.conditions, "Ready", "True"));
        let Some(soul) = souls.get(status.agent_id.as_ref().unwrap()) else {
            assert_eq!(status.drifted_files, Some(0));
            continue;
        };
        told += 1;
        let in_sync = find(&status.conditions, "FilesInSync");
        assert_eq!(
            (in_sync.status.as_str(), in_sync.reason.as_str()),
            ("False", "Drifted"),
            "{in_sync:?}"
        );
        assert_eq!(status.drifted_files, Some(1));
        let [difference] = status.drift.as_slice() else {
            panic!("one file differs: {:?}", status.drift)
        };
        let (lines, last) = (soul.lines().count(), soul.lines().last().unwrap());
        let diff = format!("@@ -{lines} +{lines},3 @@\n {last}\n+I was here\n+AUTH_TOKEN=\"[masked]\"\n");
        assert_eq!((&*difference.subject, &difference.diff), ("SOUL.md", &diff));
    }
    assert_eq!(told, WORKERS);
    assert_eq!(events(&bed, "Drifted").await.len(), WORKERS);

    // It is told once, and not again and again.
    let writes = bed.all_writes();
    sleep(A_LOOK * 10).await;
    assert_eq!(bed.all_writes(), writes);
}
