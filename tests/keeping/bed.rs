//! The controllers over a control plane in memory and a simulated gateway in a pipe. Where that of Agents is not there, the
//! tests write what it would write.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::jiff;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use quartermaster::cluster::{Cluster, Health, Scope};
use quartermaster::control_plane::access::Tokens;
use quartermaster::control_plane::identity::Identity;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, collect, kinds};
use quartermaster::controller::agent::Desk;
use quartermaster::controller::{self, Pace, World, triggers};
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::session::Surroundings;
use quartermaster::gateway::{Address, Guard, Trouble, Trust};
use quartermaster::resource;
use quartermaster::sessions::Sessions;
use quartermaster::simulated_gateway::{Contract, Peer, Settings, SimulatedGateway};
use quartermaster::telemetry::Metrics;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A pipe instead of a network, as if from this machine.
struct Pipe(SimulatedGateway);

impl Dial for Pipe {
    fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let serving = self
                .0
                .connect(theirs, Peer::LOOPBACK)
                .map_err(|_| Trouble::ConnectionRefused)?;
            tokio::spawn(serving);
            Ok(Box::new(ours) as Stream)
        }
        .boxed()
    }
}

pub(crate) struct Bed {
    pub(crate) client: Client,
    pub(crate) metrics: Metrics,
    pub(crate) gateway: SimulatedGateway,
    with_agents: bool,
    /// The Agents that should look, where nobody does.
    woken: Arc<Mutex<BTreeSet<String>>>,
    operator: Option<Operator>,
}

struct Operator {
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

impl Bed {
    /// Without the controller of Agents.
    pub(crate) async fn new() -> Self {
        Self::with(false).await
    }

    /// With all of them.
    pub(crate) async fn whole() -> Self {
        Self::with(true).await
    }

    async fn with(with_agents: bool) -> Self {
        let identity = Identity::new(jiff::Timestamp::now()).unwrap();
        let definitions = resource::definitions();
        let control_plane = ControlPlane::new(
            Store::in_memory(Keep::default()),
            kinds::served(&definitions).unwrap(),
            Tokens::new(identity.token.clone(), identity.seed),
            clock(),
        );
        control_plane.begin(&definitions).await.unwrap();
        let client = control_plane.client("default");
        tokio::spawn(collect::run(control_plane, CancellationToken::new()));
        let mut bed = Self {
            client,
            metrics: Metrics::new().unwrap(),
            gateway: SimulatedGateway::new(Settings {
                delays: 0.0,
                // Somebody else's agent, which beats because nobody has said otherwise.
                config: json!({ "agents": { "ownership": "explicit", "entries": { "main": {} },
                    "defaults": { "heartbeat": { "agentId": "main" } } } }),
                ..Settings::new(Contract::V2026_9_6, "sesame")
            }),
            with_agents,
            woken: Arc::default(),
            operator: None,
        };
        bed.start();
        bed.apply::<Secret>(
            json!({ "metadata": { "name": "harbour-token" }, "stringData": { "token": "sesame" } }),
        )
        .await;
        bed
    }

    pub(crate) fn start(&mut self) {
        let stop = CancellationToken::new();
        let cluster = Cluster::new(self.client.clone(), Health::default(), self.metrics.clone());
        let (sessions, said) = Sessions::new(self.surroundings(), Arc::new(|| 1));
        let (stores, touches) = cluster.look(&Scope::Everywhere);
        // The cheapest hash: none of these tokens is anybody's.
        let (desk, again) = Desk::begin(&cluster, &Scope::Everywhere, 4);
        let world = Arc::new(World {
            cluster,
            stores,
            desk,
            sessions,
            metrics: self.metrics.clone(),
            clock: clock(),
            pace: Pace::default(),
            base_url: None,
        });
        let until = stop.clone();
        if self.with_agents {
            let done = tokio::spawn(async move {
                controller::run(Arc::clone(&world), touches, said, again, 4, until).await;
                world.sessions.close_all().await;
            });
            self.operator = Some(Operator { stop, done });
            return;
        }
        let (triggers, wakes) = triggers::begin(Arc::clone(&world), touches, said, again);
        let triggers::Wakes {
            gateways,
            boards,
            mut agents,
            syncs,
        } = wakes;
        let woken = Arc::clone(&self.woken);
        let done = tokio::spawn(async move {
            let controllers = async {
                tokio::join!(
                    controller::gateway::run(Arc::clone(&world), gateways, 4, until.clone()),
                    controller::board::run(Arc::clone(&world), boards, 4, until.clone()),
                    controller::template_sync::run(Arc::clone(&world), syncs, 4, until.clone()),
                    until.run_until_cancelled(async {
                        while let Some(agent) = agents.recv().await {
                            woken.lock().unwrap().insert(agent.name);
                        }
                    }),
                );
            };
            tokio::select! { () = controllers => {} () = triggers => {} }
            world.sessions.close_all().await;
        });
        self.operator = Some(Operator { stop, done });
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            dial: Arc::new(Pipe(self.gateway.clone())),
            guard: Guard::default(),
            device_tokens: Arc::new(InMemory::default()),
            commit_meter: Arc::new(|_| {}),
            meter: Arc::new(|_, _| {}),
        }
    }

    pub(crate) async fn stop(&mut self) {
        let Operator { stop, done } = self.operator.take().unwrap();
        stop.cancel();
        done.await.unwrap();
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn apply<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.apply_in("default", object).await
    }

    pub(crate) async fn apply_in<K>(&self, namespace: &str, mut object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        object["apiVersion"] = json!(K::api_version(&()));
        object["kind"] = json!(K::kind(&()));
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        api.patch(&name, &PatchParams::apply("test"), &Patch::Apply(object))
            .await
            .unwrap()
    }

    pub(crate) async fn namespace(&self, name: &str) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        api.create(&PostParams::default(), &namespace).await.unwrap();
    }

    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub(crate) async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.api::<K>().get_opt(name).await.unwrap()
    }

    /// Waits until it is so, for two minutes of a clock that runs as fast as nothing happens.
    pub(crate) async fn until<K>(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(Option<&K>) -> bool,
    ) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let begun = Instant::now();
        loop {
            let found = self.get::<K>(name).await;
            if is_so(found.as_ref()) {
                return found;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "{what}, but it is {found:#?}"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.until::<K>(name, "it should be gone", |found| found.is_none())
            .await;
    }

    pub(crate) fn was_woken(&self, agent: &str) -> bool {
        self.woken.lock().unwrap().contains(agent)
    }

    pub(crate) fn forget_wakes(&self) {
        self.woken.lock().unwrap().clear();
    }

    /// How often a verb was used on a kind.
    pub(crate) fn writes(&self, kind: &str, verb: &str) -> u64 {
        let text = String::from_utf8(self.metrics.text().unwrap()).unwrap();
        let line = format!("quartermaster_api_writes_total{{kind=\"{kind}\",verb=\"{verb}\"}} ");
        text.lines()
            .find_map(|found| found.strip_prefix(&line)?.parse().ok())
            .unwrap_or_default()
    }

    /// All of them.
    pub(crate) fn all_writes(&self) -> u64 {
        let text = String::from_utf8(self.metrics.text().unwrap()).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("quartermaster_api_writes_total{"));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

/// The wall clock goes as the paused one does.
fn clock() -> Arc<dyn Fn() -> jiff::Timestamp + Send + Sync> {
    let (begun, at) = (Instant::now(), jiff::Timestamp::now());
    Arc::new(move || at + jiff::SignedDuration::try_from(begun.elapsed()).unwrap())
}
