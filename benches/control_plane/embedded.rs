//! The embedded control plane as a process of its own, without the controller that `quartermaster up` adds.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quartermaster::control_plane::access::Tokens;
use quartermaster::control_plane::http::listen;
use quartermaster::control_plane::identity::Identity;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, collect, kinds};
use quartermaster::resource;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bed::{Launch, Process, free_port};

/// What the bench is started with to be one.
pub const WORD: &str = "embedded";

pub struct Embedded {
    process: Process,
    launch: Launch,
    folder: PathBuf,
}

impl Embedded {
    pub fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let port = free_port();
        let identity = Identity::new(jiff::Timestamp::now()).unwrap();
        let url = format!("https://127.0.0.1:{port}");
        let kubeconfig = identity.kubeconfig(&url, "default");
        std::fs::write(folder.join("identity.json"), identity.written().expose_secret()).unwrap();
        std::fs::write(folder.join("kubeconfig"), kubeconfig.expose_secret()).unwrap();
        let launch = Launch::new("the embedded control plane", std::env::current_exe().unwrap())
            .arg(WORD)
            .arg(folder.display())
            .arg(port);
        Self {
            process: launch.clone().start(&folder.join("log")),
            launch,
            folder: folder.to_owned(),
        }
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Ends it in order and starts it. Nobody waits until it answers.
    pub fn restart(&mut self) {
        self.process.end();
        self.process = self.launch.clone().start(&self.folder.join("log"));
    }
}

/// The process itself.
pub async fn serve(folder: &Path, port: u16) {
    let mut stopping = signal(SignalKind::terminate()).unwrap();
    let identity = std::fs::read_to_string(folder.join("identity.json")).unwrap();
    let identity = Identity::read(&identity).unwrap();
    let store = Store::open(&folder.join("state.redb"), Keep::default()).unwrap();
    let definitions = resource::definitions();
    let control_plane = ControlPlane::new(
        store,
        kinds::served(&definitions).unwrap(),
        Tokens::new(identity.token.clone(), identity.seed),
        Arc::new(jiff::Timestamp::now),
    );
    control_plane.begin(&definitions).await.unwrap();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listener = TcpListener::bind((address, port)).await.unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let tls = identity.tls(&[address.into()]).unwrap();
    tasks.spawn(listen::serve(
        listener,
        tls,
        control_plane.service(),
        stop.clone(),
    ));
    tasks.spawn(collect::run(control_plane.clone(), stop.clone()));
    stopping.recv().await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    control_plane.store().close().await;
}
