//! The main agent of a gateway: an Agent like the others, made of what its Gateway says.

use crate::resource::gateway::MainAgent;
use crate::resource::reference::ObjectRef;
use crate::resource::{AgentSpec, Gateway, agent::Role};

/// The spec of the Agent `<gateway>-main`.
pub fn main_agent(gateway: &Gateway) -> AgentSpec {
    let name = gateway.metadata.name.clone().unwrap_or_default();
    let MainAgent {
        display_name,
        identity,
        heartbeat,
        soul,
        identity_template,
        files,
        model,
        config,
        // Whose boards it may act on is asked of the Gateway.
        boards: _,
    } = gateway.spec.main_agent.clone();
    let of_gateway = gateway.spec.display_name.clone().unwrap_or_else(|| name.clone());
    AgentSpec {
        role: Role::Main,
        gateway_ref: Some(ObjectRef { name }),
        display_name: display_name.or_else(|| {
            // Both may have a hundred characters.
            let of_gateway: String = of_gateway.chars().take(95).collect();
            Some(format!("{of_gateway} Main"))
        }),
        identity,
        heartbeat,
        soul,
        identity_template,
        files,
        model,
        config,
        ..AgentSpec::default()
    }
}
