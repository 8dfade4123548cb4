//! PURE. The patch that turns a configuration into the wanted one: nothing in it that is already so, nothing of anybody
//! else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::bindings::{Bound, Conflict, bound, holder_of};
use super::heartbeat::{self, HEARTBEAT};
use super::size::{self, Caution};
use super::write::{ENTRY_DEPTH, Write, allowance};
use super::{Difference, EntryChange};
use crate::gateway::configuration::{Configuration, Entry, REDACTED};
use crate::gateway::contract::{Contract, Roster};
use crate::gateway::names::AgentId;

/// The next write.
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
    pub(super) hidden: Vec<Hidden>,
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

/// A setting whose value the gateway does not show: whether it is the wanted one is unknown, and it is left as it is.
/// Written each time it would never end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    pub agent: AgentId,
    pub setting: String,
}

pub(super) fn patch_of(
    contract: &Contract,
    now: &Configuration,
    changes: &[EntryChange],
    known: &BTreeSet<AgentId>,
    caution: Caution,
) -> Patch {
    let mut left_out = Vec::new();
    let mut hidden = Vec::new();
    let mut differences: BTreeMap<AgentId, Entry> = BTreeMap::new();
    let nothing = Entry::new();
    for EntryChange { agent, fields, .. } in changes {
        let fields = known_to(contract, agent, fields, &mut left_out);
        let there = now.entries.get(agent);
        let mut settings = Vec::new();
        let both = Both {
            used: there.unwrap_or(&nothing),
            written: now.written.entries.get(agent),
        };
        let difference = both.difference(&fields, "", &mut settings);
        if there.is_none() || !difference.is_empty() {
            differences.insert(agent.clone(), difference);
        }
        hidden.extend(settings.into_iter().map(|setting| Hidden {
            agent: agent.clone(),
            setting,
        }));
    }
    let repeated = match contract.roster {
        // What it is sent it writes into its file; the others find a variable's name again where they are sent its value.
        Roster::ReplacedList => &now.written.bindings,
        Roster::Entries | Roster::MergedList => &now.bindings,
    };
    let Bound { list, conflicts } = bound(&now.bindings, repeated, changes);
    let mut write = Write {
        differences,
        bindings: list,
    };
    let more = write.keep_within_bounds(contract, now, caution, known);
    let preserved = heartbeat::preserve(contract, now, changes, &mut write.differences, None, known);
    Patch {
        more,
        left_out,
        hidden,
        conflicts,
        preserved,
        ..write.patch(contract, now)
    }
}

/// What one change comes to.
pub(super) fn difference_of(contract: &Contract, now: &Configuration, change: &EntryChange) -> Difference {
    let there = now.entries.get(&change.agent);
    let fields = known_to(contract, &change.agent, &change.fields, &mut Vec::new());
    let nothing = Entry::new();
    let both = Both {
        used: there.unwrap_or(&nothing),
        written: now.written.entries.get(&change.agent),
    };
    let settings = both.difference(&fields, "", &mut Vec::new());
    let changes = std::slice::from_ref(change);
    let Patch {
        raw,
        left_out,
        hidden,
        conflicts,
        replace_paths: _,
        entries: _,
        more: _,
        preserved,
    } = patch_of(contract, now, changes, &change.preserved, Caution::Usual);
    Difference {
        is_there: there.is_some(),
        is_none: raw.is_none(),
        settings,
        bindings_differ: bound(&now.bindings, &now.bindings, changes).list.is_some(),
        left_out,
        hidden,
        conflicts,
        preserved,
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
    if let Some(entry) = now.written.entries.get(leaving)
        && let Some(allowance) = allowance(contract, now, caution)
        && goes_with_it(now, leaving, entry) > allowance
    {
        let stays = |key: &str| ["id", "workspace", "agentDir", "default"].contains(&key);
        let emptied = entry.keys().filter(|key| !stays(key));
        let emptied: Entry = emptied.map(|key| (key.clone(), Value::Null)).collect();
        if !emptied.is_empty() {
            differences.insert(leaving.clone(), emptied);
        }
    }
    let mut write = Write {
        differences,
        bindings: None,
    };
    let more = write.keep_within_bounds(contract, now, caution, known);
    // While some of it is still to go, its block is one like any other.
    let goes_next = (!more).then_some(leaving);
    let preserved = heartbeat::preserve(contract, now, &[], &mut write.differences, goes_next, known);
    Patch {
        more,
        preserved,
        ..write.patch(contract, now)
    }
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

/// Whether a placeholder stands where a wanted value would have to be compared with it: alone, or in a list, which is
/// compared as a whole. What is to go need not be compared.
fn hides(used: &Value, wanted: &Value) -> bool {
    match (used, wanted) {
        (_, Value::Null) => false,
        (Value::String(used), _) => used == REDACTED,
        (Value::Array(_), Value::Array(_)) => holds_a_placeholder(used),
        (Value::Array(_) | Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_), _) => false,
    }
}

fn holds_a_placeholder(value: &Value) -> bool {
    match value {
        Value::String(text) => text == REDACTED,
        Value::Array(items) => items.iter().any(holds_a_placeholder),
        Value::Object(fields) => fields.values().any(holds_a_placeholder),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An entry as a gateway uses it, and as its file has it: `${NAME}` and `~` are as good as what they stand for.
struct Both<'a> {
    used: &'a Entry,
    written: Option<&'a Entry>,
}

impl Both<'_> {
    /// What a merge patch must say so that the entry holds `wanted`: null removes, objects merge, all else replaces.
    fn difference(&self, wanted: &Entry, at: &str, hidden: &mut Vec<String>) -> Entry {
        let mut patch = Map::new();
        for (key, wanted) in wanted {
            let at = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            let written = self.written.and_then(|written| written.get(key));
            match (self.used.get(key), wanted) {
                (None, Value::Null) => {}
                (Some(used), wanted) if used == wanted => {}
                (Some(_), wanted) if written == Some(wanted) => {}
                (Some(used), _) if hides(used, wanted) => hidden.push(at),
                (Some(Value::Object(used)), Value::Object(wanted)) => {
                    let written = written.and_then(Value::as_object);
                    let inner = Both { used, written }.difference(wanted, &at, hidden);
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
}

/// A merge patch, applied.
pub(super) fn merged(there: &Entry, patch: &Entry) -> Entry {
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
