//! `agents.files.*` and `agents.workspace.*`: the few files by name that a gateway lets a client write, and a look at
//! everything that lies beside them.

use serde_json::{Map, Value, json};

use super::contract::Contract;
use super::device::hex;
use super::identity_file;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::roster::Agent;
use super::workspace::File;
use super::world::State;

/// The agent that a call names. Up to 2026.7 it is not named in the complaint.
pub(super) fn agent_of(state: &State, call: &Call<'_>) -> Result<Agent, Refusal> {
    let id = call.text("agentId");
    state.roster.find(&id).cloned().ok_or_else(|| {
        Refusal::invalid(match call.contract() {
            Contract::V2026_9_6 => format!("agent \"{id}\" not found"),
            Contract::V2026_7_35 | Contract::V2026_2_9 => "unknown agent id".to_owned(),
        })
    })
}

fn name_of(call: &Call<'_>) -> Result<String, Refusal> {
    let given = call.text("name");
    let name = given.trim();
    if call.contract().file_names().contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(Refusal::invalid(format!("unsupported file \"{name}\"")))
    }
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = agent_of(state, call)?;
    let contract = call.contract();
    let grown = state.files.is_grown(&agent.workspace);
    let has = |name: &str| state.files.size(&agent.workspace, name).is_some();
    let files: Vec<Value> = contract
        .file_names()
        .iter()
        .filter(|name| match (**name, contract) {
            ("IDENTITY.md", Contract::V2026_9_6) => false,
            ("BOOTSTRAP.md", _) => !grown,
            // One of the two spellings; the new one where there is none.
            ("memory.md", _) => has("memory.md") && !has("MEMORY.md"),
            ("MEMORY.md", Contract::V2026_2_9) => has("MEMORY.md") || !has("memory.md"),
            _ => true,
        })
        .map(|name| {
            let mut file = Map::new();
            file.insert("name".into(), json!(name));
            file.insert("path".into(), json!(format!("{}/{name}", agent.workspace)));
            match state.files.size(&agent.workspace, name) {
                Some((size, at_ms)) => {
                    file.insert("missing".into(), json!(false));
                    file.insert("size".into(), json!(size));
                    file.insert("updatedAtMs".into(), json!(at_ms));
                }
                None => missing(&mut file, name, contract),
            }
            Value::Object(file)
        })
        .collect();
    Ok(json!({ "agentId": agent.id, "workspace": agent.workspace, "files": files }))
}

fn missing(file: &mut Map<String, Value>, name: &str, contract: Contract) {
    file.insert("missing".into(), json!(true));
    if contract == Contract::V2026_9_6 {
        let expected = !["AGENTS.md", "BOOTSTRAP.md"].contains(&name);
        file.insert("expectedAbsent".into(), json!(expected));
    }
}

pub(super) fn get(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = agent_of(state, call)?;
    let name = name_of(call)?;
    let found = state
        .files
        .look(&agent.workspace, &name)
        .map_err(|_| unsafe_file(&name))?;
    let file = match found {
        Some(file) => shown(&agent, &name, &file, call.contract()),
        None => {
            let mut file = Map::new();
            file.insert("name".into(), json!(name));
            file.insert("path".into(), json!(format!("{}/{name}", agent.workspace)));
            missing(&mut file, &name, call.contract());
            Value::Object(file)
        }
    };
    Ok(json!({ "agentId": agent.id, "workspace": agent.workspace, "file": file }))
}

pub(super) fn set(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = agent_of(state, call)?;
    let name = name_of(call)?;
    let expected = call
        .params
        .get("expectedHash")
        .and_then(Value::as_str)
        .map(str::to_lowercase);
    let found = match state.files.look(&agent.workspace, &name) {
        Ok(found) => found,
        // Too large to be read, but not to be replaced.
        Err(_) if expected.is_none() && state.files.size(&agent.workspace, &name).is_some() => None,
        Err(_) => return Err(unsafe_file(&name)),
    };
    if let Some(expected) = expected {
        let current = found.as_ref().map(|file| hex(&file.hash));
        if current.as_ref() != Some(&expected) {
            let mut details = json!({ "type": "agent_file_conflict", "name": name });
            if let (Some(current), Some(details)) = (current, details.as_object_mut()) {
                details.insert("currentHash".into(), json!(current));
            }
            let message = format!("agent file \"{name}\" changed since it was read");
            return Err(Refusal::invalid(message).details(details));
        }
    }
    let content = call.text("content");
    let file = state
        .files
        .write(&agent.workspace, &name, &content, call.now_ms())
        .map_err(|error| Refusal::unavailable(format!("Error: {error}")))?;
    let file = shown(&agent, &name, &file, call.contract());
    Ok(json!({ "ok": true, "agentId": agent.id, "workspace": agent.workspace, "file": file }))
}

