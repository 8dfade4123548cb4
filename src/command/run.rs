//! `quartermaster run`: the controller against a cluster.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::operator;
use crate::cluster::Health;
use crate::cluster::connect::{Whereabouts, connect, connect_for_lease};
use crate::cluster::lease::Leadership;
use crate::http::operations::Operations;
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
    /// Where agents reach the HTTP API, for Gateways that say nothing of it: their template variable base_url.
    #[arg(long, env = "QUARTERMASTER_BASE_URL", value_parser = operator::base_url, value_name = "URL")]
    base_url: Option<String>,
    /// Passes that may be under way at once.
    #[arg(long, env = "QUARTERMASTER_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Act only while holding the lease "quartermaster" in our own namespace, so that several may run.
    #[arg(long, env = "QUARTERMASTER_LEADER_ELECT")]
    leader_elect: bool,
}

impl Run {
    pub fn execute(self) -> anyhow::Result<()> {
        log::start(self.log_format, &self.log_level, std::io::stderr).map_err(|error| anyhow!(error))?;
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
        let scopes = operator::scopes(&self.namespaces)?;
        let stop = operator::stop_on_signal()?;
        let metrics = Metrics::new().context("metrics")?;
        let health = Health::default();
        let whereabouts = Whereabouts {
            kubeconfig: self.kubeconfig,
            context: self.context,
        };
        let listener = listen(self.ops_listen, whereabouts.kubeconfig.is_none()).await?;
        let tasks = TaskTracker::new();
        tasks.spawn(operator::serve(
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

        let controllers = operator::operate(
            client,
            operator::Plan {
                scopes,
                concurrency: self.concurrency,
                base_url: self.base_url.clone(),
                health,
                metrics,
                stop: stop.clone(),
            },
        );
        let lost = async {
            match &leadership {
                Some(leadership) => leadership.lost().await,
                None => std::future::pending().await,
            }
        };
        let deadline = operator::deadline_after(&stop);
        // Returning at once where it is not in order: whatever still runs would act without the lease.
        tokio::select! {
            _ = controllers => {}
            why = lost => return Err(anyhow!("leadership is lost, and two must not act: {why}")),
            () = deadline.cancelled() => return Err(operator::not_in_order()),
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

/// Who holds the lease: the pod's name, or the host's and process'.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "quartermaster".to_owned());
    format!("{host}-{}-{:08x}", std::process::id(), rand::random::<u32>())
}
