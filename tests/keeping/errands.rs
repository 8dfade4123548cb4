//! TemplateSyncs: the controller gathers what agents tell of them. The agents are played: their statuses say what their own
//! passes would.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use quartermaster::resource::template_sync::SyncPhase;
use quartermaster::resource::{Agent, Gateway, TemplateSync, TemplateSyncStatus};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::bed::Bed;
use super::{board, events, fleet, gateway, is, ready};

async fn create(bed: &Bed, name: &str, mut spec: Value) -> TemplateSync {
    spec["gatewayRef"] = json!({ "name": "harbour" });
    spec["includeMain"] = json!(false);
    bed.apply(json!({ "metadata": { "name": name }, "spec": spec }))
        .await
}

/// As its pass would report.
async fn tells(bed: &Bed, agent: &str, sync: &TemplateSync, state: &str, more: Value) {
    let mut said = json!({ "uid": sync.uid(), "name": sync.name_any(), "state": state });
    said.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    let before = bed.get::<Agent>(agent).await.unwrap().status;
    let before = before.map(|status| json!(status.syncs)).unwrap_or(json!([]));
    let mut all = before.as_array().cloned().unwrap();
    all.retain(|told| told["uid"] != said["uid"]);
    all.push(said);
    let status = json!({ "status": { "agentId": format!("mc-{agent}"), "syncs": all } });
    bed.api::<Agent>()
        .patch_status(agent, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

async fn status_until(
    bed: &Bed,
    name: &str,
    what: &str,
    is_so: impl Fn(&TemplateSyncStatus) -> bool,
) -> TemplateSyncStatus {
    let found = bed
        .until::<TemplateSync>(name, what, |sync| {
            sync.and_then(|sync| sync.status.as_ref()).is_some_and(&is_so)
        })
        .await;
    found.unwrap().status.unwrap()
}

async fn phase(bed: &Bed, name: &str, phase: SyncPhase) -> TemplateSyncStatus {
    status_until(bed, name, &format!("it is {phase:?}"), |status| {
        status.phase == Some(phase)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn what_the_agents_tell_is_gathered_and_then_nothing_is_written() {
    let mut bed = Bed::new().await;
    fleet(&bed).await;
    sleep(Duration::from_secs(10)).await;
    bed.forget_wakes();
    let sync = create(&bed, "now", json!({})).await;
    let begun = phase(&bed, "now", SyncPhase::Running).await;
    assert_eq!(begun.total_selected, Some(3));
    assert!(is(&begun.conditions, "Reconciling", "True"));
    // Who is meant looks.
    for agent in ["boss", "worker-1", "worker-2"] {
        assert!(bed.was_woken(agent), "{agent}");
    }
    tells(&bed, "boss", &sync, "Running", json!({})).await;
    tells(&bed, "worker-1", &sync, "Updated", json!({})).await;
    let one = status_until(&bed, "now", "one is done", |status| {
        status.total_synced == Some(1)
    })
    .await;
    assert_eq!(
        ready(&one.conditions).message,
        "1 of 3 agents are done; waiting for boss, worker-2"
    );

    // A restart forgets nothing, and an agent that is gone stays told.
    bed.stop().await;
    bed.delete::<Agent>("worker-1").await;
    bed.start();
    let error = json!({ "error": "unable to read AUTH_TOKEN from TOOLS.md (agent: boss, run with rotate_tokens=true)" });
    tells(&bed, "boss", &sync, "Failed", error.clone()).await;
    tells(&bed, "worker-2", &sync, "Unchanged", json!({})).await;
    let end = phase(&bed, "now", SyncPhase::Failed).await;
    let names: Vec<_> = end
        .synced
        .iter()
        .map(|one| (one.name.as_str(), one.status.as_str()))
        .collect();
    assert_eq!(names, [("worker-1", "updated"), ("worker-2", "unchanged")]);
    assert_eq!(end.synced[0].agent_id, "mc-worker-1");
    assert_eq!(
        json!(end.errors),
        json!([{ "agentId": "mc-boss", "agentName": "boss", "error": error["error"] }])
    );
    for (kind, truth) in [("Ready", "False"), ("Stalled", "True"), ("Failed", "True")] {
        assert!(is(&end.conditions, kind, truth), "{kind}");
    }
    assert_eq!(
        events(&bed, "Syncing").await,
        ["brings 3 agents of Gateway harbour up to date"]
    );
    assert_eq!(
        events(&bed, "AgentsFailed").await,
        ["1 of 3 agents failed: boss; status.errors says why"]
    );
    let text = String::from_utf8(bed.metrics.text().unwrap()).unwrap();
    assert!(
        text.contains("quartermaster_template_syncs_total{outcome=\"failed\"} 1\n"),
        "{text}"
    );

    sleep(Duration::from_secs(5)).await;
    let before = bed.all_writes();
    tells(&bed, "boss", &sync, "Updated", json!({})).await;
    sleep(Duration::from_secs(1800)).await;
    assert_eq!(bed.all_writes(), before);
    assert_eq!(bed.get::<TemplateSync>("now").await.unwrap().status, Some(end));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_that_are_done_one_after_the_other_are_few_writes() {
    let bed = Bed::new().await;
    gateway(&bed).await;
    board(&bed, 200).await;
    for number in 0..100 {
        super::agent(&bed, &format!("worker-{number:03}"), "Worker").await;
    }
    let sync = create(&bed, "now", json!({})).await;
    phase(&bed, "now", SyncPhase::Running).await;
    let (before, begun) = (bed.writes("TemplateSync", "status"), Instant::now());
    for number in 0..100 {
        tells(&bed, &format!("worker-{number:03}"), &sync, "Updated", json!({})).await;
        sleep(Duration::from_millis(50)).await;
    }
    let end = phase(&bed, "now", SyncPhase::Complete).await;
    assert_eq!(end.total_synced, Some(100));
    let writes = bed.writes("TemplateSync", "status") - before;
    let seconds = begun.elapsed().as_secs();
    assert!(writes <= seconds + 1, "{writes} in {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_missing_is_waited_for_but_not_for_ever() {
    let bed = Bed::new().await;
    create(&bed, "patient", json!({})).await;
    create(&bed, "hasty", json!({ "activeDeadlineSeconds": 60 })).await;
    let waits = phase(&bed, "patient", SyncPhase::Pending).await;
    let says = ready(&waits.conditions);
    assert_eq!(says.reason, "GatewayNotFound");
    assert!(is(&waits.conditions, "Reconciling", "True"));
    let begun = Instant::now();
    let late = phase(&bed, "hasty", SyncPhase::Failed).await;
    assert_eq!(ready(&late.conditions).reason, "DeadlineExceeded");
    let seconds = begun.elapsed().as_secs();
    assert!((50..70).contains(&seconds), "{seconds}");

    gateway(&bed).await;
    let end = phase(&bed, "patient", SyncPhase::Complete).await;
    assert_eq!(ready(&end.conditions).reason, "NothingSelected");
    let later = bed.get::<TemplateSync>("hasty").await.unwrap().status.unwrap();
    assert_eq!(later.phase, Some(SyncPhase::Failed), "what has ended has ended");
}

#[tokio::test(start_paused = true)]
async fn who_does_nothing_is_an_error_in_the_end_that_says_what_it_waits_for() {
    let bed = Bed::new().await;
    fleet(&bed).await;
    super::become_ready(&bed, "boss").await;
    let away = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False", "reason": "GatewayNotReady",
        "message": "its gateway is away", "lastTransitionTime": "2026-11-21T00:00:00Z" }] } });
    bed.api::<Agent>()
        .patch_status("worker-1", &PatchParams::default(), &Patch::Merge(away))
        .await
        .unwrap();
    create(&bed, "now", json!({ "activeDeadlineSeconds": 30 })).await;
    phase(&bed, "now", SyncPhase::Running).await;
    bed.delete::<Agent>("worker-2").await;
    let end = phase(&bed, "now", SyncPhase::Failed).await;
    let errors: Vec<_> = end
        .errors
        .iter()
        .map(|error| (error.agent_name.as_str(), error.error.as_str()))
        .collect();
    let expected = [
        (
            "boss",
            "not done within 30 s: its turn did not come; the operator's log may say more",
        ),
        ("worker-1", "not done within 30 s: its gateway is away"),
    ];
    assert_eq!(errors, expected);
    let says = ready(&end.conditions).message;
    assert!(
        says.contains("1 agent selected at the start has since been deleted"),
        "{says}"
    );
}

#[tokio::test(start_paused = true)]
async fn eight_are_carried_out_at_a_time_and_one_that_is_deleted_makes_room() {
    let bed = Bed::new().await;
    fleet(&bed).await;
    let mut syncs = Vec::new();
    for number in 0..10 {
        syncs.push(create(&bed, &format!("sync-{number}"), json!({})).await);
        // Who was created in the same second is told apart by uid.
        sleep(Duration::from_secs(1)).await;
    }
    for number in 0..8 {
        phase(&bed, &format!("sync-{number}"), SyncPhase::Running).await;
    }
    for number in [8, 9] {
        let waits = phase(&bed, &format!("sync-{number}"), SyncPhase::Pending).await;
        assert_eq!(ready(&waits.conditions).reason, "WaitingForTurn");
        assert_eq!(waits.started_at, None);
    }
    // In flight, and nobody misses it.
    tells(&bed, "boss", &syncs[3], "Running", json!({})).await;
    // What that causes is done: it is the deletion that makes room.
    sleep(Duration::from_secs(10)).await;
    bed.delete::<TemplateSync>("sync-3").await;
    phase(&bed, "sync-8", SyncPhase::Running).await;
    for agent in ["boss", "worker-1", "worker-2"] {
        tells(&bed, agent, &syncs[0], "Updated", json!({})).await;
    }
    // A status remembers eight, and the turn of the next has come.
    bed.forget_wakes();
    phase(&bed, "sync-0", SyncPhase::Complete).await;
    phase(&bed, "sync-9", SyncPhase::Running).await;
    for agent in ["boss", "worker-1", "worker-2"] {
        assert!(bed.was_woken(agent), "{agent}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_goes_when_its_time_after_the_end_is_over_and_not_another_of_its_name() {
    let bed = Bed::new().await;
    gateway(&bed).await;
    create(&bed, "short", json!({ "ttlSecondsAfterFinished": 60 })).await;
    create(&bed, "kept", json!({})).await;
    phase(&bed, "short", SyncPhase::Complete).await;
    let begun = Instant::now();
    bed.gone::<TemplateSync>("short").await;
    let seconds = begun.elapsed().as_secs();
    assert!((55..70).contains(&seconds), "{seconds}");
    assert_eq!(bed.writes("TemplateSync", "delete"), 1);

    // Deleted by hand, and made anew at once: a moment's memory of the first must not end the second.
    create(&bed, "again", json!({ "ttlSecondsAfterFinished": 60 })).await;
    phase(&bed, "again", SyncPhase::Complete).await;
    sleep(Duration::from_secs(59)).await;
    bed.api::<TemplateSync>()
        .delete("again", &DeleteParams::default())
        .await
        .unwrap();
    create(&bed, "again", json!({})).await;
    sleep(Duration::from_secs(300)).await;
    for name in ["again", "kept"] {
        assert!(bed.get::<TemplateSync>(name).await.is_some(), "{name}");
    }
}

/// With the controller of Agents, too: a TemplateSync that nobody can carry out, as its gateway is away, ends in time.
#[tokio::test(start_paused = true)]
async fn with_all_controllers_an_unreachable_gateway_ends_it_in_time() {
    let bed = Bed::whole().await;
    bed.apply::<Gateway>(json!({ "metadata": { "name": "harbour" }, "spec": {
        "url": "ws://harbour:18789", "workspaceRoot": "~/.openclaw", "tokenSecretRef": { "name": "nothing" },
    } }))
    .await;
    board(&bed, 1).await;
    super::agent(&bed, "worker-1", "Worker").await;
    create(&bed, "now", json!({ "activeDeadlineSeconds": 30 })).await;
    let end = phase(&bed, "now", SyncPhase::Failed).await;
    let [error] = end.errors.as_slice() else {
        unreachable!("{:?}", end.errors)
    };
    assert!(
        error.error.starts_with("not done within 30 s: "),
        "{}",
        error.error
    );
    assert_eq!(error.agent_name, "worker-1");
}
