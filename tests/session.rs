//! The gateway client against simulated gateways of all three contracts, in one process and in paused time: what is
//! deposited gets there once, whatever happens on the way, and nobody else's is touched.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use quartermaster::gateway::commit::{EntryChange, NotCommitted};
use quartermaster::gateway::connection::{CallError, Outcome};
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::names::AgentId;
use quartermaster::gateway::session::{Online, State, Surroundings, Target, Wanted};
use quartermaster::gateway::{Address, Credentials, Guard, Session, Token, Trouble, Trust};
use quartermaster::simulated_gateway::{Contract, Deed, Fault, Hit, Peer, Settings, SimulatedGateway, When};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

const TOKEN: &str = "sesame";

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

struct Bench {
    gateway: SimulatedGateway,
    session: Session,
    refused: Arc<AtomicUsize>,
}

impl Bench {
    /// A gateway with somebody else's agent in it, and our session to it.
    async fn of(contract: Contract) -> Self {
        Self::with(contract, 0.0).await
    }

    async fn with(contract: Contract, delays: f64) -> Self {
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
        let gateway = SimulatedGateway::new(Settings {
            delays,
            config,
            ..Settings::new(contract, TOKEN)
        });
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let surroundings = Surroundings {
            dial: Arc::new(Pipe(gateway.clone())),
            guard: Guard::default(),
            device_tokens: Arc::new(InMemory::default()),
            meter: Arc::new(move |_, outcome| {
                count.fetch_add(usize::from(outcome == Outcome::Refused), Ordering::SeqCst);
            }),
        };
        let wanted = Wanted {
            target: Target {
                address: Address::parse("ws://gateway:18789").unwrap(),
                trust: Trust::System,
                credentials: Credentials {
                    token: Token::from_bytes(TOKEN.as_bytes()).ok(),
                    identity: Identity::TokenOnly,
                },
            },
            ask: String::new(),
        };
        let session = Session::start(wanted, surroundings, 7, || {});
        let bench = Self {
            gateway,
            session,
            refused,
        };
        bench.online().await;
        bench
    }

    async fn online(&self) -> Online {
        let waiting = async {
            loop {
                if let (State::Up(_), Some(online)) = (self.session.link().state, self.session.online()) {
                    return online;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(600), waiting)
            .await
            .unwrap_or_else(|_| panic!("never up: {:?}", self.session.link()))
    }

    /// The entry of an agent as it stands in the gateway.
    fn entry(&self, agent: &str) -> Option<Value> {
        let config = self.gateway.config();
        let entries = config
            .pointer("/agents/entries")
            .and_then(|entries| entries.get(agent))
            .cloned();
        let list = config.pointer("/agents/list").and_then(Value::as_array);
        let listed = list
            .and_then(|list| list.iter().find(|item| item["id"] == agent))
            .cloned();
        entries.or(listed)
    }

    /// How often an agent stands in the configuration.
    fn count(&self, agent: &str) -> usize {
        let config = self.gateway.config();
        let entries = usize::from(
            config
                .pointer("/agents/entries")
                .is_some_and(|entries| entries.get(agent).is_some()),
        );
        let list = config.pointer("/agents/list").and_then(Value::as_array);
        entries + list.map_or(0, |list| list.iter().filter(|item| item["id"] == agent).count())
    }

    fn writes(&self) -> u64 {
        self.gateway.calls_of("config.patch")
    }

    fn assert_foreign_untouched(&self) {
        let foreign = self
            .entry("foreign")
            .unwrap_or_else(|| panic!("somebody else's agent is gone"));
        assert_eq!(foreign["name"], "Foreign");
        assert_eq!(foreign["tools"], json!({ "deny": ["exec"] }));
        assert!(self.entry("main").is_some(), "main is gone");
    }
}

fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

fn change(agent: &str) -> EntryChange {
    let fields = json!({ "name": agent, "workspace": format!("/w/workspace-{agent}"), "heartbeat": { "every": "10m" } });
    EntryChange {
        agent: id(agent),
        fields: fields.as_object().unwrap().clone(),
    }
}

const CONTRACTS: [Contract; 3] = [Contract::V2026_2_9, Contract::V2026_7_35, Contract::V2026_9_6];

#[tokio::test(start_paused = true)]
async fn fifty_six_agents_are_one_write() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let agents: Vec<String> = (0..56).map(|n| format!("mc-{n}")).collect();
        let puts = agents
            .iter()
            .map(|agent| bench.session.commits().put(change(agent)));
        for result in join_all(puts).await {
            assert_eq!(result.unwrap().left_out, []);
        }
        assert_eq!(bench.writes(), 1, "{contract:?}");
        for agent in &agents {
            assert_eq!(
                bench.entry(agent).unwrap()["heartbeat"]["every"],
                "10m",
                "{contract:?}"
            );
        }
        bench.assert_foreign_untouched();

        let again = agents
            .iter()
            .map(|agent| bench.session.commits().put(change(agent)));
        assert!(join_all(again).await.iter().all(Result::is_ok));
        assert_eq!(
            bench.writes(),
            1,
            "{contract:?}: what is already so is not written again"
        );
    }
}

