//! Our session to one gateway, and what it has called since.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quartermaster::gateway::connection::Outcome;
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::dial::Dial;
use quartermaster::gateway::session::{Online, Surroundings, Target, Wanted};
use quartermaster::gateway::{Address, Credentials, Guard, Session, Token, Trust};
use tokio::time::{sleep, timeout};

pub struct Seat {
    pub session: Session,
    calls: Calls,
}

/// How often each method was called, and how often in vain.
type Calls = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

impl Seat {
    pub fn take(dial: Arc<dyn Dial>, url: &str, token: &str, seed: u64) -> Self {
        let calls = Calls::default();
        let counted = Arc::clone(&calls);
        let surroundings = Surroundings {
            dial,
            guard: Guard::default(),
            device_tokens: Arc::new(InMemory::default()),
            commit_meter: Arc::new(|_| {}),
            meter: Arc::new(move |method, outcome| {
                let mut calls = counted.lock().unwrap();
                let (all, in_vain) = calls.entry(method.to_owned()).or_default();
                *all += 1;
                *in_vain += u64::from(outcome != Outcome::Answered);
            }),
        };
        let wanted = Wanted {
            target: Target {
                address: Address::parse(url).unwrap(),
                trust: Trust::System,
                credentials: Credentials {
                    token: Token::from_bytes(token.as_bytes()).ok(),
                    identity: Identity::TokenOnly,
                },
            },
            ask: String::new(),
        };
        Self {
            session: Session::start(wanted, surroundings, seed, || {}),
            calls,
        }
    }

    pub async fn online(&self) -> Online {
        let waiting = async {
            loop {
                if let Some(online) = self.session.online() {
                    return online;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        // A gateway that is killed is back within a minute, also where several start at once.
        timeout(Duration::from_secs(300), waiting)
            .await
            .unwrap_or_else(|_| panic!("not connected for 300 s: {:?}", self.session.link()))
    }

    /// How often a method was called; `connect` is one.
    pub fn calls_of(&self, method: &str) -> u64 {
        let calls = self.calls.lock().unwrap();
        calls.get(method).map_or(0, |(all, _)| *all)
    }
}
