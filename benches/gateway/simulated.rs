//! How many calls one connection of ours carries, and what it adds to each: beside the same frames over a bare WebSocket to
//! the same simulated gateway, in the same process, through a pipe and over loopback TCP.

use std::sync::Arc;
use std::time::Instant;

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
use crate::cost::{Cost, Watch};
use crate::fleet::provision::Wakes;
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
    provision::until_so(&piped, &of_56("/srv/fleet"), &mut Wakes::new()).await;
    let provisioned = start.elapsed();

    table.heading("simulated 2026.9.6 without delays, in the same process");
    table.row(
        "56 agents, passes until nothing differs",
        &Runs::of([provisioned.as_secs_f64()]),
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
    let mut measured = Vec::new();
    // The first one is for the caches.
    for run in 0..=runs {
        let costs = [
            by_many(ours).await,
            bare_pipelined(&mut bare).await,
            one_by_one(ours).await,
            bare_one_by_one(&mut bare).await,
        ];
        if run > 0 {
            measured.push(costs);
        }
    }
    let per_second = |which: usize| {
        let runs = measured.iter().map(|costs| costs[which].took.as_secs_f64());
        Runs::of(runs.map(|seconds| TOGETHER as f64 / seconds))
    };
    let micros = |seconds: f64, calls: usize| seconds * 1e6 / calls as f64;
    let cpu_each = |which: usize| Runs::of(measured.iter().map(|costs| micros(costs[which].cpu, TOGETHER)));
    let each = |which: usize| {
        Runs::of(
            measured
                .iter()
                .map(|costs| micros(costs[which].took.as_secs_f64(), ONE_BY_ONE)),
        )
    };
    let added = |[many, pipelined, one, by_one]: &[Cost; 4]| {
        let time = micros(one.took.as_secs_f64() - by_one.took.as_secs_f64(), ONE_BY_ONE);
        (time, micros(many.cpu - pipelined.cpu, TOGETHER))
    };
    let what = |text: &str| format!("{way}: {text}");
    table.row(
        &what("our connection, 64 callers"),
        &per_second(0),
        0,
        "calls/s",
        ">= 20000",
    );
    table.row(&what("bare, 16 in flight"), &per_second(1), 0, "calls/s", "");
    table.row(
        &what("our connection, CPU time of both ends"),
        &cpu_each(0),
        1,
        "us/call",
        "",
    );
    table.row(
        &what("bare, CPU time of both ends"),
        &cpu_each(1),
        1,
        "us/call",
        "",
    );
    let cpu = Runs::of(measured.iter().map(|costs| added(costs).1));
    table.row(&what("  what our connection adds"), &cpu, 1, "us/call", "");
    table.row(
        &what("our connection, one call after another"),
        &each(2),
        1,
        "us/call",
        "",
    );
    table.row(&what("bare, the same frames"), &each(3), 1, "us/call", "");
    let time = Runs::of(measured.iter().map(|costs| added(costs).0));
    table.row(&what("  what our connection adds"), &time, 1, "us/call", "");
}

/// More callers than may wait at once: the connection bounds them.
async fn by_many(connection: &Connection) -> Cost {
    const CALLERS: usize = 64;
    let watch = Watch::start(std::process::id());
    join_all((0..CALLERS).map(|_| calls(connection, TOGETHER / CALLERS))).await;
    watch.stop()
}

async fn one_by_one(connection: &Connection) -> Cost {
    let watch = Watch::start(std::process::id());
    calls(connection, ONE_BY_ONE).await;
    watch.stop()
}

async fn calls(connection: &Connection, count: usize) {
    let agent = AgentId::parse(AGENT).unwrap();
    for _ in 0..count {
        let file = connection.file_get(&agent, DOCUMENT).await.unwrap();
        assert!(file.is_some());
    }
}

async fn bare_pipelined<S: AsyncRead + AsyncWrite + Unpin>(bare: &mut Bare<S>) -> Cost {
    let params = json!({ "agentId": AGENT, "name": DOCUMENT });
    let watch = Watch::start(std::process::id());
    bare.pipeline(
        IN_FLIGHT,
        (0..TOGETHER).map(|_| ("agents.files.get", params.clone())),
    )
    .await;
    watch.stop()
}

async fn bare_one_by_one<S: AsyncRead + AsyncWrite + Unpin>(bare: &mut Bare<S>) -> Cost {
    let params = json!({ "agentId": AGENT, "name": DOCUMENT });
    let frame =
        json!({ "type": "req", "id": "0", "method": "agents.files.get", "params": params }).to_string();
    let watch = Watch::start(std::process::id());
    for _ in 0..ONE_BY_ONE {
        bare.exchange(&frame).await;
    }
    watch.stop()
}
