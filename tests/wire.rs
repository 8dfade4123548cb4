//! The wire side of the gateway client against simulated gateways of all three contracts, in one process and in paused
//! time: what a gateway tells by itself, how a device is let in and sent away, and every way to close a connection.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use quartermaster::gateway::connection::{CallError, Ended, Outcome};
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::device::Proof;
use quartermaster::gateway::device_token::{DeviceTokens, InMemory};
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::session::{Online, State, Surroundings, Target, Wanted};
use quartermaster::gateway::trouble::PairingRequest;
use quartermaster::gateway::{Address, Credentials, DeviceKey, Guard, News, Session, Token, Trouble, Trust};
use quartermaster::simulated_gateway::{Contract, Deed, Fault, Hit, Peer, Settings, SimulatedGateway, When};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

const TOKEN: &str = "sesame";
const CONTRACTS: [Contract; 3] = [Contract::V2026_2_9, Contract::V2026_7_35, Contract::V2026_9_6];

/// A pipe instead of a network.
struct Pipe {
    gateway: SimulatedGateway,
    from: Peer,
}

impl Dial for Pipe {
    fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let serving = self
                .gateway
                .connect(theirs, self.from)
                .map_err(|_| Trouble::ConnectionRefused)?;
            tokio::spawn(serving);
            Ok(Box::new(ours) as Stream)
        }
        .boxed()
    }
}

fn gateway(contract: Contract) -> SimulatedGateway {
    SimulatedGateway::new(Settings::new(contract, TOKEN))
}

fn address() -> Address {
    Address::parse("ws://gateway:18789").unwrap()
}

fn wanted(identity: Identity) -> Wanted {
    Wanted {
        target: Target {
            address: address(),
            trust: Trust::System,
            credentials: Credentials {
                token: Token::from_bytes(TOKEN.as_bytes()).ok(),
                identity,
            },
        },
        ask: String::new(),
    }
}

/// What one operator has, however often it connects.
#[derive(Clone)]
struct Operator {
    gateway: SimulatedGateway,
    tokens: Arc<InMemory>,
    /// Tries that the gateway has refused.
    refused: Arc<AtomicUsize>,
}

impl Operator {
    fn of(gateway: &SimulatedGateway) -> Self {
        Self {
            gateway: gateway.clone(),
            tokens: Arc::default(),
            refused: Arc::default(),
        }
    }

    fn session(&self, from: Peer, wanted: Wanted) -> Session {
        let refused = Arc::clone(&self.refused);
        let surroundings = Surroundings {
            dial: Arc::new(Pipe {
                gateway: self.gateway.clone(),
                from,
            }),
            guard: Guard::default(),
            device_tokens: self.tokens.clone(),
            commit_meter: Arc::new(|_| {}),
            meter: Arc::new(move |method, outcome| {
                let counts = method == "connect" && outcome == Outcome::Refused;
                refused.fetch_add(usize::from(counts), Ordering::SeqCst);
            }),
        };
        Session::start(wanted, surroundings, 7, || {})
    }

    /// From afar, with a device.
    fn remote(&self) -> Session {
        let from = Peer("10.1.2.3".parse().unwrap());
        self.session(from, wanted(Identity::Device(Arc::new(key()))))
    }

