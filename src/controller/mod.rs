//! The controllers: what wakes each, the pipeline in a few lines, and when to look again.

pub mod agent;
pub mod board;
pub mod gateway;
mod gathered;
mod pace;
pub mod template_sync;
pub mod triggers;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{ObjectRef, Store};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Cluster, Stores, Touches};
use crate::resource::Agent;
use crate::sessions::{Said, Sessions};
use crate::telemetry::Metrics;
pub use pace::Pace;

/// All that a pass may use of the outside. One for each scope that is watched: a namespace, or all of them.
pub struct World {
    pub cluster: Cluster,
    /// Our own kinds, in memory.
    pub stores: Stores,
    pub sessions: Sessions,
    pub metrics: Metrics,
    /// What passes over agents share.
    pub desk: agent::Desk,
    pub clock: Clock,
    pub pace: Pace,
    /// The operator's `--base-url`, for Gateways that give none.
    pub base_url: Option<String>,
}

/// What the wall clock says. Given, so that tests may hold it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Nothing is known to get lost, and still everything is looked at again now and then: up to a fifth later, different for
/// each object and always the same for one.
fn now_and_then(object: &impl Resource) -> Duration {
    const LOOK_AGAIN: Duration = Duration::from_secs(300);
    let uid = object.meta().uid.iter().flat_map(|uid| uid.bytes());
    let salt: u32 = uid.map(u32::from).sum();
    LOOK_AGAIN + LOOK_AGAIN / 5 * (salt % 100) / 100
}

/// Every controller, until `stop`.
///
/// `again`: Agents whose own work wants them to look again, such as a deposit that was answered.
pub async fn run(
    world: Arc<World>,
    touches: Touches,
    said: Said,
    again: impl Stream<Item = ObjectRef<Agent>> + Send,
    concurrency: u16,
    stop: CancellationToken,
) {
    let (triggers, wakes) = triggers::begin(Arc::clone(&world), touches, said, again);
    let triggers::Wakes {
        gateways,
        boards,
        agents,
        syncs,
    } = wakes;
    let controllers = async {
        tokio::join!(
            gateway::run(Arc::clone(&world), gateways, concurrency, stop.clone()),
            board::run(Arc::clone(&world), boards, concurrency, stop.clone()),
            template_sync::run(Arc::clone(&world), syncs, concurrency, stop.clone()),
            agent::run(world, agents, concurrency, stop),
        );
    };
    // Triggers go on while passes are finished, so that their watches are not cut off under them.
    tokio::select! {
        () = controllers => {}
        () = triggers => {}
    }
}

/// Runs the passes of one kind until `stop`; those under way are finished first.
async fn drive<K, Pass>(
    store: Store<K>,
    wakes: mpsc::UnboundedReceiver<ObjectRef<K>>,
    world: Arc<World>,
    mut pass: impl FnMut(Arc<K>, Arc<World>) -> Pass + Send + 'static,
    failed: fn(Arc<K>, &cluster::Error, Arc<World>) -> Action,
    concurrency: u16,
    stop: CancellationToken,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    Pass: Future<Output = Result<Action, cluster::Error>> + Send + 'static,
{
    // Until the first list is there no pass is under way, and kube's Controller would wait for that list for ever, of a watch
    // that it has ended: three of sixty stops within 60 ms of the start took all of their deadline.
    let not_begun = {
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            tokio::select! {
                biased;
                _ = store.wait_until_ready() => std::future::pending().await,
                () = stop.cancelled() => {}
            }
        }
    };
    let pass = move |object: Arc<K>, world: Arc<World>| {
        let pass = pass(Arc::clone(&object), Arc::clone(&world));
        async move {
            let result = pass.await;
            if result.is_ok() {
                world.cluster.succeeded(object.as_ref());
            }
            result
        }
    };
    // Who must look is decided for all kinds in one place (`triggers`), and not by a stream of each controller's own.
    let controller = Controller::for_stream(futures::stream::pending(), store)
        .with_config(Config::default().concurrency(concurrency))
        .reconcile_on(named(wakes))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(pass, failed, world)
        .for_each(|_| std::future::ready(()));
    tokio::select! {
        () = controller => {}
        () = not_begun => {}
    }
}

fn named<K>(wakes: mpsc::UnboundedReceiver<ObjectRef<K>>) -> impl Stream<Item = ObjectRef<K>> + Send
where
    K: Resource<DynamicType = ()> + Send,
{
    futures::stream::unfold(wakes, async |mut wakes| Some((wakes.recv().await?, wakes)))
}
