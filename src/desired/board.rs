//! What a Board asks for: that its Gateway is there, and a place for its agents. It does nothing in a gateway itself.

use std::sync::Arc;

use super::hold_on::{Deletion, Hold};
use super::roster::{self, Roster};
use crate::fact::Fact;
use crate::resource::agent::Role;
use crate::resource::{Agent, Board, Gateway};

/// Everything a pass over one Board may know of the cluster, taken once.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub board: Arc<Board>,
    pub gateway: Fact<Arc<Gateway>>,
    /// Every Agent whose boardRef names it, by name.
    pub team: Vec<Arc<Agent>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub gateway: Result<(), Obstacle>,
    pub roster: Roster,
    /// Workers that wait for a place.
    pub waiting: usize,
    /// Agents whose condition Ready is True.
    pub ready: usize,
    pub suspended: bool,
    pub deletion: Option<Deletion>,
    pub hold: Hold,
}

/// Why its agents have no gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Not looked at yet.
    Unknown {
        gateway: String,
    },
    NotFound {
        gateway: String,
    },
    Terminating {
        gateway: String,
    },
}

pub fn of(snapshot: &Snapshot) -> Desired {
    let Snapshot { board, gateway, team } = snapshot;
    let name = || board.spec.gateway_ref.name.clone();
    let roster = roster::of(board, team);
    let waits = |agent: &&Arc<Agent>| {
        let name = agent.metadata.name.as_ref();
        agent.spec.role == Role::Worker && name.is_some_and(|name| roster.waiting.contains_key(name))
    };
    let users: Vec<String> = team
        .iter()
        .map(|agent| super::hold_on::named("Agent", agent.as_ref()))
        .collect();
    let deletion = Deletion::of(board.as_ref(), board.spec.suspend, users.clone());
    Desired {
        gateway: match gateway {
            Fact::Unknown => Err(Obstacle::Unknown { gateway: name() }),
            Fact::Absent => Err(Obstacle::NotFound { gateway: name() }),
            Fact::Known(gateway) if gateway.metadata.deletion_timestamp.is_some() => {
                Err(Obstacle::Terminating { gateway: name() })
            }
            Fact::Known(_) => Ok(()),
        },
        waiting: team.iter().filter(waits).count(),
        ready: team.iter().filter(|agent| roster::is_ready(agent)).count(),
        roster,
        suspended: board.spec.suspend,
        hold: Hold::of(board.as_ref(), deletion.as_ref(), !users.is_empty()),
        deletion,
    }
}
