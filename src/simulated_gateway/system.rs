//! The gateway about itself: health, status, presence, wakes and restarts. What a simulation cannot know (load, memory)
//! is said calmly.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::contract::Contract;
use super::cron::Heartbeats;
use super::device::hex;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::restart::{self, Wish};
use super::roster::Agent;
use super::world::{State, World};

/// What 2026.9.6 waits between the wish for a restart and the restart.
const SAFE_RESTART: Duration = Duration::from_millis(1700);

impl State {
    pub(super) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.booted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A start forgets what was only in memory: budgets, lock-outs, runs.
    pub(super) fn boot(&mut self, contract: Contract) {
        self.boot_id = self.dice.uuid();
        self.booted = Instant::now();
        self.budget = super::budget::Budget::default();
        self.lock_outs = super::lockout::LockOuts::default();
        self.runs = super::chat::Runs::default();
        self.sessions.interrupt();
        self.presence_version = 1;
        self.numbering = super::events::Numbering::of(contract);
    }

    pub(super) fn health(&self, world: &World) -> Value {
        let contract = world.contract;
        let sessions = |id: &str| json!({ "path": self.store_path(world, id), "count": self.sessions.count_of(id), "recent": [] });
        let default_id = self.roster.default_id();
        let heartbeats = Heartbeats::of(contract, &self.roster, self.config.document());
        let agents: Vec<Value> = self
            .roster
            .visible()
            .filter(|agent| agent.is_configured)
            .map(|agent| {
                let mut shown = json!({
                    "agentId": agent.id,
                    "isDefault": agent.id == default_id,
                    "heartbeat": heartbeats.heartbeat(agent).shown(contract),
                    "sessions": sessions(&agent.id),
                });
                if let (Some(name), Some(shown)) = (agent.name(), shown.as_object_mut()) {
                    shown.insert("name".into(), json!(name));
                }
                shown
            })
            .collect();
        let mut health = json!({
            "ok": true, "ts": world.clock.now_ms(), "durationMs": 1,
            "channels": {}, "channelOrder": [], "channelLabels": {},
            "heartbeatSeconds": 1800, "defaultAgentId": default_id,
            "agents": agents, "sessions": sessions(default_id),
        });
        if let Some(health) = health.as_object_mut()
            && contract != Contract::V2026_2_9
        {
            health.insert("configReload".into(), json!({ "hotReloadStatus": "active" }));
            health.insert("eventLoop".into(), event_loop());
        }
        health
    }

    pub(super) fn store_path(&self, world: &World, id: &str) -> String {
        let state = world.places.state();
        match world.contract {
            Contract::V2026_9_6 => format!("{state}/agents/{id}/agent/openclaw-agent.sqlite"),
            Contract::V2026_7_35 | Contract::V2026_2_9 => {
                format!("{state}/agents/{id}/sessions/sessions.json")
            }
        }
    }

    pub(super) fn presence_list(&self, world: &World) -> Value {
        let contract = world.contract;
        let version = match contract {
            Contract::V2026_2_9 => "unknown",
            Contract::V2026_7_35 | Contract::V2026_9_6 => contract.version(),
        };
        let now_ms = world.clock.now_ms();
        let mut list = vec![json!({
            "host": "simulated", "ip": "127.0.0.1", "version": version, "platform": "linux", "deviceFamily": "Linux",
            "mode": "gateway", "reason": "self", "ts": now_ms,
            "text": format!("Gateway: simulated (127.0.0.1) · app {version} · mode gateway · reason self"),
        })];
        if contract != Contract::V2026_9_6 {
            // 2026.9.6 does not list backends.
            list.extend(self.clients.values().map(|client| {
                json!({ "host": client.name, "mode": client.mode, "roles": ["operator"], "reason": "connect", "ts": now_ms,
                    "text": format!("Node: {} · mode {}", client.name, client.mode) })
            }));
        }
        Value::Array(list)
    }
}

fn event_loop() -> Value {
    json!({
        "degraded": false, "reasons": [], "intervalMs": 1000, "delayP99Ms": 20.0, "delayMaxMs": 20.0,
        "utilization": 0.01, "cpuCoreRatio": 0.01,
    })
}

pub(super) fn health(state: &mut State, call: &Call<'_>) -> Answer {
    Ok(state.health(call.world))
}

pub(super) fn status(state: &mut State, call: &Call<'_>) -> Answer {
    let heartbeats = Heartbeats::of(call.contract(), &state.roster, state.config.document());
    let heartbeats: Vec<Value> = state
        .roster
        .visible()
        .map(|agent: &Agent| {
            let heartbeat = heartbeats.heartbeat(agent);
            json!({
                "agentId": agent.id, "enabled": heartbeat.is_on(), "every": heartbeat.every(),
                "everyMs": heartbeat.every_ms(),
            })
        })
        .collect();
    let mut status = json!({
        "heartbeat": { "defaultAgentId": state.roster.default_id(), "agents": heartbeats },
        "channelSummary": [],
        "queuedSystemEvents": state.wakes,
        "sessions": { "count": state.sessions.count(), "recent": [] },
    });
    if let Some(status) = status.as_object_mut()
        && call.contract() != Contract::V2026_2_9
    {
        status.insert("runtimeVersion".into(), json!(call.contract().version()));
        if call.contract() == Contract::V2026_9_6 {
            status.insert("degradedSecretOwners".into(), json!([]));
            status.insert("degradedPlugins".into(), json!([]));
        }
    }
    Ok(status)
}

