//! The Gateway controller. Woken by the Gateway, by the Secrets and ConfigMaps it refers to, by its link, and by its Agents
//! and Boards.

use std::sync::Arc;
use std::time::Duration;

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

/// Nothing is known to get lost, and still everything is looked at again now and then.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

async fn reconcile(gateway: Arc<Gateway>, world: Arc<World>) -> Result<Action, cluster::Error> {
    let snapshot = snapshot(world.cluster.with_our_last_word(gateway), &world).await;
    let desired = desired::gateway::of(&snapshot);
    let observed = Observed {
        link: world.sessions.link(&snapshot.gateway),
    };
    let plan = plan::gateway::between(&desired, &observed);
    let now = (world.clock)();
    let outcome = execute::gateway::run(plan, &snapshot.gateway, &world.cluster, &world.sessions, now).await;
    let report = status::gateway::of(&snapshot, &desired, &observed, &outcome, (world.clock)());
    world.metrics.gateway(&snapshot.gateway, &report.status);
    world
        .cluster
        .report(snapshot.gateway.as_ref(), &report.status)
        .await?;
    world.cluster.tell(snapshot.gateway.as_ref(), report.news).await;
    Ok(Action::requeue(
        report.look_again.unwrap_or_else(|| spread(&snapshot.gateway)),
    ))
}

/// Everything the pass may know of the cluster, read once.
async fn snapshot(gateway: Arc<Gateway>, world: &World) -> Snapshot {
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
    Snapshot {
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

/// Only a report that could not be written fails a pass. All that it wanted to say is found again by the next one.
#[expect(clippy::needless_pass_by_value, reason = "kube's Controller hands it over so")]
fn failed(gateway: Arc<Gateway>, error: &cluster::Error, world: Arc<World>) -> Action {
    let pause = world.cluster.back_off(gateway.as_ref());
    tracing::warn!(gateway = %ObjectRef::from_obj(gateway.as_ref()), %error, ?pause, "the status could not be written");
    Action::requeue(pause)
}

fn leave(world: &World, gateway: &Gateway) {
    world.sessions.close(gateway);
    world.cluster.forget(gateway);
    world.metrics.forget_gateway(&ObjectRef::from_obj(gateway));
}

/// Up to a fifth later, different for each object and always the same for one.
fn spread(gateway: &Gateway) -> Duration {
    let salt: u32 = gateway
        .metadata
        .uid
        .iter()
        .flat_map(|uid| uid.bytes())
        .map(u32::from)
        .sum();
    LOOK_AGAIN + LOOK_AGAIN / 5 * (salt % 100) / 100
}
