//! `agents.list`, and what `agents.create`, `update` and `delete` make of a configuration.

use serde_json::{Map, Value, json};

use super::contract::Contract;
use super::identity_file;
use super::ids;
use super::merge;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::roster::{self, Agent};
use super::world::State;

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let contract = call.contract();
    let agents: Vec<Value> = state
        .roster
        .visible()
        .map(|agent| shown(state, agent, contract))
        .collect();
    let mut answer = json!({
        "defaultId": state.roster.default_id(), "mainKey": "main", "scope": "per-sender", "agents": agents,
    });
    if let Some(answer) = answer.as_object_mut()
        && contract == Contract::V2026_9_6
    {
        answer.insert("ownership".into(), json!(state.roster.ownership()));
        answer.insert("selectionRequired".into(), json!(false));
    }
    Ok(answer)
}

fn shown(state: &State, agent: &Agent, contract: Contract) -> Value {
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    put("id", json!(agent.id));
    if let Some(name) = agent.name() {
        put("name", json!(name));
    }
    if let Some(identity) = agent.entry.get("identity") {
        put("identity", identity.clone());
    }
    if contract == Contract::V2026_2_9 {
        return Value::Object(shown);
    }
    put("workspace", json!(agent.workspace));
    put("workspaceGit", json!(agent.created_at_ms.is_some()));
    put("thinkingDefault", json!("off"));
    let default = state.config.document().pointer("/agents/defaults/model");
    let model = agent.entry.get("model").or(default).cloned();
    let model = model.map(|model| {
        if model.is_string() {
            json!({ "primary": model })
        } else {
            model
        }
    });
    if contract == Contract::V2026_9_6 {
        put(
            "agentRuntime",
            json!({ "id": "codex", "source": "implicit", "cloudPlacementSupported": false,
            "devicePlacementSupported": false }),
        );
        put(
            "model",
            model.unwrap_or_else(|| json!({ "primary": "openai/gpt-6-astra" })),
        );
        put("defaultPermissionMode", json!("full"));
        if let Some(at_ms) = agent.created_at_ms {
            put("createdVia", json!("operator"));
            put("creatorAgentId", Value::Null);
            put("createdAt", json!(at_ms));
        }
    } else {
        put("agentRuntime", json!({ "id": "codex", "source": "implicit" }));
        if let Some(model) = model {
            put("model", model);
        }
    }
    Value::Object(shown)
}

/// Any id has an identity, also one that nobody has.
pub(super) fn identity(state: &mut State, call: &Call<'_>) -> Answer {
    let given = call.text("agentId");
    let id = if given.is_empty() {
        state.roster.default_id().to_owned()
    } else {
        ids::normalise(&given)
    };
    let agent = state.roster.find(&id);
    let name = agent.and_then(|agent| agent.identity("name").or(agent.name()));
    let emoji = agent.and_then(|agent| agent.identity("emoji"));
    let avatar = agent.and_then(|agent| agent.identity("avatar"));
    let mut identity = Map::new();
    let mut put = |key: &str, value: Value| identity.insert(key.to_owned(), value);
    put("agentId", json!(id));
    put("name", json!(name.unwrap_or("Assistant")));
    put("avatar", json!(emoji.unwrap_or("A")));
    if let Some(emoji) = emoji {
        put("emoji", json!(emoji));
    }
    match call.contract() {
        Contract::V2026_9_6 => {
            put(
                "nameSource",
                json!(if name.is_some() { "agent" } else { "default" }),
            );
        }
        Contract::V2026_7_35 => {
            put("avatarStatus", json!("none"));
            put("avatarReason", json!("missing"));
            if let Some(source) = avatar {
                put("avatar", json!(format!("/avatar/{id}")));
                put("avatarSource", json!(source));
            }
        }
        Contract::V2026_2_9 => {}
    }
    Ok(Value::Object(identity))
}

fn already_exists(id: &str) -> Refusal {
    Refusal::invalid(format!("agent \"{id}\" already exists"))
}

fn not_found(id: &str) -> Refusal {
    Refusal::invalid(format!("agent \"{id}\" not found"))
}

/// A new agent's id, its entry laid into the document, and the answer.
pub(super) fn created(call: &Call<'_>, document: &mut Value) -> Result<(String, Value), Refusal> {
    let contract = call.contract();
    let name = call.text("name");
    let id = ids::of_new(&name, contract)?;
    if roster::entries(document, contract).contains_key(&id) {
        return Err(already_exists(&id));
    }
    let places = &call.world.places;
    let given = call.text("workspace");
    let workspace = if given.is_empty() {
        places.default_workspace(contract, &id, false)
    } else {
        places.resolve(&given)
    };
    let optional = |key: &str| {
        let given = call.text(key);
        (!given.is_empty()).then_some(given)
    };
    let mut entry = json!({
        "name": name, "workspace": workspace, "agentDir": places.agent_dir(&id),
    });
    let mut identity = json!({ "name": name });
    let mut answer = json!({ "ok": true, "agentId": id, "name": name, "workspace": workspace });
    for key in ["emoji", "avatar"] {
        if let (Some(value), Some(identity)) = (optional(key), identity.as_object_mut()) {
            identity.insert(key.to_owned(), json!(value));
        }
    }
    if contract != Contract::V2026_2_9 {
        merge::lay_over(&mut entry, &json!({ "identity": identity }));
    }
    if let Some(model) = optional("model") {
        merge::lay_over(&mut entry, &json!({ "model": model }));
        merge::lay_over(&mut answer, &json!({ "model": model }));
    }
    put_entry(document, contract, &id, entry);
    if contract.has_entries() {
        merge::lay_over(document, &json!({ "agents": { "ownership": "explicit" } }));
    }
    Ok((id, answer))
}