/// Each way to lose an answer, before and after the gateway has acted, on each contract.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_read_back_and_nothing_is_written_twice() {
    let losses = || {
        [
            Hit::Drop,
            Hit::Cut,
            Hit::Close {
                code: 1012,
                reason: "service restart".into(),
            },
            Hit::Restart,
            Hit::Duplicate,
        ]
    };
    for contract in CONTRACTS {
        for when in [When::Before, When::After] {
            for hit in losses() {
                let bench = Bench::of(contract).await;
                let told = format!("{contract:?} {when:?} {hit:?}");
                bench.gateway.inject(Fault {
                    method: "config.patch".into(),
                    nth: 1,
                    when,
                    hit,
                });
                let puts = ["a", "b", "c"].map(|agent| bench.session.commits().put(change(agent)));
                for result in join_all(puts).await {
                    assert!(result.is_ok(), "{told}: {result:?}");
                }
                for agent in ["a", "b", "c"] {
                    assert_eq!(bench.count(agent), 1, "{told}");
                }
                assert!(bench.writes() <= 2, "{told}: {} writes", bench.writes());
                bench.assert_foreign_untouched();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_guilty_is_told_and_the_others_go_through() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let mut bad = change("bad");
        bad.fields.insert("noSuchSetting".into(), json!(true));
        let names = ["a", "b", "c", "d"];
        let puts = names
            .iter()
            .map(|agent| bench.session.commits().put(change(agent)));
        let (good, bad) = tokio::join!(join_all(puts), bench.session.commits().put(bad));
        assert!(good.iter().all(Result::is_ok), "{contract:?}: {good:?}");
        let Err(NotCommitted::Rejected(issues)) = bad else {
            panic!("{contract:?}: {bad:?}")
        };
        assert!(
            issues.iter().any(|issue| issue.message.contains("noSuchSetting")),
            "{contract:?}: {issues:?}"
        );
        assert!(bench.entry("bad").is_none());
        assert!(names.iter().all(|agent| bench.count(agent) == 1), "{contract:?}");
        assert_eq!(bench.writes(), 2, "{contract:?}: once with it, once without");
        bench.assert_foreign_untouched();
    }
}

/// Somebody else writes between our reading and our write: our write is refused by its hash, read again, and both are there.
#[tokio::test(start_paused = true)]
async fn another_writers_change_is_not_overwritten() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.gateway.inject(Fault {
            method: "config.get".into(),
            nth: 1,
            when: When::After,
            hit: Hit::Delay(2_000),
        });
        let online = bench.online().await;
        let theirs = async {
            // While our reading is on its way.
            sleep(Duration::from_millis(500)).await;
            let now = online.connection.config_get().await.unwrap();
            let mut list = now.list.clone();
            list.push(json!({ "id": "theirs", "name": "Theirs", "workspace": "/w/theirs" }));
            let raw = match contract {
                Contract::V2026_9_6 => {
                    json!({ "agents": { "entries": { "theirs": { "name": "Theirs", "workspace": "/w/theirs" } } } })
                }
                Contract::V2026_7_35 | Contract::V2026_2_9 => json!({ "agents": { "list": list } }),
            };
            online.connection.config_patch(&raw, &now.hash, 1).await.unwrap();
        };
        let (ours, ()) = tokio::join!(bench.session.commits().put(change("ours")), theirs);
        assert!(ours.is_ok(), "{contract:?}: {ours:?}");
        assert_eq!(
            (bench.count("ours"), bench.count("theirs")),
            (1, 1),
            "{contract:?}"
        );
        bench.assert_foreign_untouched();
    }
}

