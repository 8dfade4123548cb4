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
use super::params::{
    self, AGENT, APPLY, CHAT_HISTORY, CHAT_SEND, CREATE, CRON_ADD, CRON_LIST, DEVICE_ROLE, FILES_SET, ID,
    PATCH, REQUEST, SESSIONS_CREATE, SESSIONS_DELETE, SESSIONS_LIST, SESSIONS_PATCH, SESSIONS_RESET, SET,
    UPDATE, WAKE,
};
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

impl Method {
    fn takes_in(&self, contract: Contract) -> Option<&'static [Property]> {
        params::of_contract(self.name, contract).or(self.takes)
    }
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

fn scope(method: &Method, contract: Contract) -> Option<&'static str> {
    match contract {
        Contract::V2026_9_6 | Contract::V2026_7_35 => method.scope,
        // There everything that is not known to be harmless is the admin's, reading the configuration too.
        Contract::V2026_2_9 => [(READ, READ_2_9), (WRITE, WRITE_2_9), (PAIR, PAIR_2_9)]
            .into_iter()
            .find_map(|(scope, names)| names.contains(&method.name).then_some(scope))
            .unwrap_or(ADMIN),
    }
}

const READ_2_9: &[&str] = &[
    "agent.identity.get",
    "agents.list",
    "channels.status",
    "chat.history",
    "cron.list",
    "cron.status",
    "health",
    "last-heartbeat",
    "models.list",
    "node.list",
    "sessions.list",
    "sessions.preview",
    "status",
    "system-presence",
    "usage.status",
];
const WRITE_2_9: &[&str] = &["agent", "agent.wait", "chat.abort", "chat.send", "wake"];
const PAIR_2_9: &[&str] = &[
    "device.pair.approve",
    "device.pair.list",
    "device.pair.reject",
    "device.token.revoke",
    "device.token.rotate",
];

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
        state.faults.strike(&method, &params)
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
    let complaint = found
        .takes_in(contract)
        .and_then(|properties| shape::complaint(&Shape(properties), &params, contract));
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
    let open = found.takes_in(contract).is_none();
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
