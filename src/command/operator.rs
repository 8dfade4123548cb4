//! The controllers and what stands around them, for every command that runs them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Health, Scope};
use crate::controller::agent::{Desk, TOKEN_COST};
use crate::controller::{self, Clock, Pace, World};
use crate::gateway::Guard;
use crate::gateway::device_token::InMemory;
use crate::gateway::dial::Network;
use crate::gateway::session::Surroundings;
use crate::http::operations::{self, Operations};
use crate::resource::{Agent, Board, Gateway, TemplateSync};
use crate::sessions::{Seeds, Sessions};
use crate::telemetry::Metrics;

/// The kinds that something here acts on. What is told of the others must not sound as if it were so.
pub(super) const ACTED_ON: &[&str] = &["Gateway", "Board", "Agent", "TemplateSync"];

/// What shall be watched, and by which means.
pub(super) struct Plan {
    pub(super) scopes: Vec<Scope>,
    pub(super) concurrency: u16,
    /// Where agents reach our HTTP API, where their Gateway does not say so itself.
    pub(super) base_url: Option<String>,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    pub(super) stop: CancellationToken,
}

/// Until `stop`, then passes under way are finished and gateways are said goodbye to.
pub(super) async fn operate(client: kube::Client, plan: Plan) {
    let Plan {
        scopes,
        concurrency,
        base_url,
        health,
        metrics,
        stop,
    } = plan;
    let cluster = Cluster::new(client, health, metrics.clone());
    let surroundings = Surroundings {
        dial: Arc::new(Network),
        guard: Guard::default(),
        device_tokens: Arc::new(InMemory::default()),
        meter: Arc::new({
            let metrics = metrics.clone();
            move |method, outcome| metrics.gateway_call(method, outcome)
        }),
        commit_meter: Arc::new({
            let metrics = metrics.clone();
            move |changes| metrics.committed(changes)
        }),
    };
    join_all(scopes.into_iter().map(|scope| {
        let means = Means {
            cluster: cluster.clone(),
            surroundings: surroundings.clone(),
            metrics: metrics.clone(),
            clock: Arc::new(Timestamp::now),
            seeds: Arc::new(rand::random),
            base_url: base_url.clone(),
            token_cost: TOKEN_COST,
            concurrency,
        };
        watch_over(scope, means, stop.clone())
    }))
    .await;
}

/// By which means one part of the cluster is watched over. Tests have their own: a pipe, a clock that they hold.
pub struct Means {
    pub cluster: Cluster,
    pub surroundings: Surroundings,
    pub metrics: Metrics,
    pub clock: Clock,
    pub seeds: Seeds,
    /// Where agents reach our HTTP API, where their Gateway does not say so itself.
    pub base_url: Option<String>,
    /// bcrypt's cost for the hashes of agents' tokens.
    pub token_cost: u32,
    pub concurrency: u16,
}

/// One part of the cluster, until `stop`.
pub async fn watch_over(scope: Scope, means: Means, stop: CancellationToken) {
    let Means {
        cluster,
        surroundings,
        metrics,
        clock,
        seeds,
        base_url,
        token_cost,
        concurrency,
    } = means;
    // A kind that is missing would be an empty list for ever, and every Board one that has no agents.
    let served = async {
        tokio::join!(
            cluster.served::<Gateway>(&scope),
            cluster.served::<Board>(&scope),
            cluster.served::<Agent>(&scope),
            cluster.served::<TemplateSync>(&scope),
        );
    };
    tokio::select! {
        () = served => {}
        () = stop.cancelled() => return,
    }
    let (sessions, said) = Sessions::new(surroundings, seeds);
    let (stores, touches) = cluster.look(&scope);
    metrics.count(stores.agents.clone());
    let (desk, again) = Desk::begin(&cluster, &scope, token_cost);
    let world = Arc::new(World {
        cluster,
        stores,
        sessions,
        metrics,
        desk,
        clock,
        pace: Pace::default(),
        base_url,
    });
    tracing::info!(?scope, "watching");
    controller::run(Arc::clone(&world), touches, said, again, concurrency, stop).await;
    world.sessions.close_all().await;
}

/// As it stands in agents' files: agents join a path to it.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    let wrong = |what: &str| format!("{what}; give one such as http://quartermaster.example.com:8472");
    let url = url::Url::parse(text).map_err(|error| wrong(&format!("it is no url ({error})")))?;
    let has_more = url.query().is_some() || url.fragment().is_some();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("agents speak HTTP"));
    }
    if has_more || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("no credentials, ? or # in it: it stands in agents' files"));
    }
    if !text
        .chars()
        .all(|c| c.is_ascii_graphic() && !"\"'`\\$<>{}".contains(c))
    {
        return Err(wrong("it has signs that do not belong into a url"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Each part of the cluster once: two that watch the same namespace would be two writers to its gateways.
pub(super) fn scopes(namespaces: &[String]) -> anyhow::Result<Vec<Scope>> {
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

/// The first SIGTERM or ctrl-c stops in order; a second one at once.
pub(super) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
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

/// A pod is killed 30 s after it was asked to stop; a laptop's owner waits less.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// One deadline around all that is done on the way out: it strikes some time after `stop`.
pub(super) fn deadline_after(stop: &CancellationToken) -> CancellationToken {
    let (deadline, begun) = (CancellationToken::new(), stop.clone());
    let strike = deadline.clone();
    tokio::spawn(async move {
        begun.cancelled().await;
        tokio::time::sleep(STOP_DEADLINE).await;
        strike.cancel();
    });
    deadline
}

pub(super) fn not_in_order() -> anyhow::Error {
    anyhow!("could not stop in order within {} s", STOP_DEADLINE.as_secs())
}

/// Health and metrics.
pub(super) async fn serve(listener: TcpListener, operations: Operations, stop: CancellationToken) {
    let server =
        axum::serve(listener, operations::router(operations)).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "the operations endpoint ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_one_that_agents_can_be_given() {
        for (given, kept) in [
            ("http://10.0.0.7:8472", "http://10.0.0.7:8472"),
            ("https://qm.example.com/team/", "https://qm.example.com/team"),
        ] {
            assert_eq!(base_url(given).as_deref(), Ok(kept));
        }
        for wrong in [
            "",
            "qm.example.com",
            "ftp://qm.example.com",
            "http://me:secret@qm.example.com",
            "http://qm.example.com/?token=x",
            "http://qm.example.com/#x",
            "http://qm.example.com/\"; rm -rf ~",
            "http://qm.example.com/$(id)",
        ] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }
}
