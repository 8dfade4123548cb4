//! `quartermaster run`: the controller against a cluster.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::connect::{Whereabouts, connect, connect_for_lease};
use crate::cluster::lease::Leadership;
use crate::cluster::{Cluster, Health, Scope};
use crate::controller;
use crate::controller::World;
use crate::gateway::Guard;
use crate::gateway::device_token::InMemory;
use crate::gateway::dial::Network;
use crate::gateway::session::Surroundings;
use crate::http::operations::{self, Operations};
use crate::resource::Gateway;
use crate::sessions::Sessions;
use crate::telemetry::{Metrics, log};

#[derive(Debug, Args)]
pub struct Run {
    /// The kubeconfig file [default: KUBECONFIG and its defaults, else the cluster this runs in].
    #[arg(long, env = "QUARTERMASTER_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context within the kubeconfig [default: its current one].
    #[arg(long, env = "QUARTERMASTER_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Look only at this namespace; may be given several times [default: all].
    #[arg(
        long = "namespace",
        short,
        env = "QUARTERMASTER_NAMESPACE",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    namespaces: Vec<String>,
    /// Where /livez, /readyz and /metrics are served [default: 127.0.0.1:9471; in a cluster [::]:9471].
    #[arg(long, env = "QUARTERMASTER_OPS_LISTEN", value_name = "ADDRESS:PORT")]
    ops_listen: Option<SocketAddr>,
    /// How log lines look.
    #[arg(long, env = "QUARTERMASTER_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: log::Format,
    /// How much is logged: error, warn, info, debug, trace, or directives such as info,quartermaster=debug.
    #[arg(
        long,
        env = "QUARTERMASTER_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    log_level: String,
    /// Passes that may be under way at once.
    #[arg(long, env = "QUARTERMASTER_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Act only while holding the lease "quartermaster" in our own namespace, so that several may run.
    #[arg(long, env = "QUARTERMASTER_LEADER_ELECT")]
    leader_elect: bool,
}

/// A pod is killed 30 s after it was asked to stop; a laptop's owner waits less.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

