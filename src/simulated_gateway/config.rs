//! The configuration: one document, its hashes, and how it is shown.

use std::cell::OnceCell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Settings;
use super::contract::Contract;
use super::device::hex;
use super::merge;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::reload::Reload;
use super::schema;
use super::workspace::Places;
use super::world::State;

#[derive(Debug)]
pub(super) struct Config {
    document: Value,
    /// Goes into every hash, so that nobody can guess one.
    key: [u8; 32],
    hash: OnceCell<[u8; 32]>,
}

/// What stands for a secret that is not shown. Sent back, it keeps the secret.
pub(super) const REDACTED: &str = "__OPENCLAW_REDACTED__";

impl Config {
    pub(super) fn first(settings: &Settings, places: &Places, key: [u8; 32]) -> Self {
        let mut document = json!({
            "gateway": {
                "mode": "local", "bind": "loopback", "port": settings.port,
                "auth": { "mode": "token", "token": settings.token },
            },
            "update": { "checkOnStart": false },
            "plugins": { "enabled": false },
            "logging": { "file": places.log_path() },
        });
        merge::lay_over(&mut document, &settings.config);
        Self {
            document,
            key,
            hash: OnceCell::new(),
        }
    }

    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    pub(super) fn replace(&mut self, document: Value) {
        self.document = document;
        self.hash = OnceCell::new();
    }

    pub(super) fn shared_token(&self) -> &str {
        self.document
            .pointer("/gateway/auth/token")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The same for the same content.
    pub(super) fn hash(&self, contract: Contract) -> String {
        let digest = self.hash.get_or_init(|| {
            let mut hasher = Sha256::new();
            hasher.update(self.key);
            hasher.update(self.document.to_string());
            hasher.finalize().into()
        });
        match contract {
            Contract::V2026_2_9 => hex(digest),
            Contract::V2026_7_35 | Contract::V2026_9_6 => {
                format!("hmac-sha256:v1:{}", URL_SAFE_NO_PAD.encode(digest))
            }
        }
    }

    /// Changes with the content too, but is another word: it compares only with the applied one.
    pub(super) fn revision(&self, contract: Contract) -> String {
        let digest = Sha256::digest(format!("revision {}", self.hash(contract)));
        format!("hmac-sha256:v1:{}", URL_SAFE_NO_PAD.encode(digest))
    }

    /// Without its secrets.
    pub(super) fn redacted(&self) -> Value {
        let mut shown = self.document.clone();
        redact(&mut shown);
        shown
    }
}

/// As it stands in the file.
pub(super) fn text(document: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(document).unwrap_or_default())
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["token", "password", "secret", "apikey", "privatekey"]
        .iter()
        .any(|end| key.ends_with(end))
}

fn redact(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        for (key, value) in object {
            if is_secret(key) && value.is_string() {
                *value = json!(REDACTED);
            } else {
                redact(value);
            }
        }
    } else if let Some(items) = value.as_array_mut() {
        items.iter_mut().for_each(redact);
    }
}

/// Puts the stored values back where the sentinel was sent.
pub(super) fn restore(sent: &mut Value, stored: &Value) {
    if sent.as_str() == Some(REDACTED) {
        *sent = stored.clone();
    } else if let Some(object) = sent.as_object_mut() {
        for (key, value) in object {
            restore(value, stored.get(key).unwrap_or(&Value::Null));
        }
    } else if let Some(items) = sent.as_array_mut() {
        for (index, item) in items.iter_mut().enumerate() {
            restore(item, stored.get(index).unwrap_or(&Value::Null));
        }
    }
}

