//! The fleet applied with kubectl, and a watch that sees each Agent become ready.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use quartermaster::resource::{Agent, condition};
use tokio::time::timeout;

use crate::cost::{Cost, Watch};
use crate::manifests;
use crate::stage::Stage;

/// What an apply came to.
pub struct Applied {
    /// Until the last Agent was ready, with the operator's CPU time.
    pub operator: Cost,
    /// The same, with the gateway's.
    pub gateway: Cost,
    /// Until kubectl had ended.
    pub kubectl: Duration,
    /// Until the first Agent was ready.
    pub first: Duration,
}

const PATIENCE: Duration = Duration::from_secs(600);

pub fn apply(stage: &Stage<'_>) -> Applied {
    let runtime = stage.kubernetes.runtime;
    let (namespace, cluster) = (stage.namespace.name(), stage.kubernetes.cluster);
    let yaml = manifests::fleet(&stage.gateway.url(), stage.gateway.token());
    // A connection of its own, as somebody who runs `kubectl get --watch` has one.
    let watching = runtime.spawn(all_ready(
        runtime.block_on(cluster.client()),
        namespace.to_owned(),
    ));
    let operator = Watch::start(stage.operator.process().pid());
    let gateway = Watch::start(stage.gateway.process().pid());
    let start = Instant::now();
    let said = cluster.kubectl_with_input(&["-n", namespace, "apply", "-f", "-"], &yaml);
    let kubectl = start.elapsed();
    assert!(said.ok, "{}", said.stderr);
    let seen = runtime
        .block_on(async { timeout(PATIENCE, watching).await })
        .unwrap_or_else(|_| panic!("not all ready after {PATIENCE:?}\n{}", stage.operator.log()))
        .unwrap();
    let (mut operator, mut gateway) = (operator.stop(), gateway.stop());
    let last = seen.values().max().copied().unwrap() - start;
    // The watch saw it before this thread heard of it.
    operator.took = last;
    gateway.took = last;
    Applied {
        operator,
        gateway,
        kubectl,
        first: seen.values().min().copied().unwrap() - start,
    }
}

/// When each was seen to be ready first.
async fn all_ready(client: Client, namespace: String) -> BTreeMap<String, Instant> {
    let agents: Api<Agent> = Api::namespaced(client, &namespace);
    let mut touched = watcher(agents, watcher::Config::default())
        .applied_objects()
        .boxed();
    let mut ready = BTreeMap::new();
    while let Some(agent) = touched.try_next().await.unwrap() {
        if is_ready(&agent) {
            ready.entry(agent.name_any()).or_insert_with(Instant::now);
        }
        if ready.len() == manifests::size() {
            break;
        }
    }
    ready
}

fn is_ready(agent: &Agent) -> bool {
    let conditions = agent.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|it| it.type_ == condition::READY);
    ready.any(|it| it.status == "True")
}
