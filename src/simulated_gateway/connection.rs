//! One stream, from its first byte to its last: plain HTTP or a WebSocket, the greeting, then requests in and answers and
//! events out. Writing has a task of its own, so that a client that does not read stops nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::Peer;
use super::handshake::{self, Greeted};
use super::http::{self, Head};
use super::refusal::Refusal;
use super::restart::Phase;
use super::shape::{self, Kind, Property, Shape, may, must};
use super::world::{Request, World};

/// A greeted connection, as the rest of the gateway knows it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) granted: Granted,
    /// The client's own name, as told in events and histories.
    pub(super) name: String,
    pub(super) mode: String,
    /// Whose budget its calls spend.
    pub(super) spender: String,
    /// By the shared token, and so ended when that changes.
    pub(super) shared_token: bool,
    pub(super) device_id: Option<String>,
    outbox: Outbox,
}

/// What a connection may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Granted {
    Everything,
    Scopes(Vec<String>),
}

impl Client {
    pub(super) fn new(id: u64, granted: Granted, greeted: &Greeted, outbox: Outbox) -> Self {
        let Greeted {
            name,
            mode,
            spender,
            shared_token,
            device_id,
            ..
        } = greeted;
        Self {
            id,
            granted,
            name: name.clone(),
            mode: mode.clone(),
            spender: spender.clone(),
            shared_token: *shared_token,
            device_id: device_id.clone(),
            outbox,
        }
    }

    /// Admin may everything; who may write may read.
    pub(super) fn may(&self, scope: &str) -> bool {
        match &self.granted {
            Granted::Everything => true,
            Granted::Scopes(scopes) => scopes.iter().any(|granted| {
                granted == scope
                    || granted == "operator.admin"
                    || (granted == "operator.write" && scope == "operator.read")
            }),
        }
    }

    pub(super) fn answer(&self, id: &Value, answer: &Result<Value, Refusal>) {
        self.outbox.send(Out::Text(answer_frame(id, answer)));
    }

    /// An error that a test has made up.
    pub(super) fn refuse(&self, id: &Value, error: &Value) {
        self.outbox.send(Out::Text(
            json!({ "type": "res", "id": id, "ok": false, "error": error }).to_string(),
        ));
    }

    /// An event whose payload is JSON already.
    pub(super) fn tell_text(&self, event: &str, payload: &str, number: Option<u64>) {
        self.outbox.event(event, payload, number);
    }

    pub(super) fn close(&self, code: u16, reason: &str) {
        self.outbox.send(Out::Close(code, reason.to_owned()));
    }

    /// Ends without a word, as a killed process does.
    pub(super) fn cut(&self) {
        self.outbox.send(Out::Cut);
    }
}

/// Frames on their way out, in order, and how much of them waits.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<Out>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    /// Rung when a client has let too much pile up: it is given up.
    overflown: Arc<Notify>,
    /// The number of the last event. Held while an event is queued: numbers and frames have one order.
    sequence: Arc<Mutex<u64>>,
}

#[derive(Debug)]
enum Out {
    Text(String),
    Ping,
    Close(u16, String),
    Cut,
}

impl Outbox {
    fn send(&self, out: Out) {
        if let Out::Text(text) = &out {
            let waiting = self.waiting.fetch_add(text.len(), Ordering::Relaxed) + text.len();
            if waiting > self.limit {
                self.overflown.notify_one();
                return;
            }
        }
        self.queue.send(out).ok();
    }

    /// With this number, or where the connection counts for itself with its next.
    fn event(&self, event: &str, payload: &str, number: Option<u64>) {
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        *sequence += 1;
        let number = number.unwrap_or(*sequence);
        self.send(Out::Text(format!(
            r#"{{"type":"event","event":"{event}","payload":{payload},"seq":{number}}}"#
        )));
    }
}

fn answer_frame(id: &Value, answer: &Result<Value, Refusal>) -> String {
    match answer {
        Ok(payload) => json!({ "type": "res", "id": id, "ok": true, "payload": payload }),
        Err(refusal) => match &refusal.payload {
            None => json!({ "type": "res", "id": id, "ok": false, "error": refusal.error() }),
            Some(payload) => {
                json!({ "type": "res", "id": id, "ok": false, "payload": payload, "error": refusal.error() })
            }
        },
    }
    .to_string()
}

