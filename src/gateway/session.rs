//! One gateway's session: keeps a connection for as long as somebody wants it, and always has an honest answer
//! to "how is it?". A task owns the connection; [`Session`] says what is wanted and reads the [`Link`].

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::address::Address;
use super::commit::{CommitMeter, Commits};
use super::configuration::Configuration;
use super::connection::{CallError, Connection, Ended, Meter, Outcome};
use super::contract::Contract;
use super::credentials::{Credentials, Secrets, Token};
use super::device_token::DeviceTokens;
use super::dial::Dial;
use super::frame;
use super::guard::{Guard, Leave};
use super::handshake::{self, Hello};
use super::reading::{NotRead, Readings};
use super::trouble::{Again, Trouble};
use super::trust::Trust;
use super::version::{ServerVersion, Version};

/// Held by whoever wants the connection; dropping it closes the connection.
pub struct Session {
    wanted: watch::Sender<Wanted>,
    link: watch::Receiver<Link>,
    online: watch::Receiver<Option<Online>>,
    readings: Readings,
    commits: Commits,
    keeper: JoinHandle<()>,
}

/// A connection that is up, for calls. It outlives its connection: calls then fail with how that ended.
#[derive(Clone)]
pub struct Online {
    pub connection: Arc<Connection>,
    pub contract: &'static Contract,
    /// Of the gateway that it leads to.
    pub address: Address,
}

/// Where to connect, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub address: Address,
    pub trust: Trust,
    pub credentials: Credentials,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub target: Target,
    /// Any new word here means: try now, look again now. It comes back in [`Link::answers`] once done.
    pub ask: String,
}

/// What is so, and in answer to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub answers: Wanted,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The first try of this target is under way.
    Connecting,
    Up(Facts),
    /// The last try failed, or the connection was lost. Another try is due, however long that takes.
    Down(Trouble),
}

/// What a connected gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub version: ServerVersion,
    pub protocol: u64,
    pub contract: &'static Contract,
    pub boot_id: Option<String>,
}

/// What every session of a process shares.
#[derive(Clone)]
pub struct Surroundings {
    pub dial: Arc<dyn Dial>,
    pub guard: Guard,
    pub device_tokens: Arc<dyn DeviceTokens>,
    pub meter: Meter,
    pub commit_meter: CommitMeter,
}

impl Session {
    /// `changed` is called after the link has changed; `seed` spreads this session's tries in time.
    pub fn start(
        wanted: Wanted,
        surroundings: Surroundings,
        seed: u64,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (publish, link) = watch::channel(Link {
            answers: wanted.clone(),
            state: State::Connecting,
        });
        let (want, wanted) = watch::channel(wanted);
        let (go_online, online) = watch::channel(None);
        let readings = Readings::start(online.clone());
        let meter = Arc::clone(&surroundings.commit_meter);
        let commits = Commits::start(wanted.clone(), online.clone(), readings.clone(), meter, seed);
        let keeper = Keeper {
            wanted,
            publish,
            go_online,
            changed: Box::new(changed),
            surroundings,
            back_off: BackOff {
                rng: SmallRng::seed_from_u64(seed),
                failures: 0,
            },
        };
        Self {
            wanted: want,
            link,
            online,
            readings,
            commits,
            keeper: tokio::spawn(keeper.keep()),
        }
    }

    /// Nothing happens where nothing changed.
    pub fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|now| {
            let news = *now != wanted;
            if news {
                *now = wanted;
            }
            news
        });
    }

    pub fn link(&self) -> Link {
        self.link.borrow().clone()
    }

    /// None while the gateway is not connected.
    pub fn online(&self) -> Option<Online> {
        self.online.borrow().clone()
    }

    /// As [`online`](Self::online), for whoever waits for what comes next.
    pub fn watch_online(&self) -> watch::Receiver<Option<Online>> {
        self.online.clone()
    }

    /// The configuration as it is, or was a moment ago where nobody has told of a change. Read once for all who ask at
    /// about the same time.
    pub async fn configuration(&self) -> Result<Arc<Configuration>, NotRead> {
        self.readings.known().await
    }

    /// Where readings of the configuration come from.
    pub fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Where changes of agents' entries are deposited, for the gateway that is wanted now.
    pub fn commits(&self) -> Commits {
        self.commits.at(self.wanted.borrow().target.address.clone())
    }

    /// Says goodbye to the gateway.
    pub async fn close(self) {
        let Self {
            wanted,
            link: _,
            online: _,
            readings: _,
            commits: _,
            mut keeper,
        } = self;
        drop(wanted);
        if timeout(GOODBYE, &mut keeper).await.is_err() {
            keeper.abort();
        }
    }
}

