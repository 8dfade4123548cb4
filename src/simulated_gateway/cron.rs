//! Scheduled jobs: those that people add, and on 2026.9.6 those that the gateway keeps for heartbeats and skill reviews.
//! Nothing is ever run.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::clock::Dice;
use super::config::Config;
use super::contract::Contract;
use super::events::READERS;
use super::merge;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::roster::{Agent, Roster};
use super::schema::duration_ms;
use super::world::{State, World};

/// Who has a heartbeat, worked out once for a whole roster.
pub(super) struct Heartbeats<'a> {
    contract: Contract,
    beating: Beating<'a>,
    defaults: Option<&'a Value>,
}

enum Beating<'a> {
    /// Somebody has a block: then nobody else beats.
    WhoHasABlock,
    All,
    Only(&'a str),
    Nobody,
}

/// An agent's heartbeat as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heartbeat {
    on: bool,
    every: String,
    /// None where it is off, and where it never comes (`0m`).
    every_ms: Option<u64>,
}

const EVERY: &str = "30m";
const EVERY_MS: u64 = 1_800_000;

/// An empty block is one too.
fn block(agent: &Agent) -> Option<&Value> {
    agent.entry.get("heartbeat").filter(|block| block.is_object())
}

impl<'a> Heartbeats<'a> {
    pub(super) fn of(contract: Contract, roster: &'a Roster, document: &'a Value) -> Self {
        let defaults = document
            .pointer("/agents/defaults/heartbeat")
            .filter(|defaults| defaults.is_object());
        let named = || defaults?.get("agentId")?.as_str();
        let beating = if roster.visible().any(|agent| block(agent).is_some()) {
            Beating::WhoHasABlock
        } else {
            match (contract, defaults) {
                (Contract::V2026_9_6, defaults) => match (named(), defaults) {
                    (Some(named), _) => Beating::Only(named),
                    (None, Some(_)) => Beating::All,
                    // Whose is what is nobody else's: put down as soon as there is a second agent.
                    (None, None) => match document.pointer("/agents/defaults/systemAgent/agentId") {
                        Some(system) => Beating::Only(system.as_str().unwrap_or_default()),
                        None if roster.visible().count() == 1 => Beating::Only(roster.default_id()),
                        None => Beating::Nobody,
                    },
                },
                (Contract::V2026_7_35, Some(_)) => Beating::All,
                (Contract::V2026_2_9, Some(_)) | (Contract::V2026_7_35 | Contract::V2026_2_9, None) => {
                    Beating::Only(roster.default_id())
                }
            }
        };
        Self {
            contract,
            beating,
            defaults,
        }
    }

    fn has(&self, agent: &Agent) -> bool {
        match self.beating {
            Beating::WhoHasABlock => block(agent).is_some(),
            Beating::All => true,
            Beating::Only(id) => agent.id == id,
            Beating::Nobody => false,
        }
    }

    pub(super) fn heartbeat(&self, agent: &Agent) -> Heartbeat {
        let from = |value: Option<&Value>| value?.get("every")?.as_str().map(str::to_owned);
        let every = from(block(agent))
            .or_else(|| from(self.defaults))
            .unwrap_or_else(|| EVERY.to_owned());
        let every_ms = duration_ms(&every).filter(|ms| *ms > 0);
        let on = self.has(agent)
            && match self.contract {
                Contract::V2026_9_6 => every_ms.is_some(),
                // One that never comes counts as on, and is shown as it was written.
                Contract::V2026_7_35 | Contract::V2026_2_9 => true,
            };
        Heartbeat {
            on,
            every: if on { every } else { "disabled".to_owned() },
            every_ms: every_ms.filter(|_| on),
        }
    }
}

impl Heartbeat {
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn every(&self) -> &str {
        &self.every
    }

    pub(super) fn every_ms(&self) -> Option<u64> {
        self.every_ms
    }

    pub(super) fn shown(&self, contract: Contract) -> Value {
        let target = match contract {
            Contract::V2026_9_6 => "owner",
            Contract::V2026_7_35 | Contract::V2026_2_9 => "last",
        };
        json!({
            "enabled": self.on, "every": self.every, "everyMs": self.every_ms,
            "prompt": "A simulated heartbeat.", "target": target, "ackMaxChars": 300,
        })
    }
}

/// By id.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<String, Value>,
    /// The gateway's own, by declaration key.
    own: BTreeMap<String, String>,
}

impl Jobs {
    pub(super) fn first(
        contract: Contract,
        config: &Config,
        roster: &Roster,
        now_ms: i64,
        dice: &mut Dice,
    ) -> Self {
        let mut jobs = Self::default();
        jobs.follow(contract, config, roster, now_ms, dice);
        jobs
    }

