//! One world: a control plane, gateways, and the controller, which is started again whenever it was killed.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use quartermaster::cluster::{Cluster, Health, Scope, manifests};
use quartermaster::command::operator::{self, Means};
use quartermaster::control_plane::access::{Tokens, User};
use quartermaster::control_plane::kind::Kinds;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, collect, kinds};
use quartermaster::gateway::Guard;
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::session::Surroundings;
use quartermaster::resource;
use quartermaster::telemetry::Metrics;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::clock::Clock;
use crate::gateways::Gateways;
use crate::ledger::Ledger;
use crate::life::Life;
use crate::picture::{Inside, KINDS, Picture, Things};
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;
use crate::wire;

pub(crate) struct World {
    pub(crate) control_plane: ControlPlane,
    pub(crate) gateways: Gateways,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
}

/// A process that was killed is started again after this long.
const STARTED_AGAIN: Duration = Duration::from_secs(1);

impl World {
    pub(crate) async fn begin(
        scenario: &Scenario,
        ledger: Ledger,
        clock: Clock,
        seed: u64,
        sabotage: Sabotage,
    ) -> Self {
        let control_plane = ControlPlane::new(
            Store::in_memory(Keep::default()),
            kinds_served(),
            Tokens::new(SecretString::from("nobody asks for it"), [7; 32]),
            Arc::new(move || clock.now()),
        );
        // Without our definitions as objects: nobody here reads them, and to write them takes most of a short run.
        control_plane.begin(&[]).await.unwrap();
        tokio::spawn(collect::run(control_plane.clone(), CancellationToken::new()));
        let gateways = Gateways::start(scenario.gateways, seed, &ledger);
        let world = Self {
            control_plane,
            gateways,
            ledger,
            clock,
        };
        tokio::spawn(world.keep_a_controller(seed, sabotage));
        world
    }

    /// One life after another.
    fn keep_a_controller(&self, seed: u64, sabotage: Sabotage) -> impl Future<Output = ()> + Send + use<> {
        let (control_plane, gateways) = (self.control_plane.clone(), self.gateways.clone());
        let (ledger, clock) = (self.ledger.clone(), self.clock);
        async move {
            for number in 1.. {
                let life = Life::new(number);
                ledger.begins(&life);
                let wire = wire::wire(
                    &control_plane,
                    &ledger,
                    &life,
                    seed.wrapping_add(u64::from(number)),
                );
                let metrics = Metrics::new().unwrap();
                let means = Means {
                    cluster: Cluster::new(
                        wire::client(sabotage.around(wire)),
                        Health::default(),
                        metrics.clone(),
                    ),
                    surroundings: Surroundings {
                        dial: gateways.network(&life, sabotage),
                        guard: Guard::default(),
                        device_tokens: Arc::new(InMemory::default()),
                        commit_meter: Arc::new(|_| {}),
                        meter: Arc::new(|_, _| {}),
                    },
                    metrics,
                    clock: Arc::new(move || clock.now()),
                    seeds: seeds(seed, number),
                    base_url: Some("http://quartermaster.example".to_owned()),
                    // The least that there is: what the product takes is a third of a second of a core each.
                    token_cost: 4,
                    concurrency: 16,
                };
                let stop = CancellationToken::new();
                let mut controller =
                    tokio::spawn(operator::watch_over(Scope::Everywhere, means, stop.clone()));
                tokio::select! {
                    () = life.is_over() => {}
                    ended = &mut controller => {
                        ledger.spoil(format!("the controller has ended by itself: {ended:?}"));
                        return;
                    }
                }
                controller.abort();
                controller.await.ok();
                if ledger.trouble().is_some() {
                    return;
                }
                sleep(STARTED_AGAIN).await;
            }
        }
    }

    /// As somebody with kubectl.
    pub(crate) async fn apply(&self, namespace: &str, text: &str) {
        for manifest in manifests::read(text, "a scenario").unwrap() {
            let object = serde_json::to_value(&manifest.object).unwrap();
            let name = object["metadata"]["name"].as_str().unwrap();
            let path = path_of(manifest.kind(), Some(namespace), name);
            let path = format!("{path}?fieldManager=kubectl&force=true");
            let (code, answer) = self
                .ask("PATCH", &path, "application/apply-patch+yaml", object.to_string())
                .await;
            assert!(code < 300, "{}: {answer}", manifest.shown());
            self.ledger.knows(&answer);
        }
    }

    /// `gateway/harbour`, `default/gateway/harbour`, `namespace/fleet`
    pub(crate) async fn delete(&self, what: &str) {
        let path = place(what);
        let (code, answer) = self.ask("DELETE", &path, "application/json", String::new()).await;
        assert!(code < 300, "delete {what}: {answer}");
    }

    /// All that is to be seen now.
    pub(crate) async fn picture(&self) -> Picture {
        let mut objects = Vec::new();
        for (kind, path) in KINDS {
            for mut object in self.list(path).await {
                object["kind"] = json!(kind);
                self.ledger.knows(&object);
                objects.push(object);
            }
        }
        let gateways = self.gateways.all();
        Picture::of(Things {
            objects,
            known: self.ledger.objects(),
            gateways: gateways
                .map(|(host, gateway)| (host.to_owned(), Inside::of(gateway)))
                .collect(),
            words: Vec::new(),
        })
    }

    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let (code, mut answer) = self.ask("GET", path, "application/json", String::new()).await;
        assert_eq!(code, 200, "{answer}");
        serde_json::from_value(answer["items"].take()).unwrap()
    }

    async fn ask(&self, method: &str, path: &str, media: &str, body: String) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .body(Body::from(body))
            .unwrap();
        let service = self.control_plane.service_for(User::admin());
        let Ok(answer) = service.oneshot(request).await;
        let code = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

/// Of one life: another each time it asks, and the same in each world of that seed.
fn seeds(seed: u64, life: u32) -> Arc<dyn Fn() -> u64 + Send + Sync> {
    let rng = SmallRng::seed_from_u64(seed.wrapping_add(u64::from(life) << 32));
    let rng = Mutex::new(rng);
    Arc::new(move || rng.lock().unwrap().random())
}

/// Compiled once for all worlds: it costs more than a whole run.
fn kinds_served() -> Kinds {
    static KINDS: OnceLock<Kinds> = OnceLock::new();
    KINDS
        .get_or_init(|| kinds::served(&resource::definitions()).unwrap())
        .clone()
}

fn place(what: &str) -> String {
    match *what.split('/').collect::<Vec<_>>() {
        [kind, name] => path_of(kind, None, name),
        [namespace, kind, name] => path_of(kind, Some(namespace), name),
        _ => panic!("{what} is no object's name"),
    }
}

/// Where objects of a kind are.
pub(crate) fn path_of(kind: &str, namespace: Option<&str>, name: &str) -> String {
    let kind = kind.to_lowercase();
    let namespace = namespace.unwrap_or("default");
    match kind.as_str() {
        "namespace" => format!("/api/v1/namespaces/{name}"),
        "secret" | "configmap" => format!("/api/v1/namespaces/{namespace}/{kind}s/{name}"),
        _ => format!("/apis/quartermaster.dev/v1alpha1/namespaces/{namespace}/{kind}s/{name}"),
    }
}
