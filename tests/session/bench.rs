//! A simulated gateway with somebody else's agent in it, and our session to it through a pipe.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use quartermaster::gateway::commit::EntryChange;
use quartermaster::gateway::connection::Outcome;
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::names::AgentId;
use quartermaster::gateway::session::{Online, State, Surroundings, Target, Wanted};
use quartermaster::gateway::{Address, Credentials, Guard, Session, Token, Trouble, Trust};
use quartermaster::simulated_gateway::{Contract, Hit, Peer, Settings, SimulatedGateway};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

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

pub(crate) struct Bench {
    pub(crate) gateway: SimulatedGateway,
    pub(crate) session: Session,
    pub(crate) refused: Arc<AtomicUsize>,
    /// The configuration's size after each write, as its file would be.
    pub(crate) sizes: Arc<Mutex<Vec<usize>>>,
    /// How many changes went together in each commit, as its meter was told.
    pub(crate) commits: Arc<Mutex<Vec<usize>>>,
}

impl Bench {
    /// A gateway with somebody else's agent in it, and our session to it.
    pub(crate) async fn of(contract: Contract) -> Self {
        Self::with(contract, 0.0).await
    }

    pub(crate) async fn with(contract: Contract, delays: f64) -> Self {
        let foreign = json!({ "name": "Foreign", "workspace": "/w/foreign", "tools": { "deny": ["exec"] } });
        let config = match contract {
            Contract::V2026_9_6 => {
                json!({ "agents": { "ownership": "explicit", "entries": { "foreign": foreign, "main": {} },
                    "defaults": { "heartbeat": { "agentId": "main" } } } })
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
        let sizes = Arc::new(Mutex::new(vec![size_of(&gateway)]));
        let commits = Arc::default();
        let session = session_to(&gateway, &refused, &sizes, &commits);
        let bench = Self {
            gateway,
            session,
            refused,
            sizes,
            commits,
        };
        bench.online().await;
        bench
    }

    /// Another process of ours, which remembers nothing.
    pub(crate) async fn second_session(&self) -> Session {
        let session = session_to(&self.gateway, &self.refused, &self.sizes, &self.commits);
        online(&session).await;
        session
    }

    pub(crate) async fn online(&self) -> Online {
        online(&self.session).await
    }

    /// The session is to be connected to another address. (The same gateway answers there.)
    pub(crate) fn move_to(&self, url: &str) {
        self.session.want(wanted(url));
    }

    /// The entry of an agent as it stands in the gateway.
    pub(crate) fn entry(&self, agent: &str) -> Option<Value> {
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
    pub(crate) fn count(&self, agent: &str) -> usize {
        let config = self.gateway.config();
        let entries = usize::from(
            config
                .pointer("/agents/entries")
                .is_some_and(|entries| entries.get(agent).is_some()),
        );
        let list = config.pointer("/agents/list").and_then(Value::as_array);
        entries + list.map_or(0, |list| list.iter().filter(|item| item["id"] == agent).count())
    }

    /// 2026.2.9 restarts after every write.
    pub(crate) async fn settled(&self) {
        sleep(Duration::from_secs(30)).await;
        self.online().await;
    }

    pub(crate) fn bindings(&self) -> Value {
        self.gateway.config()["bindings"].take()
    }

    pub(crate) fn refusals(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Somebody else's write, with its own connection and budget.
    pub(crate) async fn write_as_another(&self, raw: &Value) {
        let another = self.second_session().await;
        let connection = another.online().unwrap().connection;
        let now = connection.config_get().await.unwrap();
        connection.config_patch(raw, &now.hash, 1, &[]).await.unwrap();
    }

    pub(crate) fn writes(&self) -> u64 {
        self.gateway.calls_of("config.patch")
    }

    /// Otherwise a test of it shows nothing.
    pub(crate) fn assert_struck(&self, told: &str) {
        assert_eq!(self.gateway.armed(), 0, "{told}: the fault was never met");
    }

    pub(crate) fn assert_foreign_untouched(&self) {
        let foreign = self
            .entry("foreign")
            .unwrap_or_else(|| panic!("somebody else's agent is gone"));
        assert_eq!(foreign["name"], "Foreign");
        assert_eq!(foreign["tools"], json!({ "deny": ["exec"] }));
        assert!(self.entry("main").is_some(), "main is gone");
    }
}

pub(crate) fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

pub(crate) fn change(agent: &str) -> EntryChange {
    let fields = json!({ "name": agent, "workspace": format!("/w/workspace-{agent}"), "heartbeat": { "every": "10m" } });
    EntryChange::new(id(agent), fields.as_object().unwrap().clone())
}

pub(crate) const CONTRACTS: [Contract; 3] = [Contract::V2026_2_9, Contract::V2026_7_35, Contract::V2026_9_6];

fn size_of(gateway: &SimulatedGateway) -> usize {
    serde_json::to_string_pretty(&gateway.config()).unwrap().len() + 1
}

/// Each way to lose an answer.
pub(crate) fn losses() -> [Hit; 5] {
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
}

fn session_to(
    gateway: &SimulatedGateway,
    refused: &Arc<AtomicUsize>,
    sizes: &Arc<Mutex<Vec<usize>>>,
    commits: &Arc<Mutex<Vec<usize>>>,
) -> Session {
    let commits = Arc::clone(commits);
    let (count, sizes, after) = (Arc::clone(refused), Arc::clone(sizes), gateway.clone());
    let surroundings = Surroundings {
        dial: Arc::new(Pipe(gateway.clone())),
        guard: Guard::default(),
        device_tokens: Arc::new(InMemory::default()),
        commit_meter: Arc::new(move |changes| commits.lock().unwrap().push(changes)),
        meter: Arc::new(move |method, outcome| {
            count.fetch_add(usize::from(outcome == Outcome::Refused), Ordering::SeqCst);
            if ["config.patch", "agents.delete"].contains(&method) {
                sizes.lock().unwrap().push(size_of(&after));
            }
        }),
    };
    Session::start(wanted("ws://gateway:18789"), surroundings, 7, || {})
}

fn wanted(url: &str) -> Wanted {
    Wanted {
        target: Target {
            address: Address::parse(url).unwrap(),
            trust: Trust::System,
            credentials: Credentials {
                token: Token::from_bytes(TOKEN.as_bytes()).ok(),
                identity: Identity::TokenOnly,
            },
        },
        ask: String::new(),
    }
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
