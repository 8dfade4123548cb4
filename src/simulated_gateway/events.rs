//! What the gateway tells without being asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::connection::Client;
use super::contract::Contract;
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

/// What `seq` counts.
#[derive(Debug)]
pub(super) enum Numbering {
    /// The events of each connection, from 1 and without a gap.
    EachConnection,
    /// Every event of the gateway since its start, whoever hears it: a new connection begins anywhere, and sees gaps.
    Gateway(AtomicU64),
}

impl Numbering {
    pub(super) fn of(contract: Contract) -> Self {
        match contract {
            Contract::V2026_9_6 | Contract::V2026_7_35 => Self::EachConnection,
            // The first one is its health, told to nobody at its start.
            Contract::V2026_2_9 => Self::Gateway(AtomicU64::new(1)),
        }
    }

    /// The number of the next event; None where each connection has its own.
    fn next(&self) -> Option<u64> {
        match self {
            Self::EachConnection => None,
            Self::Gateway(last) => Some(last.fetch_add(1, Ordering::Relaxed) + 1),
        }
    }
}

impl State {
    pub(super) fn tell(&self, audience: Audience, event: &str, payload: &Value) {
        let text = payload.to_string();
        let number = self.numbering.next();
        for client in self.clients.values() {
            if hears(client, audience) {
                client.tell_text(event, &text, number);
            }
        }
    }
}

/// What comes by the clock, for as long as there is a gateway: it beats for everybody at once.
pub(super) async fn beat(world: Weak<World>) {
    const TICK: Duration = Duration::from_secs(30);
    const HEALTH: Duration = Duration::from_secs(60);
    let every = |period| {
        let mut interval = interval_at(Instant::now() + period, period);
        // A process that was stopped does not make up for what it missed.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    let (mut tick, mut health) = (every(TICK), every(HEALTH));
    loop {
        let is_tick = tokio::select! {
            _ = tick.tick() => true,
            _ = health.tick() => false,
        };
        let Some(world) = world.upgrade() else { return };
        world.thaw().await;
        let state = world.lock();
        if is_tick {
            let now = json!({ "ts": world.clock.now_ms() });
            state.tell(Audience::Everybody, "tick", &now);
        } else if !state.clients.is_empty() {
            state.tell(Audience::Everybody, "health", &state.health(&world));
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
