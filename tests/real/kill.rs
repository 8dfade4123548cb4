//! A real gateway is killed (SIGKILL) somewhere in the middle of a provisioning of 56 agents and started again: in the end
//! everything is there, on its disk too, nothing twice, and nothing of anybody else's is touched.
//!
//! The moments are spread over the time that an undisturbed provisioning takes, one in each part of it, at random inside.
//! `ROUNDS=20 KILL_SEED=7` plays more rounds, or the same ones again.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quartermaster::gateway::dial::Network;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::bed::{Gateway, NotUp, OpenClaw, Scratch, evidence};
use crate::fleet::provision::{Wakes, due, until_so};
use crate::fleet::seat::Seat;
use crate::fleet::{Agent, of_56};

const VERSION: &str = "2026.9.6";
const WOKEN: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_gateway_is_killed_while_a_fleet_is_provisioned() {
    let rounds = u32::try_from(number("ROUNDS").unwrap_or(5)).unwrap();
    let seed = number("KILL_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    evidence::say(&format!(
        "kill test: {rounds} rounds, KILL_SEED={seed} ROUNDS={rounds} plays them again"
    ));
    let mut rng = SmallRng::seed_from_u64(seed);

    let (mut round, gateway) = real!(Round::begin().await);
    let start = Instant::now();
    round.provision().await;
    let took = start.elapsed();
    round.check(&gateway, "undisturbed").await;
    drop((round, gateway));
    evidence::say(&format!("kill test: undisturbed in {:.1} s", took.as_secs_f64()));

    let (mut halves, mut inside) = (0, 0);
    for n in 0..rounds {
        let moment = took * n / rounds + rng.random_range(Duration::ZERO..=took / rounds);
        let told = format!(
            "round {n}, killed after {} ms (KILL_SEED={seed} ROUNDS={rounds})",
            moment.as_millis()
        );
        let (mut round, mut gateway) = real!(Round::begin().await);
        let killer = async {
            tokio::time::sleep(moment).await;
            let start = Instant::now();
            let again = spawn_blocking(move || {
                gateway.kill();
                let removed = start_again(&mut gateway);
                (gateway, removed)
            });
            let (gateway, removed) = again.await.unwrap();
            (gateway, removed, start.elapsed())
        };
        let start = Instant::now();
        let provisioning = async {
            round.provision().await;
            start.elapsed()
        };
        let ((gateway, removed, away), provisioned_in) = tokio::join!(killer, provisioning);
        let is_inside = moment < provisioned_in;
        inside += u32::from(is_inside);
        // Killed after the end, there is still something to look at again.
        round.provision().await;
        let took = start.elapsed();
        let writes = round.seat.calls_of("config.patch");
        round.check(&gateway, &told).await;
        halves += removed;
        evidence::say(&format!(
            "kill test: {told}{}: away {:.1} s, right after {:.1} s, {writes} config writes, {} connections, \
             {removed} empty databases removed",
            if is_inside { "" } else { ", when it was over" },
            away.as_secs_f64(),
            took.as_secs_f64(),
            round.seat.calls_of("connect"),
        ));
    }
    // How long one takes differs from run to run; all of them too late would show nothing.
    assert!(inside > 0, "no kill came before the end of its provisioning");
    evidence::record(
        "kill",
        &format!("real {VERSION}: 56 agents, SIGKILL at a random moment"),
        rounds.into(),
        &format!(
            "{inside} before the end; KILL_SEED={seed}; empty databases that kept it from starting: {halves}"
        ),
    );
}

/// Starts a gateway after its kill; says how many databases had to be removed for that.
///
/// 2026.9.6 makes an agent's database when its first session begins. Killed between the file and its tables, it never
/// starts again ("has no schema ownership metadata") until a person removes the file, in which there is nothing.
fn start_again(gateway: &mut OpenClaw) -> usize {
    let mut removed = 0;
    for _ in 0..5 {
        let said = gateway.log().len();
        let Err(why) = gateway.try_start_again() else {
            return removed;
        };
        let last_words = gateway.process().last_words();
        gateway.stop();
        let log = gateway.log();
        let halves: BTreeSet<&str> = log[said..].lines().filter_map(unfinished).collect();
        assert!(
            why == NotUp::TooSlow || !halves.is_empty(),
            "it did not start again: {why:?}. {last_words}"
        );
        for path in &halves {
            let size = fs::metadata(path).unwrap().len();
            assert!(size <= 4096, "{path} holds {size} bytes: not only a header");
            fs::remove_file(path).unwrap();
            removed += 1;
        }
    }
    panic!("it did not start in five tries");
}

