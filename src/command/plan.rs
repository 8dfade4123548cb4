//! `quartermaster plan`: what passes would come to, as a diff. Reads the cluster with the caller's rights and the gateways
//! with the Secrets that the caller may read; writes nothing, neither here nor there.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::files::Files;
use super::fleet::{Fleet, Parts};
use super::say::{complain, show};
use super::target::{ClusterArgs, block_on, patience};
use crate::cluster::{Cluster, Health, Scope, Stores};
use crate::controller::agent::{Desk, look_at};
use crate::controller::{Pace, World, agent, gateway};
use crate::desired;
use crate::fact::Fact;
use crate::gateway::device_token::InMemory;
use crate::gateway::dial::Network;
use crate::gateway::session::Surroundings;
use crate::gateway::{Guard, Link, State};
use crate::plan::agent::explain::{Blocked, Change, Explanation, explain};
use crate::resource::{Agent, Gateway, condition};
use crate::sessions::{Said, Sessions};
use crate::telemetry::Metrics;

/// Exit codes: 0 nothing to do, 1 it failed (standard error says why), 2 there is something to do.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// As if these manifests had been applied.
    #[command(flatten)]
    files: Files,
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// What `run --base-url` was given, for Gateways that say nothing.
    #[arg(long, env = "QUARTERMASTER_BASE_URL", value_name = "URL")]
    base_url: Option<String>,
    /// How long gateways are waited for: 90, 90s, 2m.
    #[arg(long, env = "QUARTERMASTER_TIMEOUT", default_value = "20s", value_parser = patience, value_name = "TIME")]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// One agent's part.
struct Part {
    agent: Arc<Agent>,
    explanation: Explanation,
}

/// There is something to do.
const TO_DO: u8 = 2;

impl Plan {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        block_on(self.plan())
    }

    async fn plan(self) -> anyhow::Result<ExitCode> {
        let (client, namespace) = self.cluster.connect().await?;
        let scope = Scope::Namespace(namespace.clone());
        let metrics = Metrics::new()?;
        let cluster = Cluster::new(client, Health::default(), metrics.clone());
        let overlay = self.overlay(&namespace)?;
        let gateways = laid_over(
            cluster.all(&scope).await.context("cannot list Gateways")?,
            overlay.gateways,
        );
        let boards = laid_over(
            cluster.all(&scope).await.context("cannot list Boards")?,
            overlay.boards,
        );
        let agents = laid_over(
            cluster.all(&scope).await.context("cannot list Agents")?,
            overlay.agents,
        );
        // What is still to be carried out is among what passes would do.
        let syncs = cluster.all(&scope).await.context("cannot list TemplateSyncs")?;
        let surroundings = Surroundings {
            dial: Arc::new(Network),
            guard: Guard::default(),
            device_tokens: Arc::new(InMemory::default()),
            meter: Arc::new(|_, _| {}),
            commit_meter: Arc::new(|_| {}),
        };
        let (sessions, said) = Sessions::new(surroundings, Arc::new(rand::random));
        let (desk, _again) = Desk::begin(&cluster, &scope, 4);
        let stores = Stores::holding(gateways, boards, agents, syncs);
        let world = World {
            cluster,
            stores,
            sessions,
            metrics,
            desk,
            clock: Arc::new(Timestamp::now),
            pace: Pace::default(),
            base_url: self.base_url.clone(),
        };
        connect(&world, said, self.timeout).await;
        let mut parts = Vec::new();
        for agent in world.stores.agents.state() {
            let mut snapshot = agent::snapshot(Arc::clone(&agent), &world).await;
            lay_over_texts(&mut snapshot.texts, &namespace, &overlay.texts, &overlay.souls);
            let (desired, observed) = look_at(&snapshot, &world).await;
            let explanation = explain(&desired, &observed);
            parts.push(Part { agent, explanation });
        }
        parts.sort_by_key(|part| part.agent.name_any());
        world.sessions.close_all().await;
        match self.output {
            Output::Text => tell(&parts)?,
            Output::Json => show(&serde_json::to_string_pretty(&as_json(&parts))?)?,
        }
        let is_empty = parts.iter().all(|part| part.explanation.changes.is_empty());
        let is_whole = parts.iter().all(|part| part.explanation.blocked.is_none());
        Ok(match (is_empty, is_whole) {
            (false, _) => ExitCode::from(TO_DO),
            (true, true) => ExitCode::SUCCESS,
            (true, false) => ExitCode::FAILURE,
        })
    }

    fn overlay(&self, namespace: &str) -> anyhow::Result<Parts> {
        if self.files.is_empty() {
            return Ok(Parts::default());
        }
        let mut manifests = self.files.read()?;
        for manifest in &mut manifests {
            manifest
                .object
                .metadata
                .namespace
                .get_or_insert_with(|| namespace.to_owned());
        }
        match Fleet::of(&manifests)? {
            Ok(fleet) => Ok(fleet.into_parts()),
            Err(wrong) => {
                for line in &wrong {
                    complain(line);
                }
                anyhow::bail!(
                    "nothing is planned: the manifests have mistakes ({})",
                    wrong.len()
                )
            }
        }
    }
}

/// What the cluster has, with what the manifests say of it. What it knows of an object beside its spec stays.
fn laid_over<K>(there: Vec<K>, given: Vec<K>) -> Vec<K>
where
    K: Over,
{
    let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
    let mut all: BTreeMap<_, _> = there.into_iter().map(|object| (key(&object), object)).collect();
    for given in given {
        match all.get_mut(&key(&given)) {
            Some(there) => there.take_over(given),
            None => {
                all.insert(key(&given), given);
            }
        }
    }
    all.into_values().collect()
}

