//! Everything that one gateway is: its state, its lock for writes, its queue and the one task that works it off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Settings;
use super::budget::Budget;
use super::chat::Runs;
use super::clock::{Clock, Dice};
use super::config::Config;
use super::connection::Client;
use super::contract::Contract;
use super::cron::Jobs;
use super::events::{self, Numbering};
use super::faults::Faults;
use super::lockout::LockOuts;
use super::methods;
use super::pairing::Devices;
use super::refusal::Refusal;
use super::restart::{Phase, Wish};
use super::roster::Roster;
use super::sessions::Sessions;
use super::workspace::{Places, Workspaces};

pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) contract: Contract,
    pub(super) clock: Clock,
    pub(super) places: Places,
    state: Mutex<State>,
    /// Writes of the configuration, one after another in order of arrival.
    pub(super) writes: tokio::sync::Mutex<()>,
    queue: mpsc::UnboundedSender<Request>,
    waiting: AtomicUsize,
    pub(super) phase: watch::Sender<Phase>,
    /// How often it was killed. Whatever belongs to an earlier life has ended.
    pub(super) life: watch::Sender<u64>,
    /// While true, nothing is answered.
    pub(super) frozen: watch::Sender<bool>,
}

pub(super) struct State {
    pub(super) dice: Dice,
    pub(super) config: Config,
    pub(super) roster: Roster,
    pub(super) files: Workspaces,
    pub(super) sessions: Sessions,
    pub(super) runs: Runs,
    pub(super) jobs: Jobs,
    pub(super) devices: Devices,
    pub(super) lock_outs: LockOuts,
    pub(super) budget: Budget,
    pub(super) faults: Faults,
    pub(super) clients: BTreeMap<u64, Arc<Client>>,
    pub(super) next_client: u64,
    pub(super) boot_id: String,
    pub(super) booted: Instant,
    pub(super) restarts_due: BTreeSet<Wish>,
    pub(super) last_heartbeat: Value,
    pub(super) heartbeats_enabled: bool,
    pub(super) presence_version: u64,
    pub(super) gateway_key: [u8; 32],
    /// Texts of system events that wait for a heartbeat.
    pub(super) wakes: VecDeque<Value>,
    pub(super) numbering: Numbering,
}

/// A request on its way to be answered.
pub(super) struct Request {
    pub(super) world: Arc<World>,
    pub(super) client: Arc<Client>,
    /// In which life of the gateway it came.
    pub(super) life: u64,
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Value,
}

/// 2026.9.6: so many may wait to be started, over all connections.
const LONGEST_QUEUE: usize = 256;

impl World {
    pub(super) fn start(settings: Settings) -> Arc<Self> {
        let contract = settings.contract;
        let clock = Clock::starting_at(settings.started_at_ms);
        let mut dice = Dice::seeded(settings.seed);
        let places = Places::of(&settings);
        let config = Config::first(&settings, &places, dice.bytes());
        let mut roster = Roster::default();
        roster.follow(config.document(), contract, &places, &[]);
        let jobs = Jobs::first(contract, &config, &roster, clock.now_ms(), &mut dice);
        let (queue, requests) = mpsc::unbounded_channel();
        let state = State {
            config,
            roster,
            files: Workspaces::of(&settings),
            sessions: Sessions::default(),
            runs: Runs::default(),
            jobs,
            devices: Devices::default(),
            lock_outs: LockOuts::default(),
            budget: Budget::default(),
            faults: Faults::default(),
            clients: BTreeMap::new(),
            next_client: 0,
            boot_id: dice.uuid(),
            booted: Instant::now(),
            restarts_due: BTreeSet::new(),
            last_heartbeat: Value::Null,
            heartbeats_enabled: true,
            presence_version: 1,
            gateway_key: dice.bytes(),
            wakes: VecDeque::new(),
            numbering: Numbering::of(contract),
            dice,
        };
        tokio::spawn(work(requests));
        let world = Arc::new(Self {
            settings,
            contract,
            clock,
            places,
            state: Mutex::new(state),
            writes: tokio::sync::Mutex::new(()),
            queue,
            waiting: AtomicUsize::new(0),
            phase: watch::Sender::new(Phase::Up),
            life: watch::Sender::new(0),
            frozen: watch::Sender::new(false),
        });
        tokio::spawn(events::beat(Arc::downgrade(&world)));
        world
    }

    /// Held for one request at a time and never across a wait.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listens(&self) -> bool {
        self.phase.borrow().listens()
    }

    /// The real gateway would take this long.
    pub(super) async fn pause(&self, real: Duration) {
        let scaled = real.mul_f64(self.settings.delays.max(0.0));
        if !scaled.is_zero() {
            tokio::time::sleep(scaled).await;
        }
    }

    /// Begins something that ends with the gateway's process.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.in_this_life(task));
    }

    /// The task, cut off at its next wait when the gateway is killed.
    pub(super) fn in_this_life(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut life = self.life.subscribe();
        async move {
            tokio::select! {
                biased;
                _ = life.changed() => {}
                () = task => {}
            }
        }
    }

    /// Puts a request into the queue, or says that it is full.
    pub(super) fn enqueue(&self, request: Request) -> Result<(), Box<(Request, Refusal)>> {
        let limited = match self.contract {
            Contract::V2026_9_6 => true,
            Contract::V2026_7_35 | Contract::V2026_2_9 => false,
        };
        if limited && self.waiting.load(Ordering::Relaxed) >= LONGEST_QUEUE {
            let busy = Refusal::unavailable("The server is busy. Please try again in a moment.").retry(None);
            return Err(Box::new((request, busy)));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Fails only while the process ends.
        self.queue.send(request).ok();
        Ok(())
    }

    /// Waits until nobody holds the gateway's breath.
    pub(super) async fn thaw(&self) {
        let mut frozen = self.frozen.subscribe();
        frozen.wait_for(|frozen| !frozen).await.ok();
    }
}

/// The gateway's one thread. Between two requests others get a turn, so that a flood fills the queue as it does there.
async fn work(mut requests: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = requests.recv().await {
        let world = Arc::clone(&request.world);
        world.thaw().await;
        world.waiting.fetch_sub(1, Ordering::Relaxed);
        // Nobody answers what a killed process had not begun.
        if request.life == *world.life.borrow() {
            methods::start(request);
        }
        drop(world);
        tokio::task::yield_now().await;
    }
}
