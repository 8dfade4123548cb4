//! Sessions: conversations of agents, by key.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::contract::Contract;
use super::ids;
use super::merge;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::world::State;

/// By key.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<String, Session>);

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    revision: String,
    created_ms: i64,
    updated_ms: i64,
    /// Label, model and what else was set.
    settings: Map<String, Value>,
    pub(super) messages: Vec<Value>,
    /// It began with a message whose turn is not over: only the running process knows it.
    pub(super) unwritten: bool,
    /// 2026.9.6: what was taken and is in no history yet.
    pub(super) pending: Vec<Pending>,
    pub(super) status: Option<&'static str>,
    pub(super) system_sent: bool,
}

/// A message that a turn is to be made of. It outlives the gateway's process; its turn does not.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) run_id: String,
    pub(super) id: String,
    pub(super) message: Value,
    pub(super) at_ms: i64,
    pub(super) interrupted: bool,
}

impl Pending {
    pub(super) fn shown(&self) -> Value {
        let Self {
            run_id,
            id,
            message,
            at_ms,
            interrupted,
        } = self;
        let state = if *interrupted { "interrupted" } else { "queued" };
        json!({ "id": id, "runId": run_id, "state": state, "acceptedAt": at_ms, "message": message })
    }
}

/// The full key: what names no agent belongs to the default one.
pub(super) fn full_key(key: &str, default_id: &str) -> String {
    if key.starts_with("agent:") {
        key.to_owned()
    } else {
        format!("agent:{default_id}:{key}")
    }
}

/// The agent that a key names.
pub(super) fn agent_of(key: &str) -> String {
    ids::normalise(key.split(':').nth(1).unwrap_or_default())
}

impl Sessions {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn count_of(&self, agent: &str) -> usize {
        let prefix = format!("agent:{agent}:");
        self.0
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix))
            .count()
    }

    pub(super) fn histories(&self) -> BTreeMap<String, Vec<Value>> {
        let all = self.0.iter();
        all.map(|(key, session)| (key.clone(), session.messages.clone()))
            .collect()
    }

    pub(super) fn find(&self, key: &str) -> Option<&Session> {
        self.0.get(key)
    }

    pub(super) fn find_mut(&mut self, key: &str) -> Option<&mut Session> {
        self.0.get_mut(key)
    }

    /// No turn outlives the gateway's process, nor does a session that was to begin with one.
    pub(super) fn interrupt(&mut self) {
        self.0.retain(|_, session| !session.unwritten);
        for session in self.0.values_mut() {
            for pending in &mut session.pending {
                pending.interrupted = true;
            }
            if session.status == Some("running") {
                session.status = None;
            }
        }
    }

    pub(super) fn forget_agent(&mut self, agent: &str) {
        let prefix = format!("agent:{agent}:");
        self.0.retain(|key, _| !key.starts_with(&prefix));
    }
}

impl State {
    pub(super) fn open_session(&mut self, key: &str, now_ms: i64) -> &mut Session {
        let State { sessions, dice, .. } = self;
        sessions.0.entry(key.to_owned()).or_insert_with(|| Session {
            id: dice.uuid(),
            revision: dice.uuid(),
            created_ms: now_ms,
            updated_ms: now_ms,
            settings: Map::new(),
            messages: Vec::new(),
            unwritten: false,
            pending: Vec::new(),
            status: None,
            system_sent: false,
        })
    }
}

impl Session {
    pub(super) fn touch(&mut self, now_ms: i64) {
        self.updated_ms = now_ms;
    }

    fn entry(&self, contract: Contract) -> Value {
        let mut entry = json!({
            "sessionId": self.id, "updatedAt": self.updated_ms, "systemSent": self.system_sent,
            "abortedLastRun": false, "inputTokens": 0, "outputTokens": 0, "totalTokens": 0,
        });
        if contract == Contract::V2026_9_6 {
            merge::lay_over(
                &mut entry,
                &json!({ "lifecycleRevision": self.revision, "sessionStartedAt": self.updated_ms, "compactionCount": 0,
                    "createdVia": "operator", "createdAt": self.created_ms, "totalTokensFresh": true }),
            );
        }
        merge::lay_over(&mut entry, &Value::Object(self.settings.clone()));
        entry
    }

    fn row(&self, key: &str, contract: Contract) -> Value {
        let mut row = self.entry(contract);
        merge::lay_over(&mut row, &json!({ "key": key, "kind": "direct" }));
        if contract != Contract::V2026_2_9 {
            merge::lay_over(
                &mut row,
                &json!({ "agentId": agent_of(key), "archived": false, "pinned": false,
                    "isMain": key.ends_with(":main"), "hasActiveRun": self.status == Some("running") }),
            );
            if let Some(status) = self.status {
                merge::lay_over(&mut row, &json!({ "status": status }));
            }
        }
        row
    }
}

