//! With all controllers: agents are in the gateway, and what is deleted leaves nothing there.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use quartermaster::resource::{Agent, Board, Gateway};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::bed::Bed;

/// A lead, a worker with a place, one without, and the main agent.
async fn provisioned() -> Bed {
    let bed = Bed::whole().await;
    super::fleet(&bed).await;
    super::until_gateway(&bed, "three of four are ready, one has no place", |gateway| {
        (gateway.status.as_ref()?.agents.as_ref()?.summary == "3/4").then_some(())
    })
    .await;
    bed
}

/// Our agents in the gateway's configuration.
fn ours(bed: &Bed) -> Vec<String> {
    let config = bed.gateway.config();
    let entries = config["agents"]["entries"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    entries
        .into_iter()
        .map(|(id, _)| id)
        .filter(|id| id.starts_with("mc-") || id.starts_with("lead-"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_fleet_is_provisioned_and_then_nothing_is_written() {
    let bed = provisioned().await;
    assert_eq!(ours(&bed).len(), 3, "{:?}", ours(&bed));
    let board = super::until_board(&bed, "two are ready", |board| {
        (board.status.as_ref()?.ready? == 2).then_some(())
    })
    .await;
    let status = board.status.unwrap();
    assert_eq!((status.workers, status.waiting), (Some(1), Some(1)));
    // Who has no place is Stalled after five minutes.
    sleep(Duration::from_secs(600)).await;
    let before = (bed.all_writes(), bed.gateway.calls_of("config.patch"));
    sleep(Duration::from_secs(1800)).await;
    assert_eq!((bed.all_writes(), bed.gateway.calls_of("config.patch")), before);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_given_up_is_taken() {
    let bed = provisioned().await;
    bed.delete::<Agent>("worker-1").await;
    bed.gone::<Agent>("worker-1").await;
    bed.until::<Agent>("worker-2", "it has the place", |agent| {
        super::is(
            &agent.unwrap().status.as_ref().unwrap().conditions,
            "Ready",
            "True",
        )
    })
    .await;
    // And where there is more room, at once.
    super::agent(&bed, "worker-3", "Worker").await;
    super::board(&bed, 2).await;
    bed.until::<Agent>("worker-3", "it has a place, too", |agent| {
        let status = agent.unwrap().status.as_ref();
        status.is_some_and(|status| super::is(&status.conditions, "Ready", "True"))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whatever_is_deleted_first_nothing_stays_in_the_gateway() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let bed = provisioned().await;
        for what in order {
            match what {
                0 => bed.delete::<Gateway>("harbour").await,
                1 => bed.delete::<Board>("ops").await,
                _ => {
                    for name in ["boss", "worker-1", "worker-2"] {
                        bed.delete::<Agent>(name).await;
                    }
                }
            }
            sleep(Duration::from_millis(300)).await;
        }
        bed.gone::<Gateway>("harbour").await;
        assert_eq!(ours(&bed), [""; 0], "{order:?}");
        for name in ["boss", "worker-1", "worker-2", "harbour-main"] {
            bed.gone::<Agent>(name).await;
        }
        bed.gone::<Board>("ops").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_deleted_takes_its_agents_out_of_the_gateway() {
    let bed = Bed::whole().await;
    bed.namespace("quay").await;
    let token = json!({ "metadata": { "name": "harbour-token" }, "stringData": { "token": "sesame" } });
    bed.apply_in::<Secret>("quay", token).await;
    bed.apply_in::<Gateway>("quay", super::gateway_object()).await;
    bed.apply_in::<Board>("quay", super::board_object(1)).await;
    bed.apply_in::<Agent>("quay", super::agent_object("worker-1", "Worker"))
        .await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ours(&bed).len(), 2);
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    namespaces.delete("quay", &DeleteParams::default()).await.unwrap();
    let begun = Instant::now();
    while namespaces.get_opt("quay").await.unwrap().is_some() {
        let left: Vec<String> = {
            let agents: Api<Agent> = Api::namespaced(bed.client.clone(), "quay");
            let gateways: Api<Gateway> = Api::namespaced(bed.client.clone(), "quay");
            let agents = agents.list(&kube::api::ListParams::default()).await.unwrap();
            let gateways = gateways.list(&kube::api::ListParams::default()).await.unwrap();
            let agents = agents.items.into_iter().map(|it| format!("{:#?}", it.status));
            agents
                .chain(gateways.items.into_iter().map(|it| format!("{:#?}", it.status)))
                .collect()
        };
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "the namespace is still there: {}",
            left.join("\n")
        );
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(ours(&bed), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_orphaned_main_agent_stays_in_the_gateway_and_its_object_goes() {
    let bed = provisioned().await;
    for name in ["boss", "worker-1", "worker-2"] {
        bed.delete::<Agent>(name).await;
    }
    bed.delete::<Board>("ops").await;
    let orphan = Patch::Merge(json!({ "spec": { "deletionPolicy": "Orphan" } }));
    bed.api::<Gateway>()
        .patch("harbour", &PatchParams::default(), &orphan)
        .await
        .unwrap();
    bed.delete::<Gateway>("harbour").await;
    bed.gone::<Gateway>("harbour").await;
    bed.gone::<Agent>("harbour-main").await;
    assert_eq!(ours(&bed).len(), 1, "{:?}", ours(&bed));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_gone_for_good_is_let_go_by_force() {
    let mut bed = provisioned().await;
    bed.stop().await;
    // Nobody answers any more.
    let nowhere = Patch::Merge(json!({ "spec": { "tokenSecretRef": { "name": "another" } } }));
    bed.api::<Gateway>()
        .patch("harbour", &PatchParams::default(), &nowhere)
        .await
        .unwrap();
    let wrong = json!({ "metadata": { "name": "another" }, "stringData": { "token": "wrong" } });
    bed.apply::<Secret>(wrong).await;
    bed.start();
    sleep(Duration::from_secs(30)).await;
    for name in ["boss", "worker-1", "worker-2"] {
        bed.delete::<Agent>(name).await;
    }
    bed.delete::<Board>("ops").await;
    bed.delete::<Gateway>("harbour").await;
    sleep(Duration::from_secs(900)).await;
    assert!(
        bed.get::<Agent>("boss").await.is_some(),
        "an outage must not orphan anything"
    );
    let force =
        Patch::Merge(json!({ "metadata": { "annotations": { "quartermaster.dev/force-delete": "true" } } }));
    for name in ["boss", "worker-1"] {
        bed.api::<Agent>()
            .patch(name, &PatchParams::default(), &force)
            .await
            .unwrap();
        bed.gone::<Agent>(name).await;
    }
    bed.gone::<Board>("ops").await;
    bed.api::<Gateway>()
        .patch("harbour", &PatchParams::default(), &force)
        .await
        .unwrap();
    bed.gone::<Gateway>("harbour").await;
    bed.gone::<Agent>("harbour-main").await;
    let told = super::events(&bed, "ForceDeleted").await;
    assert!(told.iter().any(|note| note.contains("harbour-main")), "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_others_are_kept_alive_and_given_back() {
    let mut bed = provisioned().await;
    let theirs = |bed: &Bed| {
        bed.gateway.config()["agents"]["entries"]["main"]
            .get("heartbeat")
            .cloned()
    };
    let gateway = super::until_gateway(&bed, "it is stored", |gateway| {
        (gateway.status.as_ref()?.preserved_heartbeats == ["main"]).then_some(())
    })
    .await;
    assert_eq!(theirs(&bed), Some(json!({})));
    // A new process knows it from there alone.
    bed.stop().await;
    bed.start();
    for name in ["boss", "worker-1", "worker-2"] {
        bed.delete::<Agent>(name).await;
    }
    bed.delete::<Board>("ops").await;
    bed.gone::<Board>("ops").await;
    let left = bed.get::<Gateway>("harbour").await.unwrap().status.unwrap();
    assert_eq!(
        left.preserved_heartbeats,
        gateway.status.unwrap().preserved_heartbeats
    );
    bed.delete::<Gateway>("harbour").await;
    bed.gone::<Gateway>("harbour").await;
    assert_eq!(theirs(&bed), None);
}
