//! What the gateway tells without being asked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::connection::Client;
use super::world::{State, World};

/// Who hears an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Everybody,
    /// Those with a scope, and admins.
    Scope(&'static str),
}

pub(super) const READERS: Audience = Audience::Scope("operator.read");
pub(super) const PAIRING: Audience = Audience::Scope("operator.pairing");

impl State {
    pub(super) fn tell(&self, audience: Audience, event: &str, payload: &Value) {
        let text = payload.to_string();
        for client in self.clients.values() {
            if hears(client, audience) {
                client.tell_text(event, &text);
            }
        }
    }
}

fn hears(client: &Arc<Client>, audience: Audience) -> bool {
    match audience {
        Audience::Everybody => true,
        Audience::Scope(scope) => client.may(scope),
    }
}

/// After every write of the configuration, on gateways that tell of it.
pub(super) fn config_changed(world: &World, state: &mut State, changed: &[String]) {
    if world.contract.tells_of_config() {
        if changed
            .iter()
            .any(|path| path.starts_with("agents") || path.starts_with("models"))
        {
            state.tell(READERS, "chat.metadata.changed", &json!({}));
        }
        let payload = json!({
            "path": world.places.config_path(),
            "hash": state.config.hash(world.contract),
            "ts": world.clock.now_ms(),
        });
        state.tell(READERS, "config.changed", &payload);
    }
}
