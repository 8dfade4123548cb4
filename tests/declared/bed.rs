//! The fast bed: a control plane in memory, the whole operator, and a simulated gateway in a pipe, on one clock that nobody
//! waits for.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::jiff;
use quartermaster::cluster::{Cluster, Health, Scope};
use quartermaster::command::operator::{self, Means};
use quartermaster::control_plane::access::Tokens;
use quartermaster::control_plane::identity::Identity;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, collect, kinds};
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::session::Surroundings;
use quartermaster::gateway::{Address, Guard, Trouble, Trust};
use quartermaster::resource;
use quartermaster::simulated_gateway::{Contract, Deed, Peer, Settings, SimulatedGateway, When, Witness};
use quartermaster::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ground::{File, Ground, Inside};

/// The operator ends with the test's runtime.
pub(crate) async fn ground() -> (Ground, SimulatedGateway) {
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
    let gateway = SimulatedGateway::new(Settings {
        // Somebody else's agent, as most gateways have one.
        config: json!({ "agents": { "ownership": "explicit", "entries": {
            "main": {},
            "stranger": { "name": "Stranger", "workspace": "/srv/stranger" },
        } } }),
        ..Settings::new(Contract::V2026_9_6, "sesame")
    });
    let written = Written::default();
    gateway.show(written.witness());
    let metrics = Metrics::new().unwrap();
    let means = Means {
        cluster: Cluster::new(client.clone(), Health::default(), metrics.clone()),
        surroundings: Surroundings {
            dial: Arc::new(Network(gateway.clone())),
            guard: Guard::default(),
            device_tokens: Arc::new(InMemory::default()),
            commit_meter: Arc::new(|_| {}),
            meter: Arc::new(|_, _| {}),
        },
        metrics,
        clock: clock(),
        seeds: Arc::new(|| 1),
        base_url: Some("http://quartermaster.example".to_owned()),
        // The least that there is: none of these tokens is anybody's.
        token_cost: 4,
        concurrency: 16,
    };
    tokio::spawn(operator::watch_over(
        Scope::Everywhere,
        means,
        CancellationToken::new(),
    ));
    let ground = Ground {
        client,
        namespace: "default".to_owned(),
        url: "ws://harbour:18789".to_owned(),
        token: "sesame".to_owned(),
        far_url: Some("ws://far:18789".to_owned()),
        inside: Arc::new(Simulated {
            gateway: gateway.clone(),
            written,
        }),
        patience: Duration::from_secs(60),
        rest: Duration::from_secs(3),
        words: AtomicU32::new(0),
    };
    (ground, gateway)
}

/// One gateway, at the host `harbour`, with and without TLS, and at the host `far` as if from another machine. No other host
/// has a name here.
struct Network(SimulatedGateway);

impl Dial for Network {
    fn dial<'a>(&'a self, address: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        async move {
            let peer = match address.host().to_string().as_str() {
                "harbour" => Peer::LOOPBACK,
                "far" => Peer([10, 0, 0, 9].into()),
                _ => return Err(Trouble::HostNotFound),
            };
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let serving = self
                .0
                .connect(theirs, peer)
                .map_err(|_| Trouble::ConnectionRefused)?;
            tokio::spawn(serving);
            Ok(Box::new(ours) as Stream)
        }
        .boxed()
    }
}

/// How often each file of each agent was written, and how often the configuration.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    files: BTreeMap<(String, String), u128>,
    /// Asked for, and be it for nothing.
    configuration: u128,
}

impl Written {
    fn witness(&self) -> Witness {
        let Self(counts) = self.clone();
        Witness::new(move |when, method, params| {
            let text = |key: &str| params[key].as_str().unwrap_or_default().to_owned();
            if when == When::Before {
                let mut counts = counts.lock().unwrap();
                match method {
                    "agents.files.set" => {
                        *counts.files.entry((text("agentId"), text("name"))).or_default() += 1;
                    }
                    "config.patch" | "config.apply" | "config.set" => counts.configuration += 1,
                    _ => {}
                }
            }
            None
        })
    }
}

struct Simulated {
    gateway: SimulatedGateway,
    written: Written,
}

impl Inside for Simulated {
    fn configuration(&self) -> Value {
        self.gateway.config()
    }

    fn files(&self, agent_id: &str, workspace: &str) -> BTreeMap<String, File> {
        let folder = format!("{}/", workspace.trim_start_matches('~'));
        let counts = self.written.0.lock().unwrap();
        let mut files = BTreeMap::new();
        for (path, text) in self.gateway.files() {
            let Some((_, name)) = path.split_once(&folder) else {
                continue;
            };
            let count = counts.files.get(&(agent_id.to_owned(), name.to_owned()));
            let stamp = count.copied().unwrap_or_default();
            files.insert(name.to_owned(), File { text, stamp });
        }
        files
    }

    fn edit(&self, agent_id: &str, _: &str, name: &str, text: &str) {
        self.gateway.perform(Deed::EditFile {
            agent: agent_id.to_owned(),
            name: name.to_owned(),
            content: text.to_owned(),
        });
    }

    fn configuration_stamp(&self) -> u128 {
        self.written.0.lock().unwrap().configuration
    }
}

/// The wall clock goes as the paused one does.
fn clock() -> Arc<dyn Fn() -> jiff::Timestamp + Send + Sync> {
    let (begun, at) = (Instant::now(), jiff::Timestamp::now());
    Arc::new(move || at + jiff::SignedDuration::try_from(begun.elapsed()).unwrap())
}
