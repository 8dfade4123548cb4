//! One greeted connection: requests go out as they come, answers find their caller by id, and the end of the
//! stream ends every call that still waits. A task owns the socket; [`Connection`] is how others speak to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::credentials::Secrets;
use super::frame::{self, Incoming, Refusal};
use super::handshake::{LARGEST_FRAME, Socket};
use super::news::News;

pub struct Connection {
    requests: mpsc::Sender<Request>,
    waiting: Arc<Waiting>,
    ended: watch::Receiver<Option<Ended>>,
    news: watch::Receiver<News>,
    slots: Semaphore,
    largest_request: usize,
    leave: CancellationToken,
    meter: Meter,
    secrets: Secrets,
}

/// What the gateway laid down in its hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often it sends a sign of life.
    pub tick: Duration,
    /// It closes a connection with 1009 over a longer frame, and with it every call that is under way.
    pub largest_request: usize,
}

/// How a connection came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub code: Option<u16>,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    #[error("{} ({})", .0.message, .0.code)]
    Refused(Box<Refusal>),
    /// Not sent: the gateway would close the connection over it.
    #[error("{method} would take {size} bytes, and the gateway takes {limit} at most")]
    TooLarge {
        method: &'static str,
        size: usize,
        limit: usize,
    },
    /// The connection ended first. Whether the gateway acted is unknown.
    #[error("the connection ended before the answer ({})", .0.reason)]
    Lost(Ended),
    /// Whether the gateway acted is unknown.
    #[error("no answer in time")]
    TimedOut,
    /// The gateway did it, and said something that we cannot read.
    #[error("an answer to {method} that we do not understand")]
    Odd { method: &'static str },
}

/// Told of every call when it is over, for metrics.
pub type Meter = Arc<dyn Fn(&str, Outcome) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Answered,
    Refused,
    Lost,
    TimedOut,
}

struct Request {
    id: u64,
    text: String,
}

/// The gateway is one thread: more at once only costs its memory, and 256 waiting requests are all it takes.
const IN_FLIGHT: usize = 16;

impl Connection {
    /// Takes a greeted socket. What the gateway says is cleared of `secrets`.
    pub fn start(socket: Socket, policy: Policy, secrets: Secrets, meter: Meter) -> Self {
        let Policy {
            tick,
            largest_request,
        } = policy;
        let (requests, taken) = mpsc::channel(IN_FLIGHT);
        let (ending, ended) = watch::channel(None);
        let (tell, news) = watch::channel(News::default());
        let waiting = Arc::new(Waiting::default());
        let leave = CancellationToken::new();
        let line = Line {
            tick,
            secrets: secrets.clone(),
            waiting: Arc::clone(&waiting),
            news: tell,
            leave: leave.clone(),
        };
        tokio::spawn(async move {
            let end = line.hold(socket, taken).await;
            ending.send_replace(Some(end));
        });
        Self {
            requests,
            waiting,
            ended,
            news,
            slots: Semaphore::new(IN_FLIGHT),
            largest_request,
            leave,
            meter,
            secrets,
        }
    }

    /// The gateway's words, fit for a status: cleared of what we have shown it, and short.
    pub(super) fn tamed(&self, text: &str) -> String {
        self.secrets.tame(text)
    }

