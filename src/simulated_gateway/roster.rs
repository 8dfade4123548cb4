//! The agents that the running gateway knows, kept in step with its configuration. It is what most methods ask; the
//! configuration itself may already know an agent that is not visible yet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::contract::Contract;
use super::ids;
use super::workspace::Places;

#[derive(Debug, Default)]
pub(super) struct Roster {
    agents: BTreeMap<String, Agent>,
    default_id: String,
    ownership: &'static str,
}

#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) id: String,
    /// Its entry in the configuration; an object.
    pub(super) entry: Value,
    pub(super) workspace: String,
    /// 2026.9.6 finds a new agent only some time after it was made.
    pub(super) visible_from: Option<Instant>,
    /// When `agents.create` made it; None where the configuration did.
    pub(super) created_at_ms: Option<i64>,
    /// False for the `main` that a 2026.2.9 goes on listing although its list has others only.
    pub(super) is_configured: bool,
}

impl Agent {
    pub(super) fn name(&self) -> Option<&str> {
        self.entry.get("name").and_then(Value::as_str)
    }

    pub(super) fn identity(&self, key: &str) -> Option<&str> {
        self.entry.get("identity")?.get(key)?.as_str()
    }
}

/// An agent that `agents.create` has just made.
#[derive(Debug, Clone)]
pub(super) struct Newborn {
    pub(super) id: String,
    pub(super) visible_from: Instant,
    pub(super) at_ms: i64,
}

impl Roster {
    /// Follows a changed configuration.
    pub(super) fn follow(
        &mut self,
        document: &Value,
        contract: Contract,
        places: &Places,
        newborn: &[Newborn],
    ) {
        let entries = entries(document, contract);
        self.default_id = default_id(document, contract, &entries);
        self.ownership = if document.pointer("/agents/ownership").is_some() {
            "explicit"
        } else {
            "sole"
        };
        let mut before = std::mem::take(&mut self.agents);
        for (id, entry) in entries {
            let workspace = match entry.get("workspace").and_then(Value::as_str) {
                Some(path) => places.resolve(path),
                None => places.default_workspace(contract, &id, id == self.default_id),
            };
            let mut agent = before.remove(&id).unwrap_or_else(|| Agent {
                id: id.clone(),
                entry: Value::Null,
                workspace: String::new(),
                visible_from: None,
                created_at_ms: None,
                is_configured: true,
            });
            agent.is_configured = is_configured(document, contract, &id);
            agent.entry = entry;
            agent.workspace = workspace;
            if let Some(newborn) = newborn.iter().find(|newborn| newborn.id == id) {
                agent.visible_from = Some(newborn.visible_from);
                agent.created_at_ms = Some(newborn.at_ms);
            }
            self.agents.insert(id, agent);
        }
    }

    /// An agent that can be seen by now, by any spelling of its id.
    pub(super) fn find(&self, id: &str) -> Option<&Agent> {
        let agent = match self.agents.get(id) {
            Some(agent) => agent,
            None => self.agents.get(&ids::normalise(id))?,
        };
        (agent.is_configured && agent.is_visible()).then_some(agent)
    }

    /// The default agent first, the others by id; those that can be seen by now.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Agent> {
        let first = self.agents.get(&self.default_id);
        let others = self.agents.values().filter(|agent| agent.id != self.default_id);
        first.into_iter().chain(others).filter(|agent| agent.is_visible())
    }

    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.agents.keys().cloned().collect()
    }

    pub(super) fn default_id(&self) -> &str {
        &self.default_id
    }

    pub(super) fn ownership(&self) -> &'static str {
        self.ownership
    }

    pub(super) fn shares_workspace(&self, agent: &Agent) -> bool {
        self.agents
            .values()
            .any(|other| other.id != agent.id && other.workspace == agent.workspace)
    }
}

impl Agent {
    fn is_visible(&self) -> bool {
        self.visible_from.is_none_or(|from| from <= Instant::now())
    }
}

/// Every agent of a configuration with its entry. There is always a main agent, except where a list leaves it out
/// (2026.2.9 still lists it).
pub(super) fn entries(document: &Value, contract: Contract) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    if contract.has_entries() {
        let entries = document.pointer("/agents/entries").and_then(Value::as_object);
        for (id, entry) in entries.into_iter().flatten() {
            found.entry(ids::normalise(id)).or_insert_with(|| entry.clone());
        }
    } else {
        for entry in list(document) {
            if let Some(id) = entry.get("id").and_then(Value::as_str) {
                found.entry(ids::normalise(id)).or_insert_with(|| entry.clone());
            }
        }
    }
    let always_main = contract == Contract::V2026_2_9 || found.is_empty() || contract.has_entries();
    if always_main {
        found.entry("main".to_owned()).or_insert_with(|| json!({}));
    }
    found
}

/// The ids that a configuration itself names.
pub(super) fn written(document: &Value, contract: Contract) -> BTreeSet<String> {
    let entries = document
        .pointer("/agents/entries")
        .filter(|_| contract.has_entries());
    let keys = entries.and_then(Value::as_object).into_iter().flatten();
    let listed = list(document).iter().filter(|_| !contract.has_entries());
    keys.map(|(id, _)| id.as_str())
        .chain(listed.filter_map(|entry| entry.get("id")?.as_str()))
        .map(ids::normalise)
        .collect()
}

/// Takes an agent's bindings out, and the list with the last of them; says how many there were.
pub(super) fn unbind(document: &mut Value, id: &str) -> usize {
    let Some(bindings) = document.get_mut("bindings").and_then(Value::as_array_mut) else {
        return 0;
    };
    let before = bindings.len();
    bindings.retain(|binding| binding.get("agentId").and_then(Value::as_str) != Some(id));
    let left = bindings.len();
    if left == 0
        && let Some(document) = document.as_object_mut()
    {
        document.remove("bindings");
    }
    before - left
}

/// Where a list names agents, it alone says who they are. Only 2026.2.9 lists one beside it.
fn is_configured(document: &Value, contract: Contract, id: &str) -> bool {
    let named = |entry: &Value| {
        let named = entry.get("id").and_then(Value::as_str);
        named.is_some_and(|named| ids::normalise(named) == id)
    };
    match contract {
        Contract::V2026_9_6 | Contract::V2026_7_35 => true,
        Contract::V2026_2_9 => id != "main" || list(document).is_empty() || list(document).iter().any(named),
    }
}

fn list(document: &Value) -> &[Value] {
    document
        .pointer("/agents/list")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn default_id(document: &Value, contract: Contract, entries: &BTreeMap<String, Value>) -> String {
    if contract.has_entries() {
        return "main".to_owned();
    }
    let list = list(document);
    let marked = list
        .iter()
        .find(|entry| entry.get("default") == Some(&Value::Bool(true)));
    let id = marked
        .or(list.first())
        .and_then(|entry| entry.get("id"))
        .and_then(Value::as_str);
    id.map(ids::normalise)
        .filter(|id| entries.contains_key(id))
        .unwrap_or_else(|| "main".to_owned())
}
