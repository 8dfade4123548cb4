//! `quartermaster up`: everything on one machine. A Kubernetes API of its own, the controller, and, for a first look, a
//! simulated gateway with a small fleet.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::demo::{self, Demo};
use super::operator;
use crate::cluster::Health;
use crate::control_plane::ControlPlane;
use crate::control_plane::access::Tokens;
use crate::control_plane::collect;
use crate::control_plane::http::listen;
use crate::control_plane::identity::Identity;
use crate::control_plane::kinds;
use crate::control_plane::store::{Keep, NotOpened, Store};
use crate::resource;
use crate::telemetry::{Metrics, log};

#[derive(Debug, Args)]
pub struct Up {
    /// Where everything is kept [default: quartermaster in the XDG data folder, ~/.local/share].
    #[arg(long, env = "QUARTERMASTER_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where the Kubernetes API is served, over HTTPS.
    #[arg(
        long,
        env = "QUARTERMASTER_LISTEN",
        default_value = "127.0.0.1:8471",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// Where the kubeconfig is written [default: kubeconfig in the data folder].
    #[arg(long, env = "QUARTERMASTER_KUBECONFIG_OUT", value_name = "FILE")]
    kubeconfig_out: Option<PathBuf>,
    /// Add a simulated gateway and the fleet of examples/, for a first look.
    #[arg(long, env = "QUARTERMASTER_DEMO")]
    demo: bool,
    /// How log lines look.
    #[arg(long, env = "QUARTERMASTER_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: log::Format,
    /// How much is logged: error, warn, info, debug, trace, or directives such as info,quartermaster=debug.
    #[arg(
        long,
        env = "QUARTERMASTER_LOG_LEVEL",
        default_value = "warn",
        value_name = "LEVEL"
    )]
    log_level: String,
    /// Passes that may be under way at once.
    #[arg(long, env = "QUARTERMASTER_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
}

impl Up {
    pub fn execute(self) -> anyhow::Result<()> {
        log::start(self.log_format, &self.log_level).map_err(|error| anyhow!(error))?;
        rustls::crypto::ring::default_provider()
            .install_default()
            .map_err(|_| anyhow!("a second TLS provider was installed"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(self.run());
        runtime.shutdown_background();
        result
    }

    async fn run(self) -> anyhow::Result<()> {
        let stop = operator::stop_on_signal()?;
        let data = match &self.data {
            Some(folder) => folder.clone(),
            None => data_folder()?,
        };
        make_folder(&data)?;
        let identity = identity(&data.join("identity.json"))?;
        // Before the address, so that a second process for the same folder is told of that, and touches nothing.
        let file = data.join("state.redb");
        let store = tokio::task::spawn_blocking(move || Store::open(&file, Keep::default()))
            .await?
            .map_err(in_words_of_up)?;
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; choose another address with --listen",
                self.listen
            )
        })?;
        let address = listener.local_addr()?;

        let definitions = resource::definitions();
        let tokens = Tokens::new(identity.token.clone(), identity.seed);
        let clock = Arc::new(jiff::Timestamp::now);
        let control_plane = ControlPlane::new(store, kinds::served(&definitions)?, tokens, clock);
        control_plane.begin(&definitions).await?;

        let tasks = TaskTracker::new();
        let tls = identity.tls(&names_of(address.ip()))?;
        tasks.spawn(listen::serve(
            listener,
            tls,
            control_plane.service(),
            stop.clone(),
        ));
        tasks.spawn(collect::run(control_plane.clone(), stop.clone()));
        let url = format!("https://{}", reachable(address));
        let kubeconfig = self
            .kubeconfig_out
            .clone()
            .unwrap_or_else(|| data.join("kubeconfig"));
        write_secret(&kubeconfig, &identity.kubeconfig(&url, "default"))?;

        say(&format!(
            "Quartermaster is up: Kubernetes API on {url}, state in {}",
            data.display()
        ));
        let client = control_plane.client("default");
        let demo = if self.demo {
            Some(Demo::start(&data).await?)
        } else {
            None
        };
        if let Some(demo) = &demo {
            say(&format!(
                "Demo: simulated OpenClaw gateway \"harbour\" on {}, fleet from examples/\n",
                demo.url()
            ));
            demo.apply(&client).await?;
        }
        let plan = operator::Plan {
            scopes: operator::scopes(&[])?,
            concurrency: self.concurrency,
            health: Health::default(),
            metrics: Metrics::new().context("metrics")?,
            stop: stop.clone(),
        };
        let operating = operator::operate(client.clone(), plan);
        let telling = async {
            if demo.is_some() {
                demo::show(&client).await?;
            }
            say(&try_this(&kubeconfig));
            anyhow::Ok(())
        };
        let ((), told) = tokio::join!(operating, telling);
        told?;
        tasks.close();
        tasks.wait().await;
        control_plane.store().close().await;
        Ok(())
    }
}

/// Files are named by their folder here.
fn in_words_of_up(error: NotOpened) -> anyhow::Error {
    if matches!(error, NotOpened::InUse { .. }) {
        return anyhow!(
            "{}",
            error
                .to_string()
                .replace("another file", "another folder with --data")
        );
    }
    error.into()
}

/// What to type next.
fn try_this(kubeconfig: &Path) -> String {
    format!(
        "\nTry, in another terminal:\n  export KUBECONFIG={}\n  kubectl get openclaw\n  kubectl describe ocgw\n\
         Without kubectl: quartermaster get openclaw\n\
         Ctrl-C stops it; everything is still there next time.",
        kubeconfig.display()
    )
}

/// Where programs keep what is a user's own.
pub(super) fn data_folder() -> anyhow::Result<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    match base {
        Some(base) => Ok(base.join("quartermaster")),
        None => bail!("neither XDG_DATA_HOME nor HOME is set: name a folder with --data"),
    }
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder {} (--data)", folder.display()))
}

/// The one that is kept, or a new one.
fn identity(file: &Path) -> anyhow::Result<Identity> {
    let shown = file.display();
    match fs::read_to_string(file) {
        Ok(text) => Identity::read(&text).with_context(|| format!("{shown}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let identity = Identity::new()?;
            write_secret(file, &identity.written())?;
            Ok(identity)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}

/// Whole or not at all, and for its owner's eyes only.
fn write_secret(file: &Path, text: &SecretString) -> anyhow::Result<()> {
    let mut beside = file.to_owned();
    beside.as_mut_os_string().push(".new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut open| {
            open.write_all(text.expose_secret().as_bytes())?;
            open.sync_all()
        })
        .and_then(|()| fs::rename(&beside, file));
    written.with_context(|| format!("cannot write {}", file.display()))
}

/// What clients on this machine may call the address.
fn names_of(address: IpAddr) -> Vec<IpAddr> {
    vec![
        address,
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ]
}

/// An address that can be dialled: who listens on all is reached on the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn say(line: &str) {
    println!("{line}");
}