/// 2026.7.35 allows three writes a minute: five take their time, and none is refused.
#[tokio::test(start_paused = true)]
async fn the_write_budget_is_kept_and_never_overrun() {
    let bench = Bench::of(Contract::V2026_7_35).await;
    let start = Instant::now();
    for agent in ["a", "b", "c", "d", "e"] {
        bench.session.commits().put(change(agent)).await.unwrap();
    }
    assert!(
        start.elapsed() >= Duration::from_secs(59),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bench.refused.load(Ordering::SeqCst), 0, "no write was refused");
    assert_eq!(bench.writes(), 5);
}

/// With the real gateway's delays, what arrives while a write is in flight leaves together in the next one.
#[tokio::test(start_paused = true)]
async fn what_arrives_during_a_write_leaves_together() {
    let bench = Bench::with(Contract::V2026_9_6, 1.0).await;
    let first = bench.session.commits().put(change("first"));
    let later = join_all((0..40).map(|n| {
        let commits = bench.session.commits().clone();
        async move {
            sleep(Duration::from_millis(200 + n * 10)).await;
            commits.put(change(&format!("mc-{n}"))).await
        }
    }));
    let (first, later) = tokio::join!(first, later);
    assert!(first.is_ok() && later.iter().all(Result::is_ok));
    assert_eq!(bench.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn files_are_written_read_and_compared_by_hash_where_there_is_one() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        let Online {
            connection,
            contract: profile,
        } = bench.online().await;
        for name in profile.documents {
            let hash = connection.file_set(&id("a"), name, "one", None).await.unwrap();
            let file = connection.file_get(&id("a"), name).await.unwrap().unwrap();
            assert_eq!(file.content, "one", "{contract:?} {name}");
            assert_eq!(file.hash, hash, "{contract:?} {name}");
        }
        if let Some(hash) = connection
            .file_get(&id("a"), "SOUL.md")
            .await
            .unwrap()
            .unwrap()
            .hash
        {
            connection
                .file_set(&id("a"), "SOUL.md", "two", Some(&hash))
                .await
                .unwrap();
            let stale = connection
                .file_set(&id("a"), "SOUL.md", "three", Some(&hash))
                .await;
            assert!(matches!(stale, Err(CallError::Refused(_))), "{stale:?}");
            assert_eq!(bench.gateway.file("a", "SOUL.md").as_deref(), Some("two"));
        }
        let refused = connection.file_set(&id("a"), "BOARD.md", "x", None).await;
        assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_once_however_often_it_is_asked_for() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        let connection = bench.online().await.connection;
        let session = id("a").main_session();
        assert!(
            !connection.chat_holds(&session, "wake-1").await.unwrap(),
            "{contract:?}"
        );
        connection.chat_send(&session, "wake up", "wake-1").await.unwrap();
        connection.chat_send(&session, "wake up", "wake-1").await.unwrap();
        if contract != Contract::V2026_2_9 {
            assert!(
                connection.chat_holds(&session, "wake-1").await.unwrap(),
                "{contract:?}"
            );
        }
        assert!(
            !connection.chat_holds(&session, "wake-2").await.unwrap(),
            "{contract:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_may_be_repeated() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        let first = bench
            .online()
            .await
            .connection
            .agents_delete(&id("a"), true)
            .await
            .unwrap();
        assert!(first.is_some(), "{contract:?}");
        // 2026.2.9 restarts after it.
        sleep(Duration::from_secs(30)).await;
        let again = bench
            .online()
            .await
            .connection
            .agents_delete(&id("a"), true)
            .await
            .unwrap();
        assert_eq!(again, None, "{contract:?}");
        assert_eq!(bench.count("a"), 0);
        bench.assert_foreign_untouched();
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_freezes_is_waited_for_and_nothing_is_lost() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.gateway.perform(Deed::Freeze);
        let thaw = async {
            sleep(Duration::from_secs(150)).await;
            bench.gateway.perform(Deed::Thaw);
        };
        let (put, ()) = tokio::join!(bench.session.commits().put(change("a")), thaw);
        assert!(put.is_ok(), "{contract:?}: {put:?}");
        assert_eq!(bench.count("a"), 1, "{contract:?}");
    }
}
