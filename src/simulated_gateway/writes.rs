//! Everything that writes the configuration, one after another: worked out on a copy, then (after the real gateway's
//! time) put in its place, told of, and answered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::connection::Client;
use super::contract::Contract;
use super::faults::Armed;
use super::methods::{self, Call};
use super::refusal::{Answer, Refusal};
use super::restart::Wish;
use super::roster::{self, Newborn};
use super::world::{State, World};
use super::{agents, clock, config, cron, events, merge, reload, restart, revision};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Create,
    Update,
    Delete,
    Patch,
    Set,
    Apply,
}

/// A write that has been worked out.
struct Plan {
    document: Value,
    answer: Value,
    /// What it changes; empty where nothing.
    changed: Vec<String>,
    born: Option<String>,
    deleted: Option<(roster::Agent, bool)>,
    updated: Option<roster::Agent>,
    /// Agents that were not there before.
    new_agents: usize,
    /// The answer is completed by what is so after the write.
    shows_config: bool,
}

impl Plan {
    fn of(document: Value, answer: Value) -> Self {
        Self {
            document,
            answer,
            changed: Vec::new(),
            born: None,
            deleted: None,
            updated: None,
            new_agents: 0,
            shows_config: false,
        }
    }

    fn of_config(document: Value, call: &Call<'_>) -> Self {
        let answer = json!({ "ok": true, "path": call.world.places.config_path() });
        Self {
            shows_config: true,
            ..Self::of(document, answer)
        }
    }
}

pub(super) fn start(
    world: Arc<World>,
    client: Arc<Client>,
    id: Value,
    write: Write,
    params: Map<String, Value>,
    armed: Armed,
) {
    let writing = Arc::clone(&world);
    writing.spawn(async move {
        let _turn = world.writes.lock().await;
        if world.lock().faults.wedged {
            // Whoever holds the lock never lets go.
            std::future::pending::<()>().await;
        }
        let call = Call {
            world: &world,
            client: &client,
            params: &params,
        };
        let plan = {
            let mut state = world.lock();
            plan(&mut state, &call, write)
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(refusal) => return methods::reply(&world, &client, &id, Err(refusal), &armed),
        };
        // Agents of a patch answer files.* before the patch itself is answered.
        let (until_there, until_answered) = times(&world, write, &plan);
        world.pause(until_there).await;
        let wrote = write_it(&call, plan);
        world.pause(until_answered).await;
        finish(&call, &id, write, wrote, &armed);
    });
}

/// How long the real gateway takes, until the change is there and from then to its answer.
fn times(world: &World, write: Write, plan: &Plan) -> (Duration, Duration) {
    let agents = world.lock().roster.ids().len() as f64;
    let new = plan.new_agents as f64;
    if plan.changed.is_empty() && write != Write::Update {
        return (Duration::from_millis(30), Duration::ZERO);
    }
    let ms = match (world.contract, write) {
        (Contract::V2026_9_6, Write::Create) => 200.0 + 1.2 * agents,
        (Contract::V2026_9_6, Write::Update) => 200.0 + 1.2 * agents,
        (Contract::V2026_9_6, Write::Delete) => 600.0 + 7.0 * agents,
        (Contract::V2026_9_6, Write::Set) => 15.0,
        (Contract::V2026_9_6, Write::Patch | Write::Apply) => {
            250.0 + 6.0 * agents + 0.022 * agents * agents + 80.0 * new
        }
        // 0.7 s with few agents, 2 s each in a row of forty.
        (Contract::V2026_7_35, Write::Create | Write::Update | Write::Delete) => 500.0 + 75.0 * agents,
        (Contract::V2026_7_35, Write::Patch | Write::Set | Write::Apply) => 100.0 + 2.0 * new + 40.0 * agents,
        (Contract::V2026_2_9, _) => 110.0,
    };
    let part = |share: f64| Duration::from_secs_f64(ms * share / 1000.0);
    match write {
        Write::Patch | Write::Apply => (part(0.45), part(0.55)),
        Write::Create | Write::Update | Write::Delete | Write::Set => (part(1.0), Duration::ZERO),
    }
}

