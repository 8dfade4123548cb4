//! Who has a place on a Board: its one lead, and as many Workers as it has room for. Worked out by every pass from the
//! same objects in the same way, so that no pass has to ask another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::resource::agent::{Lifecycle, Role};
use crate::resource::{Agent, Board, condition};

/// By metadata.name. A Retired agent, and one that is deleted before it was provisioned, is in none of these: it asks for
/// no place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    pub lead: Option<String>,
    pub seated: BTreeSet<String>,
    pub waiting: BTreeMap<String, Waits>,
}

/// Why one has no place yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    /// The board has a lead.
    LeadConflict { lead: String },
    /// The board is full.
    CapacityExceeded { capacity: i32 },
}

/// `team`: every Agent whose boardRef names this Board, in any order.
pub fn of(board: &Board, team: &[Arc<Agent>]) -> Roster {
    let mut ranked: Vec<&Agent> = team
        .iter()
        .map(AsRef::as_ref)
        .filter(|agent| asks_for_a_place(agent))
        .collect();
    ranked.sort_by_key(|agent| rank(agent));
    let capacity = board.spec.max_agents;
    let room = usize::try_from(capacity).unwrap_or_default();
    let mut roster = Roster::default();
    for agent in ranked {
        let name = agent.metadata.name.clone().unwrap_or_default();
        match (agent.spec.role, &roster.lead) {
            (Role::Lead, None) => roster.lead = Some(name),
            (Role::Lead, Some(lead)) => {
                let lead = lead.clone();
                roster.waiting.insert(name, Waits::LeadConflict { lead });
            }
            // Who is there stays, also where the board has shrunk: they come first, and so count first.
            (Role::Worker, _) if is_provisioned(agent) || roster.seated.len() < room => {
                roster.seated.insert(name);
            }
            (Role::Worker, _) => {
                roster.waiting.insert(name, Waits::CapacityExceeded { capacity });
            }
            // Belongs to no board.
            (Role::Main, _) => {}
        }
    }
    roster
}

/// Something of it is in a gateway, or was.
pub fn is_provisioned(agent: &Agent) -> bool {
    let status = agent.status.as_ref();
    status.is_some_and(|status| status.binding.is_some() && status.entry.is_some())
}

pub fn is_ready(agent: &Agent) -> bool {
    let conditions = agent.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|found| found.type_ == condition::READY && found.status == "True")
}

fn asks_for_a_place(agent: &Agent) -> bool {
    // Until it is gone it is there: its place must not be given twice.
    let is_leaving = agent.metadata.deletion_timestamp.is_some();
    match agent.spec.lifecycle {
        Lifecycle::Active | Lifecycle::Paused => !is_leaving || is_provisioned(agent),
        // Until it is out of the gateway it has the id that a successor would have.
        Lifecycle::Retired => is_provisioned(agent),
    }
}

/// Smaller comes first: who is there already, then who asked first, then the smaller uid.
fn rank(agent: &Agent) -> (bool, Option<Timestamp>, Option<&str>) {
    let created = agent.metadata.creation_timestamp.as_ref().map(|at| at.0);
    (!is_provisioned(agent), created, agent.metadata.uid.as_deref())
}

#[cfg(test)]
mod tests;
