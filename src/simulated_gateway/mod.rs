//! A gateway that behaves like the real ones, for the demo, the tests and the benches: the same WebSocket protocol in
//! three [`Contract`]s, with their budgets, races, restarts, lock-outs, pairing and texts, and with faults on demand.
//!
//! **How it earns trust.** Each behaviour here was recorded from a gateway from npm; the conformance suite runs the same
//! cases against the real ones and against this, and a difference is a defect of this. It uses nothing else of ours, so
//! the client and the simulation check one another.
//!
//! **How it is built.** [`SimulatedGateway`] is a handle to one `World`: the whole state in one mutex that is held for one
//! request at a time, never across a wait. A connection ([`connection`]) turns bytes into requests and puts them into the
//! gateway's queue; one task takes them out, as the real gateway is one thread ([`world`]). Most methods answer at once
//! ([`methods`] is their table); those that write the configuration go through one lock, in order of arrival, with
//! the real one's delays ([`writes`]). A restart ([`restart`]) ends every connection and closes the door for a while.
//!
//! **Time and chance.** The clock is tokio's, so a test may pause it; wall-clock stamps are an offset to it. All ids come
//! from one seed. `Settings::delays` scales every delay of the gateway itself (locks, visibility, turns, restarts): 1.0 is
//! as measured, 0.0 none. Deadlines of the protocol (the wait for `connect`, ticks, budgets, lock-outs) are not scaled.
//!
//! **What it is not.** It runs no model: a turn ends as [`Turns`] says. Methods outside provisioning are answered with a
//! small true answer or as unavailable; `methods.rs` says which. The texts of a fresh workspace are stand-ins.

mod admin;
mod agents;
mod budget;
mod chat;
mod clock;
mod config;
mod connection;
mod contract;
mod cron;
mod device;
mod events;
mod faults;
mod files;
mod greeting;
mod handshake;
mod hello;
mod http;
mod identity_file;
mod ids;
mod issues;
mod json5;
mod lockout;
mod merge;
mod methods;
mod pairing;
mod params;
mod refusal;
mod reload;
mod restart;
mod revision;
mod roster;
mod schema;
mod sessions;
mod shape;
mod system;
mod witness;
mod workspace;
mod world;
mod writes;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub use contract::{Contract, UnknownContract};
pub use faults::{Deed, Fault, Hit, When};
pub use witness::Witness;

use world::World;

/// A handle; clones are the same gateway. It ends with its last handle and its last connection.
#[derive(Clone)]
pub struct SimulatedGateway {
    world: Arc<World>,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub contract: Contract,
    /// The shared token.
    pub token: String,
    pub workspace: Workspace,
    /// 1.0: the real gateway's own delays; 0.0: none.
    pub delays: f64,
    pub seed: u64,
    /// What the wall clock says at the start, in milliseconds since 1970.
    pub started_at_ms: i64,
    pub lock_out: LockOut,
    pub turns: Turns,
    /// Laid over the configuration that the gateway starts with, key by key.
    pub config: Value,
    /// What `config.get` says of its port, and the control UI's origin is compared with where a request has no Host.
    pub port: u16,
}

impl Settings {
    pub fn new(contract: Contract, token: &str) -> Self {
        Self {
            contract,
            token: token.to_owned(),
            workspace: Workspace::Memory,
            delays: 0.0,
            seed: 1,
            started_at_ms: 1_795_166_370_683,
            lock_out: LockOut::default(),
            turns: Turns::default(),
            config: json!({}),
            port: 18_789,
        }
    }
}

/// Where files of agents live. Paths that clients see are the same: below `/srv/openclaw`, or below the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workspace {
    Memory,
    /// Everything that a client names outside this folder is put below it.
    Folder(PathBuf),
}

/// Refused tokens of one address within a window lock it out. 2026.2.9 has no such thing.
#[derive(Debug, Clone)]
pub struct LockOut {
    pub attempts: usize,
    pub window: Duration,
    pub lasts: Duration,
    pub exempt_loopback: bool,
}

impl Default for LockOut {
    fn default() -> Self {
        Self {
            attempts: 10,
            window: Duration::from_secs(60),
            lasts: Duration::from_secs(300),
            exempt_loopback: true,
        }
    }
}