pub(super) fn get(state: &mut State, call: &Call<'_>) -> Answer {
    let contract = call.contract();
    let config = &state.config;
    let parsed = config.redacted();
    let source = source(&parsed, contract);
    let mut running = source.clone();
    let mut defaults = defaults(contract);
    merge::lay_over(&mut defaults, &running);
    std::mem::swap(&mut running, &mut defaults);
    let mut answer = Map::new();
    let mut put = |key: &str, value: Value| answer.insert(key.to_owned(), value);
    put("path", json!(call.world.places.config_path()));
    put("exists", json!(true));
    put("raw", json!(text(&parsed)));
    put("parsed", parsed);
    put("valid", json!(true));
    put("hash", json!(config.hash(contract)));
    put("issues", json!([]));
    put("warnings", json!([]));
    put("legacyIssues", json!([]));
    if contract != Contract::V2026_2_9 {
        put("sourceConfig", source.clone());
        put("resolved", source);
        put("runtimeConfig", running.clone());
    }
    put("config", running);
    if contract == Contract::V2026_9_6 {
        put("includedPaths", json!([]));
        put("includeProvenance", json!([]));
        put("agentRosterIncludeOwned", json!(false));
        put("bindingsIncludeOwned", json!(false));
        put("configRevisionHash", json!(config.revision(contract)));
        put("appliedConfigHash", json!(config.revision(contract)));
    }
    Ok(Value::Object(answer))
}

/// The document as the gateway reads it: since 2026.8 there is always a main agent.
pub(super) fn source(document: &Value, contract: Contract) -> Value {
    if !contract.has_entries() {
        return document.clone();
    }
    let mut source = json!({ "agents": { "entries": { "main": {} } } });
    merge::lay_over(&mut source, document);
    source
}

/// What `config` shows beside what the document says.
fn defaults(contract: Contract) -> Value {
    match contract {
        Contract::V2026_9_6 => json!({
            "agents": { "defaults": { "maxConcurrent": 8, "subagents": { "maxConcurrent": 8, "archiveAfterMinutes": 60 },
                "compaction": { "mode": "safeguard" } } },
            "commands": { "native": "auto", "nativeSkills": "auto", "restart": true },
            "messages": { "ackReactionScope": "group-mentions" },
        }),
        Contract::V2026_7_35 => json!({
            "agents": { "defaults": { "maxConcurrent": 4, "subagents": { "maxConcurrent": 8, "archiveAfterMinutes": 60 } } },
            "commands": { "native": "auto", "nativeSkills": "auto", "restart": true, "ownerDisplay": "raw" },
            "messages": { "ackReactionScope": "group-mentions" },
            "cron": { "maxConcurrentRuns": 8 },
        }),
        Contract::V2026_2_9 => json!({
            "agents": { "defaults": { "maxConcurrent": 4, "subagents": { "maxConcurrent": 8 } } },
            "commands": { "native": "auto", "nativeSkills": "auto" },
            "messages": { "ackReactionScope": "group-mentions" },
        }),
    }
}

/// The whole schema; only names and types, without the real one's titles and hints.
pub(super) fn schema(_state: &mut State, call: &Call<'_>) -> Answer {
    let mut schema = schema::json_schema(call.contract());
    merge::lay_over(
        &mut schema,
        &json!({ "$schema": "http://json-schema.org/draft-07/schema#" }),
    );
    Ok(
        json!({ "schema": schema, "uiHints": {}, "version": call.contract().version(), "generatedAt": super::clock::iso(call.now_ms()) }),
    )
}

pub(super) fn schema_lookup(_state: &mut State, call: &Call<'_>) -> Answer {
    let path = call.text("path");
    let Some(node) = schema::lookup(call.contract(), &path) else {
        return Err(Refusal::invalid("config schema path not found"));
    };
    let kind = |path: &str| Reload::of(path, call.contract()).word();
    let is_map = type_of(node) == "object";
    let required: Vec<&str> = schema::required(node).collect();
    let children: Vec<Value> = schema::named(node)
        .map(|(key, child)| {
            let path = format!("{path}.{key}");
            json!({
                "key": key, "reloadKind": kind(&path), "type": type_of(child),
                "required": required.contains(&key.as_str()), "hasChildren": child.is_object(), "path": path,
            })
        })
        .collect();
    let mut schema = json!({ "type": type_of(node) });
    if is_map && node.get("*").is_none() {
        merge::lay_over(&mut schema, &json!({ "additionalProperties": false }));
    }
    Ok(json!({ "path": path, "schema": schema, "reloadKind": kind(&path), "children": children }))
}

fn type_of(node: &Value) -> &str {
    match node.as_str() {
        Some(kind) => kind,
        None if node.is_array() => "array",
        None if node.get("=").is_some() || node.get("|").is_some() => "string",
        None => "object",
    }
}
