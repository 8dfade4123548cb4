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

/// Why a gateway restarts. Until it does, further wishes of one kind are one with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// Its config file has changed.
    ChangedFile,
    /// A client asked, or a test: now.
    Asked,
    /// 2026.2.9 asks itself after `config.patch` and `config.apply`, besides looking at the file: it restarts twice.
    Written,
}

impl Wish {
    /// From the wish to its restart.
    fn delay(self, contract: Contract) -> Duration {
        let ms = match (self, contract) {
            (Self::Asked, _) => 0,
            (Self::Written, _) => 2000,
            (Self::ChangedFile, Contract::V2026_2_9) => 500,
            (Self::ChangedFile, Contract::V2026_7_35) => 0,
            (Self::ChangedFile, Contract::V2026_9_6) => 1700,
        };
        Duration::from_millis(ms)
    }
}

/// How long each part takes, measured with few agents.
struct Times {
    closing: Duration,
    down: Duration,
    starting: Duration,
}

fn times(contract: Contract) -> Times {
    let [closing, down, starting] = match contract {
        // In the same process.
        Contract::V2026_2_9 => [0, 20, 0],
        Contract::V2026_7_35 => [0, 210, 0],
        Contract::V2026_9_6 => [20, 2800, 500],
    }
    .map(Duration::from_millis);
    Times {
        closing,
        down,
        starting,
    }
}

pub(super) fn schedule(world: &Arc<World>, wish: Wish) {
    schedule_after(world, wish, wish.delay(world.contract));
}

pub(super) fn schedule_after(world: &Arc<World>, wish: Wish, delay: Duration) {
    {
        let mut state = world.lock();
        // Who wishes for it while it is under way has it already.
        if *world.phase.borrow() != Phase::Up || !state.restarts_due.insert(wish) {
            return;
        }
    }
    let restarting = Arc::clone(world);
    world.spawn(async move {
        restarting.pause(delay).await;
        run(&restarting, wish).await;
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
        state.restarts_due.clear();
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

async fn run(world: &Arc<World>, wish: Wish) {
    let Times {
        closing,
        down,
        starting,
    } = times(world.contract);
    // Another restart may be under way.
    let mut phase = world.phase.subscribe();
    phase.wait_for(|phase| *phase == Phase::Up).await.ok();
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
    {
        let mut state = world.lock();
        state.boot(world.contract);
        state.restarts_due.remove(&wish);
    }
    world.phase.send_replace(Phase::Up);
}