    /// Keeps the gateway's own jobs in step with its agents; gives the events that tell of it.
    pub(super) fn follow(
        &mut self,
        contract: Contract,
        config: &Config,
        roster: &Roster,
        now_ms: i64,
        dice: &mut Dice,
    ) -> Vec<Value> {
        if !contract.has_heartbeat_jobs() {
            return Vec::new();
        }
        let heartbeats = Heartbeats::of(contract, roster, config.document());
        let mut wanted = BTreeSet::new();
        let mut events = Vec::new();
        for agent in roster.visible() {
            let beat = heartbeats.has(agent).then(|| {
                let every_ms = heartbeats.heartbeat(agent).every_ms();
                (every_ms, self.every_ms_of(&format!("heartbeat:{}", agent.id)))
            });
            for job in own_jobs(agent, beat) {
                let key = job
                    .get("declarationKey")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                wanted.insert(key.clone());
                let known = self.own.get(&key).and_then(|id| self.jobs.get_mut(id));
                match known {
                    Some(known) if says(known, &job) => {}
                    Some(known) => {
                        merge::lay_over(known, &job);
                        merge::lay_over(known, &json!({ "updatedAtMs": now_ms }));
                        events.push(told("updated", known));
                    }
                    None => {
                        let job = with_ids(job, now_ms, dice);
                        events.push(told("added", &job));
                        let id = id_of(&job);
                        self.own.insert(key, id.clone());
                        self.jobs.insert(id, job);
                    }
                }
            }
        }
        let gone: Vec<String> = self
            .own
            .keys()
            .filter(|key| !wanted.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            if let Some(job) = self.own.remove(&key).and_then(|id| self.jobs.remove(&id)) {
                events.push(told("removed", &job));
            }
        }
        events
    }

    /// How often one of the gateway's own jobs is run.
    fn every_ms_of(&self, key: &str) -> Option<u64> {
        let job = self.jobs.get(self.own.get(key)?)?;
        job.pointer("/schedule/everyMs")?.as_u64()
    }
}

/// Whether a job is declared just so.
fn says(job: &Value, declared: &Value) -> bool {
    let Some(declared) = declared.as_object() else {
        return false;
    };
    declared.iter().all(|(key, value)| job.get(key) == Some(value))
}

/// With a heartbeat: how often it comes, and how often it came until now.
fn own_jobs(agent: &Agent, beat: Option<(Option<u64>, Option<u64>)>) -> Vec<Value> {
    const WEEK_MS: u64 = 604_800_000;
    let id = &agent.id;
    let job = |key: &str, label: &str, every_ms: u64, target: &str, enabled: bool, payload: Value| {
        json!({
            "declarationKey": format!("{key}:{id}"), "displayName": format!("{label} ({id})"), "agentId": id,
            "name": format!("{key}-{id}"), "enabled": enabled, "schedule": { "kind": "every", "everyMs": every_ms },
            "sessionTarget": target, "wakeMode": "next-heartbeat", "payload": payload,
        })
    };
    let mut jobs = Vec::new();
    if let Some((every_ms, before)) = beat {
        // One that is off keeps the interval that it had.
        let interval_ms = every_ms.or(before).unwrap_or(EVERY_MS);
        jobs.push(job(
            "heartbeat",
            "Heartbeat",
            interval_ms,
            "main",
            every_ms.is_some(),
            json!({ "kind": "heartbeat" }),
        ));
    }
    let review = json!({ "kind": "agentTurn", "message": "Review your skills." });
    jobs.push(job(
        "skill-collection-review",
        "Skill collection review",
        WEEK_MS,
        "isolated",
        true,
        review,
    ));
    jobs
}

fn with_ids(mut job: Value, now_ms: i64, dice: &mut Dice) -> Value {
    merge::lay_over(
        &mut job,
        &json!({ "id": dice.uuid(), "createdAtMs": now_ms, "updatedAtMs": now_ms, "state": {} }),
    );
    job
}

fn id_of(job: &Value) -> String {
    job.get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn told(action: &str, job: &Value) -> Value {
    json!({ "jobId": id_of(job), "action": action, "job": job })
}

/// After a change of the roster: the events of the jobs that came and went.
pub(super) fn follow(world: &World, state: &mut State) {
    let State {
        jobs,
        config,
        roster,
        dice,
        ..
    } = &mut *state;
    let events = jobs.follow(world.contract, config, roster, world.clock.now_ms(), dice);
    for event in events {
        state.tell(READERS, "cron", &event);
    }
}

/// As it is shown: with the hash of what can be edited.
fn shown(job: &Value) -> Value {
    let mut shown = job.clone();
    let edited = [
        "name",
        "agentId",
        "enabled",
        "schedule",
        "sessionTarget",
        "wakeMode",
        "payload",
        "delivery",
    ];
    let text: Vec<String> = edited
        .iter()
        .map(|key| job.get(*key).unwrap_or(&Value::Null).to_string())
        .collect();
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(text.join("\n")));
    merge::lay_over(&mut shown, &json!({ "configRevision": format!("sha256:{hash}") }));
    shown
}