/// The agent that a call means, with its entry as the document has it. One that is not visible yet is not found.
fn known(state: &State, call: &Call<'_>) -> Result<Agent, Refusal> {
    let id = call.text("agentId");
    state
        .roster
        .find(&id)
        .cloned()
        .ok_or_else(|| not_found(&ids::normalise(&id)))
}

/// The agent as it will be, its changes laid into the document.
pub(super) fn updated(state: &State, call: &Call<'_>, document: &mut Value) -> Result<Agent, Refusal> {
    let contract = call.contract();
    let agent = known(state, call)?;
    let mut entry = agent.entry.clone();
    let mut lay = |more: Value| merge::lay_over(&mut entry, &more);
    let identity = contract != Contract::V2026_2_9;
    if let Some(name) = call.params.get("name") {
        lay(json!({ "name": name }));
        if identity {
            lay(json!({ "identity": { "name": name } }));
        }
    }
    for key in ["emoji", "avatar"] {
        if let Some(value) = call.params.get(key)
            && identity
        {
            lay(json!({ "identity": { key: value } }));
        }
    }
    if let Some(workspace) = call.params.get("workspace").and_then(Value::as_str) {
        lay(json!({ "workspace": call.world.places.resolve(workspace) }));
    }
    match call.params.get("model") {
        Some(model) if model.is_null() => {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("model");
            }
        }
        Some(model) => lay(json!({ "model": model })),
        None => {}
    }
    if entry != agent.entry {
        put_entry(document, contract, &agent.id, entry.clone());
    }
    Ok(Agent { entry, ..agent })
}

/// What an update writes into IDENTITY.md: everything that the agent is by now.
pub(super) fn write_identity(state: &mut State, call: &Call<'_>, agent: &Agent) {
    let contract = call.contract();
    let told = ["name", "emoji", "avatar", "workspace"]
        .iter()
        .any(|key| call.params.contains_key(*key));
    if !told {
        return;
    }
    let now_ms = call.now_ms();
    let workspace = match call.params.get("workspace").and_then(Value::as_str) {
        Some(path) => call.world.places.resolve(path),
        None => agent.workspace.clone(),
    };
    state.prepare_workspace(&workspace, contract, now_ms);
    let text = state
        .files
        .read(&workspace, "IDENTITY.md")
        .map(|file| file.text.to_string());
    let param = |key: &str| call.params.get(key).and_then(Value::as_str);
    let value = |key: &str| {
        agent
            .identity(key)
            .or_else(|| param(key))
            .filter(|text| !text.is_empty())
    };
    let merged = identity_file::merged(
        &text.unwrap_or_default(),
        &[
            ("Name", value("name").or(agent.name())),
            ("Emoji", value("emoji")),
            ("Avatar", value("avatar")),
        ],
    );
    state.files.write(&workspace, "IDENTITY.md", &merged, now_ms).ok();
}

/// The agent that goes; its entry, and what refers to it, is taken out of the document.
pub(super) fn deleted(
    state: &State,
    call: &Call<'_>,
    document: &mut Value,
) -> Result<(Agent, usize), Refusal> {
    let contract = call.contract();
    let asked = ids::normalise(&call.text("agentId"));
    if asked == "main" {
        return Err(Refusal::invalid(match contract {
            Contract::V2026_9_6 => {
                "Agent \"main\" owns the legacy shared auth store and cannot be deleted. Run openclaw doctor --fix to \
                 migrate shared auth, then retry."
            }
            Contract::V2026_7_35 | Contract::V2026_2_9 => "\"main\" cannot be deleted",
        }));
    }
    let agent = known(state, call)?;
    if contract.has_entries() {
        let entries = document
            .pointer_mut("/agents/entries")
            .and_then(Value::as_object_mut);
        entries.and_then(|entries| entries.remove(&agent.id));
    } else if let Some(list) = document.pointer_mut("/agents/list").and_then(Value::as_array_mut) {
        let is_it = |entry: &Value| {
            entry
                .get("id")
                .and_then(Value::as_str)
                .map(ids::normalise)
                .as_deref()
                == Some(&agent.id)
        };
        list.retain(|entry| !is_it(entry));
    }
    let removed = roster::unbind(document, &agent.id);
    Ok((agent, removed))
}

fn put_entry(document: &mut Value, contract: Contract, id: &str, entry: Value) {
    if contract.has_entries() {
        merge::lay_over(document, &json!({ "agents": { "entries": { id: {} } } }));
        if let Some(place) = document
            .pointer_mut("/agents/entries")
            .and_then(|entries| entries.get_mut(id))
        {
            *place = entry;
        }
        return;
    }
    let mut entry = entry;
    merge::lay_over(&mut entry, &json!({ "id": id }));
    if document
        .pointer("/agents/list")
        .and_then(Value::as_array)
        .is_none()
    {
        // The first agent beside it pins the main one.
        let first = if id == "main" {
            json!([])
        } else {
            json!([{ "id": "main" }])
        };
        merge::lay_over(document, &json!({ "agents": { "list": first } }));
    }
    let Some(list) = document.pointer_mut("/agents/list").and_then(Value::as_array_mut) else {
        return;
    };
    let is_it = |known: &&mut Value| {
        known
            .get("id")
            .and_then(Value::as_str)
            .map(ids::normalise)
            .as_deref()
            == Some(id)
    };
    match list.iter_mut().find(is_it) {
        Some(known) => *known = entry,
        None => list.push(entry),
    }
}