fn plan(state: &mut State, call: &Call<'_>, write: Write) -> Result<Plan, Refusal> {
    let old = state.config.document();
    let mut document = old.clone();
    let mut plan = match write {
        Write::Create => {
            let (id, answer) = agents::created(call, &mut document)?;
            Plan {
                born: Some(id),
                new_agents: 1,
                ..Plan::of(document, answer)
            }
        }
        Write::Update => {
            let agent = agents::updated(state, call, &mut document)?;
            Plan {
                updated: Some(agent.clone()),
                ..Plan::of(document, json!({ "ok": true, "agentId": agent.id }))
            }
        }
        Write::Delete => {
            let (agent, bindings) = agents::deleted(state, call, &mut document)?;
            let with_files = call.flag("deleteFiles").unwrap_or(true);
            let answer = json!({ "ok": true, "agentId": agent.id, "removedBindings": bindings });
            Plan {
                deleted: Some((agent, with_files)),
                ..Plan::of(document, answer)
            }
        }
        Write::Patch => Plan::of_config(revision::patched(state, call)?, call),
        Write::Set | Write::Apply => Plan::of_config(revision::replaced(state, call, write)?, call),
    };
    let contract = call.contract();
    plan.changed = merge::changed(
        &config::source(state.config.document(), contract),
        &config::source(&plan.document, contract),
        &|path| reload::is_told_by_its_parts(path, contract),
    );
    let (before, after) = (
        stamped(call.world, old, old.clone()),
        stamped(call.world, old, plan.document),
    );
    revision::keeps_its_size(&before, &after, call)?;
    plan.document = after;
    if write == Write::Patch || write == Write::Apply {
        let before = roster::entries(state.config.document(), call.contract());
        let after = roster::entries(&plan.document, call.contract());
        plan.new_agents = after.keys().filter(|id| !before.contains_key(*id)).count();
    }
    Ok(plan)
}

/// What came of a write.
struct Wrote {
    answer: Value,
    changed: Vec<String>,
    born: bool,
    token_changed: bool,
}

fn write_it(call: &Call<'_>, plan: Plan) -> Wrote {
    let Plan {
        document,
        mut answer,
        changed,
        born,
        deleted,
        updated,
        new_agents: _,
        shows_config,
    } = plan;
    let (world, contract) = (call.world, call.contract());
    let mut state = world.lock();
    let old_token = state.config.shared_token().to_owned();
    // 2026.2.9 writes the file also where nothing changes.
    if !changed.is_empty() || contract.restarts_on_every_write() {
        put_in_place(world, &mut state, document, born.as_deref());
    }
    if let Some(agent) = born
        .as_ref()
        .and_then(|_| answer.get("workspace")?.as_str().map(str::to_owned))
    {
        state.prepare_workspace(&agent, contract, call.now_ms());
        if contract != Contract::V2026_9_6 {
            let name = call.text("name");
            let seeded = state
                .files
                .read(&agent, "IDENTITY.md")
                .map(|file| file.text.to_string());
            let given = |key: &str| {
                let text = call.text(key);
                (!text.is_empty()).then_some(text)
            };
            let text = super::identity_file::merged(
                &seeded.unwrap_or_default(),
                &[
                    ("Name", Some(&name)),
                    ("Emoji", given("emoji").as_deref()),
                    ("Avatar", given("avatar").as_deref()),
                ],
            );
            state
                .files
                .write(&agent, "IDENTITY.md", &text, call.now_ms())
                .ok();
        }
    }
    if let Some(agent) = updated {
        agents::write_identity(&mut state, call, &agent);
    }
    if let Some((agent, with_files)) = deleted {
        let removed = bury(world, &mut state, &agent, with_files);
        if contract == Contract::V2026_9_6 {
            merge::lay_over(&mut answer, &json!({ "removed": removed, "failed": [] }));
        }
    }
    if shows_config {
        complete(call, &state, &mut answer, &changed);
    }
    // What agents.create made is told of when it can be seen.
    // Connections that end with the write hear nothing of it.
    let ends = state.config.shared_token() != old_token || is_policy(&changed);
    if born.is_none() && !changed.is_empty() && !ends {
        cron::follow(world, &mut state);
        events::config_changed(world, &mut state, &changed);
    }
    Wrote {
        answer,
        token_changed: state.config.shared_token() != old_token,
        changed,
        born: born.is_some(),
    }
}

