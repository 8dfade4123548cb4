//! Where an Agent belongs: which gateway, under which id, in which folder.

use crate::gateway::names::{AgentId, SessionKey};
use crate::resource::agent::Binding;

/// What an Agent stands for in a gateway. Once the status holds it, it is read from there and never worked out again.
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
            gateway: crate::resource::agent::GatewayIdentity {
                name: gateway.clone(),
                uid: gateway_uid.clone(),
            },
            agent_id: agent.to_string(),
            workspace: workspace.clone(),
            adopted: *adopted,
        }
    }
}
