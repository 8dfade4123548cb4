//! A message to an agent, and whether it has arrived: each one is a paid turn, so it must not be sent twice, and a gateway
//! that answered may still lose it.

use serde_json::{Value, json};

use super::connection::{CallError, Connection};
use super::contract::Contract;
use super::names::SessionKey;
use super::rpc::{READ, odd};

/// What a gateway said to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Taken now, or taken before under the same key. A gateway that is killed before the turn is over may have lost it.
    Accepted,
    /// Taken before under the same key, which is used up. Either its turn has failed (often: no model is configured) or none
    /// was made of it, because the gateway was killed: only the history tells which.
    Over(String),
}

/// Whether a session's history holds a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InHistory {
    Held,
    /// It waits for the turn before it.
    Waiting,
    /// It has never arrived, or was lost, or its turn is not over yet.
    NotThere,
    /// The history is longer than what was read of it, or keeps nothing of turns that fail (2026.2.9).
    Unknown,
}

/// Gateways show at most 1000 messages; what is looked for was sent moments ago.
const MOST_READ: usize = 200;

impl Connection {
    /// Sends a message once: under the same key a gateway takes it only once (for at least 5 minutes).
    pub async fn chat_send(&self, session: &SessionKey, message: &str, key: &str) -> Result<Sent, CallError> {
        let params = json!({ "sessionKey": session.as_str(), "message": message, "idempotencyKey": key });
        match self.call("chat.send", params, READ).await {
            Ok(_) => Ok(Sent::Accepted),
            // The outcome of an earlier one under this key comes as both an answer and an error.
            Err(CallError::Refused(refusal)) if refusal.answered => Ok(Sent::Over(refusal.message)),
            Err(error) => Err(error),
        }
    }

    /// What became of the message that was sent under this key.
    pub async fn chat_holds(
        &self,
        contract: &Contract,
        session: &SessionKey,
        key: &str,
    ) -> Result<InHistory, CallError> {
        let params = json!({ "sessionKey": session.as_str(), "limit": MOST_READ });
        let answer = self.call("chat.history", params, READ).await?;
        in_history(contract, &answer, key).ok_or_else(|| odd("chat.history"))
    }
}

/// None where the answer is none.
fn in_history(contract: &Contract, answer: &Value, key: &str) -> Option<InHistory> {
    let messages = answer.get("messages")?.as_array()?;
    let mark = format!("{key}:user");
    if messages.iter().any(|message| mentions(message, &mark)) {
        return Some(InHistory::Held);
    }
    let pending = answer.pointer("/pendingInputs/items").and_then(Value::as_array);
    let text = |item: &Value, field: &str| item.get(field).and_then(Value::as_str).map(str::to_owned);
    let ours = pending.and_then(|items| {
        items
            .iter()
            .find(|item| text(item, "runId").as_deref() == Some(key))
    });
    let state = ours.map(|item| text(item, "state").unwrap_or_default());
    Some(if state.as_deref() == Some("queued") {
        InHistory::Waiting
    } else if state.is_some_and(|state| state != "interrupted") {
        // Of an interrupted one nobody makes a turn any more; a word that we do not know may mean anything.
        InHistory::Unknown
    } else if messages.len() < MOST_READ && contract.keeps_failed_turns {
        InHistory::NotThere
    } else {
        InHistory::Unknown
    })
}

/// Whether a text occurs as a whole value anywhere in a message: where a gateway keeps the key differs between versions.
fn mentions(message: &Value, text: &str) -> bool {
    match message {
        Value::String(found) => found == text,
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(fields) => fields.values().any(|field| mentions(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::contract::{V2026_2_9, V2026_9_6};

    #[test]
    fn what_is_not_known_is_not_called_absent() {
        let held = json!({ "messages": [{ "role": "user", "idempotencyKey": "k:user", "content": "x" }] });
        let said =
            json!({ "messages": [{ "role": "user", "idempotencyKey": "other:user", "content": "k" }] });
        let long = json!({ "messages": vec![json!({}); MOST_READ] });
        let pending = |state: &str| json!({ "messages": [], "pendingInputs": { "items": [{ "runId": "k", "state": state }] } });
        for (contract, answer, expected) in [
            (&V2026_9_6, &held, Some(InHistory::Held)),
            (&V2026_9_6, &said, Some(InHistory::NotThere)),
            (&V2026_9_6, &long, Some(InHistory::Unknown)),
            (&V2026_9_6, &pending("queued"), Some(InHistory::Waiting)),
            (&V2026_9_6, &pending("interrupted"), Some(InHistory::NotThere)),
            (&V2026_9_6, &pending("thinking"), Some(InHistory::Unknown)),
            (&V2026_2_9, &held, Some(InHistory::Held)),
            (&V2026_2_9, &said, Some(InHistory::Unknown)),
            (&V2026_9_6, &json!({ "ok": true }), None),
        ] {
            assert_eq!(in_history(contract, answer, "k"), expected, "{contract} {answer}");
        }
    }
}
