//! PURE. One write: what is to change, cut to what a gateway takes at once, and the patch that says so.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::heartbeat;
use super::patch::{Patch, merged};
use super::roster;
use super::size::{self, Caution};
use crate::gateway::configuration::{Configuration, Entry};
use crate::gateway::contract::{Contract, Roster};
use crate::gateway::names::AgentId;

/// What is to be written, as merge patches.
pub(super) struct Write {
    pub(super) differences: BTreeMap<AgentId, Entry>,
    /// The whole list.
    pub(super) bindings: Option<Vec<Value>>,
}

impl Write {
    /// Leaves of it what one write may carry; whether that is less. The empty heartbeat blocks of `known` may have to go
    /// along.
    pub(super) fn keep_within_bounds(
        &mut self,
        contract: &Contract,
        now: &Configuration,
        caution: Caution,
        known: &BTreeSet<AgentId>,
    ) -> bool {
        let mut is_less = false;
        if let Some(allowance) = allowance(contract, now, caution) {
            let may_go = known
                .iter()
                .filter(|agent| heartbeat::is_untouched(now, agent))
                .count();
            // Where they are most of what may go, they find room in a write of their own.
            let mut allowance = allowance - (may_go * EMPTY_BLOCK).min(allowance / 2);
            if self.shrinks_by(now) > allowance {
                is_less = true;
                self.shrink(now, &mut allowance);
            }
        }
        while self.differences.len() > 1 && self.replace_paths(contract, now).len() > MOST_REPLACE_PATHS {
            // New ones have no list to lose, and bindings in this write may name them.
            let is_there = |agent: &&AgentId| now.entries.contains_key(*agent);
            let Some(last) = self.differences.keys().rev().find(is_there).cloned() else {
                break;
            };
            self.differences.remove(&last);
            is_less = true;
        }
        is_less
    }

    /// The patch that carries it.
    pub(super) fn patch(self, contract: &Contract, now: &Configuration) -> Patch {
        let replace_paths = self.replace_paths(contract, now);
        let Self {
            differences,
            mut bindings,
        } = self;
        let entries = differences.len();
        let is_empty = entries == 0 && bindings.is_none();
        let mut repeats_list = false;
        if contract.roster == Roster::ReplacedList && !is_empty {
            // A write of one of them spells out the variables of the other.
            repeats_list = now.written.list != now.list;
            let spelled_out = now.written.bindings != now.bindings;
            bindings = bindings.or_else(|| spelled_out.then(|| now.written.bindings.clone()));
        }
        let mut raw = if entries == 0 && !repeats_list {
            json!({})
        } else {
            roster::patch_of(contract, now, &differences)
        };
        if let (Some(bindings), Some(raw)) = (bindings, raw.as_object_mut()) {
            raw.insert("bindings".to_owned(), Value::Array(bindings));
        }
        Patch {
            raw: (!is_empty).then_some(raw),
            replace_paths,
            entries,
            more: false,
            left_out: Vec::new(),
            hidden: Vec::new(),
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
            let there = now.written.entries.get(agent);
            before += there.map_or(0, |entry| of(agent, entry));
            after += of(agent, &merged(there.unwrap_or(&Entry::new()), fields));
        }
        if let Some(bindings) = &self.bindings {
            before += size::bytes(&Value::from(now.written.bindings.clone()), 1);
            after += size::bytes(&Value::from(bindings.clone()), 1);
        }
        before.saturating_sub(after)
    }

    /// Leaves for later what would make the file too small.
    fn shrink(&mut self, now: &Configuration, allowance: &mut usize) {
        let nothing = Entry::new();
        for (agent, fields) in &mut self.differences {
            let there = now.written.entries.get(agent).unwrap_or(&nothing);
            *fields = size::part_of(there, fields, ENTRY_DEPTH + 1, allowance);
        }
        self.differences
            .retain(|agent, fields| !fields.is_empty() || !now.entries.contains_key(agent));
        if let Some(bindings) = &self.bindings {
            let of = |list: &[Value]| size::bytes(&Value::from(list.to_vec()), 1);
            if of(&now.written.bindings).saturating_sub(of(bindings)) > *allowance {
                self.bindings = None;
            }
        }
    }

    fn replace_paths(&self, contract: &Contract, now: &Configuration) -> Vec<String> {
        let mut paths = BTreeSet::new();
        for (agent, fields) in &self.differences {
            let at = match contract.roster {
                Roster::Entries => format!("agents.entries.{}", now.spelling(agent)),
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

pub(super) fn count(list: &[Value], item: &Value) -> usize {
    list.iter().filter(|other| *other == item).count()
}

/// `agents`, `entries`, the id.
pub(super) const ENTRY_DEPTH: usize = 3;
/// Gateways refuse more in one patch.
const MOST_REPLACE_PATHS: usize = 256;
/// `"heartbeat": {}` on a line of its own, and what opens to an empty entry.
const EMPTY_BLOCK: usize = 48;

/// By how much the file may shrink at once; None where nobody watches.
pub(super) fn allowance(contract: &Contract, now: &Configuration, caution: Caution) -> Option<usize> {
    let bytes = now.bytes.filter(|_| contract.watches_size)?;
    caution.allowance(bytes)
}