/// How an agent's turn ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Turns {
    /// As on a gateway without a model: every turn fails.
    #[default]
    Fail,
    /// With this answer.
    Reply(String),
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl Peer {
    pub const LOOPBACK: Self = Self(IpAddr::V4(Ipv4Addr::LOCALHOST));

    pub(crate) fn is_loopback(self) -> bool {
        self.0.to_canonical().is_loopback()
    }
}

/// Nobody listens: the gateway is restarting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody listens")]
pub struct NotListening;

impl SimulatedGateway {
    /// Needs a tokio runtime around it.
    pub fn new(settings: Settings) -> Self {
        Self {
            world: World::start(settings),
        }
    }

    /// Serves one stream until it ends. Where nobody listens, a caller over TCP would see "connection refused".
    pub fn connect<S>(
        &self,
        stream: S,
        peer: Peer,
    ) -> Result<impl Future<Output = ()> + Send + 'static, NotListening>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if !self.world.listens() {
            return Err(NotListening);
        }
        let serving = connection::serve(Arc::clone(&self.world), stream, peer);
        Ok(self.world.in_this_life(serving))
    }

    /// Accepts connections for ever. While the gateway restarts the listener is closed, so that nobody can connect.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<()> {
        let address = listener.local_addr()?;
        let mut listener = Some(listener);
        let mut phase = self.world.phase.subscribe();
        loop {
            let Some(open) = &listener else {
                if phase.wait_for(|phase| phase.listens()).await.is_err() {
                    return Ok(());
                }
                listener = Some(rebind(address).await?);
                continue;
            };
            tokio::select! {
                accepted = open.accept() => {
                    let Ok((stream, from)) = accepted else { continue };
                    stream.set_nodelay(true).ok();
                    self.world
                        .spawn(connection::serve(Arc::clone(&self.world), stream, Peer(from.ip())));
                }
                changed = phase.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    if !phase.borrow_and_update().listens() {
                        listener = None;
                    }
                }
            }
        }
    }

    /// The administrative port: faults, deeds and counters as JSON over HTTP.
    pub fn administration(&self) -> axum::Router {
        admin::router(self.clone())
    }

    /// Arms a fault for a call to come.
    pub fn inject(&self, fault: Fault) {
        self.world.lock().faults.arm(fault);
    }

    /// How many of them still wait for their call.
    pub fn armed(&self) -> usize {
        self.world.lock().faults.armed()
    }

    /// From now on it sees every call. A fault that is armed for one goes first.
    pub fn show(&self, witness: Witness) {
        self.world.lock().faults.witness = Some(witness);
    }

    /// Does something to the gateway now.
    pub fn perform(&self, deed: Deed) {
        faults::perform(&self.world, deed);
    }

    /// How often each method was called since the start, refused calls included.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.world.lock().faults.calls.clone()
    }

    pub fn calls_of(&self, method: &str) -> u64 {
        self.world
            .lock()
            .faults
            .calls
            .get(method)
            .copied()
            .unwrap_or_default()
    }

    /// How many connections are greeted right now.
    pub fn connections(&self) -> usize {
        self.world.lock().clients.len()
    }

    /// Whether somebody who connects now would reach it.
    pub fn listens(&self) -> bool {
        self.world.listens()
    }

    /// The configuration as it stands, secrets and all.
    pub fn config(&self) -> Value {
        self.world.lock().config.document().clone()
    }

    /// Every file that is kept in memory, by its path: also of workspaces that are no agent's any more.
    pub fn files(&self) -> BTreeMap<String, String> {
        self.world.lock().files.in_memory()
    }

    /// What every session's history holds, by the session's key.
    pub fn histories(&self) -> BTreeMap<String, Vec<Value>> {
        self.world.lock().sessions.histories()
    }

    /// One file of an agent's workspace, as it lies there.
    pub fn file(&self, agent: &str, name: &str) -> Option<String> {
        let state = self.world.lock();
        let workspace = state.roster.find(agent)?.workspace.clone();
        state
            .files
            .read(&workspace, name)
            .map(|file| file.text.to_string())
    }
}

/// The port may still be held for a moment by connections that are going.
async fn rebind(address: SocketAddr) -> std::io::Result<TcpListener> {
    const TRIES: u32 = 100;
    for _ in 1..TRIES {
        if let Ok(listener) = TcpListener::bind(address).await {
            return Ok(listener);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    TcpListener::bind(address).await
}
