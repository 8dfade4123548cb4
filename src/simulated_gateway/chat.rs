//! Messages to agents: admitted at once, run later, and never twice for one idempotency key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Turns;
use super::connection::Client;
use super::contract::Contract;
use super::events::READERS;
use super::merge;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::sessions::{Pending, Session, agent_of, full_key, key_of};
use super::world::{State, World};

/// Runs by their id, which is the idempotency key of the message that began them.
#[derive(Debug, Default)]
pub(super) struct Runs(HashMap<String, Run>);

#[derive(Debug)]
struct Run {
    message: String,
    session: String,
    since: Instant,
    end: watch::Sender<Option<End>>,
}

#[derive(Debug, Clone)]
struct End {
    at_ms: i64,
    error: Option<String>,
}

/// How long a key is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How long a turn that fails takes.
const TURN: Duration = Duration::from_millis(1_500);

const NO_MODEL: &str = "⚠️ The configured model is unavailable from the provider — it may have been renamed, retired, or is not \
                        offered on this account. This needs a config update (agents.defaults.model); retrying or starting a new \
                        session won't fix it.";

pub(super) fn send(state: &mut State, call: &Call<'_>) -> Answer {
    let key = key_of(state, call, "sessionKey");
    admit(state, call, &key, &call.text("idempotencyKey"))
}

pub(super) fn sessions_send(state: &mut State, call: &Call<'_>) -> Answer {
    let key = key_of(state, call, "key");
    let given = call.text("idempotencyKey");
    let run_id = if given.is_empty() {
        state.dice.uuid()
    } else {
        given
    };
    admit(state, call, &key, &run_id)
}

/// `agent`: the same by another name, with another first answer.
pub(super) fn agent(state: &mut State, call: &Call<'_>) -> Answer {
    let (message, run_id) = (call.text("message"), call.text("idempotencyKey"));
    for (name, value) in [("message", &message), ("idempotencyKey", &run_id)] {
        if value.is_empty() {
            return Err(Refusal::invalid(format!(
                "invalid agent params: must have required property '{name}'"
            )));
        }
    }
    let given = call.text("agentId");
    let id = if given.is_empty() {
        state.roster.default_id().to_owned()
    } else {
        given
    };
    let session = call.text("sessionKey");
    let key = if session.is_empty() {
        format!("agent:{id}:main")
    } else {
        full_key(&session, &id)
    };
    admit(state, call, &key, &run_id)?;
    Ok(
        json!({ "runId": run_id, "sessionKey": key, "agentId": agent_of(&key), "status": "accepted",
        "acceptedAt": call.now_ms() }),
    )
}

fn admit(state: &mut State, call: &Call<'_>, key: &str, run_id: &str) -> Answer {
    let contract = call.contract();
    let message = call.text("message");
    if message.trim().is_empty() && !call.params.contains_key("attachments") {
        return Err(Refusal::invalid("message or attachment required"));
    }
    let now = Instant::now();
    state
        .runs
        .0
        .retain(|_, run| run.end.borrow().is_none() || now.duration_since(run.since) < REMEMBERED);
    if let Some(run) = state.runs.0.get(run_id) {
        return replay(run, run_id, key, &message, contract);
    }
    let agent_id = agent_of(key);
    if contract != Contract::V2026_2_9 && state.roster.find(&agent_id).is_none() {
        return Err(Refusal::invalid(format!(
            "Agent \"{agent_id}\" no longer exists in configuration"
        )));
    }
    if let Some(refusal) = ownership_ended(state, key, run_id) {
        return Err(refusal);
    }
    let run = Run {
        message: message.clone(),
        session: key.to_owned(),
        since: now,
        end: watch::Sender::new(None),
    };
    state.runs.0.insert(run_id.to_owned(), run);
    let now_ms = call.now_ms();
    let client = json!({ "id": call.client.name, "mode": call.client.mode });
    let said = json!({ "role": "user", "content": message, "timestamp": now_ms,
        "__openclaw": { "senderIsOwner": true, "transport": { "clients": [client] } } });
    let is_first = state.sessions.find(key).is_none();
    let pending = Pending {
        run_id: run_id.to_owned(),
        id: state.dice.uuid(),
        message: said.clone(),
        at_ms: now_ms,
        interrupted: false,
    };
    let session = state.open_session(key, now_ms);
    session.status = Some("running");
    session.system_sent = true;
    session.touch(now_ms);
    // "started" is said before anything is written down, except that 2026.9.6 keeps what continues a session.
    session.unwritten |= is_first;
    if contract == Contract::V2026_9_6 && !is_first {
        session.pending.push(pending);
        session.unwritten = false;
    }
    let (world, run_id_owned, key_owned) = (Arc::clone(call.world), run_id.to_owned(), key.to_owned());
    call.world
        .spawn(async move { turn(&world, &run_id_owned, &key_owned, said).await });
    Ok(json!({ "runId": run_id, "status": "started" }))
}

