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
use super::commit::Commits;
use super::connection::{CallError, Connection, Ended, Meter, Outcome};
use super::contract::Contract;
use super::credentials::{Credentials, Identity};
use super::dial::Dial;
use super::frame;
use super::guard::{Guard, Leave};
use super::handshake::{self, Hello};
use super::trouble::{Again, Trouble};
use super::trust::Trust;
use super::version::{ServerVersion, Version};

/// Held by whoever wants the connection; dropping it closes the connection.
pub struct Session {
    wanted: watch::Sender<Wanted>,
    link: watch::Receiver<Link>,
    online: watch::Receiver<Option<Online>>,
    commits: Commits,
    keeper: JoinHandle<()>,
}

/// A connection that is up, for calls. It outlives its connection: calls then fail with how that ended.
#[derive(Clone)]
pub struct Online {
    pub connection: Arc<Connection>,
    pub contract: &'static Contract,
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
    pub meter: Meter,
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
        let commits = Commits::start(online.clone(), seed);
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

    /// Where changes of agents' entries are deposited.
    pub fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Says goodbye to the gateway.
    pub async fn close(self) {
        let Self {
            wanted,
            link: _,
            online: _,
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
            let asked = owed || before.as_ref().is_some_and(|before| before.ask != wanted.ask);
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
                        Some(Ended { code, reason }) => (
                            Trouble::Lost { code, reason },
                            Instant::now() + self.back_off.next(),
                        ),
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

    /// One try, if the guard gives leave. Err says what is wrong and when the next one is due.
    async fn connect(
        &mut self,
        wanted: &Wanted,
        asked: bool,
    ) -> Result<(Connection, Facts), (Trouble, Instant)> {
        let target = &wanted.target;
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
        match self.try_once(target).await {
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

    async fn try_once(&self, target: &Target) -> Result<(Connection, Facts), Trouble> {
        let Surroundings {
            dial,
            guard: _,
            meter,
        } = &self.surroundings;
        let opened = handshake::open(dial.as_ref(), target).await;
        meter(
            "connect",
            opened
                .as_ref()
                .map_or_else(Trouble::outcome, |_| Outcome::Answered),
        );
        let (socket, hello) = opened?;
        let connection = Connection::start(
            socket,
            hello.tick,
            target.credentials.token.clone(),
            Arc::clone(meter),
        );
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
                        Ok(_) | Err(CallError::Refused(_) | CallError::Odd { .. }) => {}
                        Err(CallError::Lost(end)) => return Ok(Some(end)),
                        Err(CallError::TimedOut) => {
                            let reason = format!("no answer within {} s", LOOK_DEADLINE.as_secs());
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
        scopes: _,
        tick: _,
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
            Err(CallError::Refused(_) | CallError::TimedOut | CallError::Odd { .. }) => {}
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

/// Whether this target presents a device: for the owner's words about pairing.
impl Target {
    pub fn device_id(&self) -> Option<&str> {
        match &self.credentials.identity {
            Identity::Device(key) => Some(key.id()),
            Identity::TokenOnly | Identity::ControlUi => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::BoxFuture;
    use futures::{FutureExt, SinkExt, StreamExt};
    use tokio::io::DuplexStream;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;

    use super::*;
    use crate::gateway::credentials::Token;
    use crate::gateway::device::DeviceKey;
    use crate::gateway::dial::Stream;
    use crate::gateway::guard::Hold;

    type Peer = WebSocketStream<DuplexStream>;
    type Script = Box<dyn FnOnce(Peer) -> BoxFuture<'static, ()> + Send>;

    /// A gateway at the other end of a pipe: each connection plays the next script; after the last, nobody listens.
    #[derive(Clone, Default)]
    struct Stage {
        scripts: Arc<Mutex<VecDeque<Script>>>,
        tries: Arc<AtomicUsize>,
    }

    impl Stage {
        fn then<F>(self, script: impl FnOnce(Peer) -> F + Send + 'static) -> Self
        where
            F: Future<Output = ()> + Send + 'static,
        {
            self.scripts
                .lock()
                .unwrap()
                .push_back(Box::new(|peer| script(peer).boxed()));
            self
        }

        fn tries(&self) -> usize {
            self.tries.load(Ordering::SeqCst)
        }
    }

    impl Dial for Stage {
        fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
            self.tries.fetch_add(1, Ordering::SeqCst);
            let script = self.scripts.lock().unwrap().pop_front();
            async move {
                let script = script.ok_or(Trouble::ConnectionRefused)?;
                let (ours, theirs) = tokio::io::duplex(1 << 16);
                tokio::spawn(async move {
                    if let Ok(peer) = tokio_tungstenite::accept_async(theirs).await {
                        script(peer).await;
                    }
                });
                Ok(Box::new(ours) as Stream)
            }
            .boxed()
        }
    }

    async fn say(peer: &mut Peer, frame: Value) {
        peer.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next request: its id, method and parameters.
    async fn hear(peer: &mut Peer) -> Option<(Value, String, Value)> {
        while let Some(Ok(message)) = peer.next().await {
            if let Message::Text(text) = message {
                let mut frame: Value = serde_json::from_str(&text).unwrap();
                let method = frame["method"].as_str().unwrap().to_owned();
                return Some((frame["id"].take(), method, frame["params"].take()));
            }
        }
        None
    }

    async fn challenge(peer: &mut Peer) -> (Value, Value) {
        say(
            peer,
            json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}}),
        )
        .await;
        let (id, method, params) = hear(peer).await.unwrap();
        assert_eq!(method, "connect");
        (id, params)
    }

    async fn welcome(peer: &mut Peer, id: Value, version: &str, scopes: &[&str]) {
        say(
            peer,
            json!({"type": "res", "id": id, "ok": true, "payload": {
                "type": "hello-ok", "protocol": 4, "server": {"version": version, "bootId": "b1"},
                "features": {"methods": ["secrets.store.set"]}, "auth": {"scopes": scopes},
                "policy": {"tickIntervalMs": 30000}}}),
        )
        .await;
    }

    async fn refuse(peer: &mut Peer, id: Value, error: Value) {
        say(
            peer,
            json!({"type": "res", "id": id, "ok": false, "error": error}),
        )
        .await;
    }

    fn wrong_token() -> Value {
        json!({"code": "INVALID_REQUEST", "message": "unauthorized: token mismatch",
            "details": {"code": "AUTH_TOKEN_MISMATCH"}})
    }

    /// Greets and then stays silent until the client leaves.
    async fn good(mut peer: Peer) {
        let (id, _) = challenge(&mut peer).await;
        welcome(&mut peer, id, "2026.9.6", &["operator.admin"]).await;
        while hear(&mut peer).await.is_some() {}
    }

    async fn refusing(mut peer: Peer) {
        let (id, _) = challenge(&mut peer).await;
        refuse(&mut peer, id, wrong_token()).await;
    }

    fn wanted(token: &str) -> Wanted {
        Wanted {
            target: Target {
                address: Address::parse("ws://gateway:18789").unwrap(),
                trust: Trust::System,
                credentials: Credentials {
                    token: Token::from_bytes(token.as_bytes()).ok(),
                    identity: Identity::TokenOnly,
                },
            },
            ask: String::new(),
        }
    }

    fn session(stage: &Stage, wanted: Wanted) -> Session {
        let surroundings = Surroundings {
            dial: Arc::new(stage.clone()),
            guard: Guard::default(),
            meter: Arc::new(|_, _| {}),
        };
        Session::start(wanted, surroundings, 7, || {})
    }

    /// Waits (in paused time) until the link is as expected.
    async fn until(session: &Session, expected: impl Fn(&State) -> bool) -> State {
        let mut link = session.link.clone();
        let waiting = async {
            link.wait_for(|link| expected(&link.state))
                .await
                .unwrap()
                .state
                .clone()
        };
        timeout(Duration::from_secs(3600), waiting)
            .await
            .expect("the link never became so")
    }

    fn is_up(state: &State) -> bool {
        matches!(state, State::Up(_))
    }

    fn is_down(state: &State) -> bool {
        matches!(state, State::Down(_))
    }

    #[tokio::test(start_paused = true)]
    async fn it_connects_says_what_it_found_and_leaves_with_a_goodbye() {
        let (left, leaving) = tokio::sync::oneshot::channel();
        let stage = Stage::default().then(async move |mut peer| {
            let (id, params) = challenge(&mut peer).await;
            assert_eq!(params["auth"]["token"], "right");
            assert_eq!(
                params["scopes"],
                json!(["operator.read", "operator.write", "operator.admin"])
            );
            assert!(params.get("device").is_none());
            welcome(&mut peer, id, "2026.9.6", &["operator.admin"]).await;
            loop {
                match peer.next().await {
                    Some(Ok(Message::Close(_))) => break left.send(true).unwrap(),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break left.send(false).unwrap(),
                }
            }
        });
        let session = session(&stage, wanted("right"));
        let State::Up(facts) = until(&session, is_up).await else {
            unreachable!()
        };
        assert_eq!(facts.version.known, Version::parse("2026.9.6"));
        assert_eq!(facts.contract.name, "2026.9.6");
        assert_eq!(facts.boot_id.as_deref(), Some("b1"));
        session.close().await;
        assert!(leaving.await.unwrap(), "the gateway saw an orderly close");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_not_tried_again_for_ten_minutes() {
        let stage = Stage::default().then(refusing).then(good);
        let session = session(&stage, wanted("wrong"));
        assert_eq!(until(&session, is_down).await, State::Down(Trouble::TokenRefused));
        tokio::time::sleep(Duration::from_secs(595)).await;
        assert_eq!(stage.tries(), 1);
        until(&session, is_up).await;
        assert_eq!(stage.tries(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mended_token_is_tried_at_once_and_so_is_a_request() {
        let stage = Stage::default().then(refusing).then(refusing).then(good);
        let session = session(&stage, wanted("wrong"));
        until(&session, is_down).await;
        let asked = Wanted {
            ask: "now".into(),
            ..wanted("wrong")
        };
        session.want(asked.clone());
        let mut link = session.link.clone();
        link.wait_for(|link| link.answers == asked && is_down(&link.state))
            .await
            .unwrap();
        assert_eq!(stage.tries(), 2);
        let before = Instant::now();
        session.want(Wanted {
            ask: "now".into(),
            ..wanted("right")
        });
        until(&session, is_up).await;
        assert!(before.elapsed() < Duration::from_secs(1), "at once");
    }

    /// Of sessions that all start at once, the fourth hears of the first three refusals before it spends a try.
    #[tokio::test(start_paused = true)]
    async fn many_wrong_tokens_at_once_cost_three_tries_and_then_the_right_one_is_accepted() {
        let mut stage = Stage::default();
        for _ in 0..3 {
            stage = stage.then(refusing);
        }
        let stage = stage.then(good);
        let surroundings = Surroundings {
            dial: Arc::new(stage.clone()),
            guard: Guard::default(),
            meter: Arc::new(|_, _| {}),
        };
        let sessions: Vec<Session> = (0..8)
            .map(|number| {
                let wanted = wanted(&format!("wrong-{number}"));
                Session::start(wanted, surroundings.clone(), number, || {})
            })
            .collect();
        let mut told = Vec::new();
        for session in &sessions {
            told.push(until(session, is_down).await);
        }
        let count = |trouble: Trouble| {
            told.iter()
                .filter(|state| **state == State::Down(trouble.clone()))
                .count()
        };
        assert_eq!(
            (count(Trouble::TokenRefused), count(Trouble::Held(Hold::Crowded))),
            (3, 5)
        );
        assert_eq!(stage.tries(), 3);
        drop(sessions);
        let session = Session::start(wanted("right"), surroundings, 9, || {});
        until(&session, is_up).await;
    }

    /// The message says "tried within a minute": so it is, though the same token waits ten minutes otherwise.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_had_to_wait_is_not_forgotten() {
        let mut stage = Stage::default();
        for _ in 0..4 {
            stage = stage.then(refusing);
        }
        let surroundings = Surroundings {
            dial: Arc::new(stage.clone()),
            guard: Guard::default(),
            meter: Arc::new(|_, _| {}),
        };
        let sessions: Vec<Session> = ["a", "b", "c"]
            .into_iter()
            .map(|token| Session::start(wanted(token), surroundings.clone(), 7, || {}))
            .collect();
        for session in &sessions {
            assert_eq!(until(session, is_down).await, State::Down(Trouble::TokenRefused));
        }
        sessions[0].want(Wanted {
            ask: "now".into(),
            ..wanted("a")
        });
        until(&sessions[0], |state| {
            *state == State::Down(Trouble::Held(Hold::Crowded))
        })
        .await;
        assert_eq!(stage.tries(), 3);
        until(&sessions[0], |state| *state == State::Down(Trouble::TokenRefused)).await;
        assert_eq!(stage.tries(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn the_link_of_an_unreachable_gateway_changes_once_however_often_it_is_tried() {
        let stage = Stage::default();
        let changes = Arc::new(AtomicUsize::new(0));
        let surroundings = Surroundings {
            dial: Arc::new(stage.clone()),
            guard: Guard::default(),
            meter: Arc::new(|_, _| {}),
        };
        let count = Arc::clone(&changes);
        let _session = Session::start(wanted("t"), surroundings, 7, move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(stage.tries() > 10, "it goes on trying: {}", stage.tries());
        assert!(stage.tries() < 120, "with back-off: {}", stage.tries());
        assert_eq!(
            changes.load(Ordering::SeqCst),
            1,
            "Connecting to Down, and then silence"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_is_survived() {
        let stage = Stage::default()
            .then(async |mut peer| {
                let (id, _) = challenge(&mut peer).await;
                welcome(&mut peer, id, "2026.9.6", &["operator.admin"]).await;
                let frame = CloseFrame { code: 1012.into(), reason: "service restart".into() };
                peer.close(Some(frame)).await.unwrap();
            })
            .then(async |mut peer| {
                let (id, _) = challenge(&mut peer).await;
                let starting = json!({"code": "UNAVAILABLE", "message": "gateway starting; retry shortly", "retryAfterMs": 500});
                refuse(&mut peer, id, starting).await;
            })
            .then(good);
        let session = session(&stage, wanted("right"));
        let lost = until(&session, is_down).await;
        assert_eq!(
            lost,
            State::Down(Trouble::Lost {
                code: Some(1012),
                reason: "service restart".into()
            })
        );
        until(&session, |state| {
            matches!(state, State::Down(Trouble::Starting { .. }))
        })
        .await;
        until(&session, is_up).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_falls_silent_is_lost_after_two_ticks() {
        let stage = Stage::default().then(async |mut peer| {
            let (id, _) = challenge(&mut peer).await;
            welcome(&mut peer, id, "2026.9.6", &["operator.admin"]).await;
            std::future::pending::<()>().await;
        });
        let session = session(&stage, wanted("right"));
        until(&session, is_up).await;
        let since = Instant::now();
        until(&session, |state| {
            matches!(state, State::Down(Trouble::Lost { .. }))
        })
        .await;
        assert_eq!(since.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_without_scopes_asks_for_a_device_and_the_device_pairs() {
        let stage = Stage::default()
            .then(async |mut peer| {
                let (id, _) = challenge(&mut peer).await;
                welcome(&mut peer, id, "2026.9.6", &[]).await;
            })
            .then(async |mut peer| {
                let (id, params) = challenge(&mut peer).await;
                assert_eq!(params["device"]["nonce"], "n");
                let error = json!({"code": "NOT_PAIRED", "message": "pairing required",
                    "details": {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "r1"}});
                refuse(&mut peer, id, error).await;
            })
            .then(good);
        let session = session(&stage, wanted("right"));
        assert_eq!(until(&session, is_down).await, State::Down(Trouble::DeviceNeeded));
        let mut with_device = wanted("right");
        with_device.target.credentials.identity = Identity::Device(Arc::new(DeviceKey::from_seed(&[7; 32])));
        session.want(with_device);
        let waiting = until(&session, |state| {
            matches!(state, State::Down(Trouble::PairingRequired(_)))
        })
        .await;
        let State::Down(Trouble::PairingRequired(request)) = waiting else {
            unreachable!()
        };
        assert_eq!(request.request_id.as_deref(), Some("r1"));
        until(&session, is_up).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_gateway_is_told_apart() {
        let cases: [(Script, Trouble); 4] = [
            (
                Box::new(|mut peer| async move { say(&mut peer, json!({"hello": "world"})).await }.boxed()),
                Trouble::NotAGateway {
                    saw: "a WebSocket of another kind",
                },
            ),
            (
                Box::new(|mut peer| {
                    async move { say(&mut peer, json!({"type": "event", "event": "welcome"})).await }.boxed()
                }),
                Trouble::NotAGateway {
                    saw: "a WebSocket without connect.challenge",
                },
            ),
            (
                Box::new(|peer| {
                    async move {
                        let _open = peer;
                        std::future::pending::<()>().await;
                    }
                    .boxed()
                }),
                Trouble::Silent,
            ),
            (
                Box::new(|_gone| std::future::ready(()).boxed()),
                Trouble::Lost {
                    code: None,
                    reason: "end of stream".into(),
                },
            ),
        ];
        for (script, trouble) in cases {
            let stage = Stage::default().then(script);
            let session = session(&stage, wanted("right"));
            assert_eq!(until(&session, is_down).await, State::Down(trouble));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_quotes_the_token_does_not_publish_it() {
        let stage = Stage::default().then(async |mut peer| {
            let (id, params) = challenge(&mut peer).await;
            let token = params["auth"]["token"].as_str().unwrap().to_owned();
            refuse(
                &mut peer,
                id,
                json!({"code": "NEW", "message": format!("bad {token}")}),
            )
            .await;
        });
        let session = session(&stage, wanted("sesame"));
        assert_eq!(
            until(&session, is_down).await,
            State::Down(Trouble::Refused {
                code: "NEW".into(),
                message: "bad …".into()
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_quoted_token_is_hidden_wherever_it_stands() {
        let near_the_cut = format!("{}sesame-and-more", "x".repeat(297));
        for (error, close) in [
            (json!({"code": "N", "message": near_the_cut}), None),
            (
                json!({"code": "N", "message": "m", "details": {"code": "DEVICE_AUTH_sesame-and-more"}}),
                None,
            ),
            (json!({"code": "sesame-and-more", "message": "m"}), None),
            (Value::Null, Some("bye sesame-and-more")),
        ] {
            let stage = Stage::default().then(async move |mut peer| {
                let (id, _) = challenge(&mut peer).await;
                match close {
                    None => refuse(&mut peer, id, error).await,
                    Some(reason) => {
                        let frame = CloseFrame {
                            code: 1008.into(),
                            reason: reason.into(),
                        };
                        peer.close(Some(frame)).await.unwrap();
                    }
                }
            });
            let session = session(&stage, wanted("sesame-and-more"));
            let told = format!("{:?}", until(&session, is_down).await);
            assert!(!told.contains("sesame"), "{told}");
        }
    }

    /// A try at a gateway that hangs takes up to a minute; the mended url is not made to wait for it.
    #[tokio::test(start_paused = true)]
    async fn a_try_is_given_up_when_another_target_is_wanted() {
        let stage = Stage::default()
            .then(async |peer| {
                let _open = peer;
                std::future::pending::<()>().await;
            })
            .then(good);
        let session = session(&stage, wanted("right"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = Instant::now();
        session.want(wanted("mended"));
        until(&session, is_up).await;
        assert!(
            before.elapsed() < Duration::from_secs(1),
            "{:?}",
            before.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_odd_frames_neither_panics_nor_ends_the_link() {
        let stage = Stage::default().then(async |mut peer| {
            let (id, _) = challenge(&mut peer).await;
            welcome(&mut peer, id, "2026.9.6", &["operator.admin"]).await;
            for text in [
                "",
                "null",
                "[]",
                "{}",
                "{\"type\":\"res\"}",
                "{\"type\":\"res\",\"id\":\"9\",\"ok\":true}",
                "\u{0}",
            ] {
                peer.send(Message::text(text)).await.unwrap();
            }
            peer.send(Message::binary(vec![0xff; 100])).await.unwrap();
            while let Some((id, _, _)) = hear(&mut peer).await {
                say(
                    &mut peer,
                    json!({"type": "res", "id": id, "ok": true, "payload": {}}),
                )
                .await;
            }
        });
        let session = session(&stage, wanted("right"));
        until(&session, is_up).await;
        let asked = Wanted {
            ask: "look".into(),
            ..wanted("right")
        };
        session.want(asked.clone());
        let mut link = session.link.clone();
        let link = link.wait_for(|link| link.answers == asked).await.unwrap().clone();
        assert!(is_up(&link.state), "a round trip after the flood");
    }
}
