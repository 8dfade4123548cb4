//! The table of methods: what each asks for, what it may be given, and who answers it.
//!
//! A method that a contract advertises but that is not simulated answers UNAVAILABLE with a text of our own; one that it
//! does not have answers as the real gateway does.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::connection::Client;
use super::contract::Contract;
use super::faults::{self, Armed};
use super::refusal::{Answer, Refusal};
use super::shape::{self, Kind, Property, Shape, may, must};
use super::world::{Request, State, World};
use super::writes::{self, Write};
use super::{agents, chat, config, cron, files, hello, pairing, sessions, system};

/// One call, as a method sees it.
pub(super) struct Call<'a> {
    pub(super) world: &'a Arc<World>,
    pub(super) client: &'a Arc<Client>,
    pub(super) params: &'a Map<String, Value>,
}

impl Call<'_> {
    pub(super) fn contract(&self) -> Contract {
        self.world.contract
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.world.clock.now_ms()
    }

    /// Empty where it is absent: what must be there was checked before.
    pub(super) fn text(&self, key: &str) -> String {
        self.params
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    pub(super) fn number(&self, key: &str) -> Option<usize> {
        self.params
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.params.get(key).and_then(Value::as_bool)
    }
}

struct Method {
    name: &'static str,
    /// None: whoever is connected may call it.
    scope: Option<&'static str>,
    /// None: parameters are not looked at.
    takes: Option<&'static [Property]>,
    /// Its calls spend the write budget.
    limited: bool,
    run: Run,
}