pub(super) fn info(state: &mut State, call: &Call<'_>) -> Answer {
    let mut info = json!({
        "machineName": "simulated", "hostname": "simulated", "platform": "linux", "arch": "x64",
        "port": call.world.settings.port, "pid": 1, "uptimeMs": state.uptime_ms(), "cpuCount": 1,
    });
    if let Some(info) = info.as_object_mut()
        && call.contract().has_boot_id()
    {
        info.insert("processInstanceId".into(), json!(state.boot_id));
        info.insert("eventLoop".into(), event_loop());
    }
    Ok(info)
}

pub(super) fn presence(state: &mut State, call: &Call<'_>) -> Answer {
    Ok(state.presence_list(call.world))
}

pub(super) fn identity(state: &mut State, _call: &Call<'_>) -> Answer {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::SigningKey;
    use sha2::{Digest as _, Sha256};
    let key = SigningKey::from_bytes(&state.gateway_key).verifying_key();
    Ok(json!({
        "deviceId": hex(&Sha256::digest(key.as_bytes())), "publicKey": URL_SAFE_NO_PAD.encode(key.as_bytes()),
    }))
}

pub(super) fn wake(state: &mut State, call: &Call<'_>) -> Answer {
    const KEPT: usize = 20;
    if let Some(agent) = call.params.get("agentId").and_then(Value::as_str)
        && call.contract() == Contract::V2026_9_6
        && state.roster.find(agent).is_none()
    {
        return Err(Refusal::unavailable(format!(
            "Error: cron job agent is unavailable: {agent}"
        )));
    }
    state.wakes.push_back(json!(call.text("text")));
    if state.wakes.len() > KEPT {
        state.wakes.pop_front();
    }
    Ok(json!({ "ok": true }))
}

pub(super) fn last_heartbeat(state: &mut State, _call: &Call<'_>) -> Answer {
    Ok(state.last_heartbeat.clone())
}

pub(super) fn set_heartbeats(state: &mut State, call: &Call<'_>) -> Answer {
    let Some(enabled) = call.flag("enabled") else {
        return Err(Refusal::invalid(
            "invalid set-heartbeats params: enabled (boolean) required",
        ));
    };
    state.heartbeats_enabled = enabled;
    Ok(json!({ "ok": true, "enabled": enabled }))
}

fn safe() -> Value {
    json!({ "safe": true, "blockers": [], "summary": "safe to restart now",
        "counts": { "queueSize": 0, "pendingReplies": 0, "embeddedRuns": 0, "cronRuns": 0, "activeTasks": 0, "totalActive": 0 } })
}

pub(super) fn preflight(_state: &mut State, _call: &Call<'_>) -> Answer {
    Ok(safe())
}

pub(super) fn restart(_state: &mut State, call: &Call<'_>) -> Answer {
    let world = Arc::clone(call.world);
    // Not now: the state is held.
    tokio::spawn(async move { restart::schedule_after(&world, Wish::Asked, SAFE_RESTART) });
    Ok(
        json!({ "ok": true, "status": "scheduled", "preflight": safe(), "restart": {
        "ok": true, "pid": 1, "signal": "SIGUSR1", "reason": "gateway.restart.safe", "mode": "emit", "delayMs": 0,
        "coalesced": false, "cooldownMsApplied": 0, "emitHooksQueued": false } }),
    )
}

pub(super) fn secrets_reload(_state: &mut State, _call: &Call<'_>) -> Answer {
    Ok(json!({ "ok": true, "warningCount": 0 }))
}

pub(super) fn secrets_store(_state: &mut State, _call: &Call<'_>) -> Answer {
    Ok(json!({ "entries": [] }))
}

pub(super) fn models(_state: &mut State, _call: &Call<'_>) -> Answer {
    Ok(json!({ "models": [] }))
}

pub(super) fn nodes(_state: &mut State, call: &Call<'_>) -> Answer {
    Ok(json!({ "ts": call.now_ms(), "nodes": [] }))
}

pub(super) fn channels(_state: &mut State, call: &Call<'_>) -> Answer {
    Ok(json!({
        "ts": call.now_ms(), "channelOrder": [], "channelLabels": {}, "channelDetailLabels": {},
        "channelSystemImages": {}, "channelMeta": [], "channels": {}, "channelAccounts": {},
        "channelDefaultAccountId": {},
    }))
}

pub(super) fn usage(_state: &mut State, call: &Call<'_>) -> Answer {
    Ok(json!({ "updatedAt": call.now_ms(), "providers": [] }))
}

pub(super) fn update(_state: &mut State, _call: &Call<'_>) -> Answer {
    Ok(json!({ "sentinel": null }))
}
