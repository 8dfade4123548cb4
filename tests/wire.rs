//! The wire side of the gateway client against simulated gateways of all three contracts, in one process and in paused
//! time: what a gateway tells by itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::session::{Online, State, Surroundings, Target, Wanted};
use quartermaster::gateway::{Address, Credentials, Guard, News, Session, Token, Trouble, Trust};
use quartermaster::simulated_gateway::{Contract, Deed, Peer, Settings, SimulatedGateway};
use serde_json::json;
use tokio::time::{sleep, timeout};

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

fn wanted(identity: Identity) -> Wanted {
    Wanted {
        target: Target {
            address: Address::parse("ws://gateway:18789").unwrap(),
            trust: Trust::System,
            credentials: Credentials {
                token: Token::from_bytes(TOKEN.as_bytes()).ok(),
                identity,
            },
        },
        ask: String::new(),
    }
}

/// A session as if from the gateway's own machine, where the token is enough.
fn session(gateway: &SimulatedGateway) -> Session {
    let surroundings = Surroundings {
        dial: Arc::new(Pipe {
            gateway: gateway.clone(),
            from: Peer::LOOPBACK,
        }),
        guard: Guard::default(),
        meter: Arc::new(|_, _| {}),
    };
    Session::start(wanted(Identity::TokenOnly), surroundings, 7, || {})
}

async fn online(session: &Session) -> Online {
    let waiting = async {
        loop {
            if let (State::Up(_), Some(online)) = (session.link().state, session.online()) {
                return online;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(600), waiting)
        .await
        .unwrap_or_else(|_| panic!("never up: {:?}", session.link()))
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
            .config_patch(&json!({ "logging": { "level": "debug" } }), &now.hash, 1)
            .await
            .unwrap();
        match contract {
            Contract::V2026_9_6 => {
                assert!(ours.contract.tells_of_changes);
                let told = news.wait_for(|news| news.configuration != before.configuration);
                assert!(told.await.is_ok());
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