/// The document with what the gateway itself writes into it.
fn stamped(world: &World, old: &Value, mut document: Value) -> Value {
    let contract = world.contract;
    match contract {
        Contract::V2026_9_6 => {
            let several = roster::entries(&document, contract).len() > 1;
            let were_several = roster::entries(old, contract).len() > 1;
            if several && !were_several {
                let workspace = world.places.default_workspace(contract, "main", true);
                let mut pins = json!({
                    "agents": { "entries": { "main": { "workspace": workspace } },
                        "defaults": { "heartbeat": { "agentId": "main" }, "systemAgent": { "agentId": "main" } } },
                    "talk": { "agentId": "main" },
                });
                merge::lay_over(&mut pins, &document);
                document = pins;
            }
            merge::lay_over(
                &mut document,
                &json!({ "meta": { "lastTouchedVersion": contract.version(),
                    "migrations": { "modelPolicyAllowlist": true, "utilityModelSeparation": true } } }),
            );
        }
        Contract::V2026_7_35 | Contract::V2026_2_9 => merge::lay_over(
            &mut document,
            &json!({ "meta": { "lastTouchedVersion": contract.version(),
                "lastTouchedAt": clock::iso(world.clock.now_ms()) } }),
        ),
    }
    document
}

/// The document, and the roster after it.
fn put_in_place(world: &World, state: &mut State, document: Value, born: Option<&str>) {
    let (contract, now_ms) = (world.contract, world.clock.now_ms());
    state.config.replace(document);
    let delay = contract
        .visibility_delay()
        .mul_f64(world.settings.delays.max(0.0));
    let newborn: Vec<Newborn> = born
        .map(|id| Newborn {
            id: id.to_owned(),
            visible_from: Instant::now() + delay,
            at_ms: now_ms,
        })
        .into_iter()
        .collect();
    let State { roster, config, .. } = &mut *state;
    roster.follow(config.document(), contract, &world.places, &newborn);
}

/// What is left of a deleted agent goes to the trash; a workspace that another agent uses stays.
fn bury(world: &World, state: &mut State, agent: &roster::Agent, with_files: bool) -> Vec<Value> {
    state.sessions.forget_agent(&agent.id);
    if !with_files {
        return Vec::new();
    }
    let dir = world.places.agent_dir(&agent.id);
    let sessions = format!("{}/agents/{}/sessions", world.places.state(), agent.id);
    let mut removed: Vec<Value> = [
        "/openclaw-agent.sqlite",
        "/openclaw-agent.sqlite-journal",
        "/openclaw-agent.sqlite-shm",
        "/openclaw-agent.sqlite-wal",
        "",
    ]
    .iter()
    .map(|end| json!({ "path": format!("{dir}{end}"), "method": "missing" }))
    .collect();
    removed.push(json!({ "path": sessions, "method": "trash" }));
    let may_go = world.places.may_be_trashed(world.contract, &agent.workspace);
    if may_go && !state.roster.shares_workspace(agent) {
        let method = if state.files.trash(&agent.workspace) {
            "trash"
        } else {
            "missing"
        };
        removed.push(json!({ "path": agent.workspace, "method": method }));
    }
    removed
}

