//! What survives the operator: a Kubernetes API with the fleet of `examples/board-ops.yaml` in it, and the fleet's gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use quartermaster::cluster::manifests;
use quartermaster::control_plane::access::{Tokens, User};
use quartermaster::control_plane::http::listen;
use quartermaster::control_plane::identity::Identity;
use quartermaster::control_plane::kind::Kinds;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, collect, kinds};
use quartermaster::resource;
use quartermaster::simulated_gateway::{Contract, Settings, SimulatedGateway, Witness};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::kept::Kept;
use crate::moment::{Signs, Window};
use crate::picture::{Inside, KINDS, Picture, Things};
use crate::process::{Launch, Process};
use crate::scratch::Scratch;

const TOKEN: &str = "sesame";
/// The lead, three workers, and the main agent that nobody wrote.
const AGENTS: usize = 5;
const POLL: Duration = Duration::from_millis(50);
/// Minutes where seconds would do: this only decides how long a failing test takes.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Bed {
    control_plane: ControlPlane,
    gateway: SimulatedGateway,
    url: String,
    kubeconfig: PathBuf,
    kept: Kept,
    pub signs: Signs,
    _serving: DropGuard,
    folder: Scratch,
}

impl Bed {
    pub async fn begin(contract: Contract) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = Scratch::new("crash");
        let stop = CancellationToken::new();
        let (listener, address) = listen_somewhere().await;
        let identity = identity();
        let control_plane = ControlPlane::new(
            Store::in_memory(Keep::default()),
            kinds_served(),
            Tokens::new(identity.token.clone(), identity.seed),
            Arc::new(jiff::Timestamp::now),
        );
        // Without our definitions as objects: nobody here reads them, and to write them takes most of a second.
        control_plane.begin(&[]).await.unwrap();
        let tls = identity.tls(&[IpAddr::V4(Ipv4Addr::LOCALHOST).into()]);
        let serving = listen::serve(listener, tls.unwrap(), control_plane.service(), stop.clone());
        tokio::spawn(serving);
        tokio::spawn(collect::run(control_plane.clone(), stop.clone()));
        let kubeconfig = identity.kubeconfig(&format!("https://{address}"), "default");
        let kubeconfig = folder.file("kubeconfig", kubeconfig.expose_secret());

        let signs = Signs::none();
        let (listener, address) = listen_somewhere().await;
        let gateway = SimulatedGateway::new(Settings {
            delays: 1.0,
            started_at_ms: jiff::Timestamp::now().as_millisecond(),
            ..Settings::new(contract, TOKEN)
        });
        let calls = signs.clone();
        gateway.show(Witness::new(move |_, _, _| {
            calls.seen();
            None
        }));
        let (served, over) = (gateway.clone(), stop.clone());
        tokio::spawn(over.run_until_cancelled_owned(async move { served.serve(listener).await }));

