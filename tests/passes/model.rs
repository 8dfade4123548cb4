//! The outside of one Agent as a few maps, and what happens to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use quartermaster::deposits::{Answer as DepositAnswer, Deposit, Order};
use quartermaster::desired::agent::{self, AgentToken, Snapshot, Texts, TokenSecret};
use quartermaster::desired::document::Document;
use quartermaster::execute::agent::machine::{Answer, Effect, Machine};
use quartermaster::fact::Fact;
use quartermaster::gateway::Contract;
use quartermaster::gateway::chat::InHistory;
use quartermaster::gateway::configuration::{Configuration, Entry};
use quartermaster::gateway::contract::Roster;
use quartermaster::observed::agent::{Found, Heard, Line, Observed, Said, hash};
use quartermaster::plan;
use quartermaster::plan::agent::{Promise, check};
use quartermaster::resource::agent::{AgentStatus, Lifecycle, WakeState};
use quartermaster::resource::settings::{AgentFile, FilePolicy};
use quartermaster::resource::{Agent, Board, Gateway, names};
use quartermaster::status;
use serde_json::{Value, json};

pub(crate) struct Model {
    contract: &'static Contract,
    agent: Option<Agent>,
    board: Board,
    gateway: Gateway,
    token: Option<AgentToken>,
    pub(crate) tokens_minted: usize,
    entry: Option<Entry>,
    files: BTreeMap<String, String>,
    /// Keys of the messages that became turns.
    messages: Vec<String>,
    now: Timestamp,
    /// In the memory of the process.
    deposit: Option<Deposit>,
    said: Option<Said>,
    promised: Option<String>,
    pub(crate) effects: usize,
    pub(crate) names: Vec<String>,
    cut: Option<(usize, bool)>,
}

#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Identity(usize),
    Objective(usize),
    Heartbeat(usize),
    Config(usize),
    Model(usize),
    File(usize),
    Pause,
    Retire,
    Activate,
    Suspend,
    Resume,
    SomebodyEditsFile(usize),
    SomebodyDeletesFile(usize),
    SomebodyEditsEntry,
    AgentReadsBootstrap,
    SecretIsLost,
    Delete,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    Never,
    /// Counted from now; `after`: the effect happens, its answer is lost with the process.
    At {
        effect: usize,
        after: bool,
    },
}

/// What must be the same however it came about.
#[derive(PartialEq, serde::Serialize)]
pub(crate) struct Picture {
    entry: Option<Entry>,
    files: BTreeMap<String, String>,
    has_token: bool,
    is_there: bool,
    messages: usize,
    status: Option<Value>,
}

impl Picture {
    /// None where they are the same.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<String> {
        let text = |picture: &Self| serde_json::to_string_pretty(picture).unwrap();
        let (one, other_text) = (text(self), text(other));
        let diff = similar::TextDiff::from_lines(&other_text, &one);
        (self != other).then(|| diff.unified_diff().context_radius(4).to_string())
    }
}

/// The process has ended at an effect.
struct Killed;

