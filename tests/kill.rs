//! The gateway is killed (SIGKILL) somewhere in the middle of a provisioning and started again: in the end everything is
//! there, nothing twice, and nothing of anybody else's is touched.
//!
//! In one process and in paused time, because a simulated gateway keeps its configuration in memory: killing the process
//! itself would lose what a real one has on its disk. `Deed::Kill` is what SIGKILL is to a real one, and the same rounds are
//! played with real ones in `tests/real/kill.rs`.
//!
//! `ROUNDS=500 KILL_SEED=7 cargo test --test kill` plays more rounds, or the same ones again.

#![allow(
    unreachable_pub,
    reason = "what is shared with other test programs is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

#[path = "real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;
mod fleet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleet::provision::{Wakes, due, until_so};
use fleet::seat::Seat;
use fleet::{Agent, fleet as fleet_of, of_56};
use futures::FutureExt;
use futures::future::BoxFuture;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::{Address, Trouble, Trust};
use quartermaster::simulated_gateway::{
    Contract, Deed, Fault, Hit, Peer, Settings, SimulatedGateway, Turns, When,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const TOKEN: &str = "sesame";
const WORKSPACES: &str = "/srv/fleet";

/// A pipe instead of a network, as if from this machine.
struct Pipe(SimulatedGateway);

impl Dial for Pipe {
    fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let serving = self
                .0
                .connect(theirs, Peer::LOOPBACK)
                .map_err(|_| Trouble::ConnectionRefused)?;
            tokio::spawn(serving);
            Ok(Box::new(ours) as Stream)
        }
        .boxed()
    }
}

/// One provisioning of one gateway that has somebody else's agent already.
struct Round {
    told: String,
    gateway: SimulatedGateway,
    seat: Seat,
    fleet: Vec<Agent>,
    wakes: Wakes,
}

impl Round {
    fn begin(contract: Contract, fleet: Vec<Agent>, seed: u64, told: String) -> Self {
        let foreign = json!({ "name": "Foreign", "workspace": "/w/foreign", "tools": { "deny": ["exec"] } });
        let config = match contract {
            Contract::V2026_9_6 => {
                json!({ "agents": { "ownership": "explicit", "entries": { "foreign": foreign, "main": {} } } })
            }
            Contract::V2026_7_35 | Contract::V2026_2_9 => {
                let mut listed = foreign;
                listed["id"] = json!("foreign");
                json!({ "agents": { "list": [{ "id": "main" }, listed] } })
            }
        };
        let turns = match contract {
            // It writes nothing down of a turn that fails: nobody could say whether a message came.
            Contract::V2026_2_9 => Turns::Reply("Ready.".into()),
            Contract::V2026_7_35 | Contract::V2026_9_6 => Turns::Fail,
        };
        let gateway = SimulatedGateway::new(Settings {
            delays: 1.0,
            seed,
            turns,
            config,
            ..Settings::new(contract, TOKEN)
        });
        let seat = Seat::take(Arc::new(Pipe(gateway.clone())), "ws://gateway:18789", TOKEN, seed);
        let wakes = due(&fleet);
        Self {
            told,
            gateway,
            seat,
            fleet,
            wakes,
        }
    }

    async fn provision(&mut self) {
        until_so(&self.seat, &self.fleet, &mut self.wakes).await;
    }

    /// Everything is there once, and a look more writes nothing.
    async fn check(&mut self) {
        let Self { told, .. } = self;
        let told = told.clone();
        let before = self.writes();
        self.provision().await;
        assert_eq!(self.writes(), before, "{told}: written again");
        // A write that was lost goes again; more than that would be an amplification.
        assert!(before["config.patch"] <= 2, "{told}: {before:?}");

        let connection = self.seat.online().await.connection;
        let mut listed: Vec<String> = connection
            .agents_list()
            .await
            .unwrap()
            .into_iter()
            .map(|agent| agent.id)
            .collect();
        listed.sort();
        let mut wanted: Vec<String> = self.fleet.iter().map(|agent| agent.id.to_string()).collect();
        wanted.extend(["main".to_owned(), "foreign".to_owned()]);
        wanted.sort();
        assert_eq!(listed, wanted, "{told}: agents.list");

        for agent in &self.fleet {
            let entries = self.entries(agent.id.as_str());
            assert_eq!(entries.len(), 1, "{told}: entries of {}: {entries:?}", agent.id);
            for (key, value) in &agent.entry {
                assert_eq!(entries[0][key], *value, "{told}: {key} of {}", agent.id);
            }
            for document in &agent.documents {
                let there = self.gateway.file(agent.id.as_str(), document.name);
                assert!(
                    there.as_ref() == Some(&document.content),
                    "{told}: {} of {}",
                    document.name,
                    agent.id
                );
            }
            assert_eq!(
                self.woken(agent).await,
                1,
                "{told}: wake messages of {}",
                agent.id
            );
        }
        let foreign = self.entries("foreign");
        assert_eq!(foreign[0]["tools"], json!({ "deny": ["exec"] }), "{told}");
    }

