//! The entry in the gateway's configuration.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Action, Plan, Promise, Waits};
use crate::deposits::{Answer, Deposit, Order};
use crate::desired::agent::{Content, Desired, Place, Promises};
use crate::gateway::commit::{Difference, EntryChange, NotCommitted};
use crate::gateway::configuration::Configuration;
use crate::gateway::names::AgentId;
use crate::gateway::{Binding, Contract};
use crate::observed::agent::Observed;
use crate::observed::agent::contests::ENTRY;
use crate::resource::settings::Drift;

/// What the entry is compared with.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) place: &'a Place,
    pub(super) content: &'a Content,
    pub(super) contract: &'static Contract,
    pub(super) configuration: &'a Arc<Configuration>,
}

impl Wanted<'_> {
    /// The change that makes it so, for the gateway's session.
    pub(super) fn change(self, desired: &Desired) -> EntryChange {
        let entry = &self.content.entry;
        let agent = &self.place.agent;
        // Only the ones that were ours may go; who else gave it one has a reason.
        let there = self
            .configuration
            .bindings
            .iter()
            .filter(|item| holds(item, agent));
        let foreign = there
            .filter_map(Binding::read)
            .filter(|binding| !entry.owned_bindings.contains(binding));
        let nothing_ours = entry.bindings.is_empty() && entry.owned_bindings.is_empty();
        let all: BTreeSet<Binding> = entry.bindings.iter().cloned().chain(foreign).collect();
        EntryChange {
            agent: agent.clone(),
            fields: entry.over(self.configuration.entries.get(agent)),
            bindings: (!nothing_ours).then_some(all),
            preserved: preserved(desired),
        }
    }

    pub(super) fn difference(self, desired: &Desired) -> Difference {
        Difference::between(self.contract, self.configuration, &self.change(desired))
    }
}

pub(super) fn plan(plan: &mut Plan, desired: &Desired, observed: &Observed, wanted: Wanted<'_>) {
    let difference = wanted.difference(desired);
    let (is_none, is_there) = (difference.is_none, difference.is_there);
    let foreseen: BTreeSet<String> = difference.preserved.iter().map(ToString::to_string).collect();
    plan.entry = Some(difference);
    if is_none {
        return;
    }
    let same_wish = desired.promises.entry_hash == Some(wanted.content.entry.hash());
    if is_there && same_wish {
        let is_asked = desired.errand.as_ref().is_some_and(|errand| !errand.dry_run);
        match desired.drift {
            Drift::Correct => {
                if let Some(left) = observed.contested.get(ENTRY).filter(|_| !is_asked) {
                    plan.contested.insert(ENTRY.to_owned(), *left);
                    return;
                }
                plan.entry_corrects = true;
            }
            Drift::Report => {
                plan.entry_drifted = true;
                return;
            }
            Drift::Ignore => return,
        }
    }
    if !foreseen.is_subset(&desired.preserved) {
        plan.stages.push(vec![Action::Foresee(foreseen)]);
        plan.waits = Some(Waits::Commit);
        return;
    }
    deposit(plan, desired, observed, Order::Put(wanted.change(desired)));
}

/// Somebody else changed it, and that is not ours to mend.
pub(super) fn is_left(desired: &Desired, content: &Content, difference: &Difference) -> bool {
    let same_wish = desired.promises.entry_hash == Some(content.entry.hash());
    difference.is_there && same_wish && desired.drift != Drift::Correct
}

/// Unless the same is under way, or was refused and nothing has changed since.
pub(super) fn deposit(plan: &mut Plan, desired: &Desired, observed: &Observed, order: Order) {
    let before = observed
        .deposit
        .as_ref()
        .filter(|deposit| is_same(&deposit.order, &order));
    plan.waits = match before {
        Some(Deposit {
            answer: Answer::UnderWay,
            ..
        }) => Some(Waits::Commit),
        Some(Deposit {
            answer:
                Answer::Not {
                    why: NotCommitted::Rejected(issues),
                    again,
                },
            ask,
            ..
        }) if *ask == desired.ask && *again > Duration::ZERO => Some(Waits::Rejected(issues.clone())),
        Some(Deposit {
            answer: Answer::Not { why, again },
            ask,
            ..
        }) if *ask == desired.ask && *again > Duration::ZERO => Some(Waits::NotCommitted {
            why: why.clone(),
            again: *again,
        }),
        // What was taken and does not show would be written for ever.
        Some(Deposit {
            answer: Answer::Done { again } | Answer::Removed { removed: _, again },
            ..
        }) if *again > Duration::ZERO => Some(Waits::NotCommitted {
            why: NotCommitted::Unfinished(
                "the gateway took it, and its configuration does not show it yet".to_owned(),
            ),
            again: *again,
        }),
        Some(_) | None => {
            plan.stages.push(vec![Action::Deposit(order)]);
            Some(Waits::Commit)
        }
    };
}

/// What the heartbeats of others came to may differ: that is brought along, and not what is asked for.
fn is_same(one: &Order, other: &Order) -> bool {
    match (one, other) {
        (Order::Put(one), Order::Put(other)) => {
            one.agent == other.agent && one.fields == other.fields && one.bindings == other.bindings
        }
        (Order::TakeOut(one), Order::TakeOut(other)) => {
            one.agent == other.agent && one.with_files == other.with_files
        }
        (Order::Put(_), Order::TakeOut(_)) | (Order::TakeOut(_), Order::Put(_)) => false,
    }
}

/// What may be there by our hand while this entry is written.
pub(super) fn owned(promises: &Promises, content: &Content) -> (BTreeSet<String>, BTreeSet<String>) {
    let paths = promises
        .owned_paths
        .union(&content.entry.paths)
        .cloned()
        .collect();
    let bindings = promises.owned_bindings.iter().cloned();
    let wanted = content.entry.bindings.iter().map(ToString::to_string);
    (paths, bindings.chain(wanted).collect())
}

/// The entry is as wanted: what was taken out is ours no more.
pub(super) fn narrow(plan: &mut Plan, desired: &Desired, content: &Content) {
    if plan.entry_drifted {
        return;
    }
    let paths = content.entry.paths.clone();
    let bindings: BTreeSet<String> = content.entry.bindings.iter().map(ToString::to_string).collect();
    let promises = &desired.promises;
    if paths != promises.owned_paths || bindings != promises.owned_bindings {
        plan.stages
            .push(vec![Action::Promise(Promise::Own { paths, bindings })]);
    }
}

pub(super) fn preserved(desired: &Desired) -> BTreeSet<AgentId> {
    let parsed = desired.preserved.iter().filter_map(|id| AgentId::parse(id).ok());
    parsed.collect()
}

fn holds(item: &serde_json::Value, agent: &AgentId) -> bool {
    let holder = item.get("agentId").and_then(serde_json::Value::as_str);
    holder.map(AgentId::normalised).as_ref() == Some(agent)
}