const GOODBYE: Duration = Duration::from_secs(2);

/// A connection that held this long was a good one: what comes after it is a new trouble.
const SETTLED: Duration = Duration::from_secs(30);

/// With this reason (and 4001) those are sent away who came with the shared token; devices stay what they are.
const SHARED_TOKEN_CHANGED: &str = "gateway auth changed";

const LOOK_DEADLINE: Duration = Duration::from_secs(20);

struct Keeper {
    wanted: watch::Receiver<Wanted>,
    publish: watch::Sender<Link>,
    go_online: watch::Sender<Option<Online>>,
    changed: Box<dyn Fn() + Send + Sync>,
    surroundings: Surroundings,
    back_off: BackOff,
}

/// The session is no longer wanted.
struct Unwanted;

impl Keeper {
    /// Runs until nobody wants the session any more.
    async fn keep(mut self) {
        let mut before: Option<Wanted> = None;
        // Somebody asked for a try, and the guard has not let it happen yet.
        let mut owed = false;
        loop {
            let mut wanted = self.wanted.borrow_and_update().clone();
            let new_target = before
                .as_ref()
                .is_none_or(|before| before.target != wanted.target);
            // Another url may lead to another gateway even where host and port are the same: a mend like any other.
            let asked = owed
                || before.as_ref().is_some_and(|before| {
                    before.ask != wanted.ask || before.target.address != wanted.target.address
                });
            if new_target {
                self.back_off.failures = 0;
                self.say(&wanted, State::Connecting);
            }
            // A try can take a minute; a mended url or Secret need not wait for its end.
            let overtaken = overtaken(self.wanted.clone(), wanted.target.clone());
            let tried = tokio::select! {
                tried = self.connect(&wanted, asked) => tried,
                () = overtaken => {
                    if self.wanted.has_changed().is_err() {
                        return;
                    }
                    before = Some(wanted);
                    continue;
                }
            };
            let (trouble, next_try) = match tried {
                Ok((connection, facts)) => {
                    owed = false;
                    let since = Instant::now();
                    let connection = Arc::new(connection);
                    let online = Online {
                        connection: Arc::clone(&connection),
                        contract: facts.contract,
                        address: wanted.target.address.clone(),
                    };
                    self.go_online.send_replace(Some(online));
                    self.say(&wanted, State::Up(facts));
                    let held = self.hold(&connection, &mut wanted).await;
                    self.go_online.send_replace(None);
                    let Ok(end) = held else { return };
                    if since.elapsed() >= SETTLED {
                        self.back_off.failures = 0;
                    }
                    match end {
                        // The new target, at once.
                        None => {
                            before = Some(wanted);
                            continue;
                        }
                        Some(Ended { code, reason }) => {
                            if code == Some(4001) && reason != SHARED_TOKEN_CHANGED {
                                self.keep_device_token(&wanted.target, None);
                            }
                            let back_in = connection
                                .news()
                                .borrow()
                                .leaving
                                .as_ref()
                                .and_then(|it| it.back_in);
                            let trouble = Trouble::Lost { code, reason };
                            let pause = match (back_in, trouble.again()) {
                                (Some(pause), _) | (None, Again::After(pause)) => self.back_off.spread(pause),
                                (None, Again::BackOff | Again::WhenGuardAllows) => self.back_off.next(),
                            };
                            (trouble, Instant::now() + pause)
                        }
                    }
                }
                Err(failed) => {
                    owed = asked && matches!(failed.0, Trouble::Held(_) | Trouble::LockedOut { .. });
                    failed
                }
            };
            // What was asked meanwhile has been answered by the try that just failed only if it came before.
            self.say(&wanted, State::Down(trouble));
            before = Some(wanted);
            tokio::select! {
                () = sleep_until(next_try) => {}
                changed = self.wanted.changed() => if changed.is_err() { return },
            }
        }
    }

