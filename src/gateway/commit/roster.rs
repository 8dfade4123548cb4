//! PURE. How differences of entries are said to a gateway, by the kind of roster that it has.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::heartbeat::MAIN;
use super::patch::merged;
use crate::gateway::configuration::{Configuration, Entry};
use crate::gateway::contract::{Contract, Roster};
use crate::gateway::names::AgentId;

pub(super) fn patch_of(
    contract: &Contract,
    now: &Configuration,
    differences: &BTreeMap<AgentId, Entry>,
) -> Value {
    match contract.roster {
        Roster::Entries => entries_patch(now, differences),
        Roster::MergedList => merged_list_patch(now, differences),
        Roster::ReplacedList => replaced_list_patch(now, differences),
    }
}

fn entries_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let entries: Map<String, Value> = differences
        .iter()
        .map(|(agent, fields)| (now.spelling(agent).to_owned(), Value::Object(fields.clone())))
        .collect();
    let mut agents = json!({ "entries": entries });
    if now.ownership.as_deref() != Some("explicit")
        && let Some(agents) = agents.as_object_mut()
    {
        // "multi-agent rosters require agents.ownership" otherwise.
        agents.insert("ownership".to_owned(), json!("explicit"));
    }
    json!({ "agents": agents })
}

fn merged_list_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let mut list: Vec<Value> = pinned_main(now, differences).into_iter().collect();
    list.extend(
        differences
            .iter()
            .map(|(agent, fields)| with_id(now.spelling(agent), fields)),
    );
    list.sort_by_key(|item| item.get("id").and_then(Value::as_str) != Some(MAIN));
    json!({ "agents": { "list": list } })
}

/// `main` is in no list of a new gateway, and the first entry of a list takes its place: files of `main` are then "unknown
/// agent id". So the first list brings it along, in front.
fn pinned_main(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Option<Value> {
    let named = differences.keys().any(|agent| agent.as_str() == MAIN);
    (now.list.is_empty() && !named).then(|| json!({ "id": MAIN }))
}

/// The whole list, everybody else's items as they are written.
fn replaced_list_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let mut rest = differences.clone();
    let mut list: Vec<Value> = now
        .list
        .iter()
        .zip(&now.written.list)
        .map(|(item, written)| {
            let id = item.get("id").and_then(Value::as_str);
            let changed = id.and_then(|id| rest.remove(&AgentId::normalised(id)));
            match (changed, written) {
                (Some(fields), Value::Object(written)) => Value::Object(merged(written, &fields)),
                (Some(_) | None, written) => written.clone(),
            }
        })
        .collect();
    list.extend(pinned_main(now, differences));
    list.extend(rest.iter().map(|(agent, fields)| {
        let Value::Object(item) = with_id(agent.as_str(), &Map::new()) else {
            return Value::Null;
        };
        Value::Object(merged(&item, fields))
    }));
    if now.list.is_empty() {
        list.sort_by_key(|item| item.get("id").and_then(Value::as_str) != Some(MAIN));
    }
    json!({ "agents": { "list": list } })
}

fn with_id(id: &str, fields: &Entry) -> Value {
    let mut item = Map::from_iter([("id".to_owned(), json!(id))]);
    item.extend(fields.clone());
    Value::Object(item)
}
