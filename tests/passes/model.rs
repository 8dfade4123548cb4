//! One Agent, the program's own passes over it, and an outside that is a few maps. What no pass may do is asserted where the
//! effect is performed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use quartermaster::deposits::{Answer as DepositAnswer, Deposit, Order};
use quartermaster::desired::agent::{self, AgentToken, Desired, Heard, Snapshot, Texts, TokenSecret};
use quartermaster::desired::document::Document;
use quartermaster::execute::agent::machine::{Answer, Effect, Machine};
use quartermaster::execute::agent::{Failure, Whose};
use quartermaster::fact::Fact;
use quartermaster::gateway::commit::NotCommitted;
use quartermaster::gateway::configuration::Configuration;
use quartermaster::gateway::contract::Roster;
use quartermaster::gateway::{Contract, Trouble};
use quartermaster::observed::agent::{Found, Line, Observed, Said, hash};
use quartermaster::plan;
use quartermaster::plan::agent::{Farewell, Promise, TokenChange, check};
use quartermaster::resource::agent::{AgentStatus, Lifecycle, WakeState};
use quartermaster::resource::settings::{DeletionPolicy, Drift};
use quartermaster::resource::{Agent, Board, Gateway, TemplateSync, names};
use quartermaster::status;
use serde_json::{Value, json};

use crate::deed::Blind;
use crate::outside::{Outside, Told, deposit_of};

pub(crate) struct Model {
    pub(crate) agent: Option<Agent>,
    pub(crate) board: Board,
    pub(crate) gateway: Gateway,
    /// Another Agent that names the same agent.
    pub(crate) rival: Option<Arc<Agent>>,
    pub(crate) secret: Option<Stored>,
    pub(crate) tokens_minted: usize,
    /// How often another one was asked for.
    pub(crate) tokens_asked: usize,
    pub(crate) syncs: Vec<Arc<TemplateSync>>,
    /// How often its session was reset.
    pub(crate) resets: usize,
    /// What agents had made of their files, by hash, before it was written over.
    kept: BTreeSet<String>,
    pub(crate) outside: Outside,
    /// What was in the files of an agent before it was ours.
    pub(crate) strangers: BTreeMap<String, String>,
    /// What we wrote last.
    ours: BTreeMap<String, String>,
    pub(crate) now: Timestamp,
    blind: Vec<Blind>,
    pub(crate) is_away_for_ever: bool,
    /// In the memory of the process; a refusal with the time until which it counts.
    deposit: Option<(Deposit, Timestamp)>,
    said: Option<Said>,
    promised: Option<String>,
    pub(crate) effects: usize,
    pub(crate) names: Vec<String>,
    /// Each status that was written, where somebody asks for them.
    pub(crate) statuses: Option<Vec<Agent>>,
    cut: Option<(usize, bool)>,
}

/// The Secret with the tokens, and how often it was written.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    tokens: BTreeMap<&'static str, AgentToken>,
    notes: BTreeMap<String, String>,
    version: usize,
}

/// Whose the agent in the gateway is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    Ours,
    /// It was there before us, and is adopted by its id.
    Adopted,
}

const UID: &str = "6bc1e02e-1350-40fb-996e-542b1d695ed4";

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    Never,
    /// So many passes.
    After(usize),
    /// Counted from now; `after`: the effect happens, its answer is lost with the process.
    At {
        effect: usize,
        after: bool,
    },
}

/// The process has ended at an effect.
struct Killed;

