//! The TemplateSync controller. It carries nothing out: the agents that a TemplateSync selects do, in their own passes, and
//! here is gathered what they say of it. Woken by the TemplateSync, by what its agents tell, and by what it refers to.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::World;
use crate::cluster;
use crate::desired::template_sync::Snapshot;
use crate::resource::TemplateSync;
use crate::{desired, status};

async fn reconcile(sync: Arc<TemplateSync>, world: Arc<World>) -> Result<Action, cluster::Error> {
    let snapshot = snapshot(world.cluster.with_our_last_word(sync), &world);
    let desired = desired::template_sync::of(&snapshot);
    let report = status::template_sync::of(&snapshot, &desired, (world.clock)());
    let sync = snapshot.sync.as_ref();
    if report.expired {
        world.cluster.delete_sync(sync).await?;
        return Ok(Action::await_change());
    }
    // A thousand agents that are done one after the other are a thousand counts.
    if sync.status.as_ref() != Some(&report.status)
        && let Some(pause) = world.pace.wait(sync, true)
    {
        return Ok(Action::requeue(pause));
    }
    world.cluster.report(sync, &report.status).await?;
    if let Some(ending) = report.ended {
        world.metrics.synced(ending.word());
    }
    world.cluster.tell(sync, report.news).await;
    let due = super::now_and_then(sync);
    Ok(Action::requeue(
        report.look_again.map_or(due, |again| again.clamp(SOON, due)),
    ))
}

/// What is stored of a moment has no fraction, so what is due may be due a moment ago.
const SOON: Duration = Duration::from_millis(1);

fn snapshot(sync: Arc<TemplateSync>, world: &World) -> Snapshot {
    let namespace = sync.namespace().unwrap_or_default();
    let (stores, spec) = (&world.stores, &sync.spec);
    let gateway = &spec.gateway_ref.name;
    let board = spec.board_ref.as_ref();
    Snapshot {
        gateway: stores.gateway(&namespace, gateway),
        board: board.map(|board| stores.board(&namespace, &board.name)),
        agents: stores.agents_of(&namespace, gateway),
        syncs: stores.syncs_of(&namespace, gateway),
        sync,
    }
}

/// Runs until `stop`: passes under way are finished first.
pub async fn run(
    world: Arc<World>,
    wakes: mpsc::UnboundedReceiver<ObjectRef<TemplateSync>>,
    concurrency: u16,
    stop: CancellationToken,
) {
    let metrics = world.metrics.clone();
    let pass = move |sync: Arc<TemplateSync>, world: Arc<World>| {
        let metrics = metrics.clone();
        async move {
            metrics
                .timed("templatesync", Box::pin(reconcile(sync, world)))
                .await
        }
    };
    super::drive(
        world.stores.syncs.clone(),
        wakes,
        world,
        pass,
        failed,
        concurrency,
        stop,
    )
    .await;
}

/// What could not be written is found again by the next pass.
#[expect(clippy::needless_pass_by_value, reason = "kube's Controller hands it over so")]
fn failed(sync: Arc<TemplateSync>, error: &cluster::Error, world: Arc<World>) -> Action {
    let pause = world.cluster.back_off(sync.as_ref());
    tracing::warn!(sync = %ObjectRef::from_obj(sync.as_ref()), %error, ?pause, "the pass could not be finished");
    Action::requeue(pause)
}
