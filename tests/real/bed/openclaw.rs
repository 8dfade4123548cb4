//! A real OpenClaw gateway with a throw-away home, and one call at a time to it as another client.
//!
//! It is ready when it says hello-ok, not when its port is open: while it starts it answers `connect` with
//! UNAVAILABLE. It writes its own config file (migrations, `agents.entries`), so the file is its own from the
//! start on.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cache::cache_corner;
use super::evidence::say;
use super::gateway::Gateway;
use super::missing::Missing;
use super::network::Place;
use super::npm::{Installed, install_gateway};
use super::ports::free_port;
use super::process::{Launch, Process, send};
use super::room::Room;
use super::scratch::Scratch;

/// The versions that every behaviour is tested on, newest first: what people run, what they ran, and the oldest
/// (protocol 3).
pub const VERSIONS: [&str; 3] = ["2026.9.6", "2026.7.35", "2026.2.9"];

pub struct OpenClaw {
    // Dropped in this order: the process, then what it writes to, then the room it took.
    process: Option<Process>,
    folder: Scratch,
    _room: Room,
    installed: Installed,
    gateway: Gateway,
    port: u16,
}

/// One gateway of this machine starts at a time, whatever test program starts it. Three 2026.9.6 that started at once
/// on two busy cores all ended: each gives itself five seconds for a thread of its own.
fn turn_to_start() -> File {
    let lock = File::create(cache_corner("turns").join("start")).expect("a file in our cache");
    lock.lock().expect("a lock on a file in our cache");
    lock
}

impl OpenClaw {
    pub fn start(gateway: Gateway) -> Result<Self, Missing> {
        Ok(Self::start_all(vec![gateway])?.remove(0))
    }

    /// Several for one test: room is taken for all of them at once.
    pub fn start_all(gateways: Vec<Gateway>) -> Result<Vec<Self>, Missing> {
        let installed: Vec<Installed> = gateways
            .iter()
            .map(|gateway| install_gateway(&gateway.version))
            .collect::<Result<_, _>>()?;
        let rooms = Room::take(gateways.len());
        Ok(gateways
            .into_iter()
            .zip(installed)
            .zip(rooms)
            .map(|((g, i), room)| Self::start_one(g, i, room))
            .collect())
    }

    fn start_one(gateway: Gateway, installed: Installed, room: Room) -> Self {
        let folder = Scratch::new(&format!("openclaw-{}", gateway.version));
        for name in ["home", "state"] {
            fs::create_dir_all(folder.join(name)).expect("a folder in our own");
        }
        let mut this = Self {
            process: None,
            folder,
            _room: room,
            installed,
            gateway,
            port: 0,
        };
        // A free port can be lost to another program before the gateway listens, and a busy machine be too slow for it.
        for _ in 0..5 {
            this.port = free_port();
            let config = this
                .gateway
                .first_config(this.port, &this.folder.join("gateway.log"));
            this.folder.file("openclaw.json", &config.to_string());
            match this.launch() {
                Ok(()) => return this,
                Err(NotUp::LostPort) => say("a gateway's port was taken meanwhile, starting it on another"),
                Err(NotUp::TooSlow) => say("a gateway was too slow for itself, starting it again"),
                Err(NotUp::Ended) => panic!("a gateway ended at its start. {}", this.process().last_words()),
            }
        }
        panic!(
            "a gateway ended five times at its start: a port that others take (ss -ltnp), or a machine too busy for it"
        );
    }