fn shown(agent: &Agent, name: &str, file: &File, contract: Contract) -> Value {
    let mut shown = json!({
        "name": name,
        "path": format!("{}/{name}", agent.workspace),
        "missing": false,
        "size": file.text.len(),
        "updatedAtMs": file.at_ms,
        "content": &*file.text,
    });
    if let Some(shown) = shown.as_object_mut()
        && contract.has_file_hashes()
    {
        shown.insert("hash".into(), json!(hex(&file.hash)));
    }
    shown
}

fn unsafe_file(name: &str) -> Refusal {
    Refusal::invalid(format!("unsafe workspace file \"{name}\""))
}

pub(super) fn workspace_list(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = agent_of(state, call)?;
    let path = call.text("path");
    if !path.is_empty() && path != "." {
        return Err(outside(&path).unwrap_or_else(|| {
            Refusal::invalid("workspace directory not found")
                .details(json!({ "type": "workspace_path_not_found", "path": path }))
        }));
    }
    let mut entries: Vec<Value> = state
        .files
        .list(&agent.workspace)
        .into_iter()
        .map(|(name, size, at_ms)| {
            json!({ "path": name, "name": name, "kind": "file", "size": size, "updatedAtMs": at_ms })
        })
        .collect();
    if let Some(at_ms) = agent.created_at_ms
        && state.files.exists(&agent.workspace)
    {
        // agents.create makes a git repository of it.
        entries.push(json!({ "path": ".git", "name": ".git", "kind": "directory", "updatedAtMs": at_ms }));
    }
    let name = |entry: &Value| {
        entry
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase()
    };
    let is_folder = |entry: &Value| entry.get("kind").and_then(Value::as_str) == Some("directory");
    entries.sort_by_key(|entry| (!is_folder(entry), name(entry)));
    let (total, offset) = (entries.len(), call.number("offset").unwrap_or(0));
    let limit = call.number("limit").unwrap_or(usize::MAX);
    let entries: Vec<Value> = entries.into_iter().skip(offset).take(limit).collect();
    Ok(json!({
        "agentId": agent.id, "path": "", "entries": entries, "totalEntries": total, "offset": offset,
    }))
}

pub(super) fn workspace_get(state: &mut State, call: &Call<'_>) -> Answer {
    let agent = agent_of(state, call)?;
    let path = call.text("path");
    if let Some(refusal) = outside(&path) {
        return Err(refusal);
    }
    let Some(file) = state.files.read(&agent.workspace, &path) else {
        return Err(Refusal::invalid("workspace file not found")
            .details(json!({ "type": "workspace_file_not_found", "path": path })));
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    Ok(json!({ "agentId": agent.id, "file": {
        "path": path, "name": name, "size": file.text.len(), "updatedAtMs": file.at_ms,
        "mimeType": "text/plain", "encoding": "utf8", "content": &*file.text,
    } }))
}

fn outside(path: &str) -> Option<Refusal> {
    let leaves = path.starts_with('/') || path.split('/').any(|part| part == "..");
    leaves.then(|| {
        Refusal::invalid("path escapes the agent workspace")
            .details(json!({ "type": "workspace_path_invalid", "path": path }))
    })
}

impl State {
    /// What the gateway does before it uses a workspace: files that are missing are seeded; BOOTSTRAP.md only into one
    /// that is brand new.
    pub(super) fn prepare_workspace(&mut self, workspace: &str, contract: Contract, now_ms: i64) {
        let names: Vec<String> = self
            .files
            .list(workspace)
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        let brand_new = names.is_empty() && !self.files.is_grown(workspace);
        let bootstrap = names.iter().any(|name| name == "BOOTSTRAP.md");
        if !brand_new && !bootstrap {
            self.files.grow(workspace);
        }
        for (name, text) in identity_file::seeds(contract) {
            let wanted = *name != "BOOTSTRAP.md" || brand_new;
            if wanted && !names.iter().any(|known| known == name) {
                self.files.write(workspace, name, text, now_ms).ok();
            }
        }
    }

    /// At a turn's start: once somebody has said who the agent is, its birth is over and BOOTSTRAP.md goes. Seen on 2026.9.6,
    /// file by file: other words in AGENTS.md or in BOOTSTRAP.md itself do not count.
    pub(super) fn consume_bootstrap(&mut self, workspace: &str, contract: Contract) {
        let told = ["IDENTITY.md", "USER.md", "SOUL.md", "MEMORY.md"]
            .iter()
            .any(|name| {
                let seed = identity_file::seeds(contract)
                    .iter()
                    .find(|(seed, _)| seed == name);
                let found = self.files.read(workspace, name);
                found.is_some_and(|file| seed.is_none_or(|(_, text)| *text != &*file.text))
            });
        if told && self.files.remove(workspace, "BOOTSTRAP.md") {
            self.files.grow(workspace);
        }
    }
}
