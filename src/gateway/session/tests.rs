//! The session against a scripted gateway at the other end of a pipe, in paused time.

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
use crate::gateway::credentials::{Identity, Token};
use crate::gateway::device::DeviceKey;
use crate::gateway::device_token::InMemory;
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
        device_tokens: Arc::new(InMemory::default()),
        commit_meter: Arc::new(|_| {}),
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

#[tokio::test(start_paused = true)]
async fn a_mended_url_is_tried_at_once_even_at_the_same_host_and_port() {
    let stage = Stage::default().then(refusing).then(good);
    let session = session(&stage, wanted("right"));
    until(&session, is_down).await;
    let before = Instant::now();
    let mut mended = wanted("right");
    mended.target.address = Address::parse("ws://gateway:18789/behind/a/proxy").unwrap();
    session.want(mended);
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
        device_tokens: Arc::new(InMemory::default()),
        commit_meter: Arc::new(|_| {}),
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
        device_tokens: Arc::new(InMemory::default()),
        commit_meter: Arc::new(|_| {}),
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
        device_tokens: Arc::new(InMemory::default()),
        commit_meter: Arc::new(|_| {}),
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

/// A token may be a common word: hiding it must not change what the gateway offers.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_part_of_a_method_name_hides_no_method() {
    let stage = Stage::default().then(good);
    let session = session(&stage, wanted("secret"));
    let State::Up(facts) = until(&session, is_up).await else {
        unreachable!()
    };
    assert_eq!(facts.contract.name, "2026.9.6");
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
