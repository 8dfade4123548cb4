//! What Gateways and Boards keep: a count of their agents, a main agent, and themselves for as long as somebody refers to
//! them. Controllers, API server and gateway are the real code in one process, on a paused clock.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod bed;
mod drift;
mod dry_run;
mod errands;
mod held;
mod lines;
mod repair;
mod whole;

use std::time::Duration;

use bed::Bed;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use quartermaster::resource::{Agent, Board, Condition, Gateway};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const FINALIZER: &str = "quartermaster.dev/gateway-cleanup";

#[tokio::test(start_paused = true)]
async fn a_fleet_is_counted_and_its_gateway_has_a_main_agent() {
    let bed = Bed::new().await;
    fleet(&bed).await;
    let main = bed
        .until::<Agent>("harbour-main", "the main agent is made", |main| main.is_some())
        .await
        .unwrap();
    let gateway = until_gateway(&bed, "it is Ready and counts", |gateway| {
        is(&gateway.status.as_ref()?.conditions, "Ready", "True").then_some(())?;
        (gateway.status.as_ref()?.agents.as_ref()?.summary == "0/4").then_some(())
    })
    .await;
    let [owner] = main.owner_references() else {
        unreachable!("one owner")
    };
    assert_eq!(
        (Some(&owner.uid), owner.block_owner_deletion),
        (gateway.uid().as_ref(), None)
    );
    assert_eq!(main.spec.gateway_ref.as_ref().unwrap().name, "harbour");
    assert!(held(&gateway));
    assert_eq!(
        gateway.status.unwrap().main_agent.as_deref(),
        Some("harbour-main")
    );

    let board = until_board(&bed, "its agents are counted", |board| {
        (board.status.as_ref()?.workers? == 1).then_some(())
    })
    .await;
    assert!(held(&board));
    let status = board.status.unwrap();
    assert_eq!(
        (
            status.lead.as_deref(),
            status.waiting,
            status.ready,
            status.capacity
        ),
        (Some("boss"), Some(1), Some(0), Some(1))
    );

    become_ready(&bed, "worker-1").await;
    until_board(&bed, "one is ready", |board| {
        (board.status.as_ref()?.ready? == 1).then_some(())
    })
    .await;
    until_gateway(&bed, "one of four is ready", |gateway| {
        let agents = gateway.status.as_ref()?.agents.as_ref()?;
        (agents.summary == "1/4" && agents.phases.get("Ready") == Some(&1)).then_some(())
    })
    .await;

    // Nothing changes any more, and nothing is written any more.
    sleep(Duration::from_secs(5)).await;
    let before = bed.all_writes();
    sleep(Duration::from_secs(1800)).await;
    assert_eq!(bed.all_writes(), before);
}

