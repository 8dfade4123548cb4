//! PURE. The patch that turns a configuration into the wanted one: nothing in it that is already so, nothing of anybody
//! else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::EntryChange;
use super::bindings::{Bound, Conflict, bound, holder_of};
use super::heartbeat::{self, HEARTBEAT, MAIN};
use super::size::{self, Caution};
use crate::gateway::configuration::{Configuration, Entry, REDACTED};
use crate::gateway::contract::{Contract, Roster};
use crate::gateway::names::AgentId;

/// The next write.
#[derive(Debug)]
pub(super) struct Patch {
    /// None: everything is as wanted.
    pub(super) raw: Option<Value>,
    /// Lists that get shorter, by the paths that the gateway wants to be told.
    pub(super) replace_paths: Vec<String>,
    /// How many entries it touches.
    pub(super) entries: usize,
    /// Something is left for the next write.
    pub(super) more: bool,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) conflicts: Vec<Conflict>,
    /// Agents of others whose heartbeat block is the empty one that we gave them, after this write.
    pub(super) preserved: BTreeSet<AgentId>,
}

/// A setting that the gateway does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub agent: AgentId,
    pub setting: String,
}

/// Gateways refuse more in one patch.
const MOST_REPLACE_PATHS: usize = 256;

pub(super) fn patch_of(
    contract: &Contract,
    now: &Configuration,
    changes: &[EntryChange],
    known: &BTreeSet<AgentId>,
    caution: Caution,
) -> Patch {
    let mut left_out = Vec::new();
    let mut differences: BTreeMap<AgentId, Entry> = BTreeMap::new();
    let nothing = Entry::new();
    for EntryChange { agent, fields, .. } in changes {
        let fields = known_to(contract, agent, fields, &mut left_out);
        let there = now.entries.get(agent);
        let difference = difference(there.unwrap_or(&nothing), &fields);
        if there.is_none() || !difference.is_empty() {
            differences.insert(agent.clone(), difference);
        }
    }
    let preserved = heartbeat::preserve(contract, now, &mut differences, None, known);
    let Bound { list, conflicts } = bound(&now.bindings, changes);
    let write = Write {
        differences,
        bindings: list,
    };
    Patch {
        left_out,
        conflicts,
        preserved,
        ..write.within_bounds(contract, now, caution)
    }
}

/// What must be written before an agent can be deleted: blocks that were only there for its sake, and, where it is most of
/// the file, less of it. Nothing to write: it can go.
pub(super) fn farewell_of(
    contract: &Contract,
    now: &Configuration,
    leaving: &AgentId,
    known: &BTreeSet<AgentId>,
    caution: Caution,
) -> Patch {
    let mut differences = BTreeMap::new();
    let preserved = heartbeat::preserve(contract, now, &mut differences, Some(leaving), known);
    if let Some(entry) = now.entries.get(leaving)
        && let Some(allowance) = allowance(contract, now, caution)
        && goes_with_it(now, leaving, entry) > allowance
    {
        let stays = |key: &str| ["id", "workspace", "agentDir", "default"].contains(&key);
        let emptied = entry.keys().filter(|key| !stays(key));
        let emptied: Entry = emptied.map(|key| (key.clone(), Value::Null)).collect();
        if !emptied.is_empty() {
            differences.entry(leaving.clone()).or_default().extend(emptied);
        }
    }
    let write = Write {
        differences,
        bindings: None,
    };
    Patch {
        preserved,
        ..write.within_bounds(contract, now, caution)
    }
}

/// By how much the file may shrink at once; None where nobody watches.
fn allowance(contract: &Contract, now: &Configuration, caution: Caution) -> Option<usize> {
    let bytes = now.bytes.filter(|_| contract.watches_size)?;
    caution.allowance(bytes)
}

/// How much smaller the file is without an agent.
fn goes_with_it(now: &Configuration, agent: &AgentId, entry: &Entry) -> usize {
    let bindings = now
        .bindings
        .iter()
        .filter(|item| holder_of(item) == agent.as_str());
    let bindings: usize = bindings.map(|item| size::bytes(item, 2) + 6).sum();
    size::field_bytes(agent.as_str(), &Value::Object(entry.clone()), ENTRY_DEPTH) + bindings
}

/// `agents`, `entries`, the id.
const ENTRY_DEPTH: usize = 3;

/// What is to be written, as merge patches.
struct Write {
    differences: BTreeMap<AgentId, Entry>,
    bindings: Option<Vec<Value>>,
}