/// The database that a line of its log says to be without tables.
fn unfinished(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("Error: OpenClaw agent database ")?;
    rest.strip_suffix(" has no schema ownership metadata.")
}

/// One provisioning of one gateway that has somebody else's agent already.
struct Round {
    seat: Seat,
    fleet: Vec<Agent>,
    wakes: Wakes,
    // Outlives the gateway's kills, and is removed at the end.
    _workspaces: Scratch,
}

impl Round {
    async fn begin() -> Result<(Self, OpenClaw), crate::bed::Missing> {
        let workspaces = Scratch::new("fleet");
        let foreign = json!({
            "name": "Foreign", "workspace": workspaces.join("foreign").display().to_string(), "tools": { "deny": ["exec"] },
        });
        let roster =
            json!({ "agents": { "ownership": "explicit", "entries": { "foreign": foreign, "main": {} } } });
        let asked = Gateway::version(VERSION).config(&roster);
        let gateway = spawn_blocking(|| OpenClaw::start(asked)).await.unwrap()?;
        let seat = Seat::take(Arc::new(Network), &gateway.url(), gateway.token(), rand::random());
        seat.online().await;
        let fleet = of_56(&workspaces.path().display().to_string());
        // The gateway's agent and the leads: without a model each turn costs a gateway a second and more.
        let wakes = due(&fleet[..WOKEN]);
        let this = Self {
            seat,
            fleet,
            wakes,
            _workspaces: workspaces,
        };
        Ok((this, gateway))
    }

    async fn provision(&mut self) {
        until_so(&self.seat, &self.fleet, &mut self.wakes).await;
    }

    /// Everything is there once, as another client and the disk tell it, and a look more writes nothing.
    async fn check(&mut self, gateway: &OpenClaw, told: &str) {
        let writes = |seat: &Seat| {
            ["config.patch", "agents.files.set", "chat.send"].map(|method| seat.calls_of(method))
        };
        let before = writes(&self.seat);
        self.provision().await;
        assert_eq!(writes(&self.seat), before, "{told}: written again");

        let answer = gateway.rpc("agents.list", &json!({}));
        let listed = answer["agents"].as_array().unwrap().iter();
        let mut listed: Vec<&str> = listed.map(|agent| agent["id"].as_str().unwrap()).collect();
        listed.sort_unstable();
        let mut wanted: Vec<&str> = self.fleet.iter().map(|agent| agent.id.as_str()).collect();
        wanted.extend(["main", "foreign"]);
        wanted.sort_unstable();
        assert_eq!(listed, wanted, "{told}: agents.list");

        let config = gateway.rpc("config.get", &json!({}));
        let entries = &config["config"]["agents"]["entries"];
        assert_eq!(entries["foreign"]["tools"], json!({ "deny": ["exec"] }), "{told}");
        assert_eq!(
            entries.as_object().unwrap().len(),
            wanted.len(),
            "{told}: {entries}"
        );
        let connection = self.seat.online().await.connection;
        for agent in &self.fleet {
            let entry = &entries[agent.id.as_str()];
            for (key, value) in &agent.entry {
                assert_eq!(entry[key], *value, "{told}: {key} of {}", agent.id);
            }
            for document in &agent.documents {
                let path = format!("{}/{}", agent.workspace(), document.name);
                let there =
                    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{told}: {path}: {error}"));
                assert!(there == document.content, "{told}: {path} is not what was wanted");
            }
            let params = json!({ "sessionKey": agent.id.main_session().as_str(), "limit": 200 });
            let history = connection
                .call("chat.history", params, Duration::from_secs(60))
                .await
                .unwrap();
            let woken = times(&history, &agent.wake_keys());
            let due = usize::from(self.wakes.contains_key(&agent.id));
            assert_eq!(woken, due, "{told}: wake messages of {}", agent.id);
        }
    }
}

/// How many messages of a history carry a key that begins like this.
fn times(history: &Value, keys: &str) -> usize {
    let messages = history["messages"].as_array().unwrap();
    let begins = format!("\"{keys}");
    messages
        .iter()
        .filter(|message| message["role"] == "user" && message.to_string().contains(&begins))
        .count()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: give a number")),
    )
}