    fn writes(&self) -> BTreeMap<&'static str, u64> {
        ["config.patch", "agents.files.set", "chat.send"]
            .map(|method| (method, self.gateway.calls_of(method)))
            .into()
    }

    /// Every entry of an agent that the configuration holds.
    fn entries(&self, agent: &str) -> Vec<Value> {
        let config = self.gateway.config();
        let named = config
            .pointer("/agents/entries")
            .and_then(|entries| entries.get(agent))
            .cloned();
        let list = config.pointer("/agents/list").and_then(Value::as_array);
        let listed = list
            .into_iter()
            .flatten()
            .filter(|item| item["id"] == agent)
            .cloned();
        named.into_iter().chain(listed).collect()
    }

    /// How often an agent's session holds our wake message.
    async fn woken(&self, agent: &Agent) -> usize {
        let connection = self.seat.online().await.connection;
        let params = json!({ "sessionKey": agent.id.main_session().as_str() });
        let history = connection
            .call("chat.history", params, Duration::from_secs(30))
            .await
            .unwrap();
        let messages = history["messages"].as_array().unwrap();
        let is_ours = |message: &&Value| {
            let key = message["idempotencyKey"].as_str().unwrap_or_default();
            key.starts_with(&agent.wake_keys()) && key.ends_with(":user")
        };
        messages.iter().filter(is_ours).count()
    }
}

const CONTRACTS: [Contract; 3] = [Contract::V2026_2_9, Contract::V2026_7_35, Contract::V2026_9_6];

/// What an undisturbed provisioning calls, and how long it takes.
async fn undisturbed(contract: Contract, fleet: Vec<Agent>) -> (BTreeMap<String, u64>, Duration) {
    let mut round = Round::begin(contract, fleet, 1, format!("{contract} undisturbed"));
    let start = Instant::now();
    round.provision().await;
    let (mut calls, took) = (round.gateway.calls(), start.elapsed());
    round.check().await;
    // Not a call that a fault waits for.
    calls.remove("connect");
    (calls, took)
}

/// Of a team of three, on each contract.
#[tokio::test(start_paused = true)]
async fn every_call_is_a_place_to_be_killed_at() {
    let mut points = 0;
    for contract in CONTRACTS {
        let (calls, _) = undisturbed(contract, fleet_of(WORKSPACES, 1, 1)).await;
        for (method, count) in calls {
            for nth in 1..=count {
                for when in [When::Before, When::After] {
                    let told = format!("{contract}: killed {when:?} call {nth} of {method}");
                    let fleet = fleet_of(WORKSPACES, 1, 1);
                    let mut round = Round::begin(contract, fleet, nth, told.clone());
                    round.gateway.inject(Fault {
                        method: method.clone(),
                        nth,
                        when,
                        hit: Hit::Kill,
                    });
                    round.provision().await;
                    assert!(round.seat.calls_of("connect") > 1, "{told}: it was not killed");
                    round.check().await;
                    points += 1;
                }
            }
        }
    }
    evidence::record(
        "kill",
        "simulated: every call of a provisioning killed at",
        points,
        "before and after, 3 contracts",
    );
}

/// Of 56 agents: a moment of the provisioning, or one of its calls, as chance has it.
#[tokio::test(start_paused = true)]
async fn killed_at_a_random_moment() {
    let rounds = number("ROUNDS").unwrap_or(20);
    let first_seed = number("KILL_SEED").unwrap_or_else(rand::random);
    let contract = Contract::V2026_9_6;
    let (calls, took) = undisturbed(contract, of_56(WORKSPACES)).await;
    for round in 0..rounds {
        let seed = first_seed.wrapping_add(round);
        let mut rng = SmallRng::seed_from_u64(seed);
        let moment = Moment::draw(&mut rng, &calls, took);
        let told = format!("killed {moment:?} (KILL_SEED={seed} ROUNDS=1 plays this round again)");
        let mut round = Round::begin(contract, of_56(WORKSPACES), seed, told);
        let gateway = round.gateway.clone();
        let killer = async move {
            match moment {
                Moment::After(pause) => {
                    sleep(pause).await;
                    gateway.perform(Deed::Kill);
                }
                Moment::AtCall { method, nth, when } => gateway.inject(Fault {
                    method,
                    nth,
                    when,
                    hit: Hit::Kill,
                }),
            }
        };
        tokio::join!(killer, round.provision());
        round.check().await;
    }
    evidence::record(
        "kill",
        "simulated 2026.9.6: 56 agents, killed at a random moment",
        rounds,
        &format!("seeds from {first_seed}"),
    );
}

/// Most of the time passes in one write, most of the calls take none: half of the rounds each.
#[derive(Debug)]
enum Moment {
    After(Duration),
    AtCall { method: String, nth: u64, when: When },
}

impl Moment {
    fn draw(rng: &mut SmallRng, calls: &BTreeMap<String, u64>, took: Duration) -> Self {
        if rng.random() {
            return Self::After(rng.random_range(Duration::ZERO..=took));
        }
        let mut left = rng.random_range(0..calls.values().sum());
        let when = if rng.random() { When::Before } else { When::After };
        for (method, count) in calls {
            if left < *count {
                let method = method.clone();
                return Self::AtCall {
                    method,
                    nth: left + 1,
                    when,
                };
            }
            left -= count;
        }
        unreachable!("less than their sum")
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: give a number")),
    )
}
