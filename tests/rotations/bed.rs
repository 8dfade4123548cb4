//! A fleet in four gateways, whose tokens are changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use quartermaster::cluster::connect::{Whereabouts, connect};
use quartermaster::resource::{Agent, names};
use quartermaster::simulated_gateway::{Contract, SimulatedGateway};
use tokio::time::{Instant, sleep};

use crate::clients::{Read, token_in};
use crate::consumer::Consumer;
use crate::journal::Journal;
use crate::kept::Kept;
use crate::moment::Signs;
use crate::survivors::{Survivors, TOKEN};

const CONTRACTS: [Contract; 4] = [
    Contract::V2026_9_6,
    Contract::V2026_7_35,
    Contract::V2026_2_9,
    Contract::V2026_9_6,
];
/// The files that carry a token, by what the gateway takes.
const CARRIERS: [&str; 2] = ["AGENTS.md", "TOOLS.md"];
const POLL: Duration = Duration::from_millis(20);
/// Minutes where seconds would do: this only decides how long a failing test takes.
const PATIENCE: Duration = Duration::from_secs(300);
/// How late a watch tells of something on a bad day.
const LAG: Duration = Duration::from_secs(1);

pub struct Bed {
    /// How many agents there are, the main agents that nobody wrote among them.
    pub agents: usize,
    pub survivors: Survivors,
    gateways: Vec<SimulatedGateway>,
    pub kept: Kept,
    pub journal: Journal,
    /// What changes tokens: a version of a Secret, a file that is about to be written, and one that was.
    pub signs: Signs,
    /// It hears of everything at once.
    pub prompt: Arc<Consumer>,
    pub lagging: Arc<Consumer>,
}

/// What asks for new tokens.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    /// A TemplateSync for each gateway.
    Sync,
    /// A new word in each agent's spec.token.rotation.
    Word,
}

impl Ask {
    pub fn nth(n: usize) -> Self {
        if n.is_multiple_of(2) {
            Self::Sync
        } else {
            Self::Word
        }
    }
}

