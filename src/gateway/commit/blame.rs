//! PURE. Whose part of a patch a gateway complains of.

use std::collections::BTreeMap;

use serde_json::Value;

use super::EntryChange;
use super::bindings::holder_of;
use crate::gateway::configuration::Configuration;
use crate::gateway::names::AgentId;
use crate::gateway::refusal::Issue;

/// The changes at fault; None where the gateway complains of something else.
pub(super) fn guilty(
    now: &Configuration,
    changes: &[EntryChange],
    raw: &Value,
    issues: &[Issue],
) -> Option<Vec<(AgentId, Vec<Issue>)>> {
    let mut guilty: BTreeMap<AgentId, Vec<Issue>> = BTreeMap::new();
    for issue in issues {
        let agent = agent_of(now, changes, raw, &issue.path)?;
        guilty.entry(agent).or_default().push(issue.clone());
    }
    // Refused without a path, and only one can be meant.
    if let ([], [only]) = (issues, changes) {
        guilty.insert(only.agent.clone(), Vec::new());
    }
    (!guilty.is_empty()).then(|| guilty.into_iter().collect())
}

/// `agents.entries.<id>...`, `agents.list.<index>...` or `bindings.<index>...`, where the index is that of the list after
/// the patch.
fn agent_of(now: &Configuration, changes: &[EntryChange], raw: &Value, path: &str) -> Option<AgentId> {
    let ours = |id: &str| {
        changes
            .iter()
            .map(|change| &change.agent)
            .find(|agent| agent.as_str() == id || now.spelling(agent) == id)
            .cloned()
    };
    let index = |rest: &str| -> Option<usize> { rest.split('.').next()?.parse().ok() };
    if let Some(rest) = path.strip_prefix("agents.entries.") {
        return ours(rest.split('.').next()?);
    }
    if let Some(rest) = path.strip_prefix("bindings.") {
        // Bindings are always sent as a whole.
        return ours(&holder_of(raw.get("bindings")?.get(index(rest)?)?));
    }
    let index = index(path.strip_prefix("agents.list.")?)?;
    let of = |item: &Value| Some(item.get("id")?.as_str()?.to_owned());
    let sent: Vec<String> = raw
        .pointer("/agents/list")?
        .as_array()?
        .iter()
        .filter_map(of)
        .collect();
    // Merged by id, the items that are there keep their place and the new ones follow; replaced, the sent list is all.
    let there: Vec<String> = now.list.iter().filter_map(of).collect();
    let new = sent.iter().filter(|id| !there.contains(id));
    let after: Vec<&String> = there.iter().chain(new).collect();
    after.get(index).and_then(|id| ours(id))
}
