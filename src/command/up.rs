//! `quartermaster up`: everything on one machine. A Kubernetes API of its own, the controller, and, for a first look, a
//! simulated gateway with a small fleet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use kube::ResourceExt;
use kube::core::DynamicObject;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::data;
use super::demo::{self, Demo};
use super::operator;
use super::say::{complain, tell};
use super::screen::{self, Screen};
use super::standing::{Standing, State, counted, only_kept};
use crate::cluster::Health;
use crate::cluster::manifests::{self, Place, Wanted};
use crate::cluster::served::{Served, ServedKind};
use crate::control_plane::ControlPlane;
use crate::control_plane::access::Tokens;
use crate::control_plane::collect;
use crate::control_plane::http::listen;
use crate::control_plane::identity::Identity;
use crate::control_plane::kinds;
use crate::control_plane::store::{Keep, NotOpened, Revision, Store};
use crate::resource::{self, names};
use crate::telemetry::{Metrics, log};

/// The one of `examples/` that people are sent to.
const DEMOS_AGENT: &str = "triage";

/// Days before its end at which the certificate authority is spoken of.
const SOON: i64 = 90;

#[derive(Debug, Args)]
#[command(after_help = "\
The kubeconfig that is written is for this machine. For another one, where --listen lets it in: copy it, and put into its
`server` a name of this machine that is in the certificate (--name adds one), with the port. Who has it may do everything.")]
pub struct Up {
    /// Where everything is kept [default: quartermaster in the XDG data folder, ~/.local/share].
    #[arg(long, env = "QUARTERMASTER_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where the Kubernetes API is served, over HTTPS; port 0 takes a free one.
    #[arg(
        long,
        env = "QUARTERMASTER_LISTEN",
        default_value = "127.0.0.1:8471",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// A further name or address by which other machines reach this one, for the certificate; may be given several times. It has
    /// localhost, the loopback, the address of --listen and this machine's own name.
    #[arg(
        long = "name",
        env = "QUARTERMASTER_NAMES",
        value_name = "HOST",
        value_parser = host,
        value_delimiter = ','
    )]
    names: Vec<ServerName<'static>>,
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
    /// Where agents reach the HTTP API, for Gateways that say nothing of it: their template variable base_url.
    #[arg(long, env = "QUARTERMASTER_BASE_URL", value_parser = operator::base_url, value_name = "URL")]
    base_url: Option<String>,
    /// Passes that may be under way at once.
    #[arg(long, env = "QUARTERMASTER_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
}

