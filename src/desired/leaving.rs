//! How a Gateway goes: not while others use it, its main agent first, and not for ever where nobody can clean up any more.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::gateway::Snapshot;
use super::hold_on::{Deletion, named};
use super::main_agent;
use super::roster::is_provisioned;
use crate::fact::Fact;
use crate::resource::settings::DeletionPolicy;
use crate::resource::{Agent, condition, names};

/// It is being deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    pub deletion: Deletion,
    pub next: Next,
    /// Everybody who uses it is being deleted, too: nobody is left without it.
    pub with_everybody: bool,
    /// What nobody will clean up once it is gone, as far as we know.
    pub left_behind: Vec<String>,
    /// Since when it can be reached no more, as the status remembers it.
    pub without_credentials_since: Option<Timestamp>,
    /// The device key goes along.
    pub device_secret_goes: bool,
}

/// What stands between it and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Others use it, or it is suspended.
    Stay,
    /// Its main agent's object is to be deleted.
    RemoveMain(Removal),
    /// Which is being cleaned up.
    AwaitMain,
    Go,
}

/// Of the main agent's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    pub name: String,
    pub uid: Option<String>,
    /// What it needs to be told first, as a merge patch: the Gateway may have been told it only just now.
    pub amend: Option<Value>,
}

/// The reason by which the status remembers it.
pub const CREDENTIALS_GONE: &str = "CredentialsGone";

pub fn of(snapshot: &Snapshot) -> Option<Leaving> {
    let Snapshot {
        gateway,
        agents,
        boards,
        main,
        ..
    } = snapshot;
    let ours =
        |agent: &Agent| main_agent::is_ours(agent, gateway) && agent.name_any() == main_agent::name(gateway);
    let others = || agents.iter().filter(|agent| !ours(agent));
    let using_agents = others().map(|agent| named("Agent", agent.as_ref()));
    let using_boards = boards.iter().map(|board| named("Board", board.as_ref()));
    let deletion = Deletion::of(
        gateway.as_ref(),
        gateway.spec.suspend,
        using_boards.chain(using_agents).collect(),
    )?;
    let next = if deletion.forced {
        match main {
            Fact::Known(main) if ours(main) => removal(snapshot, main, true),
            Fact::Known(_) | Fact::Absent | Fact::Unknown => Next::Go,
        }
    } else if !deletion.is_free() {
        Next::Stay
    } else {
        match main {
            Fact::Known(main) if ours(main) => removal(snapshot, main, false),
            Fact::Known(_) | Fact::Absent => Next::Go,
            Fact::Unknown => Next::Stay,
        }
    };
    Some(Leaving {
        deletion,
        next,
        with_everybody: others().all(|agent| agent.metadata.deletion_timestamp.is_some())
            && boards
                .iter()
                .all(|board| board.metadata.deletion_timestamp.is_some()),
        left_behind: agents
            .iter()
            .filter(|agent| is_provisioned(agent))
            .map(|agent| in_the_gateway(agent))
            .collect(),
        without_credentials_since: without_credentials_since(snapshot),
        device_secret_goes: gateway.spec.deletion_policy == Some(DeletionPolicy::Delete),
    })
}

fn removal(snapshot: &Snapshot, main: &Agent, forced: bool) -> Next {
    let is_forced = || {
        main.annotations()
            .get(names::FORCE_DELETE)
            .is_some_and(|word| word == "true")
    };
    // Orphan on the main agent itself is its readers' word, and stays.
    let orphan = Some(DeletionPolicy::Orphan);
    let stays = main_agent::deletion_policy(&snapshot.gateway) == orphan;
    let mut amend = Map::new();
    if forced && !is_forced() {
        amend.insert(
            "metadata".to_owned(),
            json!({ "annotations": { names::FORCE_DELETE: "true" } }),
        );
    }
    if stays && main.spec.deletion_policy != orphan {
        amend.insert("spec".to_owned(), json!({ "deletionPolicy": orphan }));
    }
    if main.metadata.deletion_timestamp.is_some() && amend.is_empty() {
        return Next::AwaitMain;
    }
    Next::RemoveMain(Removal {
        name: main.name_any(),
        uid: main.uid(),
        amend: (!amend.is_empty()).then_some(Value::Object(amend)),
    })
}

/// With the id by which a person finds it there.
fn in_the_gateway(agent: &Agent) -> String {
    let binding = agent.status.as_ref().and_then(|status| status.binding.as_ref());
    match binding {
        Some(binding) => format!("{} (agent id {})", named("Agent", agent), binding.agent_id),
        None => named("Agent", agent),
    }
}

fn without_credentials_since(snapshot: &Snapshot) -> Option<Timestamp> {
    let status = snapshot.gateway.status.as_ref()?;
    let waits = status
        .conditions
        .iter()
        .find(|found| found.type_ == condition::RECONCILING)?;
    (waits.reason == CREDENTIALS_GONE).then_some(waits.last_transition_time.0)
}
