//! Our own client against the simulation: what one side gets wrong the other does not understand.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};

use crate::gateway::credentials::{Credentials, Identity, Token};
use crate::gateway::device::DeviceKey;
use crate::gateway::device_token::InMemory;
use crate::gateway::dial::{Dial, Stream};
use crate::gateway::session::{State, Surroundings, Target, Wanted};
use crate::gateway::{self, Address, Guard, Session, Trouble, Trust};
use crate::simulated_gateway::{Contract, Deed, Peer, Settings, SimulatedGateway};

/// Dials the gateway through a pipe, as if from this address.
struct Pipe(SimulatedGateway, Peer);

impl Dial for Pipe {
    fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let serving = self
                .0
                .connect(theirs, self.1)
                .map_err(|_| Trouble::ConnectionRefused)?;
            tokio::spawn(serving);
            Ok(Box::new(ours) as Stream)
        }
        .boxed()
    }
}

fn session(gateway: &SimulatedGateway, peer: Peer, token: &str, identity: Identity) -> Session {
    let wanted = Wanted {
        target: Target {
            address: Address::parse("ws://gateway:18789").unwrap(),
            trust: Trust::System,
            credentials: Credentials {
                token: Token::from_bytes(token.as_bytes()).ok(),
                identity,
            },
        },
        ask: String::new(),
    };
    let surroundings = Surroundings {
        dial: Arc::new(Pipe(gateway.clone(), peer)),
        guard: Guard::default(),
        device_tokens: Arc::new(InMemory::default()),
        commit_meter: Arc::new(|_| {}),
        meter: Arc::new(|_, _| {}),
    };
    Session::start(wanted, surroundings, 7, || {})
}

async fn until(session: &Session, expected: impl Fn(&State) -> bool) -> State {
    let waiting = async {
        loop {
            let state = session.link().state;
            if expected(&state) {
                return state;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    match timeout(Duration::from_secs(3600), waiting).await {
        Ok(state) => state,
        Err(_) => panic!("the link never became so: {:?}", session.link().state),
    }
}

fn gateway(contract: Contract) -> SimulatedGateway {
    SimulatedGateway::new(Settings::new(contract, "secret"))
}

fn remote() -> Peer {
    Peer("10.1.2.3".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn our_session_connects_to_each_contract() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        let session = session(&gateway, Peer::LOOPBACK, "secret", Identity::TokenOnly);
        let State::Up(facts) = until(&session, |state| matches!(state, State::Up(_))).await else {
            panic!()
        };
        assert_eq!(facts.contract.to_string(), contract.to_string());
        assert_eq!(
            facts.version.reported,
            if contract == Contract::V2026_2_9 {
                "dev"
            } else {
                contract.version()
            }
        );
        assert_eq!(facts.boot_id.is_some(), contract == Contract::V2026_9_6);
        session.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn our_session_comes_back_after_a_restart() {
    for contract in Contract::ALL {
        let mut settings = Settings::new(contract, "secret");
        settings.delays = 1.0;
        let gateway = SimulatedGateway::new(settings);
        let session = session(&gateway, Peer::LOOPBACK, "secret", Identity::TokenOnly);
        let before = until(&session, |state| matches!(state, State::Up(_))).await;
        gateway.perform(Deed::Restart);
        until(&session, |state| matches!(state, State::Down(_))).await;
        let after = until(&session, |state| matches!(state, State::Up(_))).await;
        assert_eq!(
            before == after,
            contract != Contract::V2026_9_6,
            "a new start is a new bootId"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn our_session_is_refused_as_it_expects() {
    for contract in Contract::ALL {
        let gateway = gateway(contract);
        let wrong = session(&gateway, Peer::LOOPBACK, "wrong", Identity::TokenOnly);
        let state = until(&wrong, |state| matches!(state, State::Down(_))).await;
        assert_eq!(state, State::Down(Trouble::TokenRefused), "{contract}");
        let far = session(&gateway, remote(), "secret", Identity::TokenOnly);
        let state = until(&far, |state| *state != State::Connecting).await;
        if contract == Contract::V2026_2_9 {
            assert!(matches!(state, State::Up(_)), "{state:?}");
        } else {
            assert_eq!(state, State::Down(Trouble::DeviceNeeded));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn our_device_is_paired() {
    for contract in [Contract::V2026_9_6, Contract::V2026_7_35, Contract::V2026_2_9] {
        let gateway = gateway(contract);
        let key = DeviceKey::from_seed(&[7; 32]);
        let session = session(&gateway, remote(), "secret", Identity::Device(Arc::new(key)));
        let state = until(&session, |state| matches!(state, State::Down(_))).await;
        let State::Down(Trouble::PairingRequired(gateway::trouble::PairingRequest { request_id, .. })) =
            state
        else {
            panic!("{state:?}")
        };
        let mut owner = super::client::Client::admin(&gateway).await;
        let request = serde_json::json!({ "requestId": request_id.unwrap() });
        owner.call("device.pair.approve", request).await.unwrap();
        until(&session, |state| matches!(state, State::Up(_))).await;
    }
}
