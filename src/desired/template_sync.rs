//! How far a TemplateSync is, as its agents tell it: whether it may begin, who is done, and who is waited for.

use std::sync::Arc;

use kube::ResourceExt;

use super::errand;
use crate::fact::Fact;
use crate::resource::agent::{SyncState, SyncStatus};
use crate::resource::{Agent, Board, Gateway, TemplateSync, condition};

/// Everything a pass over one TemplateSync may know of the cluster, taken once.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub sync: Arc<TemplateSync>,
    pub gateway: Fact<Arc<Gateway>>,
    /// None: it is limited to no Board.
    pub board: Option<Fact<Arc<Board>>>,
    /// Every Agent of its Gateway, by name.
    pub agents: Vec<Arc<Agent>>,
    /// Every TemplateSync of its Gateway, itself among them.
    pub syncs: Vec<Arc<TemplateSync>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Whether its turn has come.
    pub turn: Turn,
    /// Whether what it refers to is there.
    pub referents: Result<(), Obstacle>,
    /// The agents that have told the end of it, by name; also those that it would not select any more.
    pub told: Vec<Told>,
    /// Those that it selects and that have not, by name.
    pub open: Vec<Open>,
    /// How many it would select if they were older.
    pub younger: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Now,
    /// So many are carried out first.
    After(usize),
}

/// Why it cannot begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Not looked at yet.
    Unknown,
    GatewayNotFound,
    BoardNotFound {
        board: String,
    },
    /// The Board is one of another Gateway.
    BoardElsewhere {
        board: String,
        gateway: String,
    },
}

/// What came of it in one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub agent_id: Option<String>,
    pub name: String,
    pub end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Updated,
    Unchanged,
    /// A dry run, and what would be done.
    Planned(String),
    Failed(String),
}

/// An agent that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub agent_id: Option<String>,
    pub name: String,
    pub waits_for: WaitsFor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// Nobody has looked at it yet.
    Look,
    /// An earlier TemplateSync, by name.
    Another(String),
    /// What its condition Ready says.
    Itself(String),
    /// Nothing that it tells.
    Pass { begun: bool },
}

pub fn of(snapshot: &Snapshot) -> Desired {
    let Snapshot {
        sync,
        gateway: _,
        board: _,
        agents,
        syncs,
    } = snapshot;
    let first = errand::in_turn(syncs);
    let told: Vec<Told> = agents.iter().filter_map(|agent| told(sync, agent)).collect();
    let is_open = |agent: &&Arc<Agent>| {
        let settled = said(sync, agent).is_some_and(|said| errand::is_settled(said.state));
        !settled && errand::selects(sync, agent)
    };
    let is_younger = |agent: &&Arc<Agent>| errand::is_younger(sync, agent) && errand::means(sync, agent);
    Desired {
        turn: turn(sync, &first),
        referents: referents(snapshot),
        told,
        open: agents
            .iter()
            .filter(is_open)
            .map(|agent| open(sync, agent, &first))
            .collect(),
        younger: agents.iter().filter(is_younger).count(),
    }
}

fn turn(sync: &TemplateSync, first: &[Arc<TemplateSync>]) -> Turn {
    if first.len() < errand::AT_A_TIME || first.iter().any(|one| one.uid() == sync.uid()) {
        return Turn::Now;
    }
    Turn::After(first.len())
}

fn referents(snapshot: &Snapshot) -> Result<(), Obstacle> {
    let spec = &snapshot.sync.spec;
    match &snapshot.gateway {
        Fact::Known(_) => {}
        Fact::Unknown => return Err(Obstacle::Unknown),
        Fact::Absent => return Err(Obstacle::GatewayNotFound),
    }
    let (Some(found), Some(wanted)) = (&snapshot.board, &spec.board_ref) else {
        return Ok(());
    };
    let board = wanted.name.clone();
    match found {
        Fact::Unknown => Err(Obstacle::Unknown),
        Fact::Absent => Err(Obstacle::BoardNotFound { board }),
        Fact::Known(found) if found.spec.gateway_ref.name != spec.gateway_ref.name => {
            Err(Obstacle::BoardElsewhere {
                board,
                gateway: found.spec.gateway_ref.name.clone(),
            })
        }
        Fact::Known(_) => Ok(()),
    }
}

/// What the agent's own status says of it.
fn said<'a>(sync: &TemplateSync, agent: &'a Agent) -> Option<&'a SyncStatus> {
    let uid = sync.metadata.uid.as_deref()?;
    let all = agent.status.iter().flat_map(|status| &status.syncs);
    all.into_iter().find(|said| said.uid == uid)
}

fn told(sync: &TemplateSync, agent: &Agent) -> Option<Told> {
    let said = said(sync, agent)?;
    let end = match said.state {
        SyncState::Running => return None,
        SyncState::Updated => End::Updated,
        SyncState::Unchanged => End::Unchanged,
        SyncState::Planned => End::Planned(said.plan.clone().unwrap_or_default()),
        SyncState::Failed => End::Failed(said.error.clone().unwrap_or_default()),
    };
    Some(Told {
        agent_id: agent_id(agent),
        name: agent.name_any(),
        end,
    })
}

fn open(sync: &TemplateSync, agent: &Agent, syncs: &[Arc<TemplateSync>]) -> Open {
    Open {
        agent_id: agent_id(agent),
        name: agent.name_any(),
        waits_for: waits_for(sync, agent, syncs),
    }
}

fn waits_for(sync: &TemplateSync, agent: &Agent, syncs: &[Arc<TemplateSync>]) -> WaitsFor {
    let conditions = agent.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions
        .into_iter()
        .find(|found| found.type_ == condition::READY);
    let Some(ready) = ready else {
        return WaitsFor::Look;
    };
    // One that is held still says that it is Ready.
    if ready.status != "True" || ready.reason == SUSPENDED {
        return WaitsFor::Itself(ready.message.clone());
    }
    match errand::of(agent, syncs) {
        Some(errand) if Some(&errand.uid) != sync.metadata.uid.as_ref() => WaitsFor::Another(errand.name),
        Some(_) | None => WaitsFor::Pass {
            begun: said(sync, agent).is_some(),
        },
    }
}

/// The reason by which an Agent's status says that it, its Board or its Gateway is suspended.
pub const SUSPENDED: &str = "Suspended";

fn agent_id(agent: &Agent) -> Option<String> {
    let status = agent.status.as_ref()?;
    let bound = status.binding.as_ref().map(|binding| binding.agent_id.clone());
    bound.or_else(|| status.agent_id.clone())
}

#[cfg(test)]
mod tests;