    /// With the device's own token if there is one, and otherwise with what was wanted: that brings the token, and
    /// another one where the first is good no more.
    async fn connect(
        &mut self,
        wanted: &Wanted,
        asked: bool,
    ) -> Result<(Connection, Facts), (Trouble, Instant)> {
        let target = &wanted.target;
        let Some(kept) = self.device_token(target) else {
            return self.try_if_allowed(target, asked, None).await;
        };
        let mut with_kept = target.clone();
        with_kept.credentials.token = Some(kept.clone());
        match self
            .try_if_allowed(&with_kept, asked, target.credentials.token.as_ref())
            .await
        {
            // Rotated, revoked or narrowed: what the shared token and the device bring is what counts.
            Err((Trouble::TokenRefused | Trouble::PairingRequired(_) | Trouble::ScopesMissing { .. }, _)) => {
                self.keep_device_token(target, None);
            }
            // The guard may hold back this one and not the other.
            Err((Trouble::Held(_), _)) => {}
            other => return other,
        }
        self.try_if_allowed(target, asked, Some(&kept)).await
    }

    fn device_token(&self, target: &Target) -> Option<Token> {
        let device_id = target.credentials.identity.device_id()?;
        self.surroundings.device_tokens.recall(&target.address, device_id)
    }

    fn keep_device_token(&self, target: &Target, token: Option<&Token>) {
        if let Some(device_id) = target.credentials.identity.device_id() {
            self.surroundings
                .device_tokens
                .keep(&target.address, device_id, token);
        }
    }

    /// One try, if the guard gives leave. Err says what is wrong and when the next one is due. `other`: a token that is
    /// not shown, and that the gateway knows.
    async fn try_if_allowed(
        &mut self,
        target: &Target,
        asked: bool,
        other: Option<&Token>,
    ) -> Result<(Connection, Facts), (Trouble, Instant)> {
        let Target {
            address,
            trust: _,
            credentials,
        } = target;
        let fingerprint = credentials.fingerprint();
        let guard = self.surroundings.guard.clone();
        let turn = match guard.turn(address, fingerprint, asked).await {
            Ok(turn) => turn,
            Err((until, hold)) => {
                return Err((Trouble::Held(hold), until));
            }
        };
        match self.try_once(target, other).await {
            Ok(connected) => {
                guard.accepted(address, fingerprint);
                Ok(connected)
            }
            Err(trouble) => {
                let now = Instant::now();
                if let Trouble::TokenRefused | Trouble::TokenMissing = trouble {
                    guard.refused(address, fingerprint, now);
                }
                if let Trouble::LockedOut { retry_after } = trouble {
                    guard.locked_out(address, now + retry_after);
                }
                drop(turn);
                let next = match trouble.again() {
                    Again::BackOff => now + self.back_off.next(),
                    Again::After(pause) => now + self.back_off.spread(pause),
                    Again::WhenGuardAllows => match guard.leave(address, fingerprint, false, now) {
                        Leave::NotBefore(until, _) => until,
                        Leave::Go | Leave::Wait => now + self.back_off.next(),
                    },
                };
                Err((trouble, next))
            }
        }
    }

    async fn try_once(&self, target: &Target, other: Option<&Token>) -> Result<(Connection, Facts), Trouble> {
        let Surroundings {
            dial,
            guard: _,
            device_tokens: _,
            meter,
            commit_meter: _,
        } = &self.surroundings;
        let shown = || [target.credentials.token.clone(), other.cloned()];
        let opened = handshake::open(dial.as_ref(), target, &Secrets::of(shown())).await;
        meter(
            "connect",
            opened
                .as_ref()
                .map_or_else(Trouble::outcome, |_| Outcome::Answered),
        );
        let (socket, hello) = opened?;
        let known = self.device_token(target);
        if hello.device_token.is_some() && hello.device_token != known {
            self.keep_device_token(target, hello.device_token.as_ref());
        }
        let secrets = Secrets::of(shown().into_iter().chain([hello.device_token.clone()]));
        let connection = Connection::start(socket, hello.policy, secrets, Arc::clone(meter));
        let facts = look_around(&connection, hello).await?;
        Ok((connection, facts))
    }

