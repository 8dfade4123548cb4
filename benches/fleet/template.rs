//! One template that a thousand agents share is changed: from the change until each of them says that its file is as it should
//! be, beside the same files written over open connections by somebody who knows already what to write. Simulated gateways,
//! `quartermaster up`; nothing of it is real but our own program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt};
use quartermaster::gateway::dial::Network;
use quartermaster::gateway::names::AgentId;
use quartermaster::resource::{Agent, Board, Gateway, condition};
use quartermaster::simulated_gateway::{Contract, Settings, SimulatedGateway};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::bed::evidence::say;
use crate::bed::{Operator, Scratch, eventually};
use crate::cost::{Cost, Watch};
use crate::fleet::seat::Seat;
use crate::table::{Runs, Table};

const GATEWAYS: usize = 10;
const TOKEN: &str = "sesame";
const FILE: &str = "SOUL.md";
const PATIENCE: Duration = Duration::from_secs(600);

/// On each gateway, beside its main agent.
fn workers() -> usize {
    std::env::var("WORKERS").map_or(100, |workers| workers.parse().expect("WORKERS is a number"))
}

fn size() -> usize {
    GATEWAYS * workers()
}

struct Ground {
    client: Client,
    gateways: Vec<(SimulatedGateway, String)>,
    up: Operator,
    _folder: Scratch,
}

pub fn measure(runtime: &Runtime, runs: usize) -> Table {
    let ground = Ground::lay(runtime);
    let first = runtime.block_on(ground.provision());
    say(&format!(
        "bench: {} agents ready after {:.1} s",
        size(),
        first.as_secs_f64()
    ));

    let (mut ours, mut by_hand, mut one_by_one) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let soul = format!("Keep to pier {run}, and write down what you saw there.\n");
        let cost = runtime.block_on(ground.change(&soul));
        say(&format!(
            "bench: run {}: {:.2} s, {:.2} s of CPU",
            run + 1,
            cost.took.as_secs_f64(),
            cost.cpu
        ));
        ours.push(cost);
        let texts = ground.souls();
        assert!(texts.iter().all(|(_, _, text)| text.contains(&soul)));
        let (together, each) = runtime.block_on(ground.write_by_hand(&texts));
        by_hand.push(together);
        one_by_one.push(each);
    }
    let seconds = |times: &[Duration]| Runs::of(times.iter().map(Duration::as_secs_f64));
    let took = Runs::of(ours.iter().map(|cost| cost.took.as_secs_f64()));
    let (together, each) = (seconds(&by_hand), seconds(&one_by_one));
    let mut table = Table::default();
    table.heading(&format!(
        "One template changed, {} agents, {GATEWAYS} simulated gateways without delays, `quartermaster up`",
        size()
    ));
    table.row(
        "apply until all were ready",
        &Runs::of([first.as_secs_f64()]),
        1,
        "s",
        "< 10",
    );
    table.row("until the last says that its file is so", &took, 2, "s", "");
    table.row(
        "  CPU time of `up`",
        &Runs::of(ours.iter().map(|cost| cost.cpu)),
        2,
        "s",
        "",
    );
    table.row(
        "the same files by hand, 16 at a time on each connection",
        &together,
        3,
        "s",
        "",
    );
    table.row("the same, one after the other", &each, 3, "s", "");
    table.row(
        "ratio to one after the other",
        &Runs::of([took.median() / each.median()]),
        1,
        "",
        "1.5",
    );
    table
}

impl Ground {
    fn lay(runtime: &Runtime) -> Self {
        let gateways = runtime.block_on(join_all((0..GATEWAYS).map(|_| async {
            let gateway = SimulatedGateway::new(Settings::new(Contract::V2026_9_6, TOKEN));
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let url = format!("ws://{}", listener.local_addr().unwrap());
            let serving = gateway.clone();
            tokio::spawn(async move { serving.serve(listener).await });
            (gateway, url)
        })));
        let folder = Scratch::new("up");
        let kubeconfig = folder.join("kubeconfig");
        let (data, out) = (folder.join("data"), kubeconfig.display().to_string());
        let data = data.display().to_string();
        let up = Operator::start(&[
            "up",
            "--listen",
            "127.0.0.1:0",
            "--data",
            &data,
            "--kubeconfig-out",
            &out,
        ]);
        eventually("up has written its kubeconfig", 60, || {
            kubeconfig.exists().then_some(())
        });
        let client = runtime.block_on(async {
            let read = Kubeconfig::read_from(&kubeconfig).unwrap();
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(read, &options).await.unwrap();
            Client::try_from(config).unwrap()
        });
        Self {
            client,
            gateways,
            up,
            _folder: folder,
        }
    }

    async fn apply<K>(&self, name: &str, mut object: Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        object["apiVersion"] = json!(K::api_version(&()));
        object["kind"] = json!(K::kind(&()));
        object["metadata"] = json!({ "name": name });
        let api: Api<K> = Api::namespaced(self.client.clone(), "default");
        let params = PatchParams::apply("bench").force();
        api.patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }

    /// From the first write until the last agent is ready.
    async fn provision(&self) -> Duration {
        self.apply::<Secret>("token", json!({ "stringData": { "token": TOKEN } }))
            .await;
        self.template("Be brief.\n").await;
        let start = Instant::now();
        let waiting = tokio::spawn(until(self.client.clone(), size() + GATEWAYS, is_ready));
        let each = self.gateways.iter().enumerate().map(|(number, (_, url))| async move {
            let gateway = json!({ "spec": {
                "url": url, "workspaceRoot": "/w", "tokenSecretRef": { "name": "token" }, "resyncInterval": "1h",
                "templates": [{ "name": FILE, "configMapKeyRef": { "name": "templates", "key": FILE } }],
            } });
            self.apply::<Gateway>(&format!("pier-{number}"), gateway).await;
            let board = json!({ "spec": { "gatewayRef": { "name": format!("pier-{number}") }, "maxAgents": workers() } });
            self.apply::<Board>(&format!("board-{number}"), board).await;
            for worker in 0..workers() {
                let agent = json!({ "spec": {
                    "boardRef": { "name": format!("board-{number}") }, "heartbeat": { "every": "6h" },
                } });
                self.apply::<Agent>(&format!("worker-{number}-{worker}"), agent).await;
            }
        });
        join_all(each).await;
        timeout(PATIENCE, waiting).await.unwrap().unwrap();
        start.elapsed()
    }

    async fn template(&self, soul: &str) {
        self.apply::<ConfigMap>("templates", json!({ "data": { FILE: soul } }))
            .await;
    }

    /// From the change until the last agent's status says so; the CPU time is the operator's.
    async fn change(&self, soul: &str) -> Cost {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), "default");
        let before: BTreeMap<String, Option<String>> = agents
            .list(&ListParams::default())
            .await
            .unwrap()
            .iter()
            .map(|agent| (agent.name_any(), hash(agent)))
            .collect();
        let waiting = tokio::spawn(until(self.client.clone(), size() + GATEWAYS, move |agent| {
            hash(agent).is_some() && hash(agent) != before[&agent.name_any()] && is_ready(agent)
        }));
        let watch = Watch::start(self.up.process().pid());
        self.template(soul).await;
        timeout(PATIENCE, waiting).await.unwrap().unwrap();
        watch.stop()
    }

    /// Each agent's gateway and text.
    fn souls(&self) -> Vec<(usize, AgentId, String)> {
        let mut all = Vec::new();
        for (number, (gateway, _)) in self.gateways.iter().enumerate() {
            let config = gateway.config();
            for id in config["agents"]["entries"].as_object().unwrap().keys() {
                if let Some(text) = gateway.file(id, FILE).filter(|_| id.starts_with("mc-")) {
                    all.push((number, AgentId::parse(id).unwrap(), text));
                }
            }
        }
        assert_eq!(all.len(), size() + GATEWAYS);
        all
    }

    /// All at once as far as each connection allows it, and then one after the other.
    async fn write_by_hand(&self, texts: &[(usize, AgentId, String)]) -> (Duration, Duration) {
        let seats: Vec<Seat> = self
            .gateways
            .iter()
            .map(|(_, url)| Seat::take(Arc::new(Network), url, TOKEN, 1))
            .collect();
        let connections = join_all(seats.iter().map(async |seat| seat.online().await.connection)).await;
        let start = Instant::now();
        let writes = texts
            .iter()
            .map(|(gateway, id, text)| connections[*gateway].file_set(id, FILE, text, None));
        for written in join_all(writes).await {
            written.unwrap();
        }
        let together = start.elapsed();
        let start = Instant::now();
        for (gateway, id, text) in texts {
            connections[*gateway]
                .file_set(id, FILE, text, None)
                .await
                .unwrap();
        }
        let each = start.elapsed();
        for seat in seats {
            seat.session.close().await;
        }
        (together, each)
    }
}

fn hash(agent: &Agent) -> Option<String> {
    let files = agent.status.iter().flat_map(|status| &status.files);
    let soul = files.into_iter().find(|file| file.name == FILE)?;
    soul.hash.clone()
}

fn is_ready(agent: &Agent) -> bool {
    let conditions = agent.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|it| it.type_ == condition::READY);
    ready.any(|it| it.status == "True")
}

/// So many agents are so at once.
async fn until(client: Client, count: usize, is_so: impl Fn(&Agent) -> bool + Send + 'static) {
    let agents: Api<Agent> = Api::namespaced(client, "default");
    let mut touched = watcher(agents, watcher::Config::default())
        .applied_objects()
        .boxed();
    let mut so = BTreeSet::new();
    while let Some(agent) = touched.try_next().await.unwrap() {
        if is_so(&agent) {
            so.insert(agent.name_any());
        } else {
            so.remove(&agent.name_any());
        }
        if so.len() == count {
            return;
        }
    }
}