/// A message that was kept and whose gateway has died: nobody makes a turn of it, and its key is used up.
fn ownership_ended(state: &State, key: &str, run_id: &str) -> Option<Refusal> {
    let session = state.sessions.find(key)?;
    let is_it = |pending: &Pending| pending.interrupted && pending.run_id == run_id;
    session.pending.iter().any(is_it).then(|| {
        let error = "Error: Pending input ownership ended; submit a new turn to continue";
        let payload = json!({ "runId": run_id, "status": "error", "summary": error });
        Refusal::unavailable(error).with_payload(payload)
    })
}

impl Session {
    /// What somebody said becomes part of the history.
    fn hear(&mut self, mut said: Value, run_id: &str) {
        let key = format!("{run_id}:user");
        let seq = self.messages.len() + 1;
        merge::lay_over(
            &mut said,
            &json!({ "idempotencyKey": key, "__openclaw": { "idempotencyKey": key, "seq": seq } }),
        );
        self.messages.push(said);
        self.unwritten = false;
    }
}

/// The same key again: still running, or how it ended. Only 2026.9.6 looks whether it is the same message, and tells of a
/// failure.
fn replay(run: &Run, run_id: &str, key: &str, message: &str, contract: Contract) -> Answer {
    if contract == Contract::V2026_9_6 && (run.message != message || run.session != key) {
        return Err(Refusal::invalid(
            "This message ID was already used for different input. Check the conversation history and use a new message ID to \
             send again.",
        )
        .details(json!({ "reason": "chat-request-conflict" })));
    }
    let end = run.end.borrow().clone();
    match end {
        None => Ok(json!({ "runId": run_id, "status": "in_flight" })),
        Some(End {
            error: Some(error), ..
        }) if contract == Contract::V2026_9_6 => {
            let payload = json!({ "runId": run_id, "status": "error", "summary": error });
            Err(Refusal::unavailable(error).with_payload(payload))
        }
        Some(_) => Ok(json!({ "runId": run_id, "status": "ok" })),
    }
}

async fn turn(world: &Arc<World>, run_id: &str, key: &str, said: Value) {
    let contract = world.contract;
    let agent_id = agent_of(key);
    {
        let mut state = world.lock();
        if let Some(workspace) = state.roster.find(&agent_id).map(|agent| agent.workspace.clone()) {
            state.prepare_workspace(&workspace, contract, world.clock.now_ms());
            state.consume_bootstrap(&workspace, contract);
        }
    }
    world.pause(TURN / 3).await;
    let writes_early = match contract {
        // Its history has a message when the turn is over.
        Contract::V2026_9_6 => false,
        Contract::V2026_7_35 => true,
        // Nothing is written down of a turn that fails.
        Contract::V2026_2_9 => world.settings.turns != Turns::Fail,
    };
    if writes_early {
        let mut state = world.lock();
        if state.runs.0.contains_key(run_id)
            && let Some(session) = state.sessions.find_mut(key)
        {
            session.hear(said.clone(), run_id);
        }
    }
    world.pause(TURN * 2 / 3).await;
    let mut state = world.lock();
    let now_ms = world.clock.now_ms();
    let (error, reply) = match &world.settings.turns {
        Turns::Fail => (Some(NO_MODEL.to_owned()), None),
        Turns::Reply(text) => (None, Some(text.clone())),
    };
    // A restart forgets its runs.
    let Some(run) = state.runs.0.get(run_id) else {
        return;
    };
    run.end.send_replace(Some(End {
        at_ms: now_ms,
        error: error.clone(),
    }));
    if let Some(session) = state.sessions.find_mut(key) {
        session.status = Some(if error.is_some() { "failed" } else { "done" });
        session.touch(now_ms);
        session.unwritten = false;
        if contract == Contract::V2026_9_6 {
            session.pending.retain(|pending| pending.run_id != run_id);
            session.hear(said, run_id);
        }
        let seq = session.messages.len() + 1;
        let note = match (&reply, contract) {
            (Some(text), _) => Some(assistant(text, now_ms, run_id, seq)),
            (None, Contract::V2026_9_6) => Some(json!({
                "role": "custom", "customType": "run-failed-before-reply", "display": true, "timestamp": now_ms,
                "content": format!("This turn ended before a reply: {NO_MODEL}"), "__openclaw": { "seq": seq, "runId": run_id },
            })),
            (None, Contract::V2026_7_35) => Some(assistant(
                "⚠️ Agent failed before reply: Unknown model",
                now_ms,
                run_id,
                seq,
            )),
            (None, Contract::V2026_2_9) => None,
        };
        session.messages.extend(note);
    }
    // 2026.2.9 is silent about a turn that fails.
    if error.is_some() && contract == Contract::V2026_2_9 {
        return;
    }
    let mut event = json!({ "runId": run_id, "sessionKey": key, "agentId": agent_id, "seq": 1 });
    let outcome = match (&error, &reply) {
        (Some(error), _) => json!({ "state": "error", "errorMessage": error }),
        (None, reply) => json!({ "state": "final", "message": { "role": "assistant", "timestamp": now_ms,
            "content": [{ "type": "text", "text": reply }] } }),
    };
    merge::lay_over(&mut event, &outcome);
    state.tell(READERS, "chat", &event);
    if contract == Contract::V2026_9_6 {
        let changed = json!({ "sessionKey": key, "agentId": agent_id, "reason": "run-ended", "ts": now_ms });
        state.tell(READERS, "sessions.changed", &changed);
    }
}

