//! Where an Agent belongs: which gateway, under which id, in which folder.

use kube::ResourceExt;

use super::obstacle::Obstacle;
use super::snapshot::{self, Snapshot};
use crate::fact::Fact;
use crate::gateway::names::{AgentId, SessionKey};
use crate::resource::agent::{Binding, GatewayIdentity, Role};
use crate::resource::{Agent, Gateway};

/// What an Agent stands for in a gateway. Once the status holds it, it is read from there and never worked out again: an id
/// that could change would leave an agent behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The Gateway object, in the Agent's namespace.
    pub gateway: String,
    pub gateway_uid: String,
    pub agent: AgentId,
    /// The folder on the gateway's host.
    pub workspace: String,
    /// Somebody else had made this agent.
    pub adopted: bool,
}

impl Place {
    /// The one that the status holds, or else the one that follows from the object and what it refers to.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, Obstacle> {
        let bound = snapshot.agent.status.as_ref().and_then(|it| it.binding.as_ref());
        match bound {
            Some(binding) => Self::bound(binding),
            None => Self::derived(&snapshot.agent, snapshot),
        }
    }

    pub fn session(&self) -> SessionKey {
        self.agent.main_session()
    }

    /// As the status keeps it.
    pub fn binding(&self) -> Binding {
        let Self {
            gateway,
            gateway_uid,
            agent,
            workspace,
            adopted,
        } = self;
        Binding {
            gateway: GatewayIdentity {
                name: gateway.clone(),
                uid: gateway_uid.clone(),
            },
            agent_id: agent.to_string(),
            workspace: workspace.clone(),
            adopted: *adopted,
        }
    }

    fn bound(binding: &Binding) -> Result<Self, Obstacle> {
        let Binding {
            gateway: GatewayIdentity { name, uid },
            agent_id,
            workspace,
            adopted,
        } = binding;
        Ok(Self {
            gateway: name.clone(),
            gateway_uid: uid.clone(),
            agent: parse(agent_id, "status.binding.agentId")?,
            workspace: workspace.clone(),
            adopted: *adopted,
        })
    }

    fn derived(agent: &Agent, snapshot: &Snapshot) -> Result<Self, Obstacle> {
        let gateway = gateway(snapshot)?;
        let spec = &agent.spec;
        let uid = |of: Option<String>| of.unwrap_or_default();
        let id = match (&spec.agent_id, spec.role) {
            (Some(id), _) => parse(id, "spec.agentId")?,
            (None, Role::Worker) => parse(&format!("mc-{}", uid(agent.uid())), "metadata.uid")?,
            (None, Role::Lead) => {
                let board = board_uid(snapshot)?;
                parse(&format!("lead-{board}"), "the Board's metadata.uid")?
            }
            (None, Role::Main) => parse(
                &format!("mc-gateway-{}", uid(gateway.uid())),
                "the Gateway's metadata.uid",
            )?,
        };
        let workspace = match &spec.workspace {
            Some(workspace) => workspace.clone(),
            None => format!(
                "{}/workspace-{id}",
                gateway.spec.workspace_root.trim_end_matches('/')
            ),
        };
        Ok(Self {
            gateway: gateway.name_any(),
            gateway_uid: uid(gateway.uid()),
            agent: id,
            workspace,
            adopted: spec.agent_id.is_some() || spec.workspace.is_some(),
        })
    }
}

/// The Gateway that the Agent is bound to, or that its own words, or its board's, lead to.
pub(super) fn gateway(snapshot: &Snapshot) -> Result<&Gateway, Obstacle> {
    let named = || match &snapshot.board {
        Fact::Known(board) => snapshot::gateway_of(&snapshot.agent, Some(board)),
        Fact::Absent | Fact::Unknown => snapshot::gateway_of(&snapshot.agent, None),
    };
    match &snapshot.gateway {
        Fact::Known(gateway) => Ok(gateway),
        Fact::Absent | Fact::Unknown if named().is_none() => {
            // Which one, only the board could say.
            board(snapshot)?;
            Err(Obstacle::GatewayNotFound {
                gateway: String::new(),
            })
        }
        Fact::Absent => Err(Obstacle::GatewayNotFound {
            gateway: named().unwrap_or_default(),
        }),
        Fact::Unknown => Err(Obstacle::Unreadable {
            what: format!("Gateway {}", named().unwrap_or_default()),
        }),
    }
}

pub(super) fn board(snapshot: &Snapshot) -> Result<&crate::resource::Board, Obstacle> {
    let name = || {
        let of_spec = snapshot.agent.spec.board_ref.as_ref();
        of_spec.map(|it| it.name.clone()).unwrap_or_default()
    };
    match &snapshot.board {
        Fact::Known(board) => Ok(board),
        Fact::Absent => Err(Obstacle::BoardNotFound { board: name() }),
        Fact::Unknown => Err(Obstacle::Unreadable {
            what: format!("Board {}", name()),
        }),
    }
}

fn board_uid(snapshot: &Snapshot) -> Result<String, Obstacle> {
    Ok(board(snapshot)?.uid().unwrap_or_default())
}

fn parse(id: &str, field: &str) -> Result<AgentId, Obstacle> {
    let wrong = |why: String| Obstacle::InvalidSpec {
        field: field.to_owned(),
        why,
    };
    // The gateway's own: whatever they are given, they stay what they are.
    if id == "main" || id == "openclaw" {
        return Err(wrong(format!("{id} is the gateway's own agent")));
    }
    AgentId::parse(id).map_err(|error| wrong(error.to_string()))
}