impl Up {
    pub fn execute(self) -> anyhow::Result<()> {
        let begun = Instant::now();
        log::start(self.log_format, &self.log_level, screen::stderr).map_err(|error| anyhow!(error))?;
        rustls::crypto::ring::default_provider()
            .install_default()
            .map_err(|_| anyhow!("a second TLS provider was installed"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(self.run(begun));
        runtime.shutdown_background();
        result
    }

    async fn run(self, begun: Instant) -> anyhow::Result<()> {
        let stop = operator::stop_on_signal()?;
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => data::usual_folder()?,
        };
        let folder = data::prepare(&folder)?;
        // First of all, as it is the lock: of two that start, one goes no further.
        let store = open(&folder).await?;
        let served = self.serve(&folder, store.clone(), &stop, begun).await;
        store.close().await;
        served?;
        screen::leave_the_line();
        tell(&format!("Stopped. Everything is kept in {}.", folder.display()));
        Ok(())
    }

    async fn serve(
        &self,
        folder: &Path,
        store: Store,
        stop: &CancellationToken,
        begun: Instant,
    ) -> anyhow::Result<()> {
        for said in data::close(folder)? {
            complain(&said);
        }
        let identity = identity(&folder.join(data::IDENTITY), &store)?;
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; choose another address with --listen (port 0 takes a free one)",
                self.listen
            )
        })?;
        let address = listener.local_addr()?;
        let definitions = resource::definitions();
        let tokens = Tokens::new(identity.token.clone(), identity.seed);
        let clock = Arc::new(jiff::Timestamp::now);
        let control_plane = ControlPlane::new(store, kinds::served(&definitions)?, tokens, clock);
        control_plane.begin(&definitions).await?;

        // The API is there until the controllers have written their last word.
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let names = self.names_of(address.ip());
        let tls = identity.tls(&names)?;
        let service = control_plane.service();
        tasks.spawn(listen::serve(listener, tls, service, closing.clone()));
        tasks.spawn(collect::run(control_plane.clone(), closing.clone()));

        let url = format!("https://{}", reachable(address));
        let kubeconfig = match &self.kubeconfig_out {
            Some(file) => std::path::absolute(file).context("cannot find out where --kubeconfig-out is")?,
            None => folder.join(data::KUBECONFIG),
        };
        let in_our_folder = self.kubeconfig_out.is_none();
        data::write_kubeconfig(&kubeconfig, &identity.kubeconfig(&url, "default"), in_our_folder)?;
        tell(&format!(
            "Quartermaster is up: Kubernetes API on {url}, state in {}",
            folder.display()
        ));
        tell(&format!(
            "For kubectl, in another terminal: export KUBECONFIG={}",
            data::quoted(&kubeconfig)
        ));
        if !address.ip().is_loopback() {
            tell(&from_elsewhere(&names, address.port()));
        }

        let client = control_plane.client("default");
        let working = self.work(&client, folder, stop, begun);
        let deadline = operator::deadline_after(stop);
        let result = tokio::select! {
            result = working => result,
            () = deadline.cancelled() => Err(operator::not_in_order()),
        };
        closing.cancel();
        tasks.close();
        deadline.run_until_cancelled(tasks.wait()).await;
        result
    }

    /// What clients may call the address.
    fn names_of(&self, address: IpAddr) -> Vec<ServerName<'static>> {
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        // Nobody can dial the address that stands for all.
        let own = (!address.is_unspecified()).then_some(address);
        let node = rustix::system::uname();
        let node = node.nodename().to_str().ok();
        let node = node.and_then(|name| host(name).ok());
        let addresses = loopback.into_iter().chain(own).map(ServerName::from);
        addresses.chain(node).chain(self.names.iter().cloned()).collect()
    }

    /// Until `stop`.
    async fn work(
        &self,
        client: &kube::Client,
        folder: &Path,
        stop: &CancellationToken,
        begun: Instant,
    ) -> anyhow::Result<()> {
        let mut demo = None;
        if self.demo {
            let demo = demo.insert(Demo::start(&folder.join(data::DEMO)).await?);
            tell(&format!(
                "Demo: simulated OpenClaw gateway \"harbour\" on {}, fleet from examples/",
                demo.url()
            ));
            demo.apply(client).await?;
        }
        let served = Served::read(client).await?;
        // An errand that failed long ago is no part of a fleet that comes up.
        let mut kinds = served.called(names::CATEGORY);
        kinds.retain(|kind| kind.resource.kind != "TemplateSync");
        look_again(client, &kinds, self.demo).await?;
        let plan = operator::Plan {
            scopes: operator::scopes(&[])?,
            concurrency: self.concurrency,
            base_url: self.base_url.clone(),
            health: Health::default(),
            metrics: Metrics::new().context("metrics")?,
            stop: stop.clone(),
        };
        let telling = async {
            let told = stop
                .run_until_cancelled(show(client, &kinds, begun, demo.as_ref()))
                .await;
            if let Some(Err(_)) = told {
                // A fleet that cannot be looked at is not one to go on with.
                stop.cancel();
            }
            told.unwrap_or(Ok(()))
        };
        let ((), told) = tokio::join!(operator::operate(client.clone(), plan), telling);
        told
    }
}

