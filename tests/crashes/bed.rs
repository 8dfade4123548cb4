//! What survives the operator: a Kubernetes API with the fleet of `examples/board-ops.yaml` in it, and the fleet's gateway.

use std::path::Path;
use std::time::Duration;

use quartermaster::simulated_gateway::{Contract, SimulatedGateway};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::kept::Kept;
use crate::moment::{Signs, Window};
use crate::picture::{Inside, KINDS, Picture, Things};
use crate::survivors::{Operator, Survivors, TOKEN};

/// The lead, three workers, and the main agent that nobody wrote.
const AGENTS: usize = 5;
const POLL: Duration = Duration::from_millis(50);
/// Minutes where seconds would do: this only decides how long a failing test takes.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Bed {
    survivors: Survivors,
    gateway: SimulatedGateway,
    url: String,
    kept: Kept,
    pub signs: Signs,
}

impl Bed {
    pub async fn begin(contract: Contract) -> Self {
        let survivors = Survivors::begin("crash").await;
        let signs = Signs::none();
        let (calls, changes) = (signs.clone(), signs.clone());
        let (gateway, url) = survivors.gateway(contract, move |_, _, _| calls.seen()).await;
        let kept = Kept::begin(&survivors.client(), "default", move |_| changes.seen());
        let bed = Self {
            survivors,
            gateway,
            url,
            kept,
            signs,
        };
        // What the fleet begins with is no sign of an operator.
        let applied = bed.apply_fleet().await;
        bed.signs.are_more_than(applied - 1).await;
        bed
    }

    /// Says how many objects it is.
    async fn apply_fleet(&self) -> u64 {
        let token = format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: harbour-token}}, stringData: {{token: {TOKEN}}}}}"
        );
        let gateway = example("gateway.yaml").replace("ws://gateway.local:18789", &self.url);
        assert!(gateway.contains(&self.url));
        let mut applied = 0;
        for manifest in [token, example("board-ops.yaml"), gateway] {
            applied += self.survivors.apply(&manifest).await;
        }
        applied
    }

    /// Starts one; whoever holds it ends it.
    pub fn operator(&self) -> Operator {
        self.survivors.operator()
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
                self.survivors.log()
            );
            sleep(POLL).await;
        }
    }

    /// Who is not Ready, or was not sent its message.
    pub async fn to_do(&self) -> Vec<String> {
        let agents = self
            .survivors
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
                self.survivors.log()
            );
            sleep(POLL).await;
        }
    }

    async fn picture(&self) -> Picture {
        let mut objects = Vec::new();
        for (kind, path) in KINDS {
            for mut object in self.survivors.list(path).await {
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
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    std::fs::read_to_string(path).unwrap()
}