impl Model {
    pub(crate) fn new(contract: &'static Contract, origin: Origin) -> Self {
        let mut agent = json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
            "metadata": { "name": "triage", "namespace": "team", "uid": UID, "generation": 1,
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
        let mut outside = Outside::new(contract);
        if let Origin::Adopted = origin {
            agent["spec"]["agentId"] = json!("helper");
            let entry = json!({ "name": "Helper", "workspace": "/w/helper", "tools": { "profile": "full" } });
            outside.entry = entry.as_object().cloned();
            let theirs = ["AGENTS.md", "SOUL.md", "USER.md"];
            let theirs = theirs.map(|name| (name.to_owned(), format!("{name} of a stranger\n")));
            outside.files.extend(theirs);
        }
        Self {
            agent: Some(serde_json::from_value(agent).unwrap()),
            board: serde_json::from_value(board).unwrap(),
            gateway: serde_json::from_value(gateway).unwrap(),
            rival: None,
            secret: None,
            tokens_minted: 0,
            tokens_asked: 1,
            syncs: Vec::new(),
            resets: 0,
            kept: BTreeSet::new(),
            strangers: outside.files.clone(),
            outside,
            ours: BTreeMap::new(),
            now: "2026-11-21T10:00:01Z".parse().unwrap(),
            blind: Vec::new(),
            is_away_for_ever: false,
            deposit: None,
            said: None,
            promised: None,
            effects: 0,
            names: Vec::new(),
            statuses: None,
            cut: None,
        }
    }

    pub(crate) fn cannot_see(&mut self, what: &[Blind]) {
        self.blind.extend(what);
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
        self.outside.is_left_alone();
    }

    /// Passes until nothing changes, with time going by, and started anew where it was cut off.
    pub(crate) fn rest(&mut self, passes: usize) {
        for pass in 0..passes {
            let before = (self.effects, self.waits());
            self.work(Stop::Never);
            if (self.effects, self.waits()) == before && !self.is_waiting() && !self.is_disturbed() {
                return;
            }
            // Longer than anything is gathered; and what takes longer than that takes minutes.
            self.now += SignedDuration::from_secs(if pass < 3 { 31 } else { 240 });
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
        let passes = match stop {
            Stop::After(passes) => passes,
            Stop::Never | Stop::At { .. } => 50,
        };
        for _ in 0..passes {
            let before = self.effects;
            if self.pass().is_err() {
                self.crash();
                continue;
            }
            if self.effects == before && !self.outside.is_busy() {
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

    /// Something is still to come that no pass brings about.
    fn is_disturbed(&self) -> bool {
        let is_refused = self.deposit.as_ref().is_some_and(|(deposit, until)| {
            matches!(deposit.answer, DepositAnswer::Not { .. }) && *until > self.now
        });
        // What may come by itself is waited for, and after five minutes somebody is called.
        let is_patient = self.waits().is_some_and(|status| status.waiting.is_some());
        let stored = self.secret.as_ref();
        let is_rotating = stored.is_some_and(|stored| stored.tokens.len() > 1) && !self.is_held();
        let is_open =
            !self.blind.is_empty() || self.outside.is_busy() || is_refused || is_patient || is_rotating;
        self.agent.is_some() && is_open
    }

    /// Nothing is done to it, whatever is still to do.
    fn is_held(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| {
            let has_next = self
                .secret
                .as_ref()
                .is_some_and(|it| it.tokens.contains_key(names::TOKEN_NEXT_KEY));
            let is_going = agent.metadata.deletion_timestamp.is_some();
            let is_out = agent.spec.lifecycle == Lifecycle::Retired && has_next;
            agent.spec.suspend || is_going || is_out || self.is_away() || self.is_outranked()
        })
    }

    /// As a session tells of what was deposited.
    fn hear(&mut self, told: Option<Told>) {
        let (Some(told), Some((deposit, until))) = (told, &mut self.deposit) else {
            return;
        };
        let again = match told {
            Told::Done => {
                deposit.answer = DepositAnswer::Done {
                    again: Duration::ZERO,
                };
                Duration::ZERO
            }
            Told::Not { why, again } => {
                deposit.answer = DepositAnswer::Not { why, again };
                again
            }
        };
        *until = self.now + again;
    }

    /// What each pass finds by itself.
    fn time_goes_by(&mut self) {
        self.blind.retain_mut(|blind| match blind {
            Blind::Configuration(left)
            | Blind::File(_, left)
            | Blind::History(left)
            | Blind::Secret(left)
            | Blind::Gateway(left) => {
                let was = *left;
                *left = left.saturating_sub(1);
                was > 0
            }
        });
        let is_away = self.is_away();
        if !is_away {
            let told = self.outside.advance(1);
            self.hear(told);
        }
        let now = self.now;
        if let Some((deposit, until)) = &mut self.deposit
            && let DepositAnswer::Not { why, again } = &mut deposit.answer
        {
            *again = until.duration_since(now).try_into().unwrap_or_default();
            // As the look does: another gateway may come back.
            if is_away && matches!(why, NotCommitted::Rejected(_)) {
                self.deposit = None;
            }
        }
    }

    fn is_away(&self) -> bool {
        self.is_away_for_ever || self.blind.iter().any(|blind| matches!(blind, Blind::Gateway(_)))
    }

    fn is_blind(&self, to: impl Fn(&Blind) -> bool) -> bool {
        self.is_away() || self.blind.iter().any(to)
    }

    fn pass(&mut self) -> Result<(), Killed> {
        self.time_goes_by();
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
                let answer = self.effect(name, |model| model.perform(&effect, &desired, &observed))?;
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
                    let (Some(kept), agent) = (&mut model.statuses, agent.clone()) else {
                        return;
                    };
                    kept.push(agent);
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
            rivals: self.rival.iter().cloned().collect(),
            workspace_rivals: Vec::new(),
            ahead: Vec::new(),
            token: match &self.secret {
                _ if self.blind.iter().any(|blind| matches!(blind, Blind::Secret(_))) => Fact::Unknown,
                None => Fact::Absent,
                Some(stored) => Fact::Known(TokenSecret {
                    is_ours: true,
                    annotations: stored.notes.clone(),
                    document: Document {
                        version: stored.version.to_string(),
                        data: stored
                            .tokens
                            .iter()
                            .map(|(key, token)| {
                                ((*key).to_owned(), ByteString(token.reveal().as_bytes().to_vec()))
                            })
                            .collect(),
                    },
                }),
            },
            texts: Texts::default(),
            syncs: self.syncs.clone(),
            contract: Some(self.outside.contract),
            base_url: None,
            now: self.now,
            agent,
        }
    }

    fn observed(&self, desired: &Desired) -> Observed {
        let place = desired.place.as_ref().unwrap();
        let contract = self.outside.contract;
        let nothing = Observed {
            line: Line::Down(Trouble::ConnectionRefused),
            configuration: Fact::Unknown,
            deposit: self.deposit.as_ref().map(|(deposit, _)| deposit.clone()),
            files: BTreeMap::new(),
            look_again: None,
            answers: None,
            history: Fact::Unknown,
            said: self.said.clone(),
            turn: None,
            promised_here: false,
            contested: BTreeMap::new(),
            token_hash: match &desired.token.found {
                Fact::Known(token) => Fact::Known(format!("hash of {}", token.fingerprint())),
                Fact::Absent | Fact::Unknown => Fact::Unknown,
            },
        };
        let id = desired.promises.wake.as_ref().and_then(|wake| wake.id.clone());
        let nothing = Observed {
            promised_here: self.promised == id,
            ..nothing
        };
        if self.is_away() {
            return nothing;
        }
        let nothing = Observed {
            line: Line::Up(contract),
            ..nothing
        };
        // Files and history are only looked at where the entry is known to be there.
        if self.is_blind(|blind| matches!(blind, Blind::Configuration(_))) {
            return nothing;
        }
        let configuration = Fact::Known(Arc::new(self.configuration(place)));
        if self.outside.entry.is_none() {
            return Observed {
                configuration,
                ..nothing
            };
        }
        let wanted = desired.content.as_ref().ok();
        let names = wanted.iter().flat_map(|content| content.files.files.keys());
        let unread = self.unread(names.clone());
        let found = |name: &String| match self.outside.files.get(name) {
            _ if unread.contains(name) => Fact::Unknown,
            None => Fact::Absent,
            Some(text) => Fact::Known(Found {
                hash: hash(text),
                told: contract.roster == Roster::Entries,
                content: Some(Arc::from(text.as_str())),
            }),
        };
        let is_open = desired
            .promises
            .wake
            .as_ref()
            .is_some_and(|wake| wake.state == Some(WakeState::Intended));
        let is_told = is_open && !self.is_blind(|blind| matches!(blind, Blind::History(_)));
        Observed {
            configuration,
            files: names.map(|name| (name.clone(), found(name))).collect(),
            answers: Some(desired.ask.clone()),
            history: match (&id, is_told) {
                (Some(id), true) => Fact::Known(self.outside.holds(id, self.now)),
                (Some(_) | None, _) => Fact::Unknown,
            },
            ..nothing
        }
    }

    fn configuration(&self, place: &agent::Place) -> Configuration {
        let id = place.agent.as_str();
        let agents = match self.outside.contract.roster {
            Roster::Entries => {
                let entry = self
                    .outside
                    .entry
                    .clone()
                    .map(|entry| (id.to_owned(), Value::Object(entry)));
                let main = ("main".to_owned(), json!({}));
                let entries: serde_json::Map<_, _> = [main].into_iter().chain(entry).collect();
                json!({ "ownership": "explicit", "entries": entries })
            }
            Roster::MergedList | Roster::ReplacedList => {
                let entry = self.outside.entry.clone().map(|mut entry| {
                    entry.insert("id".to_owned(), json!(id));
                    Value::Object(entry)
                });
                let list: Vec<Value> = [json!({ "id": "main" })].into_iter().chain(entry).collect();
                json!({ "list": list })
            }
        };
        Configuration::parse(&json!({ "hash": "h", "config": { "agents": agents } })).unwrap()
    }

    fn unread<'a>(&self, names: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
        let names: Vec<&String> = names.collect();
        let nth = self.blind.iter().filter_map(|blind| match blind {
            Blind::File(nth, _) => Some(*nth),
            Blind::Configuration(_) | Blind::History(_) | Blind::Secret(_) | Blind::Gateway(_) => None,
        });
        nth.filter_map(|nth| names.get(nth % names.len().max(1)))
            .map(|name| (*name).clone())
            .collect()
    }

    /// Whether another Agent comes before this one, by the rule that users are told: who holds the agent, then who was first.
    fn is_outranked(&self) -> bool {
        let (Some(rival), Some(agent)) = (&self.rival, &self.agent) else {
            return false;
        };
        let rank = |agent: &Agent| {
            let status = agent.status.as_ref();
            let holds = status.is_some_and(|status| status.binding.is_some() && status.entry.is_some());
            (
                !holds,
                agent.metadata.creation_timestamp.as_ref().map(|time| time.0),
            )
        };
        rank(rival) < rank(agent)
    }

    fn perform(&mut self, effect: &Effect, desired: &Desired, observed: &Observed) -> Answer {
        let is_in_the_gateway = matches!(effect, Effect::Deposit(_) | Effect::SetFile(_) | Effect::Send(_));
        if is_in_the_gateway {
            assert!(!self.is_away(), "{effect:?}, and the gateway is away");
            assert!(
                !self.is_outranked(),
                "{effect:?} to an agent that another one holds"
            );
        }
        match effect {
            Effect::HoldObject => {
                let agent = self.agent.as_mut().unwrap();
                let finalizers = agent.metadata.finalizers.get_or_insert_default();
                if !finalizers.iter().any(|name| name == names::FINALIZER) {
                    finalizers.push(names::FINALIZER.to_owned());
                }
                Answer::Done
            }
            Effect::LetGo(farewell) => {
                if *farewell == Farewell::Clean && desired.promises.entered {
                    let is_gone = self.outside.entry.is_none() && !self.outside.has_put_under_way();
                    assert!(
                        is_gone,
                        "let go as clean, and something of it is or comes into the gateway"
                    );
                }
                if *farewell == Farewell::Forced {
                    assert!(self.is_away_for_ever, "let go by force that nobody asked for");
                }
                // What it owns goes with it.
                self.agent = None;
                self.secret = None;
                Answer::Done
            }
            Effect::CreateSecret {
                secret: _,
                token,
                heard,
            } => {
                let is_unread = self.blind.iter().any(|blind| matches!(blind, Blind::Secret(_)));
                assert!(!is_unread, "over a Secret that could not be read");
                // One that is there stays.
                if self.secret.is_none() {
                    let token = token.clone().unwrap_or_else(|| self.mint());
                    self.secret = Some(Stored {
                        tokens: BTreeMap::from([(names::TOKEN_KEY, token)]),
                        notes: notes(heard),
                        version: 1,
                    });
                }
                Answer::Done
            }
            Effect::ChangeSecret {
                secret: _,
                version,
                change,
            } => {
                self.change_secret(version, change);
                Answer::Begun
            }
            Effect::KeepReplaced(replaced) => {
                self.kept
                    .extend(replaced.files.values().map(|content| hash(content)));
                Answer::Done
            }
            Effect::ResetSession(_) => {
                self.resets += 1;
                Answer::Done
            }
            Effect::Deposit(order) => {
                assert!(
                    matches!(observed.configuration, Fact::Known(_)),
                    "{order:?} on what could not be read"
                );
                if let Order::TakeOut(_) = order {
                    assert!(!self.is_to_stay(), "taken out, and it was to stay");
                }
                if let Some((before, until)) = &self.deposit
                    && before.order == *order
                    && before.ask == desired.ask
                {
                    let is_due = match before.answer {
                        DepositAnswer::UnderWay => false,
                        DepositAnswer::Not { .. } => *until <= self.now,
                        DepositAnswer::Done { .. } | DepositAnswer::Removed { .. } => true,
                    };
                    assert!(is_due, "asked for again, and it is {:?}", before.answer);
                }
                let deposit = deposit_of(order, &desired.ask, DepositAnswer::UnderWay);
                self.deposit = Some((deposit, self.now));
                let told = self.outside.deposit(order);
                self.hear(told);
                Answer::Begun
            }
            Effect::SetFile(write) => {
                assert!(
                    self.outside.entry.is_some(),
                    "a file of an agent that is not there"
                );
                let seen = observed.files.get(&write.file);
                assert!(
                    !matches!(seen, None | Some(Fact::Unknown)),
                    "{} was not read",
                    write.file
                );
                let there = self.outside.files.get(&write.file).map(|text| hash(text));
                if write.expected.is_some() {
                    assert_eq!(write.expected, there, "written over what was not read");
                }
                if write.replaces.is_none() {
                    self.spares_the_stranger(&write.file, &write.content);
                } else {
                    assert!(
                        there.as_ref().is_some_and(|there| self.kept.contains(there)),
                        "{} is written over, and what the agent made of it is nowhere",
                        write.file
                    );
                }
                let is_put_back = self.ours.get(&write.file) == Some(&write.content);
                assert!(
                    !is_put_back || desired.drift == Drift::Correct,
                    "{} is put back, and drift is {:?}",
                    write.file,
                    desired.drift
                );
                self.ours.insert(write.file.clone(), write.content.clone());
                self.outside
                    .files
                    .insert(write.file.clone(), write.content.clone());
                let tells = self.outside.contract.roster == Roster::Entries;
                Answer::Written(tells.then(|| hash(&write.content)))
            }
            Effect::ReadBack(write) => Answer::Holds(self.outside.files.get(&write.file).cloned()),
            Effect::Send(message) => {
                assert_ne!(
                    observed.history,
                    Fact::Unknown,
                    "sent, and the history was not read"
                );
                // Whoever tries knows that he may have sent it.
                self.promised = None;
                match self.outside.send(&message.id, self.now) {
                    Some(answer) => {
                        self.said = Some(Said {
                            id: message.id.clone(),
                            answer,
                        });
                        Answer::Begun
                    }
                    None => Answer::Failed(Failure {
                        whose: Whose::GatewaysSilence,
                        why: "no answer in time".to_owned(),
                    }),
                }
            }
            Effect::Foresee(agents) => {
                let status = self.gateway.status.get_or_insert_default();
                status.preserved_heartbeats = agents.iter().cloned().collect();
                Answer::Begun
            }
            Effect::Hash(_) => Answer::Begun,
        }
    }

    fn mint(&mut self) -> AgentToken {
        let mut random = [7; 32];
        random[0] = u8::try_from(self.tokens_minted).unwrap();
        self.tokens_minted += 1;
        AgentToken::of(&random)
    }

    /// A compare-and-swap. What an agent may have in its file is accepted at any time.
    fn change_secret(&mut self, version: &str, change: &TokenChange) {
        let is_as_read = |stored: &Stored| stored.version.to_string() == version;
        if !self.secret.as_ref().is_some_and(is_as_read) {
            return;
        }
        let minted = matches!(change, TokenChange::Next(_)).then(|| self.mint());
        let stored = self.secret.as_mut().unwrap();
        stored.version += 1;
        match change {
            TokenChange::Next(heard) => {
                assert!(
                    !stored.tokens.contains_key(names::TOKEN_NEXT_KEY),
                    "one is on its way"
                );
                stored.tokens.insert(names::TOKEN_NEXT_KEY, minted.unwrap());
                stored.notes.extend(notes(heard));
            }
            TokenChange::Promote {
                next,
                previous,
                since,
                previous_until,
            } => {
                stored.tokens.remove(names::TOKEN_NEXT_KEY);
                stored.tokens.insert(names::TOKEN_KEY, next.clone());
                stored.tokens.insert(names::TOKEN_PREVIOUS_KEY, previous.clone());
                let times = [
                    (names::TOKEN_ROTATED_AT, since),
                    (names::TOKEN_PREVIOUS_UNTIL, previous_until),
                ];
                let times = times.map(|(name, time)| (name.to_owned(), time.to_string()));
                stored.notes.extend(times);
            }
            TokenChange::DropPrevious => {
                stored.tokens.remove(names::TOKEN_PREVIOUS_KEY);
                stored.notes.remove(names::TOKEN_PREVIOUS_UNTIL);
            }
        }
        let accepted: Vec<&str> = stored.tokens.values().map(AgentToken::reveal).collect();
        for (name, text) in &self.outside.files {
            let words = text.split(|sign: char| !(sign.is_ascii_alphanumeric() || "-_".contains(sign)));
            let mut tokens = words.filter(|word| word.len() == accepted[0].len());
            assert!(
                tokens.all(|token| accepted.contains(&token)),
                "{name} has a token that is not accepted after {change:?}"
            );
        }
    }

    /// As users are told: whoever is deleted goes, unless its policy is Orphan, which is that of who is adopted.
    fn is_to_stay(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| {
            let by_default = if agent.spec.agent_id.is_some() {
                DeletionPolicy::Orphan
            } else {
                DeletionPolicy::Delete
            };
            let policy = agent.spec.deletion_policy.unwrap_or(by_default);
            agent.metadata.deletion_timestamp.is_some() && policy == DeletionPolicy::Orphan
        })
    }

    /// Of what somebody else wrote before us nothing goes, but where the user says so of a file by name.
    fn spares_the_stranger(&self, file: &str, content: &str) {
        let said = self.agent.iter().flat_map(|agent| &agent.spec.files);
        let is_said = said.into_iter().any(|said| said.name == file);
        if let (Some(theirs), false) = (self.strangers.get(file), is_said) {
            assert!(
                content.contains(theirs.trim()),
                "{file} is not the stranger's any more: {content}"
            );
        }
    }
}

fn notes(heard: &Heard) -> BTreeMap<String, String> {
    let Heard { word, sync } = heard;
    let word = word
        .iter()
        .map(|word| (names::TOKEN_ROTATION.to_owned(), word.clone()));
    let sync = sync
        .iter()
        .map(|sync| (names::TOKEN_ROTATION_SYNC.to_owned(), sync.clone()));
    word.chain(sync).collect()
}

/// Another Agent that names the agent of the one that is looked at.
pub(crate) fn rival(contract: &Contract, first: bool, holds: bool) -> Arc<Agent> {
    let since = if first {
        "2026-11-21T09:00:00Z"
    } else {
        "2026-11-21T11:00:00Z"
    };
    let mut rival = json!({
        "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
        "metadata": { "name": "rival", "namespace": "team", "uid": "r1", "generation": 1, "creationTimestamp": since },
        "spec": { "boardRef": { "name": "other" }, "agentId": "helper" },
    });
    if holds {
        rival["status"] = json!({
            "binding": { "gateway": { "name": "harbour", "uid": "g1" }, "agentId": "helper", "workspace": "/w/helper",
                "adopted": true },
            "entry": { "ownedPaths": [] },
            "contract": contract.name,
        });
    }
    Arc::new(serde_json::from_value(rival).unwrap())
}