const PING: Duration = Duration::from_secs(25);
/// Until a stream that asks for nothing is given up.
const HEAD_DEADLINE: Duration = Duration::from_secs(15);
/// How long a client is given to take its last frames.
const GOODBYE: Duration = Duration::from_secs(2);
/// Reasons of closes are cut to what a control frame holds.
const LONGEST_REASON: usize = 120;
/// More than that is not even read.
const LARGEST_FRAME: usize = 64 << 20;
const LARGEST_FIRST_FRAME: usize = 64 << 10;

type Sink<S> = SplitSink<WebSocketStream<S>, Message>;

pub(super) async fn serve<S>(world: Arc<World>, mut stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Ok(Some(head)) = timeout(HEAD_DEADLINE, Head::read(&mut stream)).await else {
        return;
    };
    world.thaw().await;
    if !head.wants_upgrade() {
        http::answer(&world, &head).write(&head, &mut stream).await.ok();
        return;
    }
    if let Some(reply) = http::refused_upgrade(&world, &head) {
        reply.write(&head, &mut stream).await.ok();
        return;
    }
    if head.accept(&mut stream).await.is_err() {
        return;
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_FRAME))
        .max_frame_size(Some(LARGEST_FRAME));
    let socket =
        WebSocketStream::from_partially_read(stream, head.rest.clone(), Role::Server, Some(config)).await;
    let (sink, frames) = socket.split();
    let (queue, leaving) = mpsc::unbounded_channel();
    let outbox = Outbox {
        queue,
        waiting: Arc::default(),
        limit: world.contract.max_buffered(),
        overflown: Arc::default(),
        sequence: Arc::default(),
    };
    let writer = tokio::spawn(write(sink, leaving, Arc::clone(&outbox.waiting)));
    converse(&world, &head, peer, frames, &outbox, writer).await;
}

/// Greets, then reads until either side ends it. Whoever closes, the writer is the one to know when.
async fn converse<S>(
    world: &Arc<World>,
    head: &Head,
    peer: Peer,
    mut frames: SplitStream<WebSocketStream<S>>,
    outbox: &Outbox,
    mut writer: tokio::task::JoinHandle<()>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let client = tokio::select! {
        client = greet(world, head, peer, &mut frames, outbox) => client,
        _ = &mut writer => None,
    };
    if let Some(client) = client {
        let now = Instant::now();
        let mut ping = interval_at(now + PING, PING);
        loop {
            tokio::select! {
                frame = frames.next() => {
                    world.thaw().await;
                    if !hear(world, &client, frame) {
                        break;
                    }
                }
                _ = ping.tick() => {
                    world.thaw().await;
                    outbox.send(Out::Ping);
                }
                _ = &mut writer => break,
                () = outbox.overflown.notified() => break,
            }
        }
        world.lock().clients.remove(&client.id);
    }
    // A close frame is lost where the stream is dropped while the client still writes: take what comes, for a while.
    outbox.send(Out::Cut);
    if !writer.is_finished() && timeout(GOODBYE, &mut writer).await.is_err() {
        writer.abort();
    }
    let drain = async { while let Some(Ok(_)) = frames.next().await {} };
    timeout(GOODBYE, drain).await.ok();
}