    pub async fn call(
        &self,
        method: &'static str,
        params: Value,
        deadline: Duration,
    ) -> Result<Value, CallError> {
        let result = match timeout(deadline, self.ask(method, &params)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::TimedOut),
        };
        (self.meter)(
            method,
            match &result {
                Ok(_) | Err(CallError::Odd { .. }) => Outcome::Answered,
                Err(CallError::Refused(_) | CallError::TooLarge { .. }) => Outcome::Refused,
                Err(CallError::Lost(_)) => Outcome::Lost,
                Err(CallError::TimedOut) => Outcome::TimedOut,
            },
        );
        result
    }

    async fn ask(&self, method: &'static str, params: &Value) -> Result<Value, CallError> {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(CallError::Lost(self.ended().await));
        };
        let (place, answered) = self.waiting.enter();
        let text = frame::request(&place.id.to_string(), method, params);
        if text.len() > self.largest_request {
            return Err(CallError::TooLarge {
                method,
                size: text.len(),
                limit: self.largest_request,
            });
        }
        let request = Request { id: place.id, text };
        if self.requests.send(request).await.is_err() {
            return Err(CallError::Lost(self.ended().await));
        }
        match answered.await {
            // Read here and not where it was heard: a long answer holds up only the one who wanted it.
            Ok(Ok(answer)) => std::str::from_utf8(&answer)
                .ok()
                .and_then(frame::value)
                .ok_or(CallError::Odd { method }),
            Ok(Err(refusal)) => Err(CallError::Refused(Box::new(refusal))),
            Err(_) => Err(CallError::Lost(self.ended().await)),
        }
    }

    /// What the gateway tells by itself. The counts begin anew with every connection: a new one is news enough.
    pub fn news(&self) -> watch::Receiver<News> {
        self.news.clone()
    }

    /// Waits until the connection is over and says how it ended.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.map(|end| (*end).clone()) {
            Ok(Some(end)) => end,
            Ok(None) | Err(_) => Ended::of("the connection's task ended"),
        }
    }

    /// Says goodbye (close 1000) and waits, but not long, for the gateway to hear it. Calls that still wait are lost.
    pub async fn close(&self) {
        self.leave.cancel();
        timeout(2 * GOODBYE, self.ended()).await.ok();
    }
}

impl Ended {
    /// An end without a close frame.
    pub(super) fn of(reason: impl Into<String>) -> Self {
        Self {
            code: None,
            reason: reason.into(),
        }
    }

    fn of_error(error: &WsError) -> Self {
        Self::of(match error {
            WsError::Capacity(_) => format!("a frame of more than {} MiB", LARGEST_FRAME >> 20),
            WsError::WriteBufferFull(_) => NOT_READING.to_owned(),
            other @ (WsError::ConnectionClosed
            | WsError::AlreadyClosed
            | WsError::Io(_)
            | WsError::Tls(_)
            | WsError::Protocol(_)
            | WsError::Utf8(_)
            | WsError::AttackAttempt
            | WsError::Url(_)
            | WsError::Http(_)
            | WsError::HttpFormat(_)) => frame::tame(&other.to_string()),
        })
    }
}

const NOT_READING: &str = "the gateway stopped reading";

type Answer = Result<Bytes, Refusal>;

/// The calls that wait for an answer, by the id of their request.
#[derive(Default)]
struct Waiting(Mutex<Callers>);

#[derive(Default)]
struct Callers {
    last_id: u64,
    by_id: HashMap<u64, oneshot::Sender<Answer>>,
}

/// A caller's place among those who wait. Dropped with the caller, whatever became of it.
struct Place<'a> {
    id: u64,
    waiting: &'a Waiting,
}

impl Waiting {
    fn enter(&self) -> (Place<'_>, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let id = self.with(|callers| {
            callers.last_id += 1;
            callers.by_id.insert(callers.last_id, answer);
            callers.last_id
        });
        (Place { id, waiting: self }, answered)
    }

    fn take(&self, id: u64) -> Option<oneshot::Sender<Answer>> {
        self.with(|callers| callers.by_id.remove(&id))
    }

    fn holds(&self, id: u64) -> bool {
        self.with(|callers| callers.by_id.contains_key(&id))
    }

    /// Lets all of them know that no answer will come.
    fn dismiss(&self) {
        self.with(|callers| callers.by_id.clear());
    }

    fn with<T>(&self, act: impl FnOnce(&mut Callers) -> T) -> T {
        // Every change is one step, so that a panic elsewhere cannot leave it half-done.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.take(self.id);
    }
}

/// The task that owns the socket.
struct Line {
    tick: Duration,
    secrets: Secrets,
    waiting: Arc<Waiting>,
    news: watch::Sender<News>,
    leave: CancellationToken,
}

const GOODBYE: Duration = Duration::from_secs(1);

/// Written together where so much waits to be written.
const BATCH: usize = 64 << 10;

impl Line {
    /// Until it ends. Listening and speaking are two futures of one task: a full send buffer never stops the reading.
    async fn hold(self, socket: Socket, mut requests: mpsc::Receiver<Request>) -> Ended {
        let (mut sink, mut frames) = socket.split();
        let (ask_for_life, asked_for_life) = mpsc::channel(1);
        let end = tokio::select! {
            end = self.listen(&mut frames, ask_for_life) => Some(end),
            end = self.speak(&mut sink, &mut requests, asked_for_life) => end,
            () = self.leave.cancelled() => None,
        };
        // Whoever comes after this cannot send, and whoever sent before is in the list.
        drop(requests);
        self.waiting.dismiss();
        match end {
            Some(end) => {
                // Where the gateway has closed, our answer to that is still on its way out.
                timeout(GOODBYE, sink.flush()).await.ok();
                end
            }
            None => goodbye(&mut sink, &mut frames).await,
        }
    }