        let changes = signs.clone();
        let kept = Kept::begin(&control_plane.client("default"), "default", move || {
            changes.seen();
        });
        let bed = Self {
            url: format!("ws://{address}"),
            control_plane,
            gateway,
            kubeconfig,
            kept,
            signs,
            _serving: stop.drop_guard(),
            folder,
        };
        // What the fleet begins with is no sign of an operator.
        let applied = bed.apply_fleet().await;
        bed.signs.are_more_than(applied - 1).await;
        bed
    }

    /// Says how many objects it is.
    async fn apply_fleet(&self) -> u64 {
        let mut applied = 0;
        let token = format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: harbour-token}}, stringData: {{token: {TOKEN}}}}}"
        );
        let gateway = example("gateway.yaml").replace("ws://gateway.local:18789", &self.url);
        assert!(gateway.contains(&self.url));
        for text in [token, example("board-ops.yaml"), gateway] {
            for manifest in manifests::read(&text, "a fleet").unwrap() {
                let object = serde_json::to_value(&manifest.object).unwrap();
                let name = object["metadata"]["name"].as_str().unwrap();
                let group = match manifest.kind() {
                    "Secret" => "/api/v1",
                    _ => "/apis/quartermaster.dev/v1alpha1",
                };
                let kind = manifest.kind().to_lowercase();
                let path = format!("{group}/namespaces/default/{kind}s/{name}?fieldManager=kubectl");
                self.ask("PATCH", &path, object.to_string()).await;
                applied += 1;
            }
        }
        applied
    }

    /// Starts one; whoever holds it ends it.
    pub fn operator(&self) -> Operator {
        let log = self.folder.join("operator.log");
        let launch = Launch::new("quartermaster", env!("CARGO_BIN_EXE_quartermaster"))
            .args([
                "run",
                "--namespace",
                "default",
                "--ops-listen",
                "127.0.0.1:0",
                "--kubeconfig",
            ])
            .arg(self.kubeconfig.display())
            .only_this_environment();
        Operator(block_in_place(|| launch.start(&log)))
    }

    /// From the first sign of an operator until all is done; `from`: how many there were before it.
    pub async fn window(&self, from: u64) -> Window {
        self.signs.are_more_than(from).await;
        let start = Instant::now();
        self.until_done("undisturbed").await;
        Window {
            signs: self.signs.so_far() - from,
            took: start.elapsed(),
        }
    }

    pub async fn until_done(&self, told: &str) {
        let start = Instant::now();
        loop {
            let left = self.to_do().await;
            if left.is_empty() {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{told}: not done: {left:?}\n{}",
                self.log()
            );
            sleep(POLL).await;
        }
    }

    /// Who is not Ready, or was not sent its message.
    pub async fn to_do(&self) -> Vec<String> {
        let agents = self
            .list("/apis/quartermaster.dev/v1alpha1/namespaces/default/agents")
            .await;
        let is_true = |agent: &Value, kind: &str| {
            let mut conditions = agent["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
        };
        let missing = (agents.len()..AGENTS).map(|_| "an Agent that is not there".to_owned());
        let named = agents
            .iter()
            .filter(|agent| !is_true(agent, "Ready") || !is_true(agent, "Woken"))
            .map(|agent| agent["metadata"]["name"].as_str().unwrap().to_owned());
        missing.chain(named).collect()
    }

    /// When nothing has changed for longer than anything is gathered.
    pub async fn at_rest(&self) -> Picture {
        let (mut last, mut since) = (self.picture().await, Instant::now());
        while since.elapsed() < Duration::from_secs(3) {
            sleep(POLL).await;
            let now = self.picture().await;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }

    pub async fn until_like(&self, wanted: &Picture, told: &str) {
        self.until_done(told).await;
        let start = Instant::now();
        loop {
            let now = self.picture().await;
            if now == *wanted {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{told}: it ended otherwise than undisturbed:\n{}\n{}",
                wanted.difference(&now),
                self.log()
            );
            sleep(POLL).await;
        }
    }

    async fn picture(&self) -> Picture {
        let mut objects = Vec::new();
        for (kind, path) in KINDS {
            for mut object in self.list(path).await {
                object["kind"] = json!(kind);
                // It is made in the background and takes a debug build seconds: nothing waits for it.
                if let Some(token) = object.pointer_mut("/status/token") {
                    token.as_object_mut().unwrap().remove("hash");
                }
                objects.push(object);
            }
        }
        let known = objects.iter().map(|object| {
            let text = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap().to_owned();
            (text("/metadata/uid"), (text("/kind"), text("/metadata/name")))
        });
        let address = self.url.trim_start_matches("ws://").to_owned();
        let mut inside = Inside::of(&self.gateway);
        // Depends on when the last one was noticed to be gone.
        inside.connections = 0;
        // In which order they come depends on their ids, which are of chance.
        if let Some(Value::Array(list)) = inside.config.pointer_mut("/agents/list") {
            list.sort_by_key(|entry| entry["name"].as_str().map(str::to_owned));
        }
        Picture::of(Things {
            known: known.collect(),
            objects,
            gateways: [("harbour".to_owned(), inside)].into(),
            words: vec![(address, "the gateway's address".to_owned())],
        })
    }

    /// What may happen only once has happened once.
    pub async fn laws(&self, told: &str) {
        let tokens = self.kept.made_once(told).await;
        assert_eq!(tokens.len(), AGENTS, "{told}: {:?}", tokens.keys());
        let files = self.gateway.files();
        for (agent, token) in &tokens {
            let holding = files.iter().filter(|(_, text)| text.contains(token.as_str()));
            let holding: Vec<&String> = holding.map(|(path, _)| path).collect();
            assert_eq!(holding.len(), 1, "{told}: the token of {agent} is in {holding:?}");
        }
        let histories = self.gateway.histories();
        assert_eq!(histories.len(), AGENTS, "{told}: {:?}", histories.keys());
        for (session, messages) in &histories {
            let keys = messages.iter().filter_map(|it| it["idempotencyKey"].as_str());
            let ours: Vec<&str> = keys.filter(|key| key.ends_with(":user")).collect();
            assert_eq!(ours.len(), 1, "{told}: {session} was sent {ours:?}");
        }
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let mut answer = self.ask("GET", path, String::new()).await;
        serde_json::from_value(answer["items"].take()).unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: String) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/apply-patch+yaml")
            .body(Body::from(body))
            .unwrap();
        let Ok(answer) = self
            .control_plane
            .service_for(User::admin())
            .oneshot(request)
            .await;
        let code = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX)
            .await
            .unwrap();
        assert!(
            code.is_success(),
            "{method} {path}: {}",
            String::from_utf8_lossy(&bytes)
        );
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Of all operators of this bed.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("operator.log")).unwrap_or_default()
    }
}

/// `quartermaster run` as a process.
pub struct Operator(Process);

impl Operator {
    pub fn kill(self) {
        let Self(process) = self;
        block_in_place(|| {
            assert!(process.is_alive(), "it ended by itself. {}", process.last_words());
            process.kill();
        });
    }

    pub fn end(self) {
        let Self(process) = self;
        let (code, _) = block_in_place(|| process.end());
        assert_eq!(code, 0, "{}", process.last_words());
    }
}

async fn listen_somewhere() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Made once for all beds: the one costs a second in a debug build, the other some.
fn kinds_served() -> Kinds {
    static KINDS: OnceLock<Kinds> = OnceLock::new();
    KINDS
        .get_or_init(|| kinds::served(&resource::definitions()).unwrap())
        .clone()
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Identity::new(jiff::Timestamp::now()).unwrap())
}
