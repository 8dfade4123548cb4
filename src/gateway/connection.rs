//! One greeted connection: requests go out as they come, answers find their caller by id, and the end of the
//! stream ends every call that still waits. A task owns the socket; [`Connection`] is how others speak to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::SplitStream;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::credentials::Token;
use super::frame::{self, Incoming, Refusal};
use super::handshake::Socket;
use super::news::News;

pub struct Connection {
    calls: mpsc::Sender<Call>,
    ended: watch::Receiver<Option<Ended>>,
    news: watch::Receiver<News>,
    slots: Arc<Semaphore>,
    leave: CancellationToken,
    meter: Meter,
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

struct Call {
    method: &'static str,
    params: Value,
    answer: oneshot::Sender<Result<Value, Refusal>>,
}

/// The gateway is one thread: more at once only costs its memory, and 256 waiting requests are all it takes.
const IN_FLIGHT: usize = 16;

impl Connection {
    /// Takes a greeted socket; `tick` is how often the gateway promised a sign of life.
    /// What it says is cleared of `secret`.
    pub fn start(socket: Socket, tick: Duration, secret: Option<Token>, meter: Meter) -> Self {
        let (calls, taken) = mpsc::channel(IN_FLIGHT);
        let (ending, ended) = watch::channel(None);
        let (tell, news) = watch::channel(News::default());
        let leave = CancellationToken::new();
        let leaving = leave.clone();
        tokio::spawn(async move {
            let end = drive(socket, tick, secret, taken, tell, leaving).await;
            ending.send_replace(Some(end));
        });
        Self {
            calls,
            ended,
            news,
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
            leave,
            meter,
        }
    }

    pub async fn call(
        &self,
        method: &'static str,
        params: Value,
        deadline: Duration,
    ) -> Result<Value, CallError> {
        let result = match timeout(deadline, self.ask(method, params)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::TimedOut),
        };
        (self.meter)(
            method,
            match &result {
                Ok(_) => Outcome::Answered,
                Err(CallError::Refused(_)) => Outcome::Refused,
                Err(CallError::Lost(_)) => Outcome::Lost,
                Err(CallError::TimedOut) => Outcome::TimedOut,
                // Made of an answer, after this.
                Err(CallError::Odd { .. }) => Outcome::Answered,
            },
        );
        result
    }

    async fn ask(&self, method: &'static str, params: Value) -> Result<Value, CallError> {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(CallError::Lost(self.ended().await));
        };
        let (answer, answered) = oneshot::channel();
        if self
            .calls
            .send(Call {
                method,
                params,
                answer,
            })
            .await
            .is_err()
        {
            return Err(CallError::Lost(self.ended().await));
        }
        match answered.await {
            Ok(result) => result.map_err(|refusal| CallError::Refused(Box::new(refusal))),
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
            Ok(None) | Err(_) => Ended {
                code: None,
                reason: "the connection's task ended".into(),
            },
        }
    }

    /// Says goodbye (close 1000) and waits, but not long, for the gateway to hear it. Calls that still wait are lost.
    pub async fn close(&self) {
        self.leave.cancel();
        timeout(2 * GOODBYE, self.ended()).await.ok();
    }
}

const GOODBYE: Duration = Duration::from_secs(1);

/// Owns the socket until it ends. Writing has a task of its own, so that a full send buffer never stops reading.
async fn drive(
    socket: Socket,
    tick: Duration,
    secret: Option<Token>,
    mut calls: mpsc::Receiver<Call>,
    news: watch::Sender<News>,
    leave: CancellationToken,
) -> Ended {
    let (mut sink, mut frames) = socket.split();
    let (outbox, mut leaving) = mpsc::channel::<Message>(2 * IN_FLIGHT);
    let writer = tokio::spawn(async move {
        while let Some(message) = leaving.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        sink.close().await.ok();
    });

    let mut waiting: HashMap<String, oneshot::Sender<Result<Value, Refusal>>> = HashMap::new();
    let mut next_id: u64 = 0;
    // Anything heard counts; two ticks of silence and the peer is gone, whatever TCP says.
    let mut dead_at = Instant::now() + 2 * tick;
    let end = loop {
        tokio::select! {
            heard = frames.next() => {
                dead_at = Instant::now() + 2 * tick;
                match heard {
                    Some(Ok(Message::Text(text))) => deliver(&text, secret.as_ref(), &mut waiting, &news),
                    Some(Ok(Message::Close(close))) => {
                        break close.map_or(
                            Ended { code: None, reason: "closed".into() },
                            |close| Ended { code: Some(close.code.into()), reason: Token::tame(secret.as_ref(), &close.reason) },
                        );
                    }
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Err(error)) => break Ended { code: None, reason: frame::tame(&error.to_string()) },
                    None => break Ended { code: None, reason: "end of stream".into() },
                }
            }
            () = leave.cancelled() => return goodbye(outbox, writer, &mut frames).await,
            call = calls.recv() => {
                // Everybody who could call is gone.
                let Some(Call { method, params, answer }) = call else {
                    return goodbye(outbox, writer, &mut frames).await;
                };
                waiting.retain(|_, answer| !answer.is_closed());
                next_id += 1;
                let id = next_id.to_string();
                let text = frame::request(&id, method, &params);
                waiting.insert(id, answer);
                if outbox.try_send(Message::text(text)).is_err() {
                    break Ended { code: None, reason: "the gateway stopped reading".into() };
                }
            }
            () = tokio::time::sleep_until(dead_at) => {
                break Ended { code: None, reason: format!("silent for {} s", (2 * tick).as_secs()) };
            }
        }
    };
    writer.abort();
    end
}

fn deliver(
    text: &str,
    secret: Option<&Token>,
    waiting: &mut HashMap<String, oneshot::Sender<Result<Value, Refusal>>>,
    news: &watch::Sender<News>,
) {
    match Incoming::parse(text, secret) {
        Some(Incoming::Answer { id, result }) => {
            // An answer nobody waits for is late or not ours: its caller has read the outcome back already.
            if let Some(answer) = waiting.remove(&id) {
                answer.send(result).ok();
            }
        }
        Some(Incoming::Event { name, payload }) => {
            news.send_if_modified(|news| news.hear(&name, &payload));
        }
        None => tracing::debug!(bytes = text.len(), "a frame that is none"),
    }
}

/// Lets the writer finish and close, and reads on until the peer has answered that, so that it sees an orderly end.
async fn goodbye(
    outbox: mpsc::Sender<Message>,
    writer: JoinHandle<()>,
    frames: &mut SplitStream<Socket>,
) -> Ended {
    drop(outbox);
    timeout(GOODBYE, async {
        writer.await.ok();
        while let Some(Ok(_)) = frames.next().await {}
    })
    .await
    .ok();
    Ended {
        code: Some(1000),
        reason: "we closed it".into(),
    }
}
