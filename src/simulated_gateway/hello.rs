//! hello-ok: what a gateway says of itself to a client that it lets in.

use serde_json::{Map, Value, json};

use super::connection::Granted;
use super::contract::Contract;
use super::handshake::Greeted;
use super::world::{State, World};

/// The build of the 2026.9.6 that everything here was recorded from.
pub(super) const BUILD_ID: &str = "2026.9.6-release-eb377ac59e6c-2026-09-23T16-33-12.144Z";

const METHODS_9_6: &str = include_str!("facts/methods-2026.9.6.txt");
const METHODS_7_35: &str = include_str!("facts/methods-2026.7.35.txt");
const METHODS_2_9: &str = include_str!("facts/methods-2026.2.9.txt");
const EVENTS_9_6: &str = include_str!("facts/events-2026.9.6.txt");
const EVENTS_7_35: &str = include_str!("facts/events-2026.7.35.txt");
const EVENTS_2_9: &str = include_str!("facts/events-2026.2.9.txt");

const CAPABILITIES_9_6: &[&str] = &[
    "board-widget-put-canvas-doc",
    "chat-send-routing-contract",
    "gateway-restart-target-safe-v1",
    "model-catalog-snapshot",
    "node-worker-bundle-retention-v1",
    "node-worker-bundle-status-v1",
    "node-worker-captured-exec-policy",
    "node-worker-environment-session-v1",
    "node-worker-portal-stream-v1",
    "profile-binding-v1",
    "published-model-catalog",
    "progress-card-agent-scope-v1",
    "session-scoped-chat-metadata",
    "session-scoped-model-catalog",
    "session-unread-ack-contract",
    "session-goal-start-v1",
    "session-settings-contract",
    "session-settings-cas-v1",
    "openclaw-chat-wizard-cancel",
    "openclaw-setup-model-ref",
    "taskSuggestions.acceptModes",
];

/// What a contract advertises, in its order.
pub(super) fn methods(contract: Contract) -> Vec<&'static str> {
    match contract {
        Contract::V2026_9_6 => METHODS_9_6,
        Contract::V2026_7_35 => METHODS_7_35,
        Contract::V2026_2_9 => METHODS_2_9,
    }
    .lines()
    .collect()
}

fn events(contract: Contract) -> Vec<&'static str> {
    match contract {
        Contract::V2026_9_6 => EVENTS_9_6,
        Contract::V2026_7_35 => EVENTS_7_35,
        Contract::V2026_2_9 => EVENTS_2_9,
    }
    .lines()
    .collect()
}

impl Greeted {
    pub(super) fn hello(&self, world: &World, state: &mut State) -> Value {
        let contract = world.contract;
        let mut hello = Map::new();
        let mut put = |key: &str, value: Value| hello.insert(key.to_owned(), value);
        put("type", json!("hello-ok"));
        put("protocol", json!(contract.protocol()));
        let conn_id = state.dice.uuid();
        put(
            "server",
            match contract {
                Contract::V2026_9_6 => json!({
                    "version": contract.reported_version(), "buildId": BUILD_ID, "bootId": state.boot_id,
                    "controlUiBuildSource": "bundled", "connId": conn_id,
                }),
                Contract::V2026_7_35 => json!({ "version": contract.reported_version(), "connId": conn_id }),
                Contract::V2026_2_9 => {
                    json!({ "version": contract.reported_version(), "host": "simulated", "connId": conn_id })
                }
            },
        );
        let mut features = json!({ "methods": methods(contract), "events": events(contract) });
        let capabilities = match contract {
            Contract::V2026_9_6 => CAPABILITIES_9_6,
            Contract::V2026_7_35 => &["chat-send-routing-contract"],
            Contract::V2026_2_9 => &[],
        };
        if let Some(features) = features.as_object_mut()
            && !capabilities.is_empty()
        {
            features.insert("capabilities".into(), json!(capabilities));
        }
        put("features", features);
        put("snapshot", self.snapshot(world, state));
        if let Some(auth) = self.auth(contract, state) {
            put("auth", auth);
        }
        put("policy", policy(contract));
        Value::Object(hello)
    }