/// The one that is kept, or a new one.
fn identity(file: &Path, store: &Store) -> anyhow::Result<Identity> {
    let now = jiff::Timestamp::now();
    let Some(identity) = data::identity(file)? else {
        if store.revision() > Revision::FIRST {
            complain(&format!(
                "{} is not there, and is made anew: kubeconfigs and tokens from before are void.",
                file.display()
            ));
        }
        return data::new_identity(file, now);
    };
    let days = identity.ends()?.duration_since(now).as_hours().div_euclid(24);
    if days < SOON {
        let when = if days < 0 {
            "has ended".to_owned()
        } else {
            format!("ends in {days} days")
        };
        complain(&format!(
            "The certificate authority of this folder {when}, and then no client believes the server: stop, remove {}, and \
             start again. That makes a new one; all need the new kubeconfig or new tokens.",
            file.display()
        ));
    }
    Ok(identity)
}

async fn open(folder: &Path) -> anyhow::Result<Store> {
    let file = folder.join(data::STATE);
    let opened = tokio::task::spawn_blocking(move || Store::open(&file, Keep::default())).await?;
    opened.map_err(|error| match error {
        NotOpened::InUse { .. } => anyhow!(
            "another `quartermaster up` runs with what is in {}: use that one, or name another folder with --data",
            folder.display()
        ),
        NotOpened::Newer { .. }
        | NotOpened::NoStore { .. }
        | NotOpened::Damaged { .. }
        | NotOpened::Failing { .. } => error.into(),
    })
}

/// Shows the fleet until it is Ready, and then what to type next. Gives up looking, not working, after a while.
async fn show(
    client: &kube::Client,
    kinds: &[&ServedKind],
    begun: Instant,
    demo: Option<&Demo>,
) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let mut screen = Screen::of_stdout();
    let until = Instant::now() + PATIENCE;
    let standings = loop {
        let standings = standings(client, kinds).await?;
        if !standings.iter().any(|standing| standing.state.is_awaited()) || Instant::now() > until {
            break standings;
        }
        screen.show(&standings);
        sleep(LOOK_EVERY).await;
    };
    let seconds = begun.elapsed().as_secs_f64();
    screen.end(&standings);
    tell(&summary(&standings, seconds));
    let soul = match demo {
        Some(demo) => soul(client, kinds, demo).await?,
        None => None,
    };
    tell(&try_this(demo.is_some(), soul.as_deref()));
    Ok(())
}

/// A file of the demo's agent, to be spoilt. None: nobody has that agent any more.
async fn soul(client: &kube::Client, kinds: &[&ServedKind], demo: &Demo) -> anyhow::Result<Option<PathBuf>> {
    let Some(agents) = kinds.iter().find(|kind| kind.resource.kind == "Agent") else {
        return Ok(None);
    };
    let found = all(client, agents).await?;
    let triage = found.iter().find(|agent| agent.name_any() == DEMOS_AGENT);
    let workspace = triage.and_then(|agent| agent.data.pointer("/status/binding/workspace")?.as_str());
    let folder = workspace.and_then(|workspace| demo.folder_of(workspace));
    Ok(folder.map(|folder| folder.join("SOUL.md")))
}

async fn standings(client: &kube::Client, kinds: &[&ServedKind]) -> anyhow::Result<Vec<Standing>> {
    let mut standings = Vec::new();
    for kind in kinds {
        for item in all(client, kind).await? {
            let mut standing = Standing::of(&item, &kind.resource.kind, &kind.short);
            let namespace = item.namespace().unwrap_or_default();
            if namespace != "default" {
                standing.shown = format!("{} ({namespace})", standing.shown);
            }
            standings.push(standing);
        }
    }
    Ok(standings)
}

async fn all(client: &kube::Client, kind: &ServedKind) -> anyhow::Result<Vec<DynamicObject>> {
    let mut found = manifests::whole(client, kind, &Wanted::default()).await?;
    let items = found.get_mut("items").map(Value::take).unwrap_or_default();
    serde_json::from_value(items).context("a list of our own")
}