#[tokio::test(start_paused = true)]
async fn whatever_is_deleted_first_all_of_it_ends() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let bed = Bed::new().await;
        fleet(&bed).await;
        bed.until::<Agent>("harbour-main", "the main agent is made", |main| main.is_some())
            .await;
        until_board(&bed, "it is held", |board| held(board).then_some(())).await;
        for (nth, what) in order.into_iter().enumerate() {
            match what {
                0 => bed.delete::<Gateway>("harbour").await,
                1 => bed.delete::<Board>("ops").await,
                _ => {
                    for name in ["boss", "worker-1", "worker-2"] {
                        bed.delete::<Agent>(name).await;
                    }
                }
            }
            if nth == 2 {
                break;
            }
            sleep(Duration::from_secs(10)).await;
            let done = |kind: usize| order.iter().position(|it| *it == kind).unwrap() <= nth;
            let (gateway, board) = (bed.get::<Gateway>("harbour").await, bed.get::<Board>("ops").await);
            // Agents refer to both, the Board to the Gateway.
            assert_eq!(
                gateway.is_none(),
                done(0) && done(1) && done(2),
                "{order:?} after {nth}"
            );
            assert_eq!(board.is_none(), done(1) && done(2), "{order:?} after {nth}");
            if let Some(gateway) = gateway.filter(|_| done(0)) {
                let says = ready(&gateway.status.unwrap().conditions);
                assert_eq!((says.status.as_str(), says.reason.as_str()), ("False", "InUse"));
                let named = says.message.contains("Board ops");
                assert!(named, "{}", says.message);
                assert_eq!(
                    says.message.contains("Agent worker-1"),
                    !done(2),
                    "{}",
                    says.message
                );
                assert!(bed.get::<Agent>("harbour-main").await.is_some());
            }
            if let Some(board) = board.filter(|_| done(1)) {
                let says = ready(&board.status.unwrap().conditions);
                assert_eq!((says.status.as_str(), says.reason.as_str()), ("False", "InUse"));
                assert!(
                    says.message
                        .contains("Agent boss, Agent worker-1, Agent worker-2"),
                    "{}",
                    says.message
                );
            }
        }
        bed.gone::<Board>("ops").await;
        bed.gone::<Gateway>("harbour").await;
        bed.gone::<Agent>("harbour-main").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_has_is_not_taken_from_them() {
    let bed = Bed::new().await;
    let theirs: Agent = bed
        .apply(json!({ "metadata": { "name": "harbour-main" }, "spec": { "role": "Worker", "boardRef": { "name": "ops" } } }))
        .await;
    gateway(&bed).await;
    let gateway = until_gateway(&bed, "it says so", |gateway| {
        is(&gateway.status.as_ref()?.conditions, "MainAgent", "False").then_some(())
    })
    .await;
    let conditions = gateway.status.clone().unwrap().conditions;
    assert_eq!(find(&conditions, "MainAgent").reason, "MainNameTaken");
    assert!(
        find(&conditions, "MainAgent")
            .message
            .contains("give that one another name")
    );
    until_gateway(&bed, "it is Ready all the same", |gateway| {
        is(&gateway.status.as_ref()?.conditions, "Ready", "True").then_some(())
    })
    .await;
    let now = bed.get::<Agent>("harbour-main").await.unwrap();
    assert_eq!(now.resource_version(), theirs.resource_version());

    bed.delete::<Agent>("harbour-main").await;
    let ours = bed
        .until::<Agent>("harbour-main", "now it is made", |main| {
            main.is_some_and(|main| main.uid() != theirs.uid())
        })
        .await;
    assert_eq!(ours.unwrap().owner_references().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_main_agent_follows_its_gateway_and_keeps_what_others_set() {
    let bed = Bed::new().await;
    gateway(&bed).await;
    bed.until::<Agent>("harbour-main", "the main agent is made", |main| main.is_some())
        .await;
    let rotate = json!({ "spec": { "token": { "rotation": "leaked" }, "displayName": "Pirate" } });
    let merge = Patch::Merge(rotate);
    bed.api::<Agent>()
        .patch("harbour-main", &PatchParams::default(), &merge)
        .await
        .unwrap();
    let soul = json!({ "spec": { "mainAgent": { "soul": { "template": "Be calm." } } } });
    bed.api::<Gateway>()
        .patch("harbour", &PatchParams::default(), &Patch::Merge(soul))
        .await
        .unwrap();
    bed.until::<Agent>("harbour-main", "it has the soul", |main| {
        let spec = &main.unwrap().spec;
        spec.soul.is_some() && spec.display_name.as_deref() == Some("harbour Main")
    })
    .await;
    let none = json!({ "spec": { "mainAgent": { "soul": null } } });
    bed.api::<Gateway>()
        .patch("harbour", &PatchParams::default(), &Patch::Merge(none))
        .await
        .unwrap();
    let main = bed
        .until::<Agent>("harbour-main", "the soul is taken out", |main| {
            main.unwrap().spec.soul.is_none()
        })
        .await;
    assert_eq!(main.unwrap().spec.token.rotation.as_deref(), Some("leaked"));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_agents_that_become_ready_are_one_status_write_a_second() {
    const AGENTS: u64 = 1000;
    let bed = Bed::new().await;
    gateway(&bed).await;
    board(&bed, 1000).await;
    for nth in 0..AGENTS {
        agent(&bed, &format!("worker-{nth}"), "Worker").await;
    }
    until_gateway(&bed, "all are counted", |gateway| {
        (gateway.status.as_ref()?.agents.as_ref()?.total == 1001).then_some(())
    })
    .await;
    let before = (bed.writes("Gateway", "status"), bed.writes("Board", "status"));
    let begun = Instant::now();
    for nth in 0..AGENTS {
        become_ready(&bed, &format!("worker-{nth}")).await;
        sleep(Duration::from_millis(10)).await;
    }
    until_gateway(&bed, "all are ready", |gateway| {
        (gateway.status.as_ref()?.agents.as_ref()?.ready == 1000).then_some(())
    })
    .await;
    let bound = begun.elapsed().as_secs() + 2;
    let gateway = bed.writes("Gateway", "status") - before.0;
    let board = bed.writes("Board", "status") - before.1;
    assert!(
        (2..=bound).contains(&gateway) && (2..=bound).contains(&board),
        "{gateway} and {board} in {bound} s"
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_who_insists_is_told_what_is_left() {
    let bed = Bed::new().await;
    fleet(&bed).await;
    bed.until::<Agent>("harbour-main", "the main agent is made", |main| main.is_some())
        .await;
    until_gateway(&bed, "it is held", |gateway| held(gateway).then_some(())).await;
    bed.delete::<Gateway>("harbour").await;
    bed.delete::<Board>("ops").await;
    until_gateway(&bed, "it is used", |gateway| {
        (ready(&gateway.status.as_ref()?.conditions).reason == "InUse").then_some(())
    })
    .await;
    let force = json!({ "metadata": { "annotations": { "quartermaster.dev/force-delete": "true" } } });
    bed.api::<Gateway>()
        .patch("harbour", &PatchParams::default(), &Patch::Merge(&force))
        .await
        .unwrap();
    bed.gone::<Gateway>("harbour").await;
    bed.gone::<Agent>("harbour-main").await;
    bed.api::<Board>()
        .patch("ops", &PatchParams::default(), &Patch::Merge(&force))
        .await
        .unwrap();
    bed.gone::<Board>("ops").await;
    let told = events(&bed, "ForceDeleted").await;
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told.iter()
            .any(|note| note.contains("Agent boss, Agent worker-1")),
        "{told:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_deleted_ends() {
    let bed = Bed::new().await;
    bed.namespace("quay").await;
    bed.apply_in::<Secret>(
        "quay",
        json!({ "metadata": { "name": "harbour-token" }, "stringData": { "token": "sesame" } }),
    )
    .await;
    bed.apply_in::<Gateway>("quay", gateway_object()).await;
    bed.apply_in::<Board>("quay", board_object(1)).await;
    bed.apply_in::<Agent>("quay", agent_object("worker-1", "Worker"))
        .await;
    sleep(Duration::from_secs(10)).await;
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    namespaces.delete("quay", &DeleteParams::default()).await.unwrap();
    let begun = Instant::now();
    while namespaces.get_opt("quay").await.unwrap().is_some() {
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "the namespace is still there"
        );
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_credentials_it_is_let_go_after_ten_minutes_and_not_before() {
    let mut bed = Bed::new().await;
    gateway(&bed).await;
    // Somebody holds the main agent: its clean-up does not come to an end.
    bed.until::<Agent>("harbour-main", "the main agent is made", |main| main.is_some())
        .await;
    let hold = json!({ "metadata": { "finalizers": [FINALIZER] } });
    bed.api::<Agent>()
        .patch("harbour-main", &PatchParams::default(), &Patch::Merge(hold))
        .await
        .unwrap();
    let binding = json!({ "status": {
        "binding": { "gateway": { "name": "harbour", "uid": "u" }, "agentId": "mc-gateway-1", "workspace": "~/w" },
        "entry": {},
    } });
    bed.api::<Agent>()
        .patch_status("harbour-main", &PatchParams::default(), &Patch::Merge(binding))
        .await
        .unwrap();
    until_gateway(&bed, "it is Ready", |gateway| {
        is(&gateway.status.as_ref()?.conditions, "Ready", "True").then_some(())
    })
    .await;

    // As long as the session stands, what it was opened with serves. Namespaces delete Secrets first.
    bed.delete::<Secret>("harbour-token").await;
    sleep(Duration::from_secs(5)).await;
    bed.delete::<Gateway>("harbour").await;
    sleep(Duration::from_secs(3600)).await;
    let gateway = bed.get::<Gateway>("harbour").await.unwrap();
    assert_eq!(ready(&gateway.status.unwrap().conditions).reason, "Deleting");

    // A new process has nothing in memory.
    bed.stop().await;
    bed.start();
    let begun = Instant::now();
    let gateway = until_gateway(&bed, "it is cut off", |gateway| {
        (ready(&gateway.status.as_ref()?.conditions).reason == "CredentialsGone").then_some(())
    })
    .await;
    let says = ready(&gateway.status.unwrap().conditions);
    assert!(
        says.message
            .contains("Agent harbour-main (agent id mc-gateway-1)"),
        "{}",
        says.message
    );
    sleep(Duration::from_secs(590)).await;
    assert!(bed.get::<Gateway>("harbour").await.is_some());
    bed.gone::<Gateway>("harbour").await;
    assert!(begun.elapsed() < Duration::from_secs(660));
    let told = events(&bed, "LeftBehind").await;
    assert!(told.iter().any(|note| note.contains("mc-gateway-1")), "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_gone_is_waited_for_before_the_connection_is_let_go() {
    let bed = Bed::new().await;
    gateway(&bed).await;
    let connected = |bed: &Bed| bed.gateway.connections();
    until_gateway(&bed, "it is Ready", |gateway| {
        is(&gateway.status.as_ref()?.conditions, "Ready", "True").then_some(())
    })
    .await;
    bed.delete::<Secret>("harbour-token").await;
    sleep(Duration::from_secs(50)).await;
    assert_eq!(connected(&bed), 1);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(connected(&bed), 0);
    let gateway = bed.get::<Gateway>("harbour").await.unwrap();
    assert_eq!(
        ready(&gateway.status.unwrap().conditions).reason,
        "SecretNotFound"
    );
}

async fn fleet(bed: &Bed) {
    gateway(bed).await;
    board(bed, 1).await;
    agent(bed, "boss", "Lead").await;
    agent(bed, "worker-1", "Worker").await;
    // Whole seconds: who was made in the same one is told apart by uid.
    sleep(Duration::from_secs(2)).await;
    agent(bed, "worker-2", "Worker").await;
}

fn gateway_object() -> Value {
    json!({ "metadata": { "name": "harbour" }, "spec": {
        "url": "ws://harbour:18789", "workspaceRoot": "~/.openclaw", "tokenSecretRef": { "name": "harbour-token" },
    } })
}

fn board_object(most: i32) -> Value {
    json!({ "metadata": { "name": "ops" }, "spec": { "gatewayRef": { "name": "harbour" }, "maxAgents": most } })
}

fn agent_object(name: &str, role: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "role": role, "boardRef": { "name": "ops" } } })
}

async fn gateway(bed: &Bed) -> Gateway {
    bed.apply(gateway_object()).await
}

async fn board(bed: &Bed, most: i32) -> Board {
    bed.apply(board_object(most)).await
}

async fn agent(bed: &Bed, name: &str, role: &str) -> Agent {
    bed.apply(agent_object(name, role)).await
}

async fn become_ready(bed: &Bed, name: &str) {
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Provisioned", "message": "all of it is there",
        "lastTransitionTime": "2026-11-21T00:00:00Z" });
    let status = json!({ "status": { "phase": "Ready", "conditions": [ready] } });
    let api = bed.api::<Agent>();
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

async fn until_gateway(bed: &Bed, what: &str, is_so: impl Fn(&Gateway) -> Option<()>) -> Gateway {
    bed.until::<Gateway>("harbour", what, |found| found.and_then(&is_so).is_some())
        .await
        .unwrap()
}

async fn until_board(bed: &Bed, what: &str, is_so: impl Fn(&Board) -> Option<()>) -> Board {
    bed.until::<Board>("ops", what, |found| found.and_then(&is_so).is_some())
        .await
        .unwrap()
}

async fn events(bed: &Bed, reason: &str) -> Vec<String> {
    let events: Api<k8s_openapi::api::events::v1::Event> = bed.api();
    let all = events.list(&kube::api::ListParams::default()).await.unwrap();
    let of_reason = all
        .items
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some(reason));
    of_reason.filter_map(|event| event.note).collect()
}

fn held(object: &impl Resource) -> bool {
    object.finalizers().iter().any(|word| word == FINALIZER)
}

fn find(conditions: &[Condition], kind: &str) -> Condition {
    conditions
        .iter()
        .find(|found| found.type_ == kind)
        .unwrap()
        .clone()
}

fn ready(conditions: &[Condition]) -> Condition {
    find(conditions, "Ready")
}

fn is(conditions: &[Condition], kind: &str, status: &str) -> bool {
    conditions
        .iter()
        .any(|found| found.type_ == kind && found.status == status)
}
