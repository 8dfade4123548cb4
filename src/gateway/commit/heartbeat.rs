//! PURE. Who beats by default, and how it goes on beating while agents of ours have heartbeat blocks.
//!
//! The first block that anybody writes switches off whoever relied on the default; an empty block `{}` keeps it alive and
//! follows the default. So an empty block is given along with the first of ours, and taken out again when no other is
//! left: with the last block gone, everything is as it was before the first (measured on all three versions).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::EntryChange;
use crate::gateway::configuration::{Configuration, Entry};
use crate::gateway::contract::{Contract, Roster};
use crate::gateway::names::AgentId;

pub(super) const HEARTBEAT: &str = "heartbeat";
pub(super) const MAIN: &str = "main";

/// Completes what one write is to carry by the blocks of others that have to come or go with it, so that whoever beat
/// before it still does afterwards. To be asked last, of each write on its own: a block of ours that is still there while a
/// large change goes in steps would silence whom this gives up too early. `known` are the agents that were given an empty
/// block before; the answer are those that have one after this write.
pub(super) fn preserve(
    contract: &Contract,
    now: &Configuration,
    changes: &[EntryChange],
    differences: &mut BTreeMap<AgentId, Entry>,
    leaving: Option<&AgentId>,
    known: &BTreeSet<AgentId>,
) -> BTreeSet<AgentId> {
    let mut preserved: BTreeSet<AgentId> = known
        .iter()
        .filter(|agent| is_untouched(now, agent) && !differences_name(differences, agent))
        // Who is managed with a block of its own, and be it an empty one, has it by its own will.
        .filter(|agent| !wants_a_block(changes, agent))
        .cloned()
        .collect();
    if is_needed(now, differences, leaving, &preserved) {
        if !has_any_block(now) {
            let silenced = beating_by_default(contract, now).into_iter();
            for agent in silenced.filter(|agent| !is_decided(changes, agent)) {
                let fields = differences.entry(agent.clone()).or_default();
                fields.insert(HEARTBEAT.to_owned(), json!({}));
                preserved.insert(agent);
            }
        }
    } else if !preserved.is_empty() {
        for agent in std::mem::take(&mut preserved) {
            let fields = differences.entry(agent).or_default();
            fields.insert(HEARTBEAT.to_owned(), Value::Null);
        }
        // It would be one more block, and silence them before it is gone.
        if let Some(agent) = leaving.filter(|agent| now.entries.get(*agent).is_some_and(has_block)) {
            let fields = differences.entry(agent.clone()).or_default();
            fields.insert(HEARTBEAT.to_owned(), Value::Null);
        }
    }
    preserved
}

/// Whether somebody says what its heartbeat shall be, or that it shall have none.
fn is_decided(changes: &[EntryChange], agent: &AgentId) -> bool {
    let mut of = changes.iter().filter(|change| change.agent == *agent);
    of.any(|change| change.fields.contains_key(HEARTBEAT))
}

fn wants_a_block(changes: &[EntryChange], agent: &AgentId) -> bool {
    let mut of = changes.iter().filter(|change| change.agent == *agent);
    of.any(|change| has_block(&change.fields))
}

/// Whether a block is left, after this write, beside those of the preserved: without them, it would silence them.
fn is_needed(
    now: &Configuration,
    differences: &BTreeMap<AgentId, Entry>,
    leaving: Option<&AgentId>,
    preserved: &BTreeSet<AgentId>,
) -> bool {
    let agents: BTreeSet<&AgentId> = now.entries.keys().chain(differences.keys()).collect();
    let others = agents
        .into_iter()
        .filter(|agent| Some(*agent) != leaving && !preserved.contains(*agent));
    others.into_iter().any(
        |agent| match differences.get(agent).and_then(|fields| fields.get(HEARTBEAT)) {
            Some(block) => block.is_object(),
            None => now.entries.get(agent).is_some_and(has_block),
        },
    )
}

/// Still the empty block that was given to it.
pub(super) fn is_untouched(now: &Configuration, agent: &AgentId) -> bool {
    let block = now.entries.get(agent).and_then(|entry| entry.get(HEARTBEAT));
    block.and_then(Value::as_object).is_some_and(Entry::is_empty)
}

fn differences_name(differences: &BTreeMap<AgentId, Entry>, agent: &AgentId) -> bool {
    differences
        .get(agent)
        .is_some_and(|fields| fields.contains_key(HEARTBEAT))
}

fn has_block(entry: &Entry) -> bool {
    entry.get(HEARTBEAT).is_some_and(Value::is_object)
}

fn has_any_block(now: &Configuration) -> bool {
    now.entries.values().any(has_block)
}

/// Whom the gateway wakes while nobody has a block. An empty block is one that follows the default: it keeps such an
/// agent alive, and gives one to an agent that had none (so: no more than these).
pub(super) fn beating_by_default(contract: &Contract, now: &Configuration) -> Vec<AgentId> {
    let default = now.default_heartbeat.as_ref();
    let named = |key: &str| {
        default
            .and_then(|default| default.get(key))
            .and_then(Value::as_str)
    };
    let main = || AgentId::parse(MAIN).into_iter();
    let id_of = |item: &Value| item.get("id")?.as_str().map(AgentId::normalised);
    match contract.roster {
        Roster::Entries if now.entries.is_empty() => main().collect(),
        Roster::Entries => {
            let named = named("agentId").map(AgentId::normalised);
            let alone = now.entries.keys().next().filter(|_| now.entries.len() == 1);
            // In the gateway's own order. A second agent makes it put down the first as heartbeat and system agent; only of a
            // roster that was written by hand all or none can have one.
            match (&named, default.is_some_and(Value::is_object)) {
                (Some(named), _) => vec![named.clone()],
                (None, true) => now.entries.keys().cloned().collect(),
                (None, false) => now.system_agent.as_ref().or(alone).into_iter().cloned().collect(),
            }
        }
        Roster::MergedList | Roster::ReplacedList if now.list.is_empty() => main().collect(),
        // Whatever the default says, and be it nothing: that there is one gives all of them a heartbeat. Not so on 2026.2.9.
        Roster::MergedList if default.is_some_and(Value::is_object) => {
            now.list.iter().filter_map(id_of).collect()
        }
        Roster::MergedList | Roster::ReplacedList => {
            let is_default = |item: &&Value| item.get("default").and_then(Value::as_bool) == Some(true);
            let default = now.list.iter().find(is_default).or(now.list.first());
            default.and_then(id_of).into_iter().collect()
        }
    }
}
