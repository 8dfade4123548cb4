//! What survives an operator that is killed: a Kubernetes API over TLS and simulated gateways over TCP, in this process. The
//! operator is `quartermaster run`, a process of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::Request;
use kube::Client;
use quartermaster::cluster::manifests;
use quartermaster::control_plane::access::{Tokens, User};
use quartermaster::control_plane::http::listen;
use quartermaster::control_plane::identity::Identity;
use quartermaster::control_plane::kind::Kinds;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, collect, kinds};
use quartermaster::resource;
use quartermaster::simulated_gateway::{Contract, Settings, SimulatedGateway, When, Witness};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::block_in_place;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::process::{Launch, Process};
use crate::scratch::Scratch;

/// Of every gateway.
pub const TOKEN: &str = "sesame";

pub struct Survivors {
    control_plane: ControlPlane,
    kubeconfig: PathBuf,
    stop: CancellationToken,
    _serving: DropGuard,
    folder: Scratch,
}

impl Survivors {
    /// No gateway as yet, and nothing in the cluster.
    pub async fn begin(name: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = Scratch::new(name);
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
        Self {
            control_plane,
            kubeconfig,
            _serving: stop.clone().drop_guard(),
            stop,
            folder,
        }
    }

    /// One more, and its url. `saw` is told of each call before it is carried out and before it is answered.
    pub async fn gateway(
        &self,
        contract: Contract,
        saw: impl Fn(When, &str, &Value) + Send + Sync + 'static,
    ) -> (SimulatedGateway, String) {
        let (listener, address) = listen_somewhere().await;
        let gateway = SimulatedGateway::new(Settings {
            delays: 1.0,
            started_at_ms: jiff::Timestamp::now().as_millisecond(),
            ..Settings::new(contract, TOKEN)
        });
        gateway.show(Witness::new(move |when, method, params| {
            saw(when, method, params);
            None
        }));
        let (served, over) = (gateway.clone(), self.stop.clone());
        tokio::spawn(over.run_until_cancelled_owned(async move { served.serve(listener).await }));
        (gateway, format!("ws://{address}"))
    }

    /// As everybody who may do everything, without a network between.
    pub fn client(&self) -> Client {
        self.control_plane.client("default")
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// As kubectl does. Says how many objects it is.
    pub async fn apply(&self, manifest: &str) -> u64 {
        self.apply_as("kubectl", manifest).await
    }

    /// Only what is in it is this manager's.
    pub async fn apply_as(&self, manager: &str, manifest: &str) -> u64 {
        let mut applied = 0;
        for manifest in manifests::read(manifest, "a fleet").unwrap() {
            let object = serde_json::to_value(&manifest.object).unwrap();
            let name = object["metadata"]["name"].as_str().unwrap();
            let group = match manifest.kind() {
                "Secret" => "/api/v1",
                _ => "/apis/quartermaster.dev/v1alpha1",
            };
            let kind = manifest.kind().to_lowercase();
            let path = format!("{group}/namespaces/default/{kind}s/{name}?fieldManager={manager}");
            self.ask("PATCH", &path, object.to_string()).await;
            applied += 1;
        }
        applied
    }

    pub async fn list(&self, path: &str) -> Vec<Value> {
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

    /// Starts one; whoever holds it ends it.
    pub fn operator(&self) -> Operator {
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
        Operator(block_in_place(|| launch.start(&self.log_file())))
    }

    /// Of all operators so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("operator.log")
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

/// Made once for all: the one costs a second in a debug build, the other some.
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
