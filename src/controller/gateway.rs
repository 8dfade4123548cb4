//! The Gateway controller. Woken by the Gateway, by the Secrets and ConfigMaps it refers to, by its link, and by its Agents
//! and Boards.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::World;
use crate::cluster;
use crate::desired::gateway::Snapshot;
use crate::observed::gateway::Observed;
use crate::resource::Gateway;
use crate::resource::reference::CaBundleKind;
use crate::{desired, execute, plan, status};

async fn reconcile(gateway: Arc<Gateway>, world: Arc<World>) -> Result<Action, cluster::Error> {
    let snapshot = snapshot(world.cluster.with_our_last_word(gateway), &world).await;
    let desired = desired::gateway::of(&snapshot);
    let observed = Observed {
        link: world.sessions.link(&snapshot.gateway),
        preserved: world.sessions.preserved(&snapshot.gateway),
    };
    let now = (world.clock)();
    let plan = plan::gateway::between(&desired, &observed, now);
    let outcome = execute::gateway::run(plan, &snapshot.gateway, &world.cluster, &world.sessions, now).await;
    let report = status::gateway::of(&snapshot, &desired, &observed, &outcome, (world.clock)());
    let (gateway, status) = (snapshot.gateway.as_ref(), &report.status);
    world.metrics.gateway(gateway, status);
    if let Some(let_go) = &outcome.let_go {
        world.metrics.left_behind("Gateway", let_go.left_behind.len());
    }
    if gateway.status.as_ref() != Some(status) {
        let can_wait = status::gateway::differ_only_in_counts(gateway.status.as_ref(), status);
        if let Some(pause) = world.pace.wait(gateway, can_wait) {
            return Ok(Action::requeue(pause));
        }
    }
    world.cluster.report(gateway, status).await?;
    world.cluster.tell(gateway, report.news).await;
    match outcome.failed {
        Some(error) => Err(error),
        None => Ok(Action::requeue(
            report.look_again.unwrap_or_else(|| super::now_and_then(gateway)),
        )),
    }
}

/// Everything the pass may know of the cluster, read once.
pub async fn snapshot(gateway: Arc<Gateway>, world: &World) -> Snapshot {
    let namespace = gateway.namespace().unwrap_or_default();
    let cluster = &world.cluster;
    let secret = async |name: Option<&str>| match name {
        Some(name) => cluster.secret(&namespace, name).await,
        None => crate::fact::Fact::Unknown,
    };
    let token = secret(
        gateway
            .spec
            .token_secret_ref
            .as_ref()
            .map(|secret| secret.name.as_str()),
    )
    .await;
    let ca_bundle = match &gateway.spec.ca_bundle_ref {
        Some(bundle) => match bundle.kind {
            CaBundleKind::Secret => cluster.secret(&namespace, &bundle.name).await,
            CaBundleKind::ConfigMap => cluster.config_map(&namespace, &bundle.name).await,
        },
        None => crate::fact::Fact::Unknown,
    };
    let device = cluster
        .secret(&namespace, &desired::gateway::device_secret(&gateway))
        .await;
    let name = gateway.name_any();
    Snapshot {
        agents: world.stores.agents_of(&namespace, &name),
        boards: world.stores.boards_of(&namespace, &name),
        main: world
            .stores
            .agent(&namespace, &desired::main_agent::name(&gateway)),
        gateway,
        token,
        ca_bundle,
        device,
    }
}

/// Runs until `stop`: passes under way are finished first.
pub async fn run(
    world: Arc<World>,
    wakes: mpsc::UnboundedReceiver<ObjectRef<Gateway>>,
    concurrency: u16,
    stop: CancellationToken,
) {
    let (metrics, known) = (world.metrics.clone(), world.stores.gateways.clone());
    let pass = {
        let known = known.clone();
        move |gateway: Arc<Gateway>, world: Arc<World>| {
            let (metrics, known) = (metrics.clone(), known.clone());
            // Boxed: 17 kB of a pass would otherwise lie in every slot of the controller.
            async move {
                let pass = Box::pin(reconcile(Arc::clone(&gateway), Arc::clone(&world)));
                let result = metrics.timed("gateway", pass).await;
                // Deleted while the pass was under way: what it opened has nobody any more, and no event will come.
                if known.get(&ObjectRef::from_obj(gateway.as_ref())).is_none() {
                    leave(&world, &gateway);
                }
                result
            }
        }
    };
    super::drive(known, wakes, world, pass, failed, concurrency, stop).await;
}

/// Only what could not be written to the cluster fails a pass. It is found again by the next one.
#[expect(clippy::needless_pass_by_value, reason = "kube's Controller hands it over so")]
fn failed(gateway: Arc<Gateway>, error: &cluster::Error, world: Arc<World>) -> Action {
    let pause = world.cluster.back_off(gateway.as_ref());
    tracing::warn!(gateway = %ObjectRef::from_obj(gateway.as_ref()), %error, ?pause, "the pass could not be finished");
    Action::requeue(pause)
}

fn leave(world: &World, gateway: &Gateway) {
    world.sessions.close(gateway);
    world.cluster.forget(gateway);
    world.metrics.forget_gateway(&ObjectRef::from_obj(gateway));
}
