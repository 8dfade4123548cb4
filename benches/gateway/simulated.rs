//! How many calls one connection of ours carries, and what it adds to each: beside the same frames over a bare WebSocket to
//! the same simulated gateway, in the same process, through a pipe and over loopback TCP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use quartermaster::gateway::dial::{Dial, Network, Stream};
use quartermaster::gateway::names::AgentId;
use quartermaster::gateway::{Address, Connection, Trouble, Trust};
use quartermaster::simulated_gateway::{Contract, Peer, Settings, SimulatedGateway};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::bare::Bare;
use crate::fleet::seat::Seat;
use crate::fleet::{of_56, provision};
use crate::table::{Runs, Table};

const TOKEN: &str = "sesame";
const TOGETHER: usize = 40_000;
const ONE_BY_ONE: usize = 10_000;
/// Our connection lets so many wait at the gateway.
const IN_FLIGHT: usize = 16;
const AGENT: &str = "mc-1-1";
const DOCUMENT: &str = "IDENTITY.md";

/// A pipe instead of a network, as if from this machine.
pub struct Pipe(pub SimulatedGateway);

impl Dial for Pipe {
    fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        async move { Ok(Box::new(pipe(&self.0)) as Stream) }.boxed()
    }
}

fn pipe(gateway: &SimulatedGateway) -> tokio::io::DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let serving = gateway.connect(theirs, Peer::LOOPBACK).unwrap();
    tokio::spawn(serving);
    ours
}

pub async fn measure(table: &mut Table, runs: usize) {
    let gateway = SimulatedGateway::new(Settings::new(Contract::V2026_9_6, TOKEN));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("ws://{address}");
    let served = gateway.clone();
    let server = tokio::spawn(async move { served.serve(listener).await });

    let piped = Seat::take(Arc::new(Pipe(gateway.clone())), &url, TOKEN, 1);
    let start = Instant::now();
    provision::until_so(&piped, &of_56("/srv/fleet"), None).await;
    let provisioned = start.elapsed();

    table.heading("simulated 2026.9.6 without delays, in the same process");
    table.row(
        "56 agents, passes until nothing differs",
        &Runs::seconds(&[provisioned]),
        3,
        "s",
        "",
    );
    let connection = piped.online().await.connection;
    let bare = Bare::greet(pipe(&gateway), TOKEN).await;
    compare(table, "a pipe", &connection, bare, runs).await;

    let seat = Seat::take(Arc::new(Network), &url, TOKEN, 1);
    let connection = seat.online().await.connection;
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let bare = Bare::greet(stream, TOKEN).await;
    compare(table, "loopback TCP", &connection, bare, runs).await;
    server.abort();
}

async fn compare<S: AsyncRead + AsyncWrite + Unpin>(
    table: &mut Table,
    way: &str,
    ours: &Connection,
    mut bare: Bare<S>,
    runs: usize,
) {
    let (mut together, mut floor_together) = (Vec::new(), Vec::new());
    let (mut each, mut floor_each) = (Vec::new(), Vec::new());
    // The first one is for the caches.
    for run in 0..=runs {
        let measured = [
            by_many(ours).await,
            bare_pipelined(&mut bare).await,
            one_by_one(ours).await,
            bare_one_by_one(&mut bare).await,
        ];
        if run > 0 {
            let [a, b, c, d] = measured;
            together.push(TOGETHER as f64 / a.as_secs_f64());
            floor_together.push(TOGETHER as f64 / b.as_secs_f64());
            each.push(c.as_secs_f64() * 1e6 / ONE_BY_ONE as f64);
            floor_each.push(d.as_secs_f64() * 1e6 / ONE_BY_ONE as f64);
        }
    }
    let more = Runs::of(each.iter().zip(&floor_each).map(|(ours, floor)| ours - floor));
    let what = |text: &str| format!("{way}: {text}");
    table.row(
        &what("our connection, 64 callers"),
        &Runs::of(together),
        0,
        "calls/s",
        ">= 20000",
    );
    table.row(
        &what("bare, 16 in flight"),
        &Runs::of(floor_together),
        0,
        "calls/s",
        "",
    );
    table.row(
        &what("our connection, one call after another"),
        &Runs::of(each),
        1,
        "us",
        "",
    );
    table.row(&what("bare, the same frames"), &Runs::of(floor_each), 1, "us", "");
    table.row(&what("what our connection adds to a call"), &more, 1, "us", "");
}

/// More callers than may wait at once: the connection bounds them.
async fn by_many(connection: &Connection) -> Duration {
    const CALLERS: usize = 64;
    let start = Instant::now();
    join_all((0..CALLERS).map(|_| calls(connection, TOGETHER / CALLERS))).await;
    start.elapsed()
}

async fn one_by_one(connection: &Connection) -> Duration {
    let start = Instant::now();
    calls(connection, ONE_BY_ONE).await;
    start.elapsed()
}

async fn calls(connection: &Connection, count: usize) {
    let agent = AgentId::parse(AGENT).unwrap();
    for _ in 0..count {
        let file = connection.file_get(&agent, DOCUMENT).await.unwrap();
        assert!(file.is_some());
    }
}

async fn bare_pipelined<S: AsyncRead + AsyncWrite + Unpin>(bare: &mut Bare<S>) -> Duration {
    let params = json!({ "agentId": AGENT, "name": DOCUMENT });
    let start = Instant::now();
    bare.pipeline(
        IN_FLIGHT,
        (0..TOGETHER).map(|_| ("agents.files.get", params.clone())),
    )
    .await;
    start.elapsed()
}

async fn bare_one_by_one<S: AsyncRead + AsyncWrite + Unpin>(bare: &mut Bare<S>) -> Duration {
    let params = json!({ "agentId": AGENT, "name": DOCUMENT });
    let frame =
        json!({ "type": "req", "id": "0", "method": "agents.files.get", "params": params }).to_string();
    let start = Instant::now();
    for _ in 0..ONE_BY_ONE {
        bare.exchange(&frame).await;
    }
    start.elapsed()
}