impl Write {
    /// As much of it as one write may carry.
    fn within_bounds(mut self, contract: &Contract, now: &Configuration, caution: Caution) -> Patch {
        let mut more = false;
        if let Some(mut allowance) = allowance(contract, now, caution)
            && self.shrinks_by(now) > allowance
        {
            more = true;
            self.shrink(now, &mut allowance);
        }
        let mut replace_paths = self.replace_paths(contract, now);
        while replace_paths.len() > MOST_REPLACE_PATHS && self.differences.len() > 1 {
            more = true;
            self.differences.pop_last();
            replace_paths = self.replace_paths(contract, now);
        }
        let Self {
            differences,
            bindings,
        } = self;
        let entries = differences.len();
        let mut raw = match (entries, contract.roster) {
            (0, _) => json!({}),
            (_, Roster::Entries) => entries_patch(now, &differences),
            (_, Roster::MergedList) => merged_list_patch(now, &differences),
            (_, Roster::ReplacedList) => replaced_list_patch(now, &differences),
        };
        let is_empty = entries == 0 && bindings.is_none();
        if let (Some(bindings), Some(raw)) = (bindings, raw.as_object_mut()) {
            raw.insert("bindings".to_owned(), Value::Array(bindings));
        }
        Patch {
            raw: (!is_empty).then_some(raw),
            replace_paths,
            entries,
            more,
            left_out: Vec::new(),
            conflicts: Vec::new(),
            preserved: BTreeSet::new(),
        }
    }

    /// By how many bytes the file gets smaller.
    fn shrinks_by(&self, now: &Configuration) -> usize {
        let of = |agent: &AgentId, entry: &Entry| {
            size::field_bytes(agent.as_str(), &Value::Object(entry.clone()), ENTRY_DEPTH)
        };
        let (mut before, mut after) = (0, 0);
        for (agent, fields) in &self.differences {
            let there = now.entries.get(agent);
            before += there.map_or(0, |entry| of(agent, entry));
            after += of(agent, &merged(there.unwrap_or(&Entry::new()), fields));
        }
        if let Some(bindings) = &self.bindings {
            before += size::bytes(&Value::from(now.bindings.clone()), 1);
            after += size::bytes(&Value::from(bindings.clone()), 1);
        }
        before.saturating_sub(after)
    }

    /// Leaves for later what would make the file too small.
    fn shrink(&mut self, now: &Configuration, allowance: &mut usize) {
        let nothing = Entry::new();
        for (agent, fields) in &mut self.differences {
            let there = now.entries.get(agent).unwrap_or(&nothing);
            *fields = size::part_of(there, fields, ENTRY_DEPTH + 1, allowance);
        }
        self.differences
            .retain(|agent, fields| !fields.is_empty() || !now.entries.contains_key(agent));
        if let Some(bindings) = &self.bindings {
            let of = |list: &[Value]| size::bytes(&Value::from(list.to_vec()), 1);
            if of(&now.bindings).saturating_sub(of(bindings)) > *allowance {
                self.bindings = None;
            }
        }
    }

    fn replace_paths(&self, contract: &Contract, now: &Configuration) -> Vec<String> {
        let mut paths = BTreeSet::new();
        for (agent, fields) in &self.differences {
            let at = match contract.roster {
                Roster::Entries => format!("agents.entries.{agent}"),
                Roster::MergedList => "agents.list[]".to_owned(),
                // Every list is replaced, and the parameter is unknown.
                Roster::ReplacedList => return Vec::new(),
            };
            if let Some(there) = now.entries.get(agent) {
                collect_lost_lists(there, fields, &at, &mut paths);
            }
        }
        let loses = |bindings: &Vec<Value>| now.bindings.iter().any(|item| !bindings.contains(item));
        if self.bindings.as_ref().is_some_and(loses) && contract.roster != Roster::ReplacedList {
            paths.insert("bindings".to_owned());
        }
        paths.into_iter().collect()
    }
}

/// Lists that lose an item, or whose items a gateway would merge by their ids where we mean the list as it is.
fn collect_lost_lists(there: &Entry, patch: &Entry, at: &str, paths: &mut BTreeSet<String>) {
    for (key, wanted) in patch {
        let at = format!("{at}.{key}");
        match (there.get(key), wanted) {
            (Some(Value::Array(old)), Value::Array(new)) => {
                let has_ids = old.iter().any(|item| item.get("id").is_some());
                if has_ids || old.iter().any(|item| count(old, item) > count(new, item)) {
                    paths.insert(at);
                }
            }
            (Some(Value::Array(_)), _) => {
                paths.insert(at);
            }
            (Some(Value::Object(old)), Value::Object(new)) => collect_lost_lists(old, new, &at, paths),
            (Some(Value::Object(old)), _) => {
                let all = old.keys().map(|key| (key.clone(), Value::Null)).collect();
                collect_lost_lists(old, &all, &at, paths);
            }
            (Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None, _) => {}
        }
    }
}

