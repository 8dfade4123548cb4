//! The operator is killed (SIGKILL) at random moments while it provisions a fleet into a real gateway, for a real API server,
//! and started again, until all is Ready and woken: in the end everything is as it is when nobody disturbs it, and what may
//! happen only once has happened once. `tests/crashes` does the same more often.
//!
//! `ROUNDS=20 KILL_SEED=7` plays more rounds, or the same ones again. A round is one to four kills.

#[path = "../crashes/kept.rs"]
pub mod kept;
#[path = "../crashes/moment.rs"]
pub mod moment;
#[path = "../picture/mod.rs"]
mod picture;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kube::api::ListParams;
use kube::{Api, ResourceExt};
use quartermaster::resource::Agent;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::agents::disk::Disk;
use crate::agents::{configuration, examples, marked};
use crate::bed::{Cluster, Gateway, OpenClaw, evidence, shared_cluster};
use crate::line::Line;
use kept::Kept;
use moment::{Moment, Signs, Window};
use picture::{Inside, Picture, Things};

const VERSION: &str = "2026.9.6";
/// The lead, three workers, and the main agent that nobody wrote.
const AGENTS: usize = 5;
const ROUNDS: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_operator_goes_on_where_it_was() {
    let rounds = number("ROUNDS").unwrap_or(ROUNDS);
    let first_seed = number("KILL_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    evidence::say(&format!(
        "crash test: {rounds} rounds, KILL_SEED={first_seed} ROUNDS={rounds} plays them again"
    ));
    let cluster = block_in_place(shared_cluster);
    let cluster = real!(cluster);
    // Nobody of its own relies on the default heartbeat: else the first round alone would find somebody to save one for.
    let main = json!({ "heartbeat": { "every": "30m" } });
    let roster = json!({ "agents": { "ownership": "explicit", "entries": { "main": main } } });
    let asked = Gateway::version(VERSION).config(&roster);
    let openclaw = block_in_place(|| OpenClaw::start(asked));
    let openclaw = real!(openclaw);

    let round = Round::begin(cluster, &openclaw, "undisturbed".to_owned()).await;
    let window = round.window().await;
    let picture = round.at_rest().await;
    round.laws().await;
    drop(round);
    evidence::say(&format!("crash test: undisturbed: {window:?}"));

    let (mut kills, mut inside) = (0, 0);
    for seed in (0..rounds).map(|round| first_seed.wrapping_add(round)) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let moments: Vec<Moment> = (0..=seed % 4).map(|_| Moment::draw(&mut rng)).collect();
        let told = format!("KILL_SEED={seed} ROUNDS=1, killed {moments:?}");
        let mut round = Round::begin(cluster, &openclaw, told).await;
        let mut from = 0;
        for moment in moments {
            tokio::select! {
                () = round.signs.come_to(moment, from, window.after(from)) => {}
                () = round.until_done() => {}
            }
            block_in_place(|| round.line.operator.kill());
            kills += 1;
            inside += u64::from(!round.to_do().await.is_empty());
            from = round.signs.so_far();
            block_in_place(|| round.line.start_operator_without_waiting());
        }
        round.until_like(&picture).await;
        round.laws().await;
    }
    evidence::say(&format!(
        "crash test: {kills} kills, {inside} while something was to do"
    ));
    assert!(
        4 * inside >= 3 * kills,
        "{inside} of {kills} kills came before the end"
    );
    evidence::record(
        "kill",
        &format!("real {VERSION}, real API server: operator killed"),
        kills,
        &format!("{inside} while something was to do; {rounds} rounds, KILL_SEED={first_seed}"),
    );
}

/// A namespace with a fleet, an operator of its own, and what is seen of both.
struct Round<'a> {
    line: Line<'a>,
    openclaw: &'a OpenClaw,
    agents: Api<Agent>,
    kept: Kept,
    signs: Signs,
    told: String,
}

impl<'a> Round<'a> {
    async fn begin(cluster: &'a Cluster, openclaw: &'a OpenClaw, told: String) -> Self {
        let line = block_in_place(|| Line::start(cluster, "crash"));
        let client = cluster.client().await;
        block_in_place(|| {
            line.token("harbour", openclaw.token());
            let manifests = examples(&openclaw.url());
            for name in ["board-ops.yaml", "gateway.yaml"] {
                line.apply(&manifests[name]);
            }
        });
        let signs = Signs::none();
        let seen = signs.clone();
        let kept = Kept::begin(&client, line.namespace.name(), move |_| seen.seen());
        let agents = Api::namespaced(client, line.namespace.name());
        Self {
            line,
            openclaw,
            agents,
            kept,
            signs,
            told,
        }
    }

    async fn window(&self) -> Window {
        self.signs.are_more_than(0).await;
        let start = Instant::now();
        self.until_done().await;
        Window {
            signs: self.signs.so_far(),
            took: start.elapsed(),
        }
    }

    async fn until_done(&self) {
        let start = Instant::now();
        loop {
            let left = self.to_do().await;
            if left.is_empty() {
                return;
            }
            let log = || self.line.operator.log();
            assert!(
                start.elapsed() < PATIENCE,
                "{}: not done: {left:?}\n{}",
                self.told,
                log()
            );
            sleep(POLL).await;
        }
    }

    /// Who is not Ready, or was not sent its message.
    async fn to_do(&self) -> Vec<String> {
        let agents = self.agents.list(&ListParams::default()).await.unwrap().items;
        let is_true = |agent: &Agent, kind: &str| {
            let mut conditions = agent.status.iter().flat_map(|status| &status.conditions);
            conditions.any(|condition| condition.type_ == kind && condition.status == "True")
        };
        let missing = (agents.len()..AGENTS).map(|_| "an Agent that is not there".to_owned());
        let open = agents
            .iter()
            .filter(|agent| !is_true(agent, "Ready") || !is_true(agent, "Woken"));
        missing.chain(open.map(ResourceExt::name_any)).collect()
    }

