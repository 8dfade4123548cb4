//! A gateway's restart: a word of warning, every connection closed with 1012, nobody at the door for a while, then
//! somebody who says "starting", then a gateway that remembers its configuration and files but none of its promises. And
//! its death by SIGKILL, which warns nobody.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::contract::Contract;
use super::events::Audience;
use super::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Up,
    /// 2026.9.6 refuses upgrades for a moment before it is gone.
    Closing,
    /// Connections are refused.
    Down,
    /// Connections are taken, and answered "gateway starting".
    Starting,
}

impl Phase {
    pub(super) fn listens(self) -> bool {
        match self {
            Self::Up | Self::Closing | Self::Starting => true,
            Self::Down => false,
        }
    }
}

/// How long each part takes, measured with few agents.
struct Times {
    until_closed: Duration,
    closing: Duration,
    down: Duration,
    starting: Duration,
}

fn times(contract: Contract) -> Times {
    let [until_closed, closing, down, starting] = match contract {
        // 2 s after the write, in the same process.
        Contract::V2026_2_9 => [2000, 0, 20, 0],
        Contract::V2026_7_35 => [0, 0, 210, 0],
        Contract::V2026_9_6 => [1700, 20, 2800, 500],
    }
    .map(Duration::from_millis);
    Times {
        until_closed,
        closing,
        down,
        starting,
    }
}

/// Restarts after the usual delay; further wishes until then are one with it.
pub(super) fn schedule(world: &Arc<World>) {
    schedule_after(world, times(world.contract).until_closed);
}

pub(super) fn schedule_after(world: &Arc<World>, delay: Duration) {
    {
        let mut state = world.lock();
        if state.restart_is_due {
            return;
        }
        state.restart_is_due = true;
    }
    let restarting = Arc::clone(world);
    world.spawn(async move {
        restarting.pause(delay).await;
        run(&restarting).await;
    });
}

/// A killed process says nothing to anybody. Its connections end without a word, a write that had not reached the disk is
/// lost, one that had is there although nobody was told, and the next process knows what is on the disk.
pub(super) fn kill(world: &Arc<World>) {
    {
        let mut state = world.lock();
        // Ends everything that was begun with `World::spawn`, other restarts included.
        world.life.send_modify(|life| *life += 1);
        for client in std::mem::take(&mut state.clients).into_values() {
            client.cut();
        }
        state.runs = super::chat::Runs::default();
        state.faults.wedged = false;
        state.restart_is_due = true;
        world.phase.send_replace(Phase::Down);
        world.frozen.send_replace(false);
    }
    let starting = Arc::clone(world);
    world.spawn(async move {
        // Others see that nobody was there, even without delays.
        tokio::task::yield_now().await;
        starting.pause(COLD_START).await;
        starting.phase.send_replace(Phase::Starting);
        starting.pause(times(starting.contract).starting).await;
        starting.lock().boot(starting.contract);
        starting.phase.send_replace(Phase::Up);
    });
}

/// From a new process to an open door. Real gateways take 2 to 15 s.
const COLD_START: Duration = Duration::from_secs(3);

async fn run(world: &Arc<World>) {
    let Times {
        until_closed: _,
        closing,
        down,
        starting,
    } = times(world.contract);
    {
        let mut state = world.lock();
        let warning = json!({ "reason": "gateway restarting", "restartExpectedMs": 1500 });
        state.tell(Audience::Everybody, "shutdown", &warning);
        for client in std::mem::take(&mut state.clients).into_values() {
            client.close(1012, "service restart");
        }
    }
    if !closing.is_zero() {
        world.phase.send_replace(Phase::Closing);
        world.pause(closing).await;
    }
    world.phase.send_replace(Phase::Down);
    // Even without delays others see that nobody was there.
    tokio::task::yield_now().await;
    world.pause(down).await;
    if !starting.is_zero() {
        world.phase.send_replace(Phase::Starting);
        world.pause(starting).await;
    }
    world.lock().boot(world.contract);
    world.phase.send_replace(Phase::Up);
}