/// Whether there is more to hear.
fn hear(world: &Arc<World>, client: &Arc<Client>, frame: Option<Result<Message, WsError>>) -> bool {
    match frame {
        Some(Ok(Message::Text(text))) => return take_if_small(world, client, &text),
        // A binary frame with JSON in it is as good.
        Some(Ok(Message::Binary(bytes))) => {
            return take_if_small(world, client, &String::from_utf8_lossy(&bytes));
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
        Some(Ok(Message::Close(_))) | None => return false,
        Some(Err(_)) => return false,
    }
    true
}

/// A frame over the limit is read to its end before the connection is closed: a client that still writes would never see
/// the close.
fn take_if_small(world: &Arc<World>, client: &Arc<Client>, text: &str) -> bool {
    if text.len() > world.contract.max_payload() {
        client.close(1009, "");
        return false;
    }
    take(world, client, text);
    true
}

const FRAME: Shape = Shape(FRAME_PROPERTIES);
const FRAME_PROPERTIES: &[Property] = &[
    must("type", Kind::Is("req")),
    must("id", Kind::Text(1)),
    must("method", Kind::Text(1)),
    may("params", Kind::Any),
    may("traceparent", Kind::Text(0)),
    may("expectedProfileId", Kind::Text(1)),
];

fn take(world: &Arc<World>, client: &Arc<Client>, text: &str) {
    // What is no JSON is ignored.
    let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let id = frame.get("id").cloned();
    if let Some(complaint) = shape::complaint(&FRAME, &frame, world.contract) {
        let refusal = Refusal::invalid(format!("invalid request frame: {complaint}"));
        return client.answer(&id.unwrap_or_else(|| json!("invalid")), &Err(refusal));
    }
    let request = Request {
        world: Arc::clone(world),
        client: Arc::clone(client),
        life: *world.life.borrow(),
        id: id.unwrap_or_default(),
        method: frame
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        params: frame.get_mut("params").map(Value::take).unwrap_or_default(),
    };
    if let Err(full) = world.enqueue(request) {
        let (request, busy) = *full;
        request.client.answer(&request.id, &Err(busy));
    }
}

/// The challenge, the client's `connect`, and hello-ok; None where it did not come to that.
async fn greet<S>(
    world: &Arc<World>,
    head: &Head,
    peer: Peer,
    frames: &mut SplitStream<WebSocketStream<S>>,
    outbox: &Outbox,
) -> Option<Arc<Client>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let challenge = handshake::Challenge::new(world);
    outbox.send(Out::Text(challenge.frame(world.contract)));
    let close = |code, reason: &str| {
        outbox.send(Out::Close(code, reason.to_owned()));
        None
    };
    let first = loop {
        match timeout(handshake::deadline(world.contract), frames.next()).await {
            Err(_) => return close(1000, ""),
            Ok(Some(Ok(Message::Text(text)))) => break text.to_string(),
            Ok(Some(Ok(Message::Binary(bytes)))) => break String::from_utf8_lossy(&bytes).into_owned(),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return None,
        }
    };
    world.thaw().await;
    if first.len() > LARGEST_FIRST_FRAME && world.contract.clears_scopes() {
        return close(1009, "");
    }
    let Ok(frame) = serde_json::from_str::<Value>(&first) else {
        return close(1000, "");
    };
    if shape::complaint(&FRAME, &frame, world.contract).is_some() {
        return close(1008, "invalid request frame");
    }
    let id = frame.get("id").cloned().unwrap_or_default();
    let refuse = |refusal: Refusal, code: u16, reason: &str| {
        outbox.send(Out::Text(answer_frame(&id, &Err(refusal))));
        close(code, reason)
    };
    if frame.get("method").and_then(Value::as_str) != Some("connect") {
        let message = "invalid handshake: first request must be connect";
        return refuse(Refusal::invalid(message), 1008, message);
    }
    if *world.phase.borrow() != Phase::Up {
        let starting = Refusal::unavailable("gateway starting; retry shortly")
            .retry(Some(500))
            .details(json!({ "reason": "startup-sidecars" }));
        return refuse(starting, 1013, "gateway starting");
    }
    let params = frame.get("params").cloned().unwrap_or_default();
    world.lock().faults.count("connect");
    match handshake::admit(world, head, peer, &challenge, &params).await {
        Ok(greeted) => Some(greeted.welcome(world, &id, outbox)),
        Err(handshake::Refused {
            refusal,
            code,
            reason,
        }) => refuse(refusal, code, &reason),
    }
}

impl Greeted {
    /// hello-ok leaves first and events after it: both happen under the state's lock.
    fn welcome(self, world: &Arc<World>, id: &Value, outbox: &Outbox) -> Arc<Client> {
        let mut state = world.lock();
        state.next_client += 1;
        let number = state.next_client;
        let hello = self.hello(world, &mut state);
        outbox.send(Out::Text(answer_frame(id, &Ok(hello))));
        let client = Arc::new(Client::new(number, self.granted.clone(), &self, outbox.clone()));
        state.clients.insert(number, Arc::clone(&client));
        client
    }
}

async fn write<S>(mut sink: Sink<S>, mut leaving: mpsc::UnboundedReceiver<Out>, waiting: Arc<AtomicUsize>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    while let Some(out) = leaving.recv().await {
        let sent = match out {
            Out::Text(text) => {
                let length = text.len();
                let sent = sink.send(Message::text(text)).await;
                waiting.fetch_sub(length, Ordering::Relaxed);
                sent
            }
            Out::Ping => sink.send(Message::Ping(Vec::new().into())).await,
            Out::Close(code, reason) => {
                let reason: String = cut(&reason).to_owned();
                let frame = CloseFrame {
                    code: code.into(),
                    reason: reason.into(),
                };
                sink.send(Message::Close(Some(frame))).await.ok();
                return;
            }
            Out::Cut => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.split_at(end).0
}