fn assistant(text: &str, now_ms: i64, run_id: &str, seq: usize) -> Value {
    json!({ "role": "assistant", "content": [{ "type": "text", "text": text }], "timestamp": now_ms,
        "idempotencyKey": format!("{run_id}:assistant"), "__openclaw": { "seq": seq, "runId": run_id } })
}

pub(super) fn history(state: &mut State, call: &Call<'_>) -> Answer {
    let key = call.text("sessionKey");
    let full = full_key(&key, state.roster.default_id());
    let session = state.sessions.find(&full);
    let messages: Vec<Value> = session
        .map(|session| session.messages.clone())
        .unwrap_or_default();
    let pending: Vec<Value> = session
        .map(|session| session.pending.iter().map(Pending::shown).collect())
        .unwrap_or_default();
    let total = messages.len();
    let skipped = total.saturating_sub(call.number("limit").unwrap_or(usize::MAX));
    let shown: Vec<Value> = messages.into_iter().skip(skipped).collect();
    let mut answer = json!({ "sessionKey": key, "messages": shown });
    if let Some(session) = session {
        merge::lay_over(&mut answer, &json!({ "sessionId": session.id }));
    }
    match call.contract() {
        Contract::V2026_9_6 => merge::lay_over(
            &mut answer,
            &json!({ "pendingInputs": { "total": pending.len(), "items": pending }, "hasMore": skipped > 0, "totalMessages": total }),
        ),
        Contract::V2026_7_35 => {}
        Contract::V2026_2_9 => merge::lay_over(&mut answer, &json!({ "thinkingLevel": "low" })),
    }
    Ok(answer)
}

pub(super) fn abort(state: &mut State, call: &Call<'_>) -> Answer {
    let key = key_of(state, call, "sessionKey");
    let now_ms = call.now_ms();
    let mut aborted = Vec::new();
    for (id, run) in &state.runs.0 {
        if run.session == key && run.end.borrow().is_none() {
            run.end.send_replace(Some(End {
                at_ms: now_ms,
                error: Some("aborted".to_owned()),
            }));
            aborted.push(id.clone());
        }
    }
    Ok(json!({ "ok": true, "aborted": !aborted.is_empty(), "runIds": aborted }))
}

pub(super) fn inject(state: &mut State, call: &Call<'_>) -> Answer {
    let key = key_of(state, call, "sessionKey");
    let message_id = state.dice.uuid();
    let now_ms = call.now_ms();
    if call.contract() == Contract::V2026_2_9 {
        return Err(Refusal::unavailable(
            "failed to write transcript: transcript file not found",
        ));
    }
    let session = state.open_session(&key, now_ms);
    let seq = session.messages.len() + 1;
    session.messages.push(
        json!({ "role": "assistant", "content": [{ "type": "text", "text": call.text("message") }],
        "timestamp": now_ms, "__openclaw": { "id": message_id, "seq": seq } }),
    );
    Ok(json!({ "ok": true, "messageId": message_id }))
}

/// `agent.wait`: answers when a run has ended, or when it has been long enough.
pub(super) fn wait(world: Arc<World>, client: Arc<Client>, id: Value, params: Map<String, Value>) {
    const LONGEST: u64 = 30_000;
    let waiting = Arc::clone(&world);
    waiting.spawn(async move {
        let run_id = params
            .get("runId")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let patience = params.get("timeoutMs").and_then(Value::as_u64).unwrap_or(LONGEST);
        let end = world.lock().runs.0.get(&run_id).map(|run| run.end.subscribe());
        let waited = async {
            match end {
                Some(mut end) => end
                    .wait_for(Option::is_some)
                    .await
                    .ok()
                    .and_then(|end| (*end).clone()),
                None => std::future::pending().await,
            }
        };
        let ended = timeout(Duration::from_millis(patience), waited)
            .await
            .ok()
            .flatten();
        let answer = match ended {
            None => json!({ "runId": run_id, "status": "timeout" }),
            Some(End { at_ms, error }) => match (error, world.contract) {
                (Some(error), Contract::V2026_9_6) => {
                    json!({ "runId": run_id, "status": "error", "endedAt": at_ms, "error": error })
                }
                (Some(_) | None, _) => json!({ "runId": run_id, "status": "ok", "endedAt": at_ms }),
            },
        };
        client.answer(&id, &Ok(answer));
    });
}