trait Over: ResourceExt {
    fn take_over(&mut self, given: Self);
}

macro_rules! over {
    ($($kind:ty),*) => { $(impl Over for $kind {
        fn take_over(&mut self, given: Self) {
            if self.spec != given.spec {
                // As the API server counts: it is another generation than the one that was settled.
                let generation = self.metadata.generation.get_or_insert(0);
                *generation += 1;
            }
            self.spec = given.spec;
        }
    })* };
}

over!(Gateway, crate::resource::Board, Agent);

fn lay_over_texts(
    texts: &mut desired::agent::Texts,
    namespace: &str,
    given: &BTreeMap<(String, String), desired::document::Document>,
    souls: &BTreeMap<(String, String), desired::document::Document>,
) {
    for (name, found) in &mut texts.config_maps {
        let key = (namespace.to_owned(), name.clone());
        if let Some(document) = given.get(&key).or_else(|| souls.get(&key)) {
            *found = Fact::Known(document.clone());
        }
    }
    if let Fact::Known(all) = &mut texts.souls {
        let here = souls.iter().filter(|((place, _), _)| place == namespace);
        all.extend(here.map(|((_, name), document)| (name.clone(), document.clone())));
    }
}

/// Until every gateway that can be tried has been, or time is up.
async fn connect(world: &World, mut said: Said, patience: Duration) {
    let mut open: Vec<Arc<Gateway>> = Vec::new();
    for gateway in world.stores.gateways.state() {
        // Each try with a key that nobody has approved asks the gateway's people once more.
        if waits_for_approval(&gateway) {
            continue;
        }
        let snapshot = gateway::snapshot(Arc::clone(&gateway), world).await;
        if let Ok(wanted) = desired::gateway::of(&snapshot).connection {
            world.sessions.want(&gateway, wanted, None);
            open.push(gateway);
        }
    }
    let until = Instant::now() + patience;
    let is_tried = |gateway: &Arc<Gateway>| match world.sessions.link(gateway) {
        Fact::Known(Link {
            answers: _,
            state: State::Up(_) | State::Down(_),
        }) => true,
        Fact::Known(Link {
            answers: _,
            state: State::Connecting,
        })
        | Fact::Absent
        | Fact::Unknown => false,
    };
    while !open.iter().all(is_tried) {
        let news: Result<Option<ObjectRef<Gateway>>, _> = timeout_at(until, said.links.recv()).await;
        if !matches!(news, Ok(Some(_))) {
            return;
        }
    }
}

fn waits_for_approval(gateway: &Gateway) -> bool {
    let conditions = gateway.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|found| found.type_ == condition::PAIRED && found.status == "False")
}

fn tell(parts: &[Part]) -> anyhow::Result<()> {
    let (mut agents, mut entries, mut files, mut wakes) = (0, 0, 0, 0);
    for Part {
        agent,
        explanation: Explanation { changes, blocked },
    } in parts
    {
        let name = format!("ocagent/{}", agent.name_any());
        if let Some(blocked) = blocked {
            complain(&format!("{name}: {}", in_words(blocked)));
        }
        if changes.is_empty() {
            continue;
        }
        agents += 1;
        show(&name)?;
        for change in changes {
            show(&format!("  {change}"))?;
            if let Change::File { name: _, diff } = change {
                for line in diff.unified.lines() {
                    show(&format!("      {line}"))?;
                }
            }
            match change {
                Change::NewEntry | Change::Setting { .. } | Change::Bindings | Change::Remove { .. } => {
                    entries += 1;
                }
                Change::NewFile { .. } | Change::File { .. } => files += 1,
                Change::Wake => wakes += 1,
                Change::MintToken | Change::RotateToken | Change::ResetSession => {}
            }
        }
    }
    if agents == 0 {
        return show("Nothing to do: everything that could be looked at is as asked for.");
    }
    let change = if agents == 1 { "changes" } else { "change" };
    show(&format!(
        "{} {change}: {}, {}, {}. Nothing was written.",
        counted(agents, "agent"),
        counted(usize::from(entries > 0), "config write"),
        counted(files, "file"),
        counted(wakes, "wake"),
    ))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn in_words(blocked: &Blocked) -> String {
    match blocked {
        Blocked::Obstacle(obstacle) => crate::status::agent::obstacle_in_words(obstacle),
        Blocked::NotLookedAt => {
            "its gateway could not be looked at: is it connected? `kubectl get ocgw` says".to_owned()
        }
        Blocked::Suspended => "suspended: nothing is done".to_owned(),
    }
}

fn as_json(parts: &[Part]) -> serde_json::Value {
    let each = parts.iter().map(
        |Part {
             agent,
             explanation: Explanation { changes, blocked },
         }| {
            let changes: Vec<_> = changes
                .iter()
                .map(|change| {
                    let diff = if let Change::File { name: _, diff } = change {
                        Some(&diff.unified)
                    } else {
                        None
                    };
                    json!({ "change": change.to_string(), "diff": diff })
                })
                .collect();
            json!({
                "namespace": agent.namespace(),
                "agent": agent.name_any(),
                "changes": changes,
                "blocked": blocked.as_ref().map(in_words),
            })
        },
    );
    each.collect()
}