enum Run {
    Now(fn(&mut State, &Call<'_>) -> Answer),
    Write(Write),
    /// Waits for a run's end.
    Wait,
}

const READ: Option<&str> = Some("operator.read");
const WRITE: Option<&str> = Some("operator.write");
const ADMIN: Option<&str> = Some("operator.admin");
const PAIR: Option<&str> = Some("operator.pairing");

const fn now(
    name: &'static str,
    scope: Option<&'static str>,
    takes: Option<&'static [Property]>,
    run: fn(&mut State, &Call<'_>) -> Answer,
) -> Method {
    Method {
        name,
        scope,
        takes,
        limited: false,
        run: Run::Now(run),
    }
}

const fn limited(method: Method) -> Method {
    Method {
        limited: true,
        ..method
    }
}

const fn write(name: &'static str, takes: &'static [Property], write: Write) -> Method {
    Method {
        name,
        scope: ADMIN,
        takes: Some(takes),
        limited: false,
        run: Run::Write(write),
    }
}

const NOTHING: Option<&[Property]> = Some(&[]);
const AGENT: &[Property] = &[must("agentId", Kind::Text(1))];
const KEY: &[Property] = &[must("key", Kind::Text(1))];
const REQUEST: &[Property] = &[must("requestId", Kind::Text(1))];
const DEVICE_ROLE: &[Property] = &[must("deviceId", Kind::Text(1)), must("role", Kind::Text(1))];
const ID: &[Property] = &[must("id", Kind::Text(1))];

const METHODS: &[Method] = &[
    now("agents.list", READ, NOTHING, agents::list),
    now(
        "agent.identity.get",
        READ,
        Some(&[may("agentId", Kind::Text(1)), may("sessionKey", Kind::Text(0))]),
        agents::identity,
    ),
    write("agents.create", CREATE, Write::Create),
    write("agents.update", UPDATE, Write::Update),
    write(
        "agents.delete",
        &[must("agentId", Kind::Text(1)), may("deleteFiles", Kind::Flag)],
        Write::Delete,
    ),
    now("agents.files.list", READ, Some(AGENT), files::list),
    now(
        "agents.files.get",
        READ,
        Some(&[must("agentId", Kind::Text(1)), must("name", Kind::Text(1))]),
        files::get,
    ),
    now("agents.files.set", ADMIN, Some(FILES_SET), files::set),
    now(
        "agents.workspace.list",
        READ,
        Some(&[
            must("agentId", Kind::Text(1)),
            may("path", Kind::Text(0)),
            may("offset", Kind::Integer(0)),
            may("limit", Kind::Integer(1)),
        ]),
        files::workspace_list,
    ),
    now(
        "agents.workspace.get",
        READ,
        Some(&[must("agentId", Kind::Text(1)), must("path", Kind::Text(1))]),
        files::workspace_get,
    ),
    now("config.get", READ, NOTHING, config::get),
    now("config.schema", READ, NOTHING, config::schema),
    now(
        "config.schema.lookup",
        READ,
        Some(&[must("path", Kind::Text(1))]),
        config::schema_lookup,
    ),
    limited(write("config.patch", PATCH, Write::Patch)),
    write("config.set", SET, Write::Set),
    limited(write("config.apply", APPLY, Write::Apply)),
    now("sessions.list", READ, Some(SESSIONS_LIST), sessions::list),
    now("sessions.reset", ADMIN, Some(SESSIONS_RESET), sessions::reset),
    now("sessions.delete", ADMIN, Some(SESSIONS_DELETE), sessions::delete),
    now("sessions.patch", WRITE, Some(SESSIONS_PATCH), sessions::patch),
    now("sessions.create", WRITE, Some(SESSIONS_CREATE), sessions::create),
    now(
        "sessions.describe",
        READ,
        Some(&[
            must("key", Kind::Text(1)),
            may("includeDerivedTitles", Kind::Flag),
            may("includeLastMessage", Kind::Flag),
        ]),
        sessions::describe,
    ),
    now(
        "sessions.preview",
        READ,
        Some(&[
            must("keys", Kind::Texts),
            may("limit", Kind::Integer(1)),
            may("maxChars", Kind::Integer(20)),
        ]),
        sessions::preview,
    ),
    now(
        "sessions.send",
        WRITE,
        Some(&[
            must("key", Kind::Text(1)),
            may("agentId", Kind::Text(1)),
            must("message", Kind::Text(0)),
            may("thinking", Kind::Text(0)),
            may("attachments", Kind::Any),
            may("timeoutMs", Kind::Integer(0)),
            may("idempotencyKey", Kind::Text(1)),
        ]),
        chat::sessions_send,
    ),
    now("chat.send", WRITE, Some(CHAT_SEND), chat::send),
    now("chat.history", READ, Some(CHAT_HISTORY), chat::history),
    now(
        "chat.abort",
        WRITE,
        Some(&[
            must("sessionKey", Kind::Text(1)),
            may("agentId", Kind::Text(1)),
            may("runId", Kind::Text(1)),
            may("preserveSideRuns", Kind::Flag),
        ]),
        chat::abort,
    ),
    now(
        "chat.inject",
        ADMIN,
        Some(&[
            must("sessionKey", Kind::Text(1)),
            may("agentId", Kind::Text(1)),
            must("message", Kind::Text(1)),
            may("label", Kind::Text(0)),
        ]),
        chat::inject,
    ),
    now("agent", WRITE, None, chat::agent),
    Method {
        name: "agent.wait",
        scope: WRITE,
        takes: Some(&[must("runId", Kind::Text(1)), may("timeoutMs", Kind::Integer(0))]),
        limited: false,
        run: Run::Wait,
    },
    now("wake", WRITE, Some(WAKE), system::wake),
    now("last-heartbeat", READ, None, system::last_heartbeat),
    now("set-heartbeats", ADMIN, None, system::set_heartbeats),
    now("health", None, None, system::health),
    now("status", READ, None, system::status),
    now("system.info", READ, None, system::info),
    now("system-presence", READ, None, system::presence),
    now("gateway.identity.get", READ, None, system::identity),
    now("gateway.restart.preflight", READ, None, system::preflight),
    limited(now("gateway.restart.request", ADMIN, None, system::restart)),
    now("secrets.reload", ADMIN, NOTHING, system::secrets_reload),
    now("secrets.store.list", ADMIN, NOTHING, system::secrets_store),
    now(
        "models.list",
        READ,
        Some(&[
            may("agentId", Kind::Text(1)),
            may("includeProviderCapabilities", Kind::Flag),
            may("preparedOnly", Kind::Flag),
            may("refresh", Kind::Flag),
            may("view", Kind::Text(1)),
        ]),
        system::models,
    ),
    now("node.list", READ, None, system::nodes),
    now("channels.status", READ, None, system::channels),
    now("usage.status", READ, None, system::usage),
    now("update.status", ADMIN, None, system::update),
    now("cron.status", READ, NOTHING, cron::status),
    now("cron.list", READ, Some(CRON_LIST), cron::list),
    now("cron.get", READ, Some(ID), cron::get),
    limited(now("cron.add", ADMIN, Some(CRON_ADD), cron::add)),
    limited(now(
        "cron.update",
        ADMIN,
        Some(&[
            must("id", Kind::Text(1)),
            must("patch", Kind::OpenObject),
            may("expectedConfigRevision", Kind::Text(1)),
        ]),
        cron::update,
    )),
    limited(now("cron.remove", ADMIN, Some(ID), cron::remove)),
    now("device.pair.list", PAIR, NOTHING, pairing::list),
    now("device.pair.approve", PAIR, Some(REQUEST), pairing::approve),
    now("device.pair.reject", PAIR, Some(REQUEST), pairing::reject),
    now(
        "device.pair.remove",
        PAIR,
        Some(&[must("deviceId", Kind::Text(1))]),
        pairing::remove,
    ),
    now(
        "device.token.rotate",
        PAIR,
        Some(&[
            must("deviceId", Kind::Text(1)),
            must("role", Kind::Text(1)),
            may("scopes", Kind::Texts),
        ]),
        pairing::rotate,
    ),
    now("device.token.revoke", PAIR, Some(DEVICE_ROLE), pairing::revoke),
];

const CREATE: &[Property] = &[
    must("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
const CREATE_7_35: &[Property] = &[
    must("name", Kind::Text(1)),
    must("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
const CREATE_2_9: &[Property] = &[
    must("name", Kind::Text(1)),
    must("workspace", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
const UPDATE: &[Property] = &[
    must("agentId", Kind::Text(1)),
    may("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::TextOrNull),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
    may("agentRuntime", Kind::Any),
];
const UPDATE_7_35: &[Property] = &[
    must("agentId", Kind::Text(1)),
    may("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
const UPDATE_2_9: &[Property] = &[
    must("agentId", Kind::Text(1)),
    may("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("avatar", Kind::Text(0)),
];
const FILES_SET: &[Property] = &[
    must("agentId", Kind::Text(1)),
    must("name", Kind::Text(1)),
    must("content", Kind::Text(0)),
    may("expectedHash", Kind::Hash),
];
const FILES_SET_OLD: &[Property] = &[
    must("agentId", Kind::Text(1)),
    must("name", Kind::Text(1)),
    must("content", Kind::Text(0)),
];
const SET: &[Property] = &[must("raw", Kind::Text(1)), may("baseHash", Kind::Text(1))];
const APPLY: &[Property] = &[
    must("raw", Kind::Text(1)),
    may("baseHash", Kind::Text(1)),
    may("sessionKey", Kind::Text(0)),
    may("deliveryContext", Kind::OpenObject),
    may("note", Kind::Text(0)),
    may("restartDelayMs", Kind::Integer(0)),
];
const APPLY_2_9: &[Property] = &[
    must("raw", Kind::Text(1)),
    may("baseHash", Kind::Text(1)),
    may("sessionKey", Kind::Text(0)),
    may("note", Kind::Text(0)),
    may("restartDelayMs", Kind::Integer(0)),
];
const PATCH: &[Property] = &[
    must("raw", Kind::Text(1)),
    may("baseHash", Kind::Text(1)),
    may("sessionKey", Kind::Text(0)),
    may("deliveryContext", Kind::OpenObject),
    may("note", Kind::Text(0)),
    may("restartDelayMs", Kind::Integer(0)),
    may("replacePaths", Kind::Texts),
];
const SESSIONS_LIST: &[Property] = &[
    may("limit", Kind::Integer(1)),
    may("offset", Kind::Integer(0)),
    may("activeMinutes", Kind::Integer(1)),
    may("requireLastInteraction", Kind::Flag),
    may("sortBy", Kind::Text(1)),
    may("includeGlobal", Kind::Flag),
    may("includeUnknown", Kind::Flag),
    may("configuredAgentsOnly", Kind::Flag),
    may("includeDerivedTitles", Kind::Flag),
    may("includeLastMessage", Kind::Flag),
    may("label", Kind::Text(1)),
    may("spawnedBy", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("search", Kind::Text(0)),
    may("archived", Kind::Any),
];
const SESSIONS_RESET: &[Property] = &[
    must("key", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("reason", Kind::AnyOf(&["new", "reset"])),
];
const SESSIONS_DELETE: &[Property] = &[
    must("key", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("deleteTranscript", Kind::Flag),
    may("expectedSessionId", Kind::Text(1)),
    may("expectedLifecycleRevision", Kind::Text(1)),
    may("expectedSessionUpdatedAt", Kind::Number),
    may("emitLifecycleHooks", Kind::Flag),
    may("archivedOnly", Kind::Flag),
];
const SESSIONS_DELETE_2_9: &[Property] = &[must("key", Kind::Text(1)), may("deleteTranscript", Kind::Flag)];
const SESSIONS_PATCH: &[Property] = &[
    must("key", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("label", Kind::TextOrNull),
    may("model", Kind::TextOrNull),
    may("thinkingLevel", Kind::TextOrNull),
    may("verboseLevel", Kind::TextOrNull),
    may("reasoningLevel", Kind::TextOrNull),
    may("permissionMode", Kind::TextOrNull),
    may("fastMode", Kind::Any),
    may("archived", Kind::Flag),
    may("pinned", Kind::Flag),
    may("unread", Kind::Flag),
];
const SESSIONS_CREATE: &[Property] = &[
    may("key", Kind::Text(1)),
    may("idempotencyKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("label", Kind::Text(1)),
    may("displayName", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("thinkingLevel", Kind::Text(1)),
    may("parentSessionKey", Kind::Text(1)),
    may("message", Kind::Text(0)),
    may("task", Kind::Text(0)),
];
const CHAT_SEND: &[Property] = &[
    must("sessionKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("sessionId", Kind::Text(1)),
    must("message", Kind::Text(0)),
    may("intent", Kind::Any),
    may("thinking", Kind::Text(0)),
    may("fastMode", Kind::Any),
    may(
        "queueMode",
        Kind::OneOf(&["steer", "followup", "collect", "interrupt"]),
    ),
    may("deliver", Kind::Flag),
    may("originatingChannel", Kind::Text(0)),
    may("originatingTo", Kind::Text(0)),
    may("originatingAccountId", Kind::Text(0)),
    may("originatingThreadId", Kind::Text(0)),
    may("replyToId", Kind::Text(1)),
    may("attachments", Kind::Any),
    may("timeoutMs", Kind::Integer(0)),
    may("suppressCommandInterpretation", Kind::Flag),
    must("idempotencyKey", Kind::Text(1)),
];
const CHAT_SEND_2_9: &[Property] = &[
    must("sessionKey", Kind::Text(1)),
    must("message", Kind::Text(0)),
    may("thinking", Kind::Text(0)),
    may("deliver", Kind::Flag),
    may("attachments", Kind::Any),
    may("timeoutMs", Kind::Integer(0)),
    must("idempotencyKey", Kind::Text(1)),
];
const CHAT_HISTORY: &[Property] = &[
    must("sessionKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("cursor", Kind::Text(0)),
    may("limit", Kind::Integer(1)),
    may("offset", Kind::Integer(0)),
    may("messageId", Kind::Text(1)),
    may("sessionId", Kind::Text(1)),
    may("maxChars", Kind::Integer(1)),
];
const WAKE: &[Property] = &[
    must("mode", Kind::AnyOf(&["now", "next-heartbeat"])),
    must("text", Kind::Text(1)),
    may("sessionKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
];
const WAKE_2_9: &[Property] = &[
    must("mode", Kind::AnyOf(&["now", "next-heartbeat"])),
    must("text", Kind::Text(1)),
];
const CRON_LIST: &[Property] = &[
    may("includeDisabled", Kind::Flag),
    may("limit", Kind::Integer(1)),
    may("offset", Kind::Integer(0)),
    may("query", Kind::Text(0)),
    may("enabled", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("compact", Kind::Flag),
    may("includeDeliveryPreviews", Kind::Flag),
    may("sortBy", Kind::Text(1)),
    may("sortDir", Kind::Text(1)),
];
const CRON_ADD: &[Property] = &[
    must("name", Kind::Text(1)),
    may("declarationKey", Kind::Text(1)),
    may("displayName", Kind::Text(1)),
    may("owner", Kind::Any),
    may("agentId", Kind::TextOrNull),
    may("sessionKey", Kind::TextOrNull),
    may("description", Kind::Text(0)),
    may("enabled", Kind::Flag),
    may("deleteAfterRun", Kind::Flag),
    must("schedule", Kind::OpenObject),
    may("pacing", Kind::Any),
    may("trigger", Kind::Any),
    must("sessionTarget", Kind::Text(1)),
    must("wakeMode", Kind::AnyOf(&["next-heartbeat", "now"])),
    must("payload", Kind::OpenObject),
    may("delivery", Kind::Any),
    may("failureAlert", Kind::Any),
];

/// Where a contract takes something else than the newest does.
fn takes(method: &Method, contract: Contract) -> Option<&'static [Property]> {
    match (method.name, contract) {
        ("agents.create", Contract::V2026_7_35) => Some(CREATE_7_35),
        ("agents.create", Contract::V2026_2_9) => Some(CREATE_2_9),
        ("agents.update", Contract::V2026_7_35) => Some(UPDATE_7_35),
        ("agents.update", Contract::V2026_2_9) => Some(UPDATE_2_9),
        ("agents.files.set", Contract::V2026_7_35 | Contract::V2026_2_9) => Some(FILES_SET_OLD),
        ("config.patch" | "config.apply", Contract::V2026_2_9) => Some(APPLY_2_9),
        ("sessions.reset", Contract::V2026_2_9) => Some(KEY),
        ("sessions.delete", Contract::V2026_2_9) => Some(SESSIONS_DELETE_2_9),
        ("chat.send", Contract::V2026_2_9) => Some(CHAT_SEND_2_9),
        ("wake", Contract::V2026_2_9) => Some(WAKE_2_9),
        ("models.list", Contract::V2026_2_9) => Some(&[]),
        _ => method.takes,
    }
}

fn scope(method: &Method, contract: Contract) -> Option<&'static str> {
    match (method.name, contract) {
        // There everything that is not known to be harmless is the admin's.
        ("sessions.patch", Contract::V2026_2_9) => ADMIN,
        _ => method.scope,
    }
}

/// Jobs cost nothing before 2026.9: 2026.7.35, whose limit is three, serves five changes of jobs in a row.
fn is_limited(method: &Method, contract: Contract) -> bool {
    method.limited && (contract == Contract::V2026_9_6 || !method.name.starts_with("cron."))
}

/// Methods that a gateway answers without advertising them.
const UNADVERTISED: &[&str] = &["connect", "device.pair.list", "chat.inject"];

fn exists(name: &str, contract: Contract) -> bool {
    hello::methods(contract).contains(&name) || UNADVERTISED.contains(&name)
}

/// Begins to answer. What can be answered at once is, before anything else happens.
pub(super) fn start(request: Request) {
    let Request {
        world,
        client,
        life: _,
        id,
        method,
        params,
    } = request;
    let armed = {
        let mut state = world.lock();
        state.faults.count(&method);
        state.faults.strike(&method)
    };
    if armed.before(&world, &client, &id) {
        return;
    }
    let found = METHODS
        .iter()
        .find(|known| known.name == method && exists(&method, world.contract));
    let checked = check(found, &world, &client, &method, params);
    let answer = match checked {
        Err(refusal) => Err(refusal),
        Ok((
            Method {
                run: Run::Now(run), ..
            },
            params,
        )) => {
            let call = Call {
                world: &world,
                client: &client,
                params: &params,
            };
            run(&mut world.lock(), &call)
        }
        Ok((
            Method {
                run: Run::Write(write),
                ..
            },
            params,
        )) => {
            writes::start(world, client, id, *write, params, armed);
            return;
        }
        Ok((Method { run: Run::Wait, .. }, params)) => {
            chat::wait(world, client, id, params);
            return;
        }
    };
    reply(&world, &client, &id, answer, &armed);
    pairing::send_away(&world);
}

/// Sends an answer, or what a fault makes of it.
pub(super) fn reply(world: &Arc<World>, client: &Arc<Client>, id: &Value, answer: Answer, armed: &Armed) {
    faults::after(world, client, id, answer, armed);
}

/// A scope, then the budget, then the shape of the parameters.
fn check<'a>(
    found: Option<&'a Method>,
    world: &Arc<World>,
    client: &Arc<Client>,
    method: &str,
    params: Value,
) -> Result<(&'a Method, Map<String, Value>), Refusal> {
    let contract = world.contract;
    if method == "connect" {
        return Err(Refusal::invalid("connect is only valid as the first request"));
    }
    let wanted = match found {
        Some(found) => scope(found, contract),
        None => ADMIN,
    };
    if let Some(wanted) = wanted
        && !client.may(wanted)
    {
        return Err(missing_scope(contract, wanted));
    }
    let Some(found) = found else {
        return Err(if exists(method, contract) {
            Refusal::unavailable(format!("{method} is not simulated"))
        } else {
            Refusal::invalid(format!("unknown method: {method}"))
        });
    };
    if contract == Contract::V2026_9_6 {
        has_target(found.name, &params)?;
    }
    let params = if params.is_null() { json!({}) } else { params };
    let complaint =
        takes(found, contract).and_then(|properties| shape::complaint(&Shape(properties), &params, contract));
    // A call that could not be read costs nothing, but for a configuration that could not: that one counts.
    if let Some(complaint) = complaint {
        return Err(Refusal::invalid(format!("invalid {method} params: {complaint}")));
    }
    if is_limited(found, contract) {
        world
            .lock()
            .budget
            .spend(contract, method, &client.spender, Instant::now())?;
    }
    // A method that does not look at its parameters takes anything.
    let open = takes(found, contract).is_none();
    if let Value::Object(params) = params {
        Ok((found, params))
    } else if open {
        Ok((found, Map::new()))
    } else {
        Err(Refusal::invalid(format!(
            "invalid {method} params: must be object"
        )))
    }
}

/// Which session is meant is asked before anything else.
fn has_target(method: &str, params: &Value) -> Result<(), Refusal> {
    let key = match method {
        "chat.send" => "sessionKey",
        "sessions.patch" => "key",
        _ => return Ok(()),
    };
    let given = params.get(key).and_then(Value::as_str).unwrap_or_default();
    if given.is_empty() {
        return Err(Refusal::invalid("session mutation target is unavailable")
            .details(json!({ "code": "SESSION_MUTATION_TARGET_REQUIRED", "method": method })));
    }
    Ok(())
}

fn missing_scope(contract: Contract, scope: &str) -> Refusal {
    let message = format!("missing scope: {scope}");
    match contract {
        Contract::V2026_9_6 => Refusal::forbidden(message).details(json!({
            "code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope],
        })),
        Contract::V2026_7_35 | Contract::V2026_2_9 => Refusal::invalid(message),
    }
}