    /// When nothing has changed for longer than anything is gathered.
    async fn at_rest(&self) -> Picture {
        let (mut last, mut since) = (self.picture(), Instant::now());
        while since.elapsed() < Duration::from_secs(4) {
            sleep(POLL).await;
            let now = self.picture();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }

    async fn until_like(&self, wanted: &Picture) {
        self.until_done().await;
        let start = Instant::now();
        loop {
            let now = self.picture();
            if now == *wanted {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{}: it ended otherwise than undisturbed:\n{}\n{}",
                self.told,
                wanted.difference(&now),
                self.line.operator.log()
            );
            sleep(POLL).await;
        }
    }

    /// The objects, their agents' entries, and the files that are told of.
    fn picture(&self) -> Picture {
        block_in_place(|| {
            let said = self
                .line
                .must(&["get", "ocgw,ocboard,ocagent,secrets", "-o", "json"]);
            let mut said: Value = serde_json::from_str(&said).unwrap();
            let mut objects: Vec<Value> = serde_json::from_value(said["items"].take()).unwrap();
            let namespace = self.line.namespace.name().to_owned();
            let mut words = vec![(namespace, "the namespace".to_owned())];
            let mut known = BTreeMap::new();
            let mut agents = BTreeMap::new();
            for object in &mut objects {
                let text = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap().to_owned();
                let (kind, name) = (text("/kind"), text("/metadata/name"));
                known.insert(text("/metadata/uid"), (kind.clone(), name.clone()));
                // It is made in the background, and nothing waits for it.
                if let Some(token) = object.pointer_mut("/status/token") {
                    token.as_object_mut().unwrap().remove("hash");
                }
                if let Some(id) = object["status"]["wake"]["id"].as_str() {
                    words.push((id.to_owned(), format!("the message to {name}")));
                }
                if kind == "Agent" && object["status"]["workspace"].is_string() {
                    agents.insert(name, object.clone());
                }
            }
            let inside = Inside {
                config: self.entries(&agents),
                files: self.files(&agents),
                histories: BTreeMap::new(),
                connections: 0,
            };
            Picture::of(Things {
                objects,
                known,
                gateways: [("harbour".to_owned(), inside)].into(),
                words,
            })
        })
    }

    fn entries(&self, agents: &BTreeMap<String, Value>) -> Value {
        let entries = configuration(self.openclaw)["agents"]["entries"].take();
        let ours = agents
            .values()
            .filter_map(|agent| agent["status"]["agentId"].as_str());
        let ours = ours.filter_map(|id| Some((id.to_owned(), entries.get(id)?.clone())));
        Value::Object(ours.collect())
    }

    fn files(&self, agents: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
        let disk = self.disk(agents);
        let mut files = BTreeMap::new();
        for (name, agent) in agents {
            for file in agent["status"]["files"].as_array().into_iter().flatten() {
                let file = file["name"].as_str().unwrap();
                // A gateway takes it away at the first turn, at a moment of its own.
                if let (true, Some(text)) = (file != "BOOTSTRAP.md", disk.file(name, file)) {
                    files.insert(format!("{name}/{file}"), text.to_owned());
                }
            }
        }
        files
    }

    fn disk(&self, agents: &BTreeMap<String, Value>) -> Disk {
        Disk::read(&self.openclaw.state_folder().with_file_name("home"), agents)
    }

    /// What may happen only once has happened once.
    async fn laws(&self) {
        let told = &self.told;
        let tokens = self.kept.made_once(told).await;
        assert_eq!(tokens.len(), AGENTS, "{told}: {:?}", tokens.keys());
        let agents = self.agents.list(&ListParams::default()).await.unwrap();
        let named = agents
            .iter()
            .map(|agent| (agent.name_any(), serde_json::to_value(agent).unwrap()));
        let agents: BTreeMap<String, Value> = named.collect();
        block_in_place(|| {
            let disk = self.disk(&agents);
            for (agent, token) in &tokens {
                let holding = disk.holding(token);
                assert_eq!(holding.len(), 1, "{told}: the token of {agent} is in {holding:?}");
            }
            for (name, agent) in &agents {
                let params = json!({ "sessionKey": agent["status"]["sessionKey"], "limit": 1000 });
                let history = self.openclaw.rpc("chat.history", &params);
                let messages = history["messages"].as_array().into_iter().flatten();
                let ours: Vec<&str> = messages.filter_map(marked).collect();
                assert_eq!(ours.len(), 1, "{told}: {name} was sent {ours:?}");
            }
            let listed = self.openclaw.rpc("agents.list", &json!({}));
            let mut ids = BTreeSet::new();
            for agent in listed["agents"].as_array().unwrap() {
                assert!(ids.insert(agent["id"].as_str().unwrap()), "{told}: {listed}");
            }
            self.secrets_were_written_once();
        });
    }

    /// As the API server's own log has it: one create a token that was not refused, and nothing else.
    fn secrets_were_written_once(&self) {
        let (told, user) = (&self.told, self.line.user());
        let written = self.line.cluster.writes_by(&user);
        let secrets: Vec<_> = written
            .iter()
            .filter(|event| event.resource == "secrets" && event.code < 300)
            .collect();
        let creates = secrets.iter().filter(|event| event.verb == "create").count();
        assert_eq!((creates, secrets.len()), (AGENTS, AGENTS), "{told}: {secrets:?}");
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: give a number")),
    )
}