    /// Keeps a connection until it ends (Some) or another target is wanted (None).
    async fn hold(
        &mut self,
        connection: &Connection,
        wanted: &mut Wanted,
    ) -> Result<Option<Ended>, Unwanted> {
        loop {
            tokio::select! {
                end = connection.ended() => return Ok(Some(end)),
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        connection.close().await;
                        return Err(Unwanted);
                    }
                    let news = self.wanted.borrow_and_update().clone();
                    if news.target != wanted.target {
                        connection.close().await;
                        return Ok(None);
                    }
                    *wanted = news;
                    // Asked to look again: a round trip shows that the link is as good as it says.
                    let looked = tokio::select! {
                        looked = connection.call("health", json!({}), LOOK_DEADLINE) => looked,
                        () = overtaken(self.wanted.clone(), wanted.target.clone()) => continue,
                    };
                    match looked {
                        Ok(_)
                        | Err(CallError::Refused(_) | CallError::TooLarge { .. } | CallError::Odd { .. }) => {}
                        Err(CallError::Lost(end)) => return Ok(Some(end)),
                        Err(CallError::TimedOut) => {
                            let reason = format!("no answer within {} s", LOOK_DEADLINE.as_secs());
                            // Others hold it, too: what they ask must find its end.
                            connection.close().await;
                            return Ok(Some(Ended { code: None, reason }));
                        }
                    }
                    self.publish.send_modify(|link| link.answers = wanted.clone());
                    (self.changed)();
                }
            }
        }
    }

    fn say(&self, wanted: &Wanted, state: State) {
        let link = Link {
            answers: wanted.clone(),
            state,
        };
        let news = self.publish.send_if_modified(|now| {
            let news = *now != link;
            if news {
                *now = link;
            }
            news
        });
        if news {
            (self.changed)();
        }
    }
}

/// Comes back when another target is wanted, or none any more.
async fn overtaken(mut wanted: watch::Receiver<Wanted>, target: Target) {
    while wanted.changed().await.is_ok() {
        if wanted.borrow_and_update().target != target {
            return;
        }
    }
}

/// Completes the hello by what only a look shows: a 2026.2.9 calls itself `dev`, and then the version that last
/// wrote its configuration counts.
async fn look_around(connection: &Connection, hello: Hello) -> Result<Facts, Trouble> {
    let Hello {
        version: reported,
        protocol,
        boot_id,
        methods,
        policy: _,
        device_token: _,
    } = hello;
    let mut known = Version::parse(&reported);
    if known.is_none() {
        match connection.call("config.get", json!({}), LOOK_DEADLINE).await {
            Ok(answer) => {
                known = answer
                    .pointer("/config/meta/lastTouchedVersion")
                    .and_then(Value::as_str)
                    .and_then(|text| Version::parse(&frame::tame(text)));
            }
            Err(CallError::Lost(Ended { code, reason })) => return Err(Trouble::Lost { code, reason }),
            Err(
                CallError::Refused(_)
                | CallError::TooLarge { .. }
                | CallError::TimedOut
                | CallError::Odd { .. },
            ) => {}
        }
    }
    let contract = Contract::discover(protocol, &methods);
    Ok(Facts {
        version: ServerVersion { reported, known },
        protocol,
        contract,
        boot_id,
    })
}

/// Full jitter: any moment up to a ceiling that doubles. Many gateways lost at once do not come back at once.
struct BackOff {
    rng: SmallRng,
    failures: u32,
}

const FIRST_CEILING: Duration = Duration::from_millis(500);
const LAST_CEILING: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_millis(100);

impl BackOff {
    fn next(&mut self) -> Duration {
        let ceiling = FIRST_CEILING
            .saturating_mul(2u32.saturating_pow(self.failures))
            .min(LAST_CEILING);
        self.failures = self.failures.saturating_add(1);
        self.rng.random_range(SHORTEST..=ceiling)
    }

    /// About this long: up to a fifth more.
    fn spread(&mut self, pause: Duration) -> Duration {
        pause + self.rng.random_range(Duration::ZERO..=pause / 5)
    }
}

#[cfg(test)]
mod tests;