pub(super) fn status(state: &mut State, call: &Call<'_>) -> Answer {
    let path = match call.contract() {
        Contract::V2026_9_6 => format!("{}/state/openclaw.sqlite", call.world.places.state()),
        Contract::V2026_7_35 | Contract::V2026_2_9 => format!("{}/cron/jobs.json", call.world.places.state()),
    };
    Ok(json!({ "enabled": true, "storePath": path, "jobs": state.jobs.jobs.len(), "nextWakeAtMs": null }))
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    const PAGE: usize = 50;
    let agent = call.params.get("agentId").and_then(Value::as_str);
    let disabled_too = call.flag("includeDisabled").unwrap_or_default();
    let jobs: Vec<Value> = state
        .jobs
        .jobs
        .values()
        .filter(|job| agent.is_none() || job.get("agentId").and_then(Value::as_str) == agent)
        .filter(|job| disabled_too || job.get("enabled") != Some(&Value::Bool(false)))
        .map(shown)
        .collect();
    if call.contract() == Contract::V2026_2_9 {
        return Ok(json!({ "jobs": jobs }));
    }
    let (total, offset) = (jobs.len(), call.number("offset").unwrap_or(0));
    let limit = call.number("limit").unwrap_or(PAGE);
    let page: Vec<Value> = jobs.into_iter().skip(offset).take(limit).collect();
    let next = offset + page.len();
    Ok(json!({
        "jobs": page, "total": total, "offset": offset, "limit": limit, "hasMore": next < total,
        "nextOffset": (next < total).then_some(next), "deliveryPreviews": {},
    }))
}

fn not_found(call: &Call<'_>, what: &str) -> Refusal {
    let id = call.text("id");
    match call.contract() {
        Contract::V2026_9_6 => Refusal::invalid(format!(
            "{what}: {id}. List automations and retry with a current job id. For cross-session management, use a fresh \
             authenticated configured channel owner or Control UI administrator turn or the Automations page."
        ))
        .details(json!({ "code": "CRON_JOB_NOT_FOUND", "jobId": id })),
        Contract::V2026_7_35 | Contract::V2026_2_9 => Refusal::invalid(format!("cron job not found: {id}")),
    }
}

pub(super) fn get(state: &mut State, call: &Call<'_>) -> Answer {
    let job = state.jobs.jobs.get(&call.text("id"));
    job.map(shown)
        .ok_or_else(|| not_found(call, "cron job not found"))
}

/// With a declaration key it is an upsert.
pub(super) fn add(state: &mut State, call: &Call<'_>) -> Answer {
    let wanted = Value::Object(call.params.clone());
    let key = call.params.get("declarationKey").and_then(Value::as_str);
    let known = key.and_then(|key| {
        let has_key = |job: &&Value| job.get("declarationKey").and_then(Value::as_str) == Some(key);
        state.jobs.jobs.values().find(has_key).map(id_of)
    });
    if let Some(job) = known.and_then(|id| state.jobs.jobs.get_mut(&id)) {
        let before = job.clone();
        merge::lay_over(job, &wanted);
        let updated = *job != before;
        if updated {
            merge::lay_over(job, &json!({ "updatedAtMs": call.now_ms() }));
        }
        let job = job.clone();
        if updated {
            state.tell(READERS, "cron", &told("updated", &job));
        }
        return Ok(json!({ "created": false, "updated": updated, "job": shown(&job) }));
    }
    let mut job = json!({ "enabled": true });
    merge::lay_over(&mut job, &wanted);
    let job = with_ids(job, call.now_ms(), &mut state.dice);
    state.jobs.jobs.insert(id_of(&job), job.clone());
    state.tell(READERS, "cron", &told("added", &job));
    Ok(if key.is_some() {
        json!({ "created": true, "job": shown(&job) })
    } else {
        shown(&job)
    })
}

pub(super) fn update(state: &mut State, call: &Call<'_>) -> Answer {
    let Some(job) = state.jobs.jobs.get_mut(&call.text("id")) else {
        return Err(not_found(call, "Automation not found"));
    };
    let patch = call.params.get("patch").cloned().unwrap_or_default();
    merge::lay_over(job, &patch);
    merge::lay_over(job, &json!({ "updatedAtMs": call.now_ms() }));
    let job = job.clone();
    state.tell(READERS, "cron", &told("updated", &job));
    Ok(shown(&job))
}

pub(super) fn remove(state: &mut State, call: &Call<'_>) -> Answer {
    let id = call.text("id");
    match (state.jobs.jobs.remove(&id), call.contract()) {
        (Some(job), _) => {
            state.jobs.own.retain(|_, own| *own != id);
            state.tell(READERS, "cron", &told("removed", &job));
            Ok(json!({ "ok": true, "removed": true }))
        }
        (None, Contract::V2026_9_6) => Err(not_found(call, "Automation not found")),
        (None, Contract::V2026_7_35) => Err(Refusal::invalid("invalid cron.remove params: id not found")),
        (None, Contract::V2026_2_9) => Ok(json!({ "ok": true, "removed": false })),
    }
}