impl Run {
    pub fn execute(self) -> anyhow::Result<()> {
        log::start(self.log_format, &self.log_level).map_err(|error| anyhow!(error))?;
        rustls::crypto::ring::default_provider()
            .install_default()
            .map_err(|_| anyhow!("a second TLS provider was installed"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(self.run());
        // Whatever has not ended by now would only hold the process.
        runtime.shutdown_background();
        result
    }

    async fn run(self) -> anyhow::Result<()> {
        let scopes = scopes(&self.namespaces)?;
        let stop = stop_on_signal()?;
        let metrics = Metrics::new().context("metrics")?;
        let health = Health::default();
        let whereabouts = Whereabouts {
            kubeconfig: self.kubeconfig,
            context: self.context,
        };
        let listener = listen(self.ops_listen, whereabouts.kubeconfig.is_none()).await?;
        let tasks = TaskTracker::new();
        tasks.spawn(serve(
            listener,
            Operations {
                health: health.clone(),
                metrics: metrics.clone(),
            },
            stop.clone(),
        ));

        let client = tokio::select! {
            client = connect(&whereabouts) => client?,
            () = stop.cancelled() => return Ok(()),
        };
        let leadership = if self.leader_elect {
            let (namespace, identity) = (client.default_namespace().to_owned(), identity());
            let its_client = connect_for_lease(&whereabouts).await?;
            let acquired = Leadership::acquire(its_client, &namespace, &identity, &health);
            tokio::select! {
                leadership = acquired => Some(leadership),
                () = stop.cancelled() => return Ok(()),
            }
        } else {
            None
        };

        let cluster = Cluster::new(client, health, metrics.clone());
        let surroundings = Surroundings {
            dial: Arc::new(Network),
            guard: Guard::default(),
            device_tokens: Arc::new(InMemory::default()),
            meter: Arc::new({
                let metrics = metrics.clone();
                move |method, outcome| metrics.gateway_call(method, outcome)
            }),
        };
        let controllers = join_all(scopes.into_iter().map(|scope| {
            let (cluster, surroundings, metrics) = (cluster.clone(), surroundings.clone(), metrics.clone());
            watch_over(
                scope,
                cluster,
                surroundings,
                metrics,
                self.concurrency,
                stop.clone(),
            )
        }));
        let lost = async {
            match &leadership {
                Some(leadership) => leadership.lost().await,
                None => std::future::pending().await,
            }
        };
        // One deadline around all that is done on the way out.
        let (deadline, begun) = (CancellationToken::new(), stop.clone());
        let strike = deadline.clone();
        tokio::spawn(async move {
            begun.cancelled().await;
            tokio::time::sleep(STOP_DEADLINE).await;
            strike.cancel();
        });
        // Returning at once where it is not in order: whatever still runs would act without the lease.
        tokio::select! {
            _ = controllers => {}
            why = lost => return Err(anyhow!("leadership is lost, and two must not act: {why}")),
            () = deadline.cancelled() => {
                return Err(anyhow!("could not stop in order within {} s", STOP_DEADLINE.as_secs()));
            }
        }
        tasks.close();
        let rest = async {
            if let Some(leadership) = leadership {
                leadership.release().await;
            }
            tasks.wait().await;
        };
        // The gateways are left in order. A lease runs out by itself, and a scraper that reads slowly is no reason to stay.
        deadline.run_until_cancelled(rest).await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Each part of the cluster once: two that watch the same namespace would be two writers to its gateways.
fn scopes(namespaces: &[String]) -> anyhow::Result<Vec<Scope>> {
    let names: BTreeSet<&str> = namespaces.iter().map(|name| name.trim()).collect();
    if names.contains("") {
        return Err(anyhow!(
            "--namespace (QUARTERMASTER_NAMESPACE) has an empty name in it; give the name of a namespace, or leave it out \
             to look at all"
        ));
    }
    if names.is_empty() {
        return Ok(vec![Scope::Everywhere]);
    }
    Ok(names
        .into_iter()
        .map(|name| Scope::Namespace(name.to_owned()))
        .collect())
}

/// One part of the cluster: until `stop`, then passes under way are finished and gateways are said goodbye to.
async fn watch_over(
    scope: Scope,
    cluster: Cluster,
    surroundings: Surroundings,
    metrics: Metrics,
    concurrency: u16,
    stop: CancellationToken,
) {
    tokio::select! {
        () = cluster.served::<Gateway>(&scope) => {}
        () = stop.cancelled() => return,
    }
    let (sessions, links) = Sessions::new(surroundings);
    let world = Arc::new(World {
        cluster,
        sessions,
        metrics,
    });
    tracing::info!(?scope, "watching");
    let links = futures::stream::unfold(links, async |mut links| Some((links.recv().await?, links)));
    controller::gateway::run(scope, Arc::clone(&world), links, concurrency, stop).await;
    world.sessions.close_all().await;
}

/// The first SIGTERM or ctrl-c stops in order; a second one at once.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = term.recv() => {} _ = int.recv() => {} };
        next().await;
        tracing::info!("stopping");
        stopping.cancel();
        next().await;
        std::process::exit(130);
    });
    Ok(stop)
}

async fn listen(asked: Option<SocketAddr>, maybe_in_cluster: bool) -> anyhow::Result<TcpListener> {
    const PORT: u16 = 9471;
    let in_cluster = maybe_in_cluster && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let address = asked.unwrap_or(if in_cluster {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT))
    } else {
        SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))
    });
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with --ops-listen"))?;
    tracing::info!(address = %listener.local_addr()?, "serving /livez, /readyz and /metrics");
    Ok(listener)
}

async fn serve(listener: TcpListener, operations: Operations, stop: CancellationToken) {
    let server =
        axum::serve(listener, operations::router(operations)).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "the operations endpoint ended");
    }
}

/// Who holds the lease: the pod's name, or the host's and process'.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "quartermaster".to_owned());
    format!("{host}-{}-{:08x}", std::process::id(), rand::random::<u32>())
}