pub(super) fn key_of(state: &State, call: &Call<'_>, field: &str) -> String {
    full_key(&call.text(field), state.roster.default_id())
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    const PAGE: usize = 100;
    let contract = call.contract();
    let agent = call
        .params
        .get("agentId")
        .and_then(Value::as_str)
        .map(ids::normalise);
    let all: Vec<Value> = state
        .sessions
        .0
        .iter()
        .filter(|(key, _)| agent.as_ref().is_none_or(|agent| agent_of(key) == *agent))
        .map(|(key, session)| session.row(key, contract))
        .collect();
    let path = match (&agent, contract) {
        (Some(agent), Contract::V2026_9_6 | Contract::V2026_7_35) => state.store_path(call.world, agent),
        _ => "(multiple)".to_owned(),
    };
    let (total, offset) = (all.len(), call.number("offset").unwrap_or(0));
    let limit = call.number("limit").unwrap_or(PAGE);
    let page: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    let next = offset + page.len();
    let mut answer = json!({ "ts": call.now_ms(), "path": path, "count": page.len(), "sessions": page });
    if contract != Contract::V2026_2_9 {
        merge::lay_over(
            &mut answer,
            &json!({ "totalCount": total, "limitApplied": limit, "hasMore": next < total,
                "nextOffset": (next < total).then_some(next) }),
        );
    }
    Ok(answer)
}

/// Makes the session where there is none, even for an agent that nobody has.
pub(super) fn reset(state: &mut State, call: &Call<'_>) -> Answer {
    let (key, now_ms, contract) = (key_of(state, call, "key"), call.now_ms(), call.contract());
    let fresh = state.sessions.find(&key).is_none();
    let revision = state.dice.uuid();
    let another = state.dice.uuid();
    let session = state.open_session(&key, now_ms);
    session.touch(now_ms);
    session.status = None;
    session.system_sent = false;
    session.messages.clear();
    session.pending.clear();
    session.unwritten = false;
    match contract {
        Contract::V2026_9_6 if fresh => {}
        // The session stays, in another life.
        Contract::V2026_9_6 => {
            session.revision = revision;
            session.messages.push(
                json!({ "role": "system", "content": [{ "type": "text", "text": "Reset" }],
                "timestamp": now_ms, "__openclaw": { "kind": "reset", "seq": 1 } }),
            );
        }
        Contract::V2026_7_35 | Contract::V2026_2_9 => session.id = another,
    }
    Ok(json!({ "ok": true, "key": key, "entry": session.entry(contract) }))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let key = key_of(state, call, "key");
    let is_kept = match call.contract() {
        Contract::V2026_9_6 => key.ends_with(":main"),
        Contract::V2026_7_35 | Contract::V2026_2_9 => key == full_key("main", state.roster.default_id()),
    };
    if is_kept {
        return Err(Refusal::invalid(format!(
            "Cannot delete the main session ({key})."
        )));
    }
    let removed = state.sessions.0.remove(&key);
    let archived: Vec<String> = removed
        .iter()
        .filter(|_| call.contract() != Contract::V2026_2_9)
        .map(|session| {
            let state_folder = call.world.places.state();
            format!(
                "{state_folder}/agents/{}/sessions/{}.jsonl.deleted",
                agent_of(&key),
                session.id
            )
        })
        .collect();
    Ok(json!({ "ok": true, "key": key, "deleted": removed.is_some(), "archived": archived }))
}

pub(super) fn patch(state: &mut State, call: &Call<'_>) -> Answer {
    let (key, now_ms, contract) = (key_of(state, call, "key"), call.now_ms(), call.contract());
    let path = state.store_path(call.world, &agent_of(&key));
    let session = state.open_session(&key, now_ms);
    session.unwritten = false;
    session.touch(now_ms);
    for (name, value) in call
        .params
        .iter()
        .filter(|(name, _)| !["key", "agentId"].contains(&name.as_str()))
    {
        if value.is_null() {
            session.settings.remove(name);
        } else {
            session.settings.insert(name.clone(), value.clone());
        }
    }
    Ok(json!({ "ok": true, "path": path, "key": key, "entry": session.entry(contract), "resolved": {} }))
}

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let now_ms = call.now_ms();
    let agent = call.params.get("agentId").and_then(Value::as_str);
    let agent = agent.map_or_else(|| state.roster.default_id().to_owned(), ids::normalise);
    let key = match call.params.get("key").and_then(Value::as_str) {
        Some(key) => full_key(key, &agent),
        None => format!("agent:{agent}:{}", state.dice.uuid()),
    };
    let contract = call.contract();
    let session = state.open_session(&key, now_ms);
    if let Some(label) = call.params.get("label") {
        session.settings.insert("label".into(), label.clone());
    }
    Ok(json!({
        "ok": true, "key": key, "sessionId": session.id, "entry": session.entry(contract), "runStarted": false,
    }))
}

pub(super) fn describe(state: &mut State, call: &Call<'_>) -> Answer {
    let key = key_of(state, call, "key");
    let session = state
        .sessions
        .find(&key)
        .map(|session| session.row(&key, call.contract()));
    Ok(json!({ "session": session }))
}

pub(super) fn preview(state: &mut State, call: &Call<'_>) -> Answer {
    let keys = call
        .params
        .get("keys")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let previews: Vec<Value> = keys
        .iter()
        .filter_map(Value::as_str)
        .map(|key| {
            let session = state.sessions.find(&full_key(key, state.roster.default_id()));
            let status = match session {
                None => "missing",
                Some(session)
                    if session
                        .messages
                        .iter()
                        .any(|message| message.get("role") != Some(&json!("system"))) =>
                {
                    "ok"
                }
                Some(_) => "empty",
            };
            json!({ "key": key, "status": status, "items": [] })
        })
        .collect();
    Ok(json!({ "ts": call.now_ms(), "previews": previews }))
}
