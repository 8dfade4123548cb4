//! The Gateway controller. Woken by the Gateway, by the Secrets and ConfigMaps it refers to, and by its link.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio_util::sync::CancellationToken;

use super::World;
use crate::cluster::{self, Scope, Touch};
use crate::desired::gateway::{Snapshot, config_maps, secrets};
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
    scope: Scope,
    world: Arc<World>,
    links: impl Stream<Item = ObjectRef<Gateway>> + Send + 'static,
    concurrency: u16,
    stop: CancellationToken,
) {
    let (gateways, touched) = world.cluster.reflect::<Gateway>(&scope);
    let sweep = sweep(gateways.clone(), Arc::clone(&world));
    let triggers = touched.inspect(move |touch| sweep(touch)).flat_map({
        let gateways = gateways.clone();
        move |touch| futures::stream::iter(of_touch(&gateways, touch))
    });
    let by_secret = world
        .cluster
        .watch::<PartialObjectMeta<Secret>>(&scope, "Secret")
        .flat_map({
            let gateways = gateways.clone();
            move |touch| {
                futures::stream::iter(referring(&gateways, touch, |gateway| secrets(gateway).collect()))
            }
        });
    let by_config_map = world
        .cluster
        .watch::<PartialObjectMeta<ConfigMap>>(&scope, "ConfigMap")
        .flat_map({
            let gateways = gateways.clone();
            move |touch| {
                futures::stream::iter(referring(&gateways, touch, |gateway| {
                    config_maps(gateway).collect()
                }))
            }
        });
    let (metrics, known) = (world.metrics.clone(), gateways.clone());
    let reconcile = move |gateway: Arc<Gateway>, world: Arc<World>| {
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
    };
    // Until the first list is there no pass is under way, and kube's Controller would wait for that list for ever, of a watch
    // that it has ended: three of sixty stops within 60 ms of the start took all of their deadline.
    let not_begun = {
        let (gateways, stop) = (gateways.clone(), stop.clone());
        async move {
            tokio::select! {
                biased;
                _ = gateways.wait_until_ready() => std::future::pending().await,
                () = stop.cancelled() => {}
            }
        }
    };
    let controller = Controller::for_stream(triggers.map(Ok), gateways)
        .with_config(Config::default().concurrency(concurrency))
        .reconcile_on(by_secret)
        .reconcile_on(by_config_map)
        .reconcile_on(links)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, failed, world)
        .for_each(|_| std::future::ready(()));
    tokio::select! {
        () = controller => {}
        () = not_begun => {}
    }
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

/// A Gateway that is gone takes its session along. Checked against the store and not by the event: a deletion during
/// an outage of the watch has none.
fn sweep(gateways: Store<Gateway>, world: Arc<World>) -> impl Fn(&Touch<Gateway>) {
    move |touch| {
        if let Touch::Gone(gateway) = touch {
            world.cluster.forget(gateway);
        }
        if matches!(touch, Touch::Gone(_) | Touch::All) {
            for gone in world.sessions.retain(|key| gateways.get(key).is_some()) {
                world.metrics.forget_gateway(&gone);
            }
        }
    }
}

fn of_touch(gateways: &Store<Gateway>, touch: Touch<Gateway>) -> Vec<Gateway> {
    match touch {
        Touch::One(gateway) => vec![gateway],
        Touch::Gone(_) => Vec::new(),
        Touch::All => gateways
            .state()
            .iter()
            .map(|gateway| gateway.as_ref().clone())
            .collect(),
    }
}

/// The Gateways that refer to what was touched. There are few Gateways in a namespace: looking at each is cheaper than
/// an index that could be wrong.
fn referring<K: kube::Resource>(
    gateways: &Store<Gateway>,
    touch: Touch<K>,
    references: impl Fn(&Gateway) -> Vec<String>,
) -> Vec<ObjectRef<Gateway>> {
    let touched = match touch {
        Touch::One(object) | Touch::Gone(object) => Some((object.namespace(), object.name_any())),
        Touch::All => None,
    };
    let refers = |gateway: &Gateway| match &touched {
        Some((namespace, name)) => gateway.namespace() == *namespace && references(gateway).contains(name),
        None => true,
    };
    gateways
        .state()
        .iter()
        .filter(|gateway| refers(gateway))
        .map(|gateway| ObjectRef::from_obj(gateway.as_ref()))
        .collect()
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
