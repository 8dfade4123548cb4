//! What came of it in each agent, gathered from pass to pass. What an agent has told stays told when the agent is gone.

use std::collections::BTreeSet;

use super::number;
use crate::desired::template_sync::{Desired, End, Open, Told, WaitsFor};
use crate::resource::template_sync::{AgentPlan, SyncError, SyncedAgent, TemplateSyncStatus};
use crate::status::condition::fit;

/// The lists have room for so many.
const MOST: usize = 500;
/// An object may have 1.5 MB in etcd, and 500 of the longest errors and plans would be 3 MB: a status that can never be
/// written. Each of these two lists ends at so many bytes of JSON.
const MOST_BYTES: usize = 450_000;

pub(super) struct Results {
    synced: Vec<SyncedAgent>,
    errors: Vec<SyncError>,
    plans: Vec<AgentPlan>,
    total_synced: usize,
    total_errors: usize,
    /// All that were ever told, or tried to be.
    total_plans: usize,
}

impl Results {
    /// What was told before stands first and is not told again.
    pub(super) fn of(before: &TemplateSyncStatus, desired: &Desired) -> Self {
        let mut results = Self {
            synced: before.synced.clone(),
            errors: before.errors.clone(),
            plans: before.plans.clone(),
            total_synced: 0,
            total_errors: 0,
            total_plans: 0,
        };
        let (mut synced, mut failed, mut planned) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        synced.extend(before.synced.iter().map(|one| one.name.as_str()));
        failed.extend(before.errors.iter().map(|one| one.agent_name.as_str()));
        planned.extend(before.plans.iter().map(|one| one.name.as_str()));
        for Told { agent_id, name, end } in &desired.told {
            // Another of its name has told already: it is gone, and this one is its successor.
            let told = |word: &str| fit(word, 64);
            let mut done = |status: &str| {
                if !failed.contains(name.as_str()) && synced.insert(name) {
                    let id = agent_id.as_deref().map(told).unwrap_or_default();
                    results.synced_as(id, name, status);
                }
            };
            match end {
                End::Updated => done("updated"),
                End::Unchanged => done("unchanged"),
                End::Planned(plan) => {
                    done("planned");
                    if planned.insert(name) {
                        results.plans.push(AgentPlan {
                            agent_id: agent_id.as_deref().map(told),
                            name: fit(name, 253),
                            plan: fit(plan, 2048),
                        });
                    }
                }
                End::Failed(error) => {
                    if !synced.contains(name.as_str()) && failed.insert(name) {
                        results.failed_with(agent_id.as_deref(), name, error);
                    }
                }
            }
        }
        // Those that had no place in a list are known by their agents alone: where one of them has gone since, the count of
        // before is the better one.
        let at_least = |told: Option<i32>| usize::try_from(told.unwrap_or_default()).unwrap_or_default();
        results.total_synced = synced.len().max(at_least(before.total_synced));
        results.total_errors = failed.len().max(at_least(before.total_errors));
        results.total_plans = planned.len();
        results
    }

    /// Its time is over: who is not done is an error.
    pub(super) fn give_up(&mut self, open: &[Open], after: i32) {
        for Open {
            agent_id,
            name,
            waits_for,
        } in open
        {
            let why = match waits_for {
                WaitsFor::Look => "nobody has looked at this Agent yet".to_owned(),
                WaitsFor::Another(sync) => format!("TemplateSync {sync} comes first and is not done"),
                WaitsFor::Itself(said) => said.clone(),
                WaitsFor::Pass { begun: true } => "it was begun; the operator's log may say more".to_owned(),
                WaitsFor::Pass { begun: false } => {
                    "its turn did not come; the operator's log may say more".to_owned()
                }
            };
            let error = format!("not done within {after} s: {why}");
            self.failed_with(agent_id.as_deref(), name, &error);
            self.total_errors += 1;
        }
    }

    pub(super) fn total_errors(&self) -> usize {
        self.total_errors
    }

    pub(super) fn total_synced(&self) -> usize {
        self.total_synced
    }

    /// How many are done, in one way or the other.
    pub(super) fn done(&self) -> usize {
        self.total_synced + self.total_errors
    }

    /// As many as at its start; more only where somebody was selected since, such as a retired agent that is active again.
    pub(super) fn selected(&self, before: &TemplateSyncStatus, desired: &Desired) -> usize {
        let then = usize::try_from(before.total_selected.unwrap_or_default()).unwrap_or_default();
        then.max(self.done() + desired.open.len())
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = &SyncError> {
        self.errors.iter()
    }

    /// How many are said to be `updated`, and so on. None: not all are listed.
    pub(super) fn with_status(&self, status: &str) -> Option<usize> {
        let is_whole = self.total_synced == self.synced.len() && self.synced.len() <= MOST;
        let count = self.synced.iter().filter(|one| one.status == status).count();
        is_whole.then_some(count)
    }

    /// The lists that do not hold all: their name, how many they hold, and of how many.
    pub(super) fn cut_lists(&self) -> Vec<(&'static str, usize, usize)> {
        let lists = [
            ("status.synced", room(&self.synced), self.total_synced),
            ("status.errors", room(&self.errors), self.total_errors),
            ("status.plans", room(&self.plans), self.total_plans),
        ];
        lists.into_iter().filter(|(_, held, all)| held < all).collect()
    }

    pub(super) fn write_into(self, status: TemplateSyncStatus) -> TemplateSyncStatus {
        let Self {
            mut synced,
            mut errors,
            mut plans,
            total_synced,
            total_errors,
            total_plans: _,
        } = self;
        synced.truncate(room(&synced));
        errors.truncate(room(&errors));
        plans.truncate(room(&plans));
        TemplateSyncStatus {
            synced,
            errors,
            plans,
            total_synced: Some(number(total_synced)),
            total_errors: Some(number(total_errors)),
            ..status
        }
    }

    fn synced_as(&mut self, agent_id: String, name: &str, status: &str) {
        self.synced.push(SyncedAgent {
            agent_id,
            name: fit(name, 253),
            status: status.to_owned(),
        });
    }

    fn failed_with(&mut self, agent_id: Option<&str>, name: &str, error: &str) {
        self.errors.push(SyncError {
            agent_id: agent_id.map(|id| fit(id, 64)),
            agent_name: fit(name, 253),
            error: fit(error, 1024),
        });
    }
}

/// How many of a list fit.
fn room<T: serde::Serialize>(list: &[T]) -> usize {
    let mut bytes = 0;
    list.iter()
        .take(MOST)
        .take_while(|one| {
            bytes += serde_json::to_string(one).map_or(0, |text| text.len());
            bytes <= MOST_BYTES
        })
        .count()
}
