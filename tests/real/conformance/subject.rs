//! The gateway that the cases speak to: a real one from npm, or the simulated one of this program.
//!
//! A case cannot tell which it has. What differs between the two is here: how it is started, and nothing else.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::door::Door;
use super::seen::Seen;
use crate::bed::{
    Gateway, Launch, Missing, OpenClaw, Place, Process, Scratch, eventually, free_port, operator,
};

/// What a gateway of one version promises. Newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contract {
    V2026_9_6,
    V2026_7_35,
    V2026_2_9,
}

pub use Contract::{V2026_2_9, V2026_7_35, V2026_9_6};

impl Contract {
    pub const ALL: [Self; 3] = [V2026_9_6, V2026_7_35, V2026_2_9];

    pub fn version(self) -> &'static str {
        match self {
            V2026_9_6 => "2026.9.6",
            V2026_7_35 => "2026.7.35",
            V2026_2_9 => "2026.2.9",
        }
    }

    pub fn named(version: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|contract| contract.version() == version)
    }

    /// 2026.2.9 restarts the whole gateway after each write of its config file.
    pub fn restarts_after_writes(self) -> bool {
        self == V2026_2_9
    }
}

pub struct Subject {
    pub contract: Contract,
    /// Where a client on the gateway's own loopback finds it.
    pub url: String,
    /// Where a client of another machine finds it; only across a network.
    pub remote: Option<String>,
    pub token: String,
    root: PathBuf,
    kind: Kind,
    _door: Option<Door>,
    /// The agent that many cases share, once one of them has made it.
    bench: bool,
}

enum Kind {
    Real(Box<OpenClaw>),
    Simulated {
        process: Process,
        /// Where its administrative port is.
        admin: String,
        _folder: Scratch,
    },
}

/// The scopes that a case asks for unless it says otherwise.
pub const SCOPES: [&str; 5] = [
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.pairing",
    "operator.approvals",
];

impl Subject {
    /// At a place it is across a network, and `test` is the name of the running test.
    pub fn real(contract: Contract, far: Option<(&Place, &str)>) -> Result<Self, Missing> {
        let mut wanted = Gateway::version(contract.version());
        if let Some((place, _)) = far {
            wanted = wanted.at(place);
        }
        let gateway = OpenClaw::start(wanted)?;
        let door = far.map(|(place, test)| Door::open(place, test, gateway.port()));
        let token = gateway.token().to_owned();
        let root = gateway
            .config_file()
            .parent()
            .expect("the config lies in a folder")
            .to_owned();
        Ok(Self {
            contract,
            remote: far.map(|_| gateway.url()),
            url: door
                .as_ref()
                .map_or_else(|| gateway.url(), |door| format!("ws://{}", door.address)),
            token,
            root,
            kind: Kind::Real(Box::new(gateway)),
            _door: door,
            bench: false,
        })
    }

    /// The built program as a process of its own, as its users run it.
    pub fn simulated(contract: Contract, far: Option<(&Place, &str)>) -> Self {
        let folder = Scratch::new("simulated-gateway");
        let token = format!("bed-{:032x}", rand::random::<u128>());
        let program = env!("CARGO_BIN_EXE_quartermaster");
        let launch = match far {
            None => Launch::new("simulated gateway", program),
            Some((place, _)) => Launch::new("simulated gateway", "nsenter")
                .args(place.enter())
                .arg(program),
        };
        let listen = match far {
            None => "127.0.0.1:0".to_owned(),
            Some(_) => format!("0.0.0.0:{}", free_port()),
        };
        let process = launch
            .args(["simulate-gateway", "--listen", &listen])
            .args(["--admin-listen", "127.0.0.1:0"])
            .args(["--contract", contract.version()])
            .arg("--workspace")
            .arg(folder.path().display())
            .env("OPENCLAW_GATEWAY_TOKEN", &token)
            .start(&folder.join("output.log"));
        let url = eventually("the simulated gateway says its URL", 30, || {
            assert!(process.is_alive(), "{}", process.last_words());
            let log = process.log();
            let from = log.find("ws://")?;
            let url: String = log[from..].chars().take_while(|c| !c.is_whitespace()).collect();
            log[from..].contains('\n').then_some(url)
        });
        let url = url.trim_end_matches('/').to_owned();
        let log = process.log();
        let admin = log.lines().find_map(|line| line.strip_prefix("admin http://"));
        let admin = admin.expect("it says its administrative port first").to_owned();
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
        let port: u16 = port.expect("the URL has a port");
        let remote = far.map(|(place, _)| format!("ws://{}:{port}", place.address()));
        let door = far.map(|(place, test)| Door::open(place, test, port));
        let url = door.as_ref().map_or(url, |door| format!("ws://{}", door.address));
        Self {
            contract,
            url,
            remote,
            token,
            root: folder.path().to_owned(),
            kind: Kind::Simulated {
                process,
                admin,
                _folder: folder,
            },
            _door: door,
            bench: false,
        }
    }

