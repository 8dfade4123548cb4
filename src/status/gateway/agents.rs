//! What a Gateway tells of its agents: how many are how, the main one's object, and whose heartbeat it keeps alive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::condition::{Finding, Truth};
use super::super::reason::Reason;
use crate::desired::gateway::{Desired, Main};
use crate::desired::main_agent::name;
use crate::desired::roster::{is_provisioned, is_ready};
use crate::execute::gateway::Outcome;
use crate::resource::gateway::AgentCounts;
use crate::resource::{Agent, Gateway};

pub(super) fn counted(agents: &[Arc<Agent>]) -> AgentCounts {
    let ready = agents.iter().filter(|agent| is_ready(agent)).count();
    let mut phases = BTreeMap::new();
    for phase in agents.iter().filter_map(|agent| agent.status.as_ref()?.phase) {
        *phases.entry(format!("{phase:?}")).or_default() += 1;
    }
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    AgentCounts {
        summary: format!("{ready}/{}", agents.len()),
        total: count(agents.len()),
        ready: count(ready),
        phases,
    }
}

/// What was kept before a restart of ours is known from the status alone, so nothing is taken out of the list until the last
/// of our agents has left: their heartbeat blocks go with it, and so does the reason for these.
pub(super) fn preserved(agents: &[Arc<Agent>], before: &[String], now: &BTreeSet<String>) -> Vec<String> {
    // As the schema has it.
    const MOST: usize = 1000;
    if now.is_empty() && !agents.iter().any(|agent| is_provisioned(agent)) {
        return Vec::new();
    }
    let all: BTreeSet<&String> = before.iter().chain(now).collect();
    all.into_iter().take(MOST).cloned().collect()
}

pub(super) fn main_agent(gateway: &Gateway, desired: &Desired, outcome: &Outcome) -> Finding {
    let name = name(gateway);
    if desired.leaving.is_some() {
        return Finding::new(
            Truth::False,
            Reason::Deleting,
            format!("Agent {name} goes with its Gateway"),
        );
    }
    let kept = || Finding::new(Truth::True, Reason::MainAgentKept, format!("it is Agent {name}"));
    match (&desired.main, &outcome.main_not_stored, &outcome.failed) {
        (Main::Taken, _, _) => Finding::new(
            Truth::False,
            Reason::MainNameTaken,
            format!(
                "Agent {name} exists, but this Gateway did not make it: give that one another name, or the gateway goes \
                 without a main agent of ours"
            ),
        ),
        (Main::Apply(_), Some(why), _) => Finding::new(
            Truth::False,
            Reason::MainAgentNotStored,
            format!("Agent {name} cannot be written: {why}"),
        ),
        // Something before it could not be written.
        (Main::Apply(_), None, Some(error)) => Finding::new(
            Truth::False,
            Reason::MainAgentNotStored,
            format!("Agent {name} is not written yet: {error}"),
        ),
        (Main::Apply(_), None, None) | (Main::AsItIs, _, _) => kept(),
        (Main::Leave, _, _) if desired.suspended => Finding::new(
            Truth::Unknown,
            Reason::Suspended,
            format!("suspended: Agent {name} is neither made nor changed"),
        ),
        (Main::Leave, _, _) => Finding::new(
            Truth::Unknown,
            Reason::NotTried,
            format!("Agent {name} is being deleted, or was not looked at yet"),
        ),
    }
}

/// Only of one that is ours.
pub(super) fn main_agent_name(gateway: &Gateway, desired: &Desired, outcome: &Outcome) -> Option<String> {
    let before = || gateway.status.as_ref()?.main_agent.clone();
    match &desired.main {
        Main::Taken => None,
        Main::AsItIs => Some(name(gateway)),
        Main::Apply(_) if outcome.failed.is_none() => Some(name(gateway)),
        Main::Apply(_) | Main::Leave => before(),
    }
}