fn count(list: &[Value], item: &Value) -> usize {
    list.iter().filter(|other| *other == item).count()
}

/// Without the heartbeat settings that this gateway does not know: one of them would refuse the whole patch.
fn known_to(contract: &Contract, agent: &AgentId, fields: &Entry, left_out: &mut Vec<LeftOut>) -> Entry {
    let mut fields = fields.clone();
    if let Some(Value::Object(heartbeat)) = fields.get_mut(HEARTBEAT) {
        heartbeat.retain(|key, _| {
            let known = contract.heartbeat_keys.contains(&key.as_str());
            if !known {
                left_out.push(LeftOut {
                    agent: agent.clone(),
                    setting: format!("heartbeat.{key}"),
                });
            }
            known
        });
    }
    fields
}

/// What a merge patch must say so that `there` holds `wanted`: null removes, objects merge, all else replaces.
fn difference(there: &Entry, wanted: &Entry) -> Entry {
    let mut patch = Map::new();
    for (key, wanted) in wanted {
        match (there.get(key), wanted) {
            (None, Value::Null) => {}
            (Some(there), wanted) if there == wanted => {}
            // Read back as a placeholder: what is stored cannot be compared, and writing it each time would never end.
            (Some(Value::String(there)), _) if there == REDACTED => {}
            (Some(Value::Object(there)), Value::Object(wanted)) => {
                let inner = difference(there, wanted);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            // Nulls inside a new object have nothing to remove.
            (Some(_) | None, Value::Object(wanted)) => {
                patch.insert(key.clone(), Value::Object(merged(&Map::new(), wanted)));
            }
            (Some(_) | None, wanted) => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    patch
}

fn entries_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let entries: Map<String, Value> = differences
        .iter()
        .map(|(agent, fields)| (agent.to_string(), Value::Object(fields.clone())))
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
    list.extend(differences.iter().map(|(agent, fields)| with_id(agent, fields)));
    list.sort_by_key(|item| item.get("id").and_then(Value::as_str) != Some(MAIN));
    json!({ "agents": { "list": list } })
}

/// `main` is in no list of a new gateway, and the first entry of a list takes its place: files of `main` are then "unknown
/// agent id". So the first list brings it along, in front.
fn pinned_main(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Option<Value> {
    let named = differences.keys().any(|agent| agent.as_str() == MAIN);
    (now.list.is_empty() && !named).then(|| json!({ "id": MAIN }))
}

/// The whole list, everybody else's items as they are.
fn replaced_list_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let mut rest = differences.clone();
    let mut list: Vec<Value> = now
        .list
        .iter()
        .map(|item| {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
            let changed = AgentId::parse(id).ok().and_then(|agent| rest.remove(&agent));
            match (changed, item) {
                (Some(fields), Value::Object(item)) => Value::Object(merged(item, &fields)),
                (Some(_) | None, item) => item.clone(),
            }
        })
        .collect();
    list.extend(pinned_main(now, differences));
    list.extend(rest.iter().map(|(agent, fields)| {
        let Value::Object(item) = with_id(agent, &Map::new()) else {
            return Value::Null;
        };
        Value::Object(merged(&item, fields))
    }));
    if now.list.is_empty() {
        list.sort_by_key(|item| item.get("id").and_then(Value::as_str) != Some(MAIN));
    }
    json!({ "agents": { "list": list } })
}

fn with_id(agent: &AgentId, fields: &Entry) -> Value {
    let mut item = Map::from_iter([("id".to_owned(), json!(agent.as_str()))]);
    item.extend(fields.clone());
    Value::Object(item)
}

/// A merge patch, applied.
fn merged(there: &Entry, patch: &Entry) -> Entry {
    let mut result = there.clone();
    for (key, value) in patch {
        match (result.get(key), value) {
            (_, Value::Null) => {
                result.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(patch)) => {
                let inner = merged(inner, patch);
                result.insert(key.clone(), Value::Object(inner));
            }
            (Some(_) | None, Value::Object(patch)) => {
                // Nulls inside a new object say "remove": there is nothing to remove.
                result.insert(key.clone(), Value::Object(merged(&Map::new(), patch)));
            }
            (Some(_) | None, value) => {
                result.insert(key.clone(), value.clone());
            }
        }
    }
    result
}

#[cfg(test)]
mod tests;