    fn launch(&mut self) -> Result<(), NotUp> {
        let _turn = self.gateway.wait.then(turn_to_start);
        let Installed {
            version,
            node,
            entry,
            temporary,
        } = &self.installed;
        let bin = node.parent().expect("node lies in a folder").display();
        let name = format!("OpenClaw {version}");
        let launch = match &self.gateway.place {
            None => Launch::new(&name, node),
            Some(place) => Launch::new(&name, "nsenter")
                .args(place.enter())
                .arg(node.display()),
        };
        let process = launch
            .arg(entry.display())
            // Not `gateway run`: 2026.2.9 ignores the port after that.
            .args(["gateway", "--port"])
            .arg(self.port)
            .only_this_environment()
            .env(
                "PATH",
                format!("{bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            )
            .env("HOME", self.folder.join("home").display())
            .env("TMPDIR", temporary.display())
            .env("LANG", "C.UTF-8")
            .env("OPENCLAW_STATE_DIR", self.folder.join("state").display())
            .env(
                "OPENCLAW_CONFIG_PATH",
                self.folder.join("openclaw.json").display(),
            )
            .env("OPENCLAW_DISABLE_BONJOUR", "1")
            .env("OPENCLAW_NO_RESPAWN", "1")
            .env("OPENCLAW_NO_AUTO_UPDATE", "1")
            .env("OPENCLAW_SKIP_CHANNELS", "1")
            .env("OPENCLAW_SKIP_CANVAS_HOST", "1")
            .env("OPENCLAW_SKIP_GMAIL_WATCHER", "1")
            .env("OPENCLAW_SKIP_BROWSER_CONTROL_SERVER", "1")
            .env("OPENCLAW_EXEC_SHELL_SNAPSHOT", "0")
            .folder(self.folder.path())
            .grace(Duration::from_secs(15))
            .start(&self.folder.join("output.log"));
        self.process = Some(process);
        if self.gateway.wait {
            self.wait_until_ready()
        } else {
            Ok(())
        }
    }

    /// Ready when it says hello-ok to a client with its token. Up to three minutes: 2026.2.9 takes 39 s when its
    /// compile cache is cold and the machine is not busy.
    fn wait_until_ready(&self) -> Result<(), NotUp> {
        let start = Instant::now();
        loop {
            let Err(refusal) = self.hello() else { return Ok(()) };
            if !self.process().is_alive() {
                if self.log().contains("EADDRINUSE") || self.log().contains("already in use") {
                    return Err(NotUp::LostPort);
                }
                if self.log().contains(TOO_SLOW) {
                    return Err(NotUp::TooSlow);
                }
                return Err(NotUp::Ended);
            }
            let words = || self.process().last_words();
            assert!(
                start.elapsed().as_secs() < 180,
                "no hello-ok in 180 s ({refusal}). {}",
                words()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for hello-ok after `without_waiting`.
    pub fn ready(&self) {
        if let Err(not_up) = self.wait_until_ready() {
            panic!(
                "{not_up:?} at port {}. {}",
                self.port,
                self.process().last_words()
            );
        }
    }

    /// Where a client on our side of the network finds it.
    pub fn url(&self) -> String {
        let host = self.gateway.place.as_ref().map_or("127.0.0.1", Place::address);
        format!("ws://{host}:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn token(&self) -> &str {
        &self.gateway.token
    }

    pub fn version(&self) -> &str {
        &self.gateway.version
    }

    /// Everything that it has written to its stdout and stderr, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("output.log")).unwrap_or_default()
    }

    pub fn state_folder(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.join("openclaw.json")
    }

    pub fn process(&self) -> &Process {
        self.process
            .as_ref()
            .expect("the gateway was stopped; start_again() comes first")
    }

    pub fn is_alive(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_alive)
    }

    /// Ends it in order; its state stays.
    pub fn stop(&mut self) {
        self.process = None;
        self.end_helpers();
    }

    /// 2026.9.6 starts its commands through a process that is in nobody's group and outlives a killed gateway.
    fn end_helpers(&self) {
        let ours = format!("OPENCLAW_STATE_DIR={}", self.state_folder().display());
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            if environment
                .split(|byte| *byte == 0)
                .any(|set| set == ours.as_bytes())
            {
                send("KILL", &process.file_name().to_string_lossy());
            }
        }
    }

    /// On the same port and with the same state.
    pub fn start_again(&mut self) {
        if let Err(not_up) = self.try_start_again() {
            panic!(
                "{not_up:?} at port {}. {}",
                self.port,
                self.process().last_words()
            );
        }
    }

    /// The same, for tests of what a kill may leave behind.
    pub fn try_start_again(&mut self) -> Result<(), NotUp> {
        assert!(!self.is_alive(), "it still runs; stop() or kill() comes first");
        self.launch()
    }

    /// SIGKILL: nothing is drained, nothing is written.
    pub fn kill(&mut self) {
        self.process().kill();
        self.stop();
    }

    /// `signal("STOP")`, `signal("CONT")`: a gateway that is there and does not answer.
    pub fn signal(&self, signal: &str) {
        self.process().signal(signal);
    }

    /// A call as its owner: from its own loopback, where the token alone gives every scope. Panics on an error.
    pub fn rpc(&self, method: &str, params: &Value) -> Value {
        self.try_rpc(method, params)
            .unwrap_or_else(|error| panic!("{method} {params}: the gateway said {error}"))
    }

    /// The same; an error is the gateway's own `{code, message, ...}`, or `NO_CONVERSATION` when it cannot be reached
    /// (2026.2.9 cannot for a second or two after its config has changed).
    pub fn try_rpc(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let call = match &self.gateway.place {
            None => Command::new(&self.installed.node),
            Some(place) => {
                let mut enter = Command::new("nsenter");
                enter.args(place.enter()).arg(&self.installed.node);
                enter
            }
        };
        let url = format!("ws://127.0.0.1:{}", self.port);
        self.call(call, &url, self.token(), method, params)
    }

    /// A call with the token from our side of the network, by `url()`.
    pub fn rpc_from_here(&self, method: &str, params: &Value) -> Result<Value, Value> {
        self.call(
            Command::new(&self.installed.node),
            &self.url(),
            self.token(),
            method,
            params,
        )
    }

    /// `connect` from our side with whatever token.
    pub fn connect_from_here(&self, token: &str) -> Result<Value, Value> {
        let node = Command::new(&self.installed.node);
        self.call(node, &self.url(), token, "connect", &Value::Null)
    }

    /// `connect` from our side as a device (its key in base64url), asking for these scopes only.
    pub fn connect_as_device(&self, key: &str, scopes: &str) -> Result<Value, Value> {
        let mut node = Command::new(&self.installed.node);
        node.env("RPC_DEVICE_KEY", key).env("RPC_SCOPES", scopes);
        self.call(node, &self.url(), self.token(), "connect", &Value::Null)
    }

    /// What it says to a client with its token: the payload of hello-ok.
    pub fn hello(&self) -> Result<Value, Value> {
        self.try_rpc("connect", &Value::Null)
    }

    /// Approves the one device that waits for it, as the owner would; gives its request id.
    pub fn approve_waiting_device(&self) -> String {
        let list = self.rpc("device.pair.list", &json!({}));
        let request = list.pointer("/pending/0/requestId").and_then(Value::as_str);
        let request = request
            .unwrap_or_else(|| panic!("no device waits for approval: {list}"))
            .to_owned();
        self.rpc("device.pair.approve", &json!({ "requestId": request }));
        request
    }

    fn call(
        &self,
        mut node: Command,
        url: &str,
        token: &str,
        method: &str,
        params: &Value,
    ) -> Result<Value, Value> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/openclaw/rpc.mjs");
        let output = node
            .args([script, url, token, method, &params.to_string()])
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.installed.node.display()));
        let text = String::from_utf8_lossy(&output.stdout);
        let answer = serde_json::from_str(text.trim()).unwrap_or_else(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            json!({ "code": "NO_CONVERSATION", "message": format!("{}: {text}{said}", output.status) })
        });
        if output.status.success() {
            Ok(answer)
        } else {
            Err(answer)
        }
    }
}

impl Drop for OpenClaw {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Why a gateway that was started is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotUp {
    /// Another program was faster.
    LostPort,
    /// The machine was too busy for it. It would come up on another day.
    TooSlow,
    /// It ended by itself; its log says why.
    Ended,
}

/// A 2026.9.6 gives a thread of its own five seconds to come up, and ends when the machine does not let it.
const TOO_SLOW: &str = "state lease heartbeat did not become ready";