    fn device_token(&self) -> Option<Token> {
        self.tokens.recall(&address(), key().id())
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

fn key() -> DeviceKey {
    DeviceKey::from_seed(&[7; 32])
}

/// As if from the gateway's own machine, where the token is enough.
fn session(gateway: &SimulatedGateway) -> Session {
    Operator::of(gateway).session(Peer::LOOPBACK, wanted(Identity::TokenOnly))
}

/// Somebody at the gateway who may approve devices.
struct Owner(Session);

impl Owner {
    fn of(gateway: &SimulatedGateway) -> Self {
        Self(session(gateway))
    }

    async fn call(&self, method: &'static str, params: Value) -> Value {
        let connection = online(&self.0).await.connection;
        let deadline = Duration::from_secs(30);
        connection.call(method, params, deadline).await.unwrap()
    }

    async fn approve(&self, request: &PairingRequest) {
        self.call("device.pair.approve", json!({ "requestId": request.request_id }))
            .await;
    }

    /// Another token for the device, as the gateway's owner makes one.
    async fn rotate(&self) {
        self.call(
            "device.token.rotate",
            json!({ "deviceId": key().id(), "role": "operator" }),
        )
        .await;
    }
}

async fn until<T>(session: &Session, found: impl Fn(State) -> Option<T>) -> T {
    let waiting = async {
        loop {
            match found(session.link().state) {
                Some(found) => return found,
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(Duration::from_secs(600), waiting)
        .await
        .unwrap_or_else(|_| panic!("it never became so: {:?}", session.link().state))
}

async fn online(session: &Session) -> Online {
    until(session, |state| {
        session.online().filter(|_| matches!(state, State::Up(_)))
    })
    .await
}

async fn asked_to_pair(session: &Session) -> PairingRequest {
    until(session, |state| match state {
        State::Down(Trouble::PairingRequired(request)) => Some(request),
        State::Connecting | State::Up(_) | State::Down(_) => None,
    })
    .await
}

async fn lost(session: &Session) -> Trouble {
    until(session, |state| match state {
        State::Down(trouble) => Some(trouble),
        State::Connecting | State::Up(_) => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_write_is_news_where_the_gateway_tells_of_it() {
    for contract in CONTRACTS {
        let gateway = gateway(contract);
        let (ours, theirs) = (session(&gateway), session(&gateway));
        let (ours, theirs) = (online(&ours).await, online(&theirs).await);
        let mut news = ours.connection.news();
        let before = news.borrow_and_update().clone();
        let now = theirs.connection.config_get().await.unwrap();
        theirs
            .connection
            .config_patch(&json!({ "logging": { "level": "debug" } }), &now.hash, 1, &[])
            .await
            .unwrap();
        match contract {
            Contract::V2026_9_6 => {
                assert!(ours.contract.tells_of_changes);
                let told = news.wait_for(|news| news.configuration != before.configuration);
                assert!(timeout(Duration::from_secs(60), told).await.is_ok(), "not told");
            }
            Contract::V2026_7_35 => {
                assert!(!ours.contract.tells_of_changes);
                ours.connection.config_get().await.unwrap();
                assert_eq!(*news.borrow(), before);
            }
            // Every write restarts it, so that a new connection tells of it.
            Contract::V2026_2_9 => {
                assert!(!ours.contract.tells_of_changes);
                let told = news.wait_for(|news| news.leaving.is_some()).await.unwrap();
                let back_in = told.leaving.as_ref().and_then(|leaving| leaving.back_in);
                assert_eq!(back_in, Some(Duration::from_millis(1500)));
            }
        }
    }
}

/// However many events come, and whether anybody looks: one value is all that is kept, and calls go through.
#[tokio::test(start_paused = true)]
async fn a_flood_of_events_holds_up_nobody() {
    for contract in CONTRACTS {
        let gateway = gateway(contract);
        let session = session(&gateway);
        let online = online(&session).await;
        let mut news = online.connection.news();
        gateway.perform(Deed::Flood(5_000));
        assert!(online.connection.config_get().await.is_ok(), "{contract:?}");
        assert_eq!(*news.borrow_and_update(), News::default(), "ticks are no news");
    }
}

const MODERN: [Contract; 2] = [Contract::V2026_7_35, Contract::V2026_9_6];

/// The shared token is changed behind our back: it is of no use any more, and the device's own token is.
#[tokio::test(start_paused = true)]
async fn an_approved_device_outlives_a_change_of_the_shared_token() {
    for contract in CONTRACTS {
        let gateway = gateway(contract);
        let (operator, owner) = (Operator::of(&gateway), Owner::of(&gateway));
        let session = operator.remote();
        owner.approve(&asked_to_pair(&session).await).await;
        online(&session).await;
        assert!(operator.device_token().is_some(), "{contract:?}: not learned");

        let refused = operator.refused();
        gateway.perform(Deed::ChangeToken("another".into()));
        let trouble = lost(&session).await;
        assert!(
            matches!(trouble, Trouble::Lost { code: Some(4001), .. }),
            "{contract:?}: {trouble:?}"
        );
        online(&session).await;
        assert_eq!(
            operator.refused(),
            refused,
            "{contract:?}: with the token that it has"
        );

        // The next process that is given the same place needs no other token either.
        session.close().await;
        online(&operator.remote()).await;
        assert_eq!(operator.refused(), refused, "{contract:?}");
    }
}

/// Whoever is connected hears of it by 4001, and then nothing is tried in vain.
#[tokio::test(start_paused = true)]
async fn a_device_token_that_is_rotated_is_dropped_at_once() {
    for contract in MODERN {
        let gateway = gateway(contract);
        let (operator, owner) = (Operator::of(&gateway), Owner::of(&gateway));
        let session = operator.remote();
        owner.approve(&asked_to_pair(&session).await).await;
        online(&session).await;
        let (first, refused) = (operator.device_token(), operator.refused());
        owner.rotate().await;
        lost(&session).await;
        online(&session).await;
        let second = operator.device_token();
        assert!(second.is_some() && second != first, "{contract:?}");
        assert_eq!(operator.refused(), refused, "{contract:?}: tried in vain");
    }
}

/// Whoever was away tries the old one once, and learns the new one by the shared token.
#[tokio::test(start_paused = true)]
async fn a_device_token_that_was_rotated_meanwhile_costs_one_try() {
    for contract in CONTRACTS {
        let gateway = gateway(contract);
        let (operator, owner) = (Operator::of(&gateway), Owner::of(&gateway));
        let session = operator.remote();
        owner.approve(&asked_to_pair(&session).await).await;
        online(&session).await;
        session.close().await;
        let (first, refused) = (operator.device_token(), operator.refused());
        owner.rotate().await;
        online(&operator.remote()).await;
        let second = operator.device_token();
        assert!(second.is_some() && second != first, "{contract:?}");
        assert_eq!(operator.refused(), refused + 1, "{contract:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_or_removed_device_asks_for_its_approval_again() {
    for contract in MODERN {
        for (method, reason) in [
            ("device.token.revoke", "role-upgrade"),
            ("device.pair.remove", "not-paired"),
        ] {
            let gateway = gateway(contract);
            let (operator, owner) = (Operator::of(&gateway), Owner::of(&gateway));
            let session = operator.remote();
            owner.approve(&asked_to_pair(&session).await).await;
            online(&session).await;
            let mut params = json!({ "deviceId": key().id() });
            if method == "device.token.revoke" {
                params["role"] = json!("operator");
            }
            owner.call(method, params).await;
            let request = asked_to_pair(&session).await;
            assert_eq!(request.reason, reason, "{contract:?} {method}");
            assert_eq!(operator.device_token(), None, "{contract:?} {method}");
            owner.approve(&request).await;
            online(&session).await;
            assert!(operator.device_token().is_some(), "{contract:?} {method}");
        }
    }
}

/// Somebody has approved the device for less than it needs now.
#[tokio::test(start_paused = true)]
async fn a_device_that_needs_more_scopes_asks_for_them() {
    for contract in MODERN {
        let gateway = gateway(contract);
        let (operator, owner) = (Operator::of(&gateway), Owner::of(&gateway));
        let request_id = ask_for(&gateway, &["operator.read"]).await;
        owner
            .call("device.pair.approve", json!({ "requestId": request_id }))
            .await;
        let session = operator.remote();
        let request = asked_to_pair(&session).await;
        assert_eq!(request.reason, "scope-upgrade", "{contract:?}");
        owner.approve(&request).await;
        online(&session).await;
    }
}

/// Knocks once with our device for these scopes; gives the id of the request to approve.
async fn ask_for(gateway: &SimulatedGateway, scopes: &[&str]) -> String {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(
        gateway
            .connect(theirs, Peer("10.1.2.3".parse().unwrap()))
            .unwrap(),
    );
    let (mut socket, _) = tokio_tungstenite::client_async("ws://gateway:18789", ours)
        .await
        .unwrap();
    let mut hear = async |send: Option<String>| {
        if let Some(text) = send {
            socket.send(Message::text(text)).await.unwrap();
        }
        let text = socket.next().await.unwrap().unwrap().into_text().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let challenge = hear(None).await;
    let nonce = challenge["payload"]["nonce"].as_str().unwrap();
    let signed_at_ms = challenge["payload"]["ts"].as_i64().unwrap();
    let proof = Proof {
        client_id: "gateway-client",
        client_mode: "backend",
        role: "operator",
        scopes,
        signed_at_ms,
        token: TOKEN,
        nonce,
        platform: None,
    };
    let connect = json!({ "type": "req", "id": "1", "method": "connect", "params": {
        "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": scopes, "auth": { "token": TOKEN },
        "client": { "id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend" },
        "device": { "id": key().id(), "publicKey": key().public_key(), "signature": key().sign(&proof),
            "signedAt": signed_at_ms, "nonce": nonce } } });
    let refused = hear(Some(connect.to_string())).await;
    refused["error"]["details"]["requestId"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Whatever a connection is closed with: it is told as it is, every call that waits is told, and the session comes back.
#[tokio::test(start_paused = true)]
async fn every_close_is_told_and_survived() {
    let codes = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 4001, 4999,
    ];
    for contract in CONTRACTS {
        let gateway = gateway(contract);
        let session = session(&gateway);
        for code in codes {
            let connection = online(&session).await.connection;
            gateway.inject(Fault {
                method: "health".into(),
                nth: 1,
                when: When::Before,
                hit: Hit::Close {
                    code,
                    reason: "because".into(),
                },
            });
            let call = connection
                .call("health", json!({}), Duration::from_secs(30))
                .await;
            let end = Ended {
                code: Some(code),
                reason: "because".into(),
            };
            assert_eq!(call, Err(CallError::Lost(end)), "{contract:?}");
            let trouble = lost(&session).await;
            let reason = "because".to_owned();
            assert_eq!(
                trouble,
                Trouble::Lost {
                    code: Some(code),
                    reason
                },
                "{contract:?}"
            );
        }
        online(&session).await;
    }
}