    pub fn is_real(&self) -> bool {
        matches!(self.kind, Kind::Real(_))
    }

    /// SIGKILL. The simulated one keeps its disk in memory, so it dies inside of its process, and comes back by itself.
    pub fn kill(&mut self) {
        match &mut self.kind {
            Kind::Real(gateway) => gateway.kill(),
            Kind::Simulated { admin, .. } => {
                let answer = operator::post(admin, "/deeds", "\"kill\"");
                assert_eq!(answer.map(|(status, _)| status), Ok(204));
            }
        }
    }

    pub fn start_again(&mut self) {
        match &mut self.kind {
            Kind::Real(gateway) => tokio::task::block_in_place(|| gateway.start_again()),
            Kind::Simulated { .. } => {}
        }
    }

    /// What it wrote about restarts and failures, for who reads of a case that differs.
    pub fn last_words(&self) -> String {
        let log = match &self.kind {
            Kind::Real(gateway) => gateway.log(),
            Kind::Simulated { process, .. } => process.log(),
        };
        let telling = ["restart", "reload", "SIGUSR", "panicked", "rror"];
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| telling.iter().any(|word| line.contains(word)))
            .collect();
        lines[lines.len().saturating_sub(40)..].join("\n  | ")
    }

    /// Host and port, for plain HTTP.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("ws://")
    }

    pub fn port(&self) -> u16 {
        let port = self.url.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("the URL has a port")
    }

    pub fn seen(&self) -> Seen {
        Seen::new(vec![
            (self.root.display().to_string(), "<root>".to_owned()),
            (self.token.clone(), "<token>".to_owned()),
            (self.port().to_string(), "<port>".to_owned()),
        ])
    }

    /// An absolute path that is this agent's own.
    pub fn workspace(&self, id: &str) -> String {
        self.root.join("workspaces").join(id).display().to_string()
    }

    pub fn greeting(&self) -> Value {
        greeting(&self.token)
    }

    /// A greeted client on loopback with every scope. Waits out a restart.
    pub async fn client(&self) -> Client {
        self.client_as(&self.greeting()).await.0
    }

    pub async fn client_as(&self, greeting: &Value) -> (Client, Value) {
        let start = Instant::now();
        loop {
            let why = match Client::open(&self.url).await {
                Err(why) => why,
                Ok((mut client, _)) => match client.greet(greeting).await {
                    Answer::Ok(hello) => return (client, hello),
                    // "gateway starting; retry shortly"
                    refused @ (Answer::Refused { .. } | Answer::Closed(..) | Answer::Silent) => {
                        format!("{refused:?}")
                    }
                },
            };
            assert!(start.elapsed() < Duration::from_secs(90), "no hello-ok: {why}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A request that writes the config file. Where that restarts the gateway, waits until it is back and greets
    /// it again: `client` is then another connection.
    pub async fn write(&self, client: &mut Client, method: &str, params: &Value) -> Answer {
        let answer = client.call(method, params).await;
        if self.contract.restarts_after_writes() && answer.is_ok() {
            self.settle_after(method, client).await;
        }
        answer
    }

    /// Waits for all restarts that follow a call of this method, and greets the gateway again.
    pub async fn settle_after(&self, method: &str, client: &mut Client) {
        self.settle(client).await;
        // 2026.2.9 restarts for the changed file half a second after the write, and after these for their own sake two
        // seconds after it. On a busy machine both may be one.
        let twice = ["config.patch", "config.apply"].contains(&method);
        if self.contract.restarts_after_writes() && twice {
            self.settle_if_closed(client, Duration::from_secs(3)).await;
        }
    }

    /// Where another restart may come, and need not.
    pub async fn settle_if_closed(&self, client: &mut Client, patience: Duration) {
        if client.closed(patience).await.is_some() {
            self.settle(client).await;
        }
    }

    /// Waits for the restart that follows a write, and greets the gateway again.
    pub async fn settle(&self, client: &mut Client) {
        client.closed(Duration::from_secs(12)).await;
        let start = Instant::now();
        loop {
            *client = self.client().await;
            // 2026.2.9 says hello half-way through a restart and then never answers.
            let id = client.send("config.get", &json!({})).await;
            if client.answer_within(&id, Duration::from_secs(3)).await.is_ok() {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(90),
                "no answer after a restart"
            );
        }
    }

    /// Creates an agent and waits until its files can be used: 9.6 says "not found" for 0.2 s and more.
    pub async fn create(&self, client: &mut Client, id: &str) -> Answer {
        let params = json!({ "name": id, "workspace": self.workspace(id) });
        let answer = self.write(client, "agents.create", &params).await;
        if answer.is_ok() {
            self.wait_for(client, id).await;
        }
        answer
    }

    pub async fn wait_for(&self, client: &mut Client, id: &str) {
        let start = Instant::now();
        while !client
            .call("agents.files.list", &json!({ "agentId": id }))
            .await
            .is_ok()
        {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "agent {id} never appears"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks again while a 2026.9.6 was too slow for itself: it gives a thread of its own five seconds, and refuses when
    /// the machine does not let that come up.
    pub async fn delete(&self, client: &mut Client, id: &str) -> Answer {
        let params = json!({ "agentId": id });
        let start = Instant::now();
        loop {
            let answer = self.write(client, "agents.delete", &params).await;
            let too_slow = answer.message().contains("OPENCLAW_STATE_LEASE_LOST");
            if !too_slow || start.elapsed() > Duration::from_secs(90) {
                return answer;
            }
        }
    }

    /// The id of an agent that cases share which neither add nor remove agents.
    pub async fn bench(&mut self, client: &mut Client) -> &'static str {
        if !self.bench {
            self.create(client, "bench").await.must();
            self.bench = true;
        }
        "bench"
    }

    /// The config as the file has it, and the hash that a write must bring.
    pub async fn config(&self, client: &mut Client) -> (Value, String) {
        let got = client.call("config.get", &json!({})).await.must();
        let hash = got["hash"].as_str().expect("config.get has a hash").to_owned();
        (got["config"].clone(), hash)
    }

    /// config.patch with the newest hash.
    pub async fn patch(&self, client: &mut Client, patch: &Value) -> Answer {
        self.patch_with(client, patch, &json!({})).await
    }

    pub async fn patch_with(&self, client: &mut Client, patch: &Value, more: &Value) -> Answer {
        let (_, hash) = self.config(client).await;
        let mut params = json!({ "raw": patch.to_string(), "baseHash": hash });
        for (key, value) in more.as_object().expect("more params") {
            params[key] = value.clone();
        }
        self.write(client, "config.patch", &params).await
    }
}

/// `connect` as the operator would say it, with everything that loopback allows.
pub fn greeting(token: &str) -> Value {
    json!({
        // 3..4 suits the protocol of every version: 2026.2 speaks 3, later ones 4.
        "minProtocol": 3,
        "maxProtocol": 4,
        "client": { "id": "gateway-client", "version": "0.1.0", "platform": "linux", "mode": "backend" },
        "role": "operator",
        "scopes": SCOPES,
        "caps": [],
        "auth": { "token": token },
    })
}