    /// Anything heard counts as a sign of life. After a tick of silence the gateway is asked for one, after two it is gone,
    /// whatever TCP says.
    async fn listen(&self, frames: &mut SplitStream<Socket>, ask_for_life: mpsc::Sender<()>) -> Ended {
        let mut heard_at = Instant::now();
        let mut silence = std::pin::pin!(sleep(self.tick));
        loop {
            tokio::select! {
                message = frames.next() => {
                    heard_at = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.deliver(&text),
                        Some(Ok(Message::Close(None))) => return Ended::of("closed"),
                        Some(Ok(Message::Close(Some(close)))) => return Ended {
                            code: Some(close.code.into()),
                            reason: self.secrets.tame(&close.reason),
                        },
                        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                        Some(Err(error)) => return Ended::of_error(&error),
                        None => return Ended::of("end of stream"),
                    }
                }
                () = &mut silence => {
                    let silent = heard_at.elapsed();
                    if silent >= 2 * self.tick {
                        return Ended::of(format!("silent for {} s", (2 * self.tick).as_secs()));
                    }
                    let next = if silent >= self.tick {
                        ask_for_life.try_send(()).ok();
                        2 * self.tick
                    } else {
                        self.tick
                    };
                    silence.as_mut().reset(heard_at + next);
                }
            }
        }
    }

    fn deliver(&self, text: &Utf8Bytes) {
        match Incoming::parse(text, &self.secrets) {
            Some(Incoming::Answer { id, result }) => {
                // An answer nobody waits for is late or not ours: its caller has read the outcome back already.
                if let Some(caller) = id.parse().ok().and_then(|id| self.waiting.take(id)) {
                    let whole: &Bytes = text.as_ref();
                    caller
                        .send(result.map(|json| whole.slice_ref(json.as_bytes())))
                        .ok();
                }
            }
            Some(Incoming::Event { name, payload }) => {
                self.news
                    .send_if_modified(|news| news.hear(&name, payload, &self.secrets));
            }
            None => tracing::debug!(bytes = text.len(), "a frame that is none"),
        }
    }

    /// None when everybody who could call is gone.
    async fn speak(
        &self,
        sink: &mut SplitSink<Socket, Message>,
        requests: &mut mpsc::Receiver<Request>,
        mut asked_for_life: mpsc::Receiver<()>,
    ) -> Option<Ended> {
        loop {
            let sent = tokio::select! {
                request = requests.recv() => {
                    timeout(2 * self.tick, self.send(sink, request?, requests)).await
                }
                Some(()) = asked_for_life.recv() => {
                    timeout(2 * self.tick, sink.send(Message::Ping(Bytes::new()))).await
                }
            };
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    // Why it ended is heard rather than seen here: a close frame may be on its way to us.
                    sleep(GOODBYE).await;
                    return Some(Ended::of_error(&error));
                }
                Err(_) => return Some(Ended::of(NOT_READING)),
            }
        }
    }

    /// This request and those that wait behind it, in one go. What nobody waits for any more is not sent.
    async fn send(
        &self,
        sink: &mut SplitSink<Socket, Message>,
        first: Request,
        requests: &mut mpsc::Receiver<Request>,
    ) -> Result<(), WsError> {
        let mut next = Some(first);
        let mut written = 0;
        while let Some(Request { id, text }) = next {
            if self.waiting.holds(id) {
                written += text.len();
                sink.feed(Message::text(text)).await?;
            }
            next = (written < BATCH).then(|| requests.try_recv().ok()).flatten();
        }
        sink.flush().await
    }
}

/// Closes, and reads on until the peer has answered that, so that it sees an orderly end.
async fn goodbye(sink: &mut SplitSink<Socket, Message>, frames: &mut SplitStream<Socket>) -> Ended {
    timeout(GOODBYE, async {
        sink.close().await.ok();
        while let Some(Ok(_)) = frames.next().await {}
    })
    .await
    .ok();
    Ended {
        code: Some(1000),
        reason: "we closed it".into(),
    }
}
