//! Somebody who has to know whose token it is, as the HTTP API does: the operator's own index of tokens, in another process
//! than the operator, fed by watches on the API server.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use quartermaster::authenticator::{Authenticated, Owner, Refused};
use quartermaster::cluster::{Cluster, Health, Scope, Stores};
use quartermaster::controller::agent::Desk;
use quartermaster::resource::Agent;
use quartermaster::telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

pub struct Consumer {
    cluster: Cluster,
    scope: Scope,
    stores: Stores,
    desk: Desk,
    lists: AtomicU64,
}

impl Consumer {
    /// Once it has read everything. `lag`: from then on its watches tell it nothing for so long, and then for so long all.
    pub async fn begin(client: Client, namespace: &str, lag: Duration) -> Arc<Self> {
        let cluster = Cluster::new(client, Health::default(), Metrics::new().unwrap());
        let scope = Scope::Namespace(namespace.to_owned());
        let (stores, touches) = cluster.look(&scope);
        let (desk, tokens) = Desk::begin(&cluster, &scope, UNUSED_COST);
        let (all_agents, all_tokens) = (stores.agents.clone(), desk.tokens.clone());
        let all_agents = async move { all_agents.wait_until_ready().await.unwrap() };
        let all_tokens = async move { all_tokens.wait_until_ready().await.unwrap() };
        let (heard_agents, agents) = oneshot::channel();
        let (heard_tokens, secrets) = oneshot::channel();
        tokio::spawn(hear(touches.agents, all_agents, heard_agents, lag));
        tokio::spawn(hear(tokens, all_tokens, heard_tokens, lag));
        // kube wakes only the last of those who wait for a store: nobody else may wait for these.
        agents.await.unwrap();
        secrets.await.unwrap();
        Arc::new(Self {
            cluster,
            scope,
            stores,
            desk,
            lists: AtomicU64::new(0),
        })
    }

    pub async fn whose(&self, token: &str) -> Result<Authenticated, Refused> {
        let agent = |owner: &Owner| {
            let agent = self.stores.agent(&owner.namespace, &owner.name);
            agent.map(sampled)
        };
        // Boxed: most questions need no list.
        let listed = Box::pin(async {
            self.lists.fetch_add(1, Ordering::Relaxed);
            self.cluster.tokens_now(&self.scope).await.ok()
        });
        self.desk
            .authenticator
            .whose(token, Timestamp::now(), agent, listed)
            .await
    }

    /// How often the index did not know a token and the Secrets were listed.
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    pub fn agents(&self) -> Vec<Arc<Agent>> {
        self.stores.agents.state()
    }

    pub fn tokens(&self) -> Vec<Arc<Secret>> {
        self.desk.tokens.state()
    }
}

/// It makes no hashes.
const UNUSED_COST: u32 = 4;

/// A token is compared with its bcrypt hash once, for a third of a second of a core: for one agent of sixteen here, or two
/// hundred that change again and again would leave no time for anything else.
fn sampled(agent: Arc<Agent>) -> Arc<Agent> {
    let uid = agent.metadata.uid.as_deref().unwrap_or_default();
    if uid.ends_with('0') {
        return agent;
    }
    let mut agent = Arc::unwrap_or_clone(agent);
    if let Some(token) = agent.status.as_mut().and_then(|status| status.token.as_mut()) {
        token.hash = None;
    }
    Arc::new(agent)
}

/// Whoever hears of something has seen to it that the index knows.
async fn hear<T>(
    told: impl Stream<Item = T> + Send,
    all: impl Future<Output = ()> + Send,
    heard: oneshot::Sender<()>,
    lag: Duration,
) {
    let (mut told, mut all) = (pin!(told), pin!(all));
    loop {
        tokio::select! {
            Some(_) = told.next() => {}
            () = &mut all => break,
        }
    }
    heard.send(()).ok();
    while !lag.is_zero() {
        sleep(lag).await;
        // By polls in between it would come too late for ever: what was not polled for is not even read.
        let listens = async { while told.next().await.is_some() {} };
        timeout(lag, listens).await.ok();
    }
    while told.next().await.is_some() {}
}