/// What an earlier process called Ready may be gone, and nothing is written of what is found to be as it was. So each is
/// asked to be looked at, and counts as Ready when that is answered. Others need no asking: a refused token is not tried
/// again because somebody starts us.
async fn look_again(client: &kube::Client, kinds: &[&ServedKind], demo: bool) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().to_string();
    let asked = json!({ "metadata": { "annotations": { names::RECONCILE_AT: now } } });
    for kind in kinds {
        for item in all(client, kind).await? {
            let standing = Standing::of(&item, &kind.resource.kind, &kind.short);
            if !demo && demo::is_ours(&item) {
                tell(&format!(
                    "{} is the demo's: what it connects to is there with --demo only.",
                    standing.shown
                ));
            }
            let place = Place {
                kind,
                namespace: item.namespace().unwrap_or_default(),
                name: item.name_any(),
            };
            if matches!(standing.state, State::Ready(_)) {
                place.change(client, &asked, names::FIELD_MANAGER).await?;
            }
        }
    }
    Ok(())
}

/// Nothing is called Ready that nobody looks at.
fn summary(standings: &[Standing], seconds: f64) -> String {
    let ready = || {
        standings
            .iter()
            .filter(|standing| matches!(standing.state, State::Ready(_)))
    };
    let missing = || standings.iter().filter(|standing| standing.state.is_awaited());
    let mut lines = Vec::new();
    if standings.is_empty() {
        lines.push("Nothing is declared yet.".to_owned());
    } else if missing().next().is_some() {
        lines.push(format!(
            "Not Ready after {seconds:.0} s: {}. `kubectl describe openclaw` says more; the work goes on.",
            counted(missing())
        ));
    } else if ready().next().is_some() {
        lines.push(format!("{} Ready after {seconds:.1} s.", counted(ready())));
    }
    lines.extend(only_kept(standings));
    lines.join("\n")
}

/// What to type next.
fn try_this(demo: bool, soul: Option<&Path>) -> String {
    let program = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let mut lines = vec!["kubectl get openclaw".to_owned()];
    if demo {
        lines.push(format!("kubectl edit ocagent {DEMOS_AGENT}"));
    } else {
        lines.push("kubectl get events".to_owned());
        lines.push("kubectl explain ocgw.spec".to_owned());
    }
    if let Some(soul) = soul {
        lines.push(format!(
            "echo \"I was here\" >> {}    # put right in about a minute",
            data::quoted(soul)
        ));
    }
    format!(
        "\nTry, in another terminal (KUBECONFIG as above):\n  {}\nWithout kubectl: {} get openclaw\nCtrl-C stops it; \
         everything is still there next time.",
        lines.join("\n  "),
        data::quoted(&program)
    )
}

fn host(text: &str) -> Result<ServerName<'static>, String> {
    let wrong = |_| format!("{text:?} is neither a host name nor an address (and has no port)");
    ServerName::try_from(text.to_owned()).map_err(wrong)
}

/// The kubeconfig that is written is for this machine.
fn from_elsewhere(names: &[ServerName<'_>], port: u16) -> String {
    let mut dialled: Vec<String> = Vec::new();
    for name in names {
        let shown = match IpAddr::from_str(&name.to_str()) {
            Ok(address) if address.is_loopback() => continue,
            Ok(address) => SocketAddr::from((address, port)).to_string(),
            Err(_) if name.to_str() == "localhost" => continue,
            Err(_) => format!("{}:{port}", name.to_str()),
        };
        if !dialled.contains(&shown) {
            dialled.push(shown);
        }
    }
    let servers: Vec<String> = dialled.iter().map(|host| format!("https://{host}")).collect();
    let server = match servers.as_slice() {
        [] => "a name of this machine, which --name puts into the certificate".to_owned(),
        [one] => format!("{one} (--name adds other names to the certificate)"),
        several => format!(
            "one of {} (--name adds others to the certificate)",
            several.join(", ")
        ),
    };
    format!(
        "It can be reached from other machines: who has that kubeconfig may do everything here. A copy of it for there needs \
         another `server`: {server}."
    )
}

/// An address that can be dialled: who listens on all is reached on the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}