impl Bed {
    /// With the fleet in the cluster, and nothing in the gateways. So many workers in each, beside a lead and the main agent.
    pub async fn begin(workers: usize) -> Self {
        let survivors = Survivors::begin("rotations").await;
        let (signs, journal) = (Signs::none(), Journal::default());
        let mut gateways = Vec::new();
        let secret = format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: gateway-token}}, stringData: {{token: {TOKEN}}}}}"
        );
        survivors.apply(&secret).await;
        for (n, contract) in CONTRACTS.into_iter().enumerate() {
            let (calls, entries) = (signs.clone(), journal.clone());
            let saw = move |when, method: &str, params: &_| {
                if entries.saw(contract, when, method, params) {
                    calls.seen();
                }
            };
            let (gateway, url) = survivors.gateway(contract, saw).await;
            gateways.push(gateway);
            survivors.apply(&fleet_of(n, &url, workers)).await;
        }
        let changes = signs.clone();
        let kept = Kept::begin(&survivors.client(), "default", move |kind| {
            if kind == "Secret" {
                changes.seen();
            }
        });
        let whereabouts = Whereabouts {
            kubeconfig: Some(survivors.kubeconfig().to_owned()),
            context: None,
        };
        let client = connect(&whereabouts).await.unwrap();
        let prompt = Consumer::begin(client.clone(), "default", Duration::ZERO).await;
        let lagging = Consumer::begin(client, "default", LAG).await;
        Self {
            agents: CONTRACTS.len() * (workers + 2),
            survivors,
            gateways,
            kept,
            journal,
            signs,
            prompt,
            lagging,
        }
    }

    pub async fn until_ready(&self, told: &str) {
        let is_true = |agent: &Agent, kind: &str| {
            let mut conditions = agent.status.iter().flat_map(|status| &status.conditions);
            conditions.any(|condition| condition.type_ == kind && condition.status == "True")
        };
        self.until(told, || {
            let agents = self.prompt.agents();
            let ready = agents
                .iter()
                .filter(|agent| is_true(agent, "Ready") && is_true(agent, "TokenCurrent"));
            self.agents - ready.count()
        })
        .await;
    }

    /// Says `ask` in a way in which it was not said before.
    pub async fn ask(&self, ask: Ask, nth: usize) {
        match ask {
            Ask::Sync => {
                for gateway in (0..CONTRACTS.len()).map(gateway_name) {
                    let sync = format!(
                        "{{apiVersion: quartermaster.dev/v1alpha1, kind: TemplateSync, metadata: {{name: {gateway}-{nth}}}, \
                         spec: {{gatewayRef: {{name: {gateway}}}, rotateTokens: true}}}}"
                    );
                    self.survivors.apply(&sync).await;
                }
            }
            Ask::Word => {
                for agent in self.names() {
                    let word = format!(
                        "{{apiVersion: quartermaster.dev/v1alpha1, kind: Agent, metadata: {{name: {agent}}}, \
                         spec: {{token: {{rotation: word-{nth}}}}}}}"
                    );
                    self.survivors.apply_as("somebody-careful", &word).await;
                }
            }
        }
    }

    /// The token in force of each agent, by name.
    pub fn tokens(&self) -> BTreeMap<String, String> {
        let secrets = self.prompt.tokens();
        let token = |secret: &Secret| {
            let name = secret.labels()[names::AGENT_LABEL].clone();
            let token = &secret.data.as_ref().unwrap()[names::TOKEN_KEY];
            (name, String::from_utf8(token.0.clone()).unwrap())
        };
        secrets.iter().map(|secret| token(secret)).collect()
    }

    /// How often a token was unknown to somebody, and the Secrets were listed.
    pub fn lists(&self) -> u64 {
        self.prompt.lists() + self.lagging.lists()
    }

    pub fn names(&self) -> Vec<String> {
        self.prompt
            .agents()
            .iter()
            .map(|agent| agent.name_any())
            .collect()
    }

    /// Who has not got another token than before, or not yet whole.
    pub fn to_change(&self, before: &BTreeMap<String, String>) -> usize {
        let open = self.prompt.tokens().into_iter().filter(|secret| {
            let data = secret.data.as_ref().unwrap();
            let name = &secret.labels()[names::AGENT_LABEL];
            let is_old = data[names::TOKEN_KEY].0 == before[name].as_bytes();
            is_old || data.contains_key(names::TOKEN_NEXT_KEY)
        });
        open.count()
    }

    pub async fn until_changed(&self, before: &BTreeMap<String, String>, told: &str) {
        self.until(told, || self.to_change(before)).await;
    }

    async fn until(&self, told: &str, left: impl Fn() -> usize) {
        let start = Instant::now();
        loop {
            let left = left();
            if left == 0 {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{told}: {left} agents are not done\n{}",
                self.survivors.log()
            );
            sleep(POLL).await;
        }
    }

    /// The token in an agent's own file, as it lies in the gateway now.
    pub fn read(&self) -> Read {
        let gateways = self.gateways.clone();
        let of_gateway: HashMap<String, usize> = (0..CONTRACTS.len()).map(|n| (gateway_name(n), n)).collect();
        let place = |agent: &Agent| {
            let status = agent.status.as_ref().unwrap();
            let gateway = of_gateway[&status.binding.as_ref().unwrap().gateway.name];
            (agent.name_any(), (gateway, status.agent_id.clone().unwrap()))
        };
        let agents = self.prompt.agents();
        let places: HashMap<String, (usize, String)> = agents.iter().map(|agent| place(agent)).collect();
        Arc::new(move |agent: &str| {
            let (gateway, id) = &places[agent];
            CARRIERS.iter().find_map(|carrier| {
                let text = gateways[*gateway].file(id, carrier)?;
                token_in(&text).map(str::to_owned)
            })
        })
    }

    /// Each token in force is in exactly one file, which is its agent's; no other that there ever was is in any.
    pub async fn each_is_in_one_file(&self, told: &str) {
        let files: Vec<(String, String)> = self.gateways.iter().flat_map(SimulatedGateway::files).collect();
        // Whatever stands around them: a token is a word.
        let mut holding: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        let of_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for (path, text) in &files {
            for word in text.split(|c| !of_token(c)).filter(|word| word.len() >= 32) {
                holding.entry(word).or_default().insert(path);
            }
        }
        let (read, in_force) = (self.read(), self.tokens());
        for (agent, token) in &in_force {
            let files = holding.get(token.as_str()).cloned().unwrap_or_default();
            assert_eq!(files.len(), 1, "{told}: the token of {agent} is in {files:?}");
            assert!(
                read(agent).as_ref() == Some(token),
                "{told}: {files:?} is not {agent}'s"
            );
        }
        for (agent, history) in self.kept.tokens(told).await {
            let tokens = history.iter().filter_map(|version| version.token.as_ref());
            for old in tokens.filter(|token| **token != in_force[&agent]) {
                let files = holding.get(old.as_str());
                assert!(files.is_none(), "{told}: an old token of {agent} is in {files:?}");
            }
        }
    }
}

fn gateway_name(n: usize) -> String {
    format!("harbour-{n}")
}

fn fleet_of(n: usize, url: &str, workers: usize) -> String {
    let gateway = gateway_name(n);
    let agent = |name: String, role: &str| {
        format!(
            "---\napiVersion: quartermaster.dev/v1alpha1\nkind: Agent\nmetadata: {{name: {name}}}\n\
             spec:\n  role: {role}\n  boardRef: {{name: crew-{n}}}\n  identity: {{role: Deckhand {name}}}\n"
        )
    };
    let lead = agent(format!("lead-{n}"), "Lead");
    let hands: String = (0..workers)
        .map(|hand| agent(format!("hand-{n}-{hand}"), "Worker"))
        .collect();
    format!(
        "apiVersion: quartermaster.dev/v1alpha1\nkind: Gateway\nmetadata: {{name: {gateway}}}\n\
         spec:\n  url: {url}\n  workspaceRoot: ~/.openclaw\n  tokenSecretRef: {{name: gateway-token}}\n\
         ---\napiVersion: quartermaster.dev/v1alpha1\nkind: Board\nmetadata: {{name: crew-{n}}}\n\
         spec:\n  gatewayRef: {{name: {gateway}}}\n  maxAgents: {workers}\n{lead}{hands}"
    )
}