    fn is_admin(&self) -> bool {
        match &self.granted {
            Granted::Everything => true,
            Granted::Scopes(scopes) => scopes.iter().any(|scope| scope == "operator.admin"),
        }
    }

    fn snapshot(&self, world: &World, state: &State) -> Value {
        let contract = world.contract;
        let default_id = state.roster.default_id();
        let mut defaults = json!({
            "defaultAgentId": default_id,
            "mainKey": "main",
            "mainSessionKey": format!("agent:{default_id}:main"),
            "scope": "per-sender",
        });
        let mut snapshot = Map::new();
        let mut put = |key: &str, value: Value| snapshot.insert(key.to_owned(), value);
        if contract == Contract::V2026_9_6 {
            put("suspension", json!({ "phase": "accepting" }));
            put("appliedConfigHash", json!(state.config.revision(contract)));
            put(
                "updateSchedule",
                json!({ "channel": "stable", "autoEnabled": false }),
            );
            if let Some(defaults) = defaults.as_object_mut() {
                defaults.insert("modelConfigured".into(), json!(false));
                defaults.insert("ownership".into(), json!(state.roster.ownership()));
                defaults.insert("selectionRequired".into(), json!(false));
            }
        }
        put("presence", state.presence_list(world));
        put("health", state.health(world));
        put(
            "stateVersion",
            json!({ "presence": state.presence_version, "health": 2 }),
        );
        put("uptimeMs", json!(state.uptime_ms()));
        put("sessionDefaults", defaults);
        if self.is_admin() || contract == Contract::V2026_2_9 {
            put("configPath", json!(world.places.config_path()));
            put("stateDir", json!(world.places.state()));
            if contract != Contract::V2026_2_9 {
                put("authMode", json!("token"));
            }
        }
        Value::Object(snapshot)
    }

    /// None from 2026.2.9 to a client without a device: there a token has every scope, and nobody says so.
    fn auth(&self, contract: Contract, state: &mut State) -> Option<Value> {
        let scopes = match &self.granted {
            Granted::Everything => Vec::new(),
            Granted::Scopes(scopes) => scopes.clone(),
        };
        let mut auth = Map::new();
        auth.insert("role".into(), json!(self.role));
        match contract {
            Contract::V2026_2_9 => {
                let issued = self.issued.as_ref()?;
                auth.insert("scopes".into(), json!(issued.scopes));
            }
            Contract::V2026_7_35 => {
                // A device reads what it was approved for, whatever this connection asked.
                let shown = self
                    .issued
                    .as_ref()
                    .map_or(scopes, |issued| issued.scopes.clone());
                auth.insert("scopes".into(), json!(shown));
            }
            Contract::V2026_9_6 => {
                let method = if self.shared_token {
                    "token"
                } else {
                    "device-token"
                };
                auth.insert("method".into(), json!(method));
                auth.insert("scopes".into(), json!(scopes));
                auth.insert("recoveryScope".into(), json!(state.dice.token()));
                if self.issued.is_some() {
                    auth.insert("recoveryMigrationAllowed".into(), json!(true));
                }
            }
        }
        if let Some(issued) = &self.issued {
            auth.insert("deviceToken".into(), json!(issued.token));
            auth.insert("issuedAtMs".into(), json!(issued.at_ms));
        }
        Some(Value::Object(auth))
    }
}

fn policy(contract: Contract) -> Value {
    let mut policy = json!({
        "maxPayload": contract.max_payload(),
        "maxBufferedBytes": contract.max_buffered(),
        "tickIntervalMs": 30_000,
    });
    if contract == Contract::V2026_9_6
        && let Some(policy) = policy.as_object_mut()
    {
        policy.insert(
            "attachments".into(),
            json!({ "maxBytes": 19_464_192, "maxImageBytes": 6_291_456 }),
        );
        policy.insert(
            "allowedSessionVisibilities".into(),
            json!(["shared", "read-only", "suggest", "draft"]),
        );
        policy.insert("hasMultipleSessionSharingIdentities".into(), json!(false));
    }
    policy
}