impl Model {
    pub(crate) fn new(contract: &'static Contract) -> Self {
        let uid = "6bc1e02e-1350-40fb-996e-542b1d695ed4";
        let agent = json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
            "metadata": { "name": "triage", "namespace": "team", "uid": uid, "generation": 1,
                "creationTimestamp": "2026-11-21T10:00:00Z" },
            "spec": { "boardRef": { "name": "ops" }, "displayName": "Triage" },
        });
        let board = json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Board",
            "metadata": { "name": "ops", "namespace": "team", "uid": "b1", "generation": 1 },
            "spec": { "gatewayRef": { "name": "harbour" } },
        });
        let gateway = json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Gateway",
            "metadata": { "name": "harbour", "namespace": "team", "uid": "g1", "generation": 1 },
            "spec": { "url": "ws://gateway", "workspaceRoot": "~/.openclaw" },
        });
        Self {
            contract,
            agent: Some(serde_json::from_value(agent).unwrap()),
            board: serde_json::from_value(board).unwrap(),
            gateway: serde_json::from_value(gateway).unwrap(),
            token: None,
            tokens_minted: 0,
            entry: None,
            files: BTreeMap::new(),
            messages: Vec::new(),
            now: "2026-11-21T10:00:01Z".parse().unwrap(),
            deposit: None,
            said: None,
            promised: None,
            effects: 0,
            names: Vec::new(),
            cut: None,
        }
    }

    /// Once, at this effect counted from the beginning.
    pub(crate) fn cut_at(&mut self, effect: usize, after: bool) {
        self.cut = Some((effect, after));
    }

    /// The process is gone; what it remembered with it.
    pub(crate) fn crash(&mut self) {
        self.deposit = None;
        self.said = None;
        self.promised = None;
    }

    /// Passes until nothing changes, with time going by, and started anew where it was cut off.
    pub(crate) fn rest(&mut self, passes: usize) {
        for _ in 0..passes {
            let before = (self.effects, self.waits());
            self.work(Stop::Never);
            if (self.effects, self.waits()) == before && !self.is_waiting() {
                return;
            }
            self.now += SignedDuration::from_secs(31);
        }
        panic!(
            "no rest after {passes} passes; the last effects: {:?}",
            self.names.iter().rev().take(12).collect::<Vec<_>>()
        );
    }

    /// A pass after another until one of them changes nothing.
    pub(crate) fn work(&mut self, stop: Stop) {
        if let Stop::At { effect, after } = stop {
            self.cut = Some((self.effects + effect, after));
        }
        for _ in 0..50 {
            let before = self.effects;
            if self.pass().is_err() {
                self.crash();
                continue;
            }
            if self.effects == before {
                break;
            }
        }
        if matches!(stop, Stop::At { .. }) {
            self.cut = None;
        }
    }

    fn waits(&self) -> Option<AgentStatus> {
        self.agent.as_ref().and_then(|agent| agent.status.clone())
    }

    fn is_waiting(&self) -> bool {
        let wake = self.waits().and_then(|status| status.wake);
        wake.is_some_and(|wake| {
            let is_open = wake.state == Some(WakeState::Intended) || wake.due_since.is_some();
            let agent = self.agent.as_ref().unwrap();
            let is_active = agent.spec.lifecycle == Lifecycle::Active && !agent.spec.suspend;
            is_open && is_active && agent.metadata.deletion_timestamp.is_none()
        })
    }

    fn pass(&mut self) -> Result<(), Killed> {
        let Some(agent) = self.agent.clone() else {
            return Ok(());
        };
        let snapshot = self.snapshot(agent);
        let desired = agent::of(&snapshot);
        let observed = self.observed(&desired);
        let plan = plan::agent::between(&desired, &observed);
        assert_eq!(check::judge(&plan, &desired, &observed), Ok(()), "{plan:#?}");
        let mut machine = Machine::new(plan);
        loop {
            let effects = machine.to_begin();
            if effects.is_empty() {
                break;
            }
            for (ticket, effect) in effects {
                let name = format!("{effect:?}").chars().take(60).collect();
                let answer = self.effect(name, |model| model.perform(&effect))?;
                machine.hear(ticket, answer);
            }
        }
        let outcome = machine.outcome();
        let report = status::agent::of(&snapshot, &desired, &observed, &outcome);
        let is_other = self
            .agent
            .as_ref()
            .is_some_and(|agent| agent.status.as_ref() != Some(&report.status));
        if is_other {
            self.effect("status".to_owned(), |model| {
                if let Some(agent) = &mut model.agent {
                    agent.status = Some(report.status.clone());
                }
            })?;
        }
        for promise in outcome.promised() {
            if let Promise::Wake(wake) = promise {
                self.promised = wake.id.clone();
            }
        }
        Ok(())
    }

    /// Counted, and perhaps the last thing that the process does.
    fn effect<T>(&mut self, name: String, act: impl FnOnce(&mut Self) -> T) -> Result<T, Killed> {
        let number = self.effects;
        match self.cut {
            Some((at, false)) if at == number => {
                self.cut = None;
                Err(Killed)
            }
            cut => {
                self.effects += 1;
                self.names.push(name);
                let done = act(self);
                if cut == Some((number, true)) {
                    self.cut = None;
                    return Err(Killed);
                }
                Ok(done)
            }
        }
    }

    fn snapshot(&self, agent: Agent) -> Snapshot {
        let agent = Arc::new(agent);
        Snapshot {
            board: Fact::Known(Arc::new(self.board.clone())),
            gateway: Fact::Known(Arc::new(self.gateway.clone())),
            team: vec![Arc::clone(&agent)],
            boards: Vec::new(),
            rivals: Vec::new(),
            ahead: Vec::new(),
            token: match &self.token {
                None => Fact::Absent,
                Some(token) => Fact::Known(TokenSecret {
                    is_ours: true,
                    annotations: BTreeMap::new(),
                    document: Document {
                        version: "1".to_owned(),
                        data: BTreeMap::from([(
                            names::TOKEN_KEY.to_owned(),
                            ByteString(token.reveal().as_bytes().to_vec()),
                        )]),
                    },
                }),
            },
            texts: Texts::default(),
            syncs: Vec::new(),
            contract: Some(self.contract),
            base_url: None,
            now: self.now,
            agent,
        }
    }

    fn observed(&self, desired: &agent::Desired) -> Observed {
        let place = desired.place.as_ref().unwrap();
        let entry = |with_id: bool| {
            let mut entry = self.entry.clone()?;
            if with_id {
                entry.insert("id".to_owned(), json!(place.agent.as_str()));
            }
            Some(Value::Object(entry))
        };
        let agents = match self.contract.roster {
            Roster::Entries => json!({ "ownership": "explicit", "entries": entry(false)
                .map_or_else(|| json!({ "main": {} }), |entry| json!({ place.agent.as_str(): entry, "main": {} })) }),
            Roster::MergedList | Roster::ReplacedList => {
                let list: Vec<Value> = [json!({ "id": "main" })].into_iter().chain(entry(true)).collect();
                json!({ "list": list })
            }
        };
        let config = json!({ "hash": "h", "config": { "agents": agents } });
        let is_there = self.entry.is_some();
        let wanted = desired.content.as_ref().ok();
        let names = wanted.iter().flat_map(|content| content.files.files.keys());
        let found = |name: &String| match self.files.get(name) {
            None => Fact::Absent,
            Some(text) => Fact::Known(Found {
                hash: hash(text),
                told: self.contract.roster == Roster::Entries,
                content: Some(Arc::from(text.as_str())),
            }),
        };
        let id = desired.promises.wake.as_ref().and_then(|wake| wake.id.clone());
        let is_held = id.as_ref().is_some_and(|id| self.messages.contains(id));
        Observed {
            line: Line::Up(self.contract),
            configuration: Fact::Known(Arc::new(Configuration::parse(&config).unwrap())),
            deposit: self.deposit.clone(),
            files: if is_there {
                names.map(|name| (name.clone(), found(name))).collect()
            } else {
                BTreeMap::new()
            },
            look_again: None,
            answers: is_there.then(|| desired.ask.clone()),
            history: Fact::Known(if is_held {
                InHistory::Held
            } else {
                InHistory::NotThere
            }),
            said: self.said.clone(),
            turn: None,
            contested: BTreeMap::new(),
            promised_here: self.promised == id,
            token_hash: match &desired.token.found {
                Fact::Known(token) => Fact::Known(format!("hash of {}", token.fingerprint())),
                Fact::Absent | Fact::Unknown => Fact::Unknown,
            },
        }
    }

    fn perform(&mut self, effect: &Effect) -> Answer {
        match effect {
            Effect::HoldObject => {
                let agent = self.agent.as_mut().unwrap();
                let finalizers = agent.metadata.finalizers.get_or_insert_default();
                if !finalizers.iter().any(|name| name == names::FINALIZER) {
                    finalizers.push(names::FINALIZER.to_owned());
                }
                Answer::Done
            }
            Effect::LetGo(_) => {
                // What it owns goes with it.
                self.agent = None;
                self.token = None;
                Answer::Done
            }
            Effect::CreateSecret {
                secret: _,
                token,
                heard: _,
            } => {
                // One that is there stays.
                if self.token.is_none() {
                    let mut random = [7; 32];
                    random[0] = u8::try_from(self.tokens_minted).unwrap();
                    self.tokens_minted += usize::from(token.is_none());
                    self.token = Some(token.clone().unwrap_or_else(|| AgentToken::of(&random)));
                }
                Answer::Done
            }
            Effect::Deposit(order) => {
                match order {
                    Order::Put(change) => {
                        let entry = self.entry.get_or_insert_default();
                        merge(entry, &change.fields);
                        if let Some(Value::Object(heartbeat)) = entry.get_mut("heartbeat") {
                            heartbeat.retain(|key, _| self.contract.heartbeat_keys.contains(&key.as_str()));
                        }
                    }
                    Order::TakeOut(removal) => {
                        self.entry = None;
                        if removal.with_files {
                            self.files.clear();
                        }
                    }
                }
                self.deposit = Some(Deposit {
                    order: order.clone(),
                    ask: String::new(),
                    answer: DepositAnswer::Done {
                        again: std::time::Duration::ZERO,
                    },
                });
                Answer::Begun
            }
            Effect::SetFile(write) => {
                assert!(self.entry.is_some(), "a file of an agent that is not there");
                let there = self.files.get(&write.file).map(|text| hash(text));
                if write.expected.is_some() {
                    assert_eq!(write.expected, there, "written over what was not read");
                }
                self.files.insert(write.file.clone(), write.content.clone());
                let tells = self.contract.roster == Roster::Entries;
                Answer::Written(tells.then(|| hash(&write.content)))
            }
            Effect::ReadBack(write) => Answer::Holds(self.files.get(&write.file).cloned()),
            Effect::Send(message) => {
                // A gateway takes a key once.
                if !self.messages.contains(&message.id) {
                    self.messages.push(message.id.clone());
                }
                self.said = Some(Said {
                    id: message.id.clone(),
                    answer: Heard::Accepted,
                });
                Answer::Begun
            }
            Effect::Foresee(agents) => {
                let status = self.gateway.status.get_or_insert_default();
                status.preserved_heartbeats = agents.iter().cloned().collect();
                Answer::Begun
            }
            Effect::Hash(_) => Answer::Begun,
            Effect::ChangeSecret { .. } | Effect::KeepReplaced(_) | Effect::ResetSession(_) => {
                panic!("nobody asked for it")
            }
        }
    }

    pub(crate) fn happen(&mut self, deed: &Deed) {
        let Some(agent) = &mut self.agent else { return };
        let mut edit = |change: &dyn Fn(&mut Agent)| {
            let before = agent.spec.clone();
            change(agent);
            if agent.spec != before {
                *agent.metadata.generation.get_or_insert(1) += 1;
            }
        };
        let nth =
            |files: &BTreeMap<String, String>, n: usize| files.keys().nth(n % files.len().max(1)).cloned();
        match deed {
            Deed::Identity(n) => edit(&|agent| {
                let role = ["Engineer", "Writer", "Cook", ""][*n];
                agent.spec.identity = serde_json::from_value(json!({ "role": role })).unwrap();
            }),
            Deed::Objective(n) => {
                self.board.spec.objective = Some(format!("objective {n}"));
            }
            Deed::Heartbeat(n) => edit(&|agent| {
                agent.spec.heartbeat = serde_json::from_value(
                    [
                        json!({}),
                        json!({ "every": "5m", "includeReasoning": true }),
                        json!({ "enabled": false, "lightContext": true }),
                    ][*n]
                        .clone(),
                )
                .unwrap();
            }),
            Deed::Config(n) => edit(&|agent| {
                agent.spec.config = serde_json::from_value(
                    [
                        json!({}),
                        json!({ "tools": { "allow": ["read"] } }),
                        json!({ "tools": { "deny": ["exec"], "profile": "minimal" }, "sandbox": { "mode": "off" } }),
                        json!({ "tools": "none" }),
                    ][*n]
                        .clone(),
                )
                .unwrap();
            }),
            Deed::Model(n) => edit(&|agent| agent.spec.model = [None, Some("a/b".to_owned())][*n].clone()),
            Deed::File(n) => edit(&|agent| {
                let file = |name: &str, content: Option<&str>, policy| AgentFile {
                    name: name.to_owned(),
                    content: content.map(str::to_owned),
                    policy,
                    ..AgentFile::default()
                };
                agent.spec.files = [
                    vec![],
                    vec![file("RUNBOOK.md", Some("# Runbook\n"), None)],
                    vec![
                        file("SOUL.md", None, Some(FilePolicy::Ignored)),
                        file("USER.md", Some("somebody\n"), Some(FilePolicy::Managed)),
                    ],
                ][*n]
                    .clone();
            }),
            Deed::Pause => edit(&|agent| agent.spec.lifecycle = Lifecycle::Paused),
            Deed::Retire => edit(&|agent| agent.spec.lifecycle = Lifecycle::Retired),
            Deed::Activate => edit(&|agent| agent.spec.lifecycle = Lifecycle::Active),
            Deed::Suspend => edit(&|agent| agent.spec.suspend = true),
            Deed::Resume => edit(&|agent| agent.spec.suspend = false),
            Deed::SomebodyEditsFile(n) => {
                if let Some(name) = nth(&self.files, *n) {
                    self.files.entry(name).or_default().push_str("I was here\n");
                }
            }
            Deed::SomebodyDeletesFile(n) => {
                if let Some(name) = nth(&self.files, *n) {
                    self.files.remove(&name);
                }
            }
            Deed::SomebodyEditsEntry => {
                if let Some(entry) = &mut self.entry {
                    entry.insert("name".to_owned(), json!("Somebody else"));
                    entry.insert("foreign".to_owned(), json!(1));
                }
            }
            Deed::AgentReadsBootstrap => {
                if !self.messages.is_empty() {
                    self.files.remove("BOOTSTRAP.md");
                }
            }
            Deed::SecretIsLost => self.token = None,
            Deed::Delete => {
                agent.spec.suspend = false;
                if agent.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
                    self.agent = None;
                    self.token = None;
                } else {
                    agent.metadata.deletion_timestamp = Some(Time(self.now));
                }
            }
        }
    }

    pub(crate) fn picture(&self) -> Picture {
        let status = self.agent.as_ref().and_then(|agent| agent.status.clone());
        let status = status.map(|status| {
            let mut value = serde_json::to_value(status).unwrap();
            blank_times(&mut value);
            value
        });
        Picture {
            entry: self.entry.clone(),
            files: self.files.clone(),
            has_token: self.token.is_some(),
            is_there: self.agent.is_some(),
            messages: self.messages.len(),
            status,
        }
    }
}

fn merge(there: &mut Entry, patch: &Entry) {
    for (key, value) in patch {
        match (there.get_mut(key), value) {
            (_, Value::Null) => {
                there.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(patch)) => merge(inner, patch),
            (_, Value::Object(patch)) => {
                let mut inner = Entry::new();
                merge(&mut inner, patch);
                there.insert(key.clone(), Value::Object(inner));
            }
            (_, value) => {
                there.insert(key.clone(), value.clone());
            }
        }
    }
}

/// When something came about may differ; what came about may not.
fn blank_times(value: &mut Value) {
    const TIMES: [&str; 6] = [
        "lastTransitionTime",
        "since",
        "at",
        "rotatedAt",
        "lastSync",
        "dueSince",
    ];
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !TIMES.contains(&key.as_str()));
            fields.values_mut().for_each(blank_times);
        }
        Value::Array(items) => items.iter_mut().for_each(blank_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