/// The rest of the answer of `config.patch`, `set` and `apply`.
fn complete(call: &Call<'_>, state: &State, answer: &mut Value, changed: &[String]) {
    let contract = call.contract();
    let mut more = json!({ "config": state.config.redacted() });
    let no_op = changed.is_empty() && contract != Contract::V2026_2_9;
    if no_op {
        merge::lay_over(&mut more, &json!({ "noop": true }));
        if contract == Contract::V2026_9_6 {
            merge::lay_over(&mut more, &json!({ "changedPaths": [] }));
        }
        return merge::lay_over(answer, &more);
    }
    let restarts = reload::restarts(changed, contract);
    let note = call.params.get("note").cloned().unwrap_or_default();
    let path = call.world.places.config_path();
    let sentinel = match contract {
        Contract::V2026_2_9 => json!({
            "path": format!("{}/restart-sentinel.json", call.world.places.state()),
            "payload": { "kind": "config-apply", "status": "ok", "ts": call.now_ms(), "message": note,
                "doctorHint": "Run: openclaw doctor --non-interactive",
                "stats": { "mode": "config.patch", "root": path } },
        }),
        Contract::V2026_7_35 | Contract::V2026_9_6 => json!({
            "persisted": true,
            "payload": { "kind": "config-patch", "status": "ok", "ts": call.now_ms(), "message": note,
                "doctorHint": "Recommended follow-up: run openclaw doctor --non-interactive in a terminal or \
                    approvals-capable OpenClaw surface.",
                "stats": { "mode": "config.patch", "root": path, "requiresRestart": restarts } },
        }),
    };
    merge::lay_over(&mut more, &json!({ "sentinel": sentinel }));
    match contract {
        Contract::V2026_9_6 => merge::lay_over(
            &mut more,
            &json!({ "hash": state.config.hash(contract), "changedPaths": changed }),
        ),
        Contract::V2026_7_35 => {}
        Contract::V2026_2_9 => merge::lay_over(
            &mut more,
            &json!({ "restart": { "ok": true, "pid": 1, "signal": "SIGUSR1", "delayMs": 2000, "reason": "config.patch",
                "mode": "emit" } }),
        ),
    }
    merge::lay_over(answer, &more);
}

/// Answers, and does what follows from the write: nothing, a restart, or the end of connections with the old token.
fn finish(call: &Call<'_>, id: &Value, write: Write, wrote: Wrote, armed: &Armed) {
    let Wrote {
        answer,
        changed,
        born,
        token_changed,
    } = wrote;
    let (world, contract) = (call.world, call.contract());
    let restarts = reload::restarts(&changed, contract);
    let close = if token_changed && contract.clears_scopes() {
        Some("gateway auth changed")
    } else if contract == Contract::V2026_9_6 && is_policy(&changed) {
        Some("gateway policy changed")
    } else {
        None
    };
    let answer: Answer = Ok(answer);
    if !contract.closes_before_answering() || (!restarts && close.is_none()) {
        methods::reply(world, call.client, id, answer, armed);
    }
    if let Some(reason) = close {
        close_shared(world, reason);
    }
    if restarts {
        restart::schedule(world, Wish::ChangedFile);
    }
    if contract == Contract::V2026_2_9 && matches!(write, Write::Patch | Write::Apply) {
        restart::schedule(world, Wish::Written);
    }
    if born {
        let telling = Arc::clone(world);
        world.spawn(async move {
            telling.pause(telling.contract.visibility_delay()).await;
            let mut state = telling.lock();
            cron::follow(&telling, &mut state);
            events::config_changed(&telling, &mut state, &["agents".to_owned()]);
        });
    }
}

/// A change of whom the gateway trusts ends connections too.
fn is_policy(changed: &[String]) -> bool {
    changed
        .iter()
        .any(|path| path.starts_with("gateway.trustedProxies"))
}

/// Whoever came with the shared token has to come again.
pub(super) fn close_shared(world: &World, reason: &str) {
    let state = world.lock();
    for client in state.clients.values().filter(|client| client.shared_token) {
        client.close(4001, reason);
    }
}

/// For faults: an entry is gone, as if somebody had edited the file.
pub(super) fn lose_entry(world: &World, id: &str) {
    let mut state = world.lock();
    let contract = world.contract;
    let mut document = state.config.document().clone();
    if let Some(entries) = document
        .pointer_mut("/agents/entries")
        .and_then(Value::as_object_mut)
    {
        entries.remove(id);
    }
    if let Some(list) = document.pointer_mut("/agents/list").and_then(Value::as_array_mut) {
        list.retain(|entry| entry.get("id").and_then(Value::as_str) != Some(id));
    }
    state.config.replace(document);
    let State { roster, config, .. } = &mut *state;
    roster.follow(config.document(), contract, &world.places, &[]);
    cron::follow(world, &mut state);
    events::config_changed(world, &mut state, &["agents".to_owned()]);
}
