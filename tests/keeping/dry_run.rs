//! A TemplateSync that only looks: what it would come to is in its status, and nothing of it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;
use quartermaster::resource::template_sync::{SyncPhase, TemplateSyncStatus};
use quartermaster::resource::{Agent, TemplateSync};
use quartermaster::simulated_gateway::Deed;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::bed::Bed;

async fn dry_run(bed: &Bed, name: &str, mut spec: Value) -> TemplateSyncStatus {
    spec["gatewayRef"] = json!({ "name": "harbour" });
    spec["dryRun"] = json!(true);
    bed.apply::<TemplateSync>(json!({ "metadata": { "name": name }, "spec": spec }))
        .await;
    let done = bed
        .until::<TemplateSync>(name, "it has looked at all", |sync| {
            let status = sync.and_then(|sync| sync.status.as_ref());
            status.is_some_and(|status| status.phase == Some(SyncPhase::Complete))
        })
        .await;
    done.unwrap().status.unwrap()
}

fn plans(status: &TemplateSyncStatus) -> BTreeMap<&str, &str> {
    let each = status
        .plans
        .iter()
        .map(|one| (one.name.as_str(), one.plan.as_str()));
    each.collect()
}

/// The tokens' Secrets.
async fn secrets(bed: &Bed) -> Vec<(String, Option<String>)> {
    let all = bed.api::<Secret>().list(&ListParams::default()).await.unwrap();
    all.iter()
        .map(|secret| (secret.name_any(), secret.resource_version()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn all_that_it_would_do_is_told_and_none_of_it_is_done() {
    let bed = Bed::whole().await;
    super::gateway(&bed).await;
    super::board(&bed, 1).await;
    super::agent(&bed, "worker", "Worker").await;
    super::until_gateway(&bed, "all are ready", |gateway| {
        (gateway.status.as_ref()?.agents.as_ref()?.summary == "2/2").then_some(())
    })
    .await;
    sleep(Duration::from_secs(300)).await;
    let nothing = dry_run(&bed, "nothing", json!({})).await;
    assert_eq!(
        plans(&nothing),
        [("harbour-main", "nothing to do"), ("worker", "nothing to do")].into()
    );

    let worker = bed.get::<Agent>("worker").await.unwrap().status.unwrap();
    let id = worker.agent_id.unwrap();
    let edit = |name: &str, more: &str| {
        let text = bed.gateway.file(&id, name).unwrap();
        bed.gateway.perform(Deed::EditFile {
            agent: id.clone(),
            name: name.to_owned(),
            content: format!("{text}{more}"),
        });
    };
    edit("MEMORY.md", "The code of the cellar is 7731.\n");
    let (files, histories) = (bed.gateway.files(), bed.gateway.histories());
    let (config, secrets_before) = (bed.gateway.config(), secrets(&bed).await);
    let everything =
        json!({ "rotateTokens": true, "resetSessions": true, "overwrite": true, "forceBootstrap": true });
    let all = dry_run(&bed, "all", everything).await;

    let told = plans(&all);
    let lines: Vec<&str> = told["worker"].lines().collect();
    for line in [
        "~ token",
        "~ MEMORY.md (+0 -1)",
        "+ BOOTSTRAP.md",
        "> session reset",
    ] {
        assert!(
            lines.iter().any(|found| found.starts_with(line)),
            "{line}: {lines:#?}"
        );
    }
    let is_difference =
        |line: &&&str| line.starts_with("+- `AUTH_TOKEN") || line.starts_with("-- `AUTH_TOKEN");
    assert!(
        !told["worker"].contains("7731"),
        "what an agent has noted is its own: {lines:#?}"
    );
    for line in lines.iter().filter(is_difference) {
        assert!(line.contains("token]"), "{line}");
    }
    assert!(told["harbour-main"].contains("~ token"), "{told:#?}");
    assert!(all.synced.iter().all(|one| one.status == "planned"));

    sleep(Duration::from_secs(60)).await;
    assert_eq!(bed.gateway.files(), files);
    assert_eq!(bed.gateway.histories(), histories);
    assert_eq!(bed.gateway.config(), config);
    assert_eq!(secrets(&bed).await, secrets_before);
}
