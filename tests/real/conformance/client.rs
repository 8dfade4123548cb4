//! A client that shows what a gateway really says: frames, events and close codes, unread and unmended.
//!
//! It is not the product's client on purpose: that one repairs, retries and forgets, and would hide a difference.
//! It reads also while nobody waits, and lets go of the connection as soon as it has ended: a gateway of 2026.2.9
//! that is to restart waits for each client's end of the TCP connection, and after five seconds it exits instead.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

/// Dropping it says goodbye.
pub struct Client {
    leaving: UnboundedSender<Message>,
    heard: UnboundedReceiver<Heard>,
    /// Events that nobody has taken yet, oldest first.
    pub events: Vec<Value>,
    answers: Vec<(String, Value)>,
    end: Option<(u16, String)>,
    last_id: u64,
}

enum Heard {
    Frame(Value),
    End(u16, String),
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Ok(Value),
    /// `payload` beside the error: a repeated chat.send has both.
    Refused {
        error: Value,
        payload: Value,
    },
    /// The connection ended first.
    Closed(u16, String),
    Silent,
}

/// How long an answer may take: 2026.7.35 took more than 30 s for some writes while 25 processes waited for two cores.
/// 2026.2.9 never answers what it was asked half-way through a restart.
const PATIENCE: Duration = Duration::from_secs(120);

impl Client {
    /// Upgrades and waits for nothing. The error is the HTTP status, or the failure in words.
    pub async fn upgrade(url: &str, headers: &[(&str, &str)]) -> Result<Self, String> {
        let address = url.strip_prefix("ws://").expect("conformance speaks plain ws://");
        let stream = timeout(Duration::from_secs(10), TcpStream::connect(address))
            .await
            .map_err(|_| "connecting took 10 s".to_owned())?
            .map_err(|error| error.to_string())?;
        let mut request = url.into_client_request().map_err(|error| error.to_string())?;
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header's name");
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        // hello-ok of a big gateway, config.schema: megabytes, and nothing here is hostile.
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let upgrade = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (socket, _) = timeout(PATIENCE, upgrade)
            .await
            .map_err(|_| "no upgrade".to_owned())?
            .map_err(|error| {
                if let tungstenite::Error::Http(response) = &error {
                    format!("HTTP {}", response.status().as_u16())
                } else {
                    error.to_string()
                }
            })?;
        let (leaving, outbox) = mpsc::unbounded_channel();
        let (inbox, heard) = mpsc::unbounded_channel();
        tokio::spawn(carry(socket, outbox, inbox));
        Ok(Self {
            leaving,
            heard,
            events: Vec::new(),
            answers: Vec::new(),
            end: None,
            last_id: 0,
        })
    }

    /// Upgrades and waits for the challenge, which every connection begins with.
    pub async fn open(url: &str) -> Result<(Self, Value), String> {
        Self::open_with(url, &[]).await
    }

    pub async fn open_with(url: &str, headers: &[(&str, &str)]) -> Result<(Self, Value), String> {
        let mut client = Self::upgrade(url, headers).await?;
        let challenge = client.event("connect.challenge", PATIENCE).await;
        let Some(challenge) = challenge else {
            return Err(format!("no challenge, {:?}", client.end));
        };
        Ok((client, challenge["payload"].clone()))
    }

    /// Sends `connect` with these params.
    pub async fn greet(&mut self, params: &Value) -> Answer {
        self.request("hello", "connect", params).await;
        self.answer("hello").await
    }

    pub async fn call(&mut self, method: &str, params: &Value) -> Answer {
        let id = self.send(method, params).await;
        self.answer(&id).await
    }

    /// Sends a request and does not wait; `answer` takes the id.
    pub async fn send(&mut self, method: &str, params: &Value) -> String {
        self.last_id += 1;
        let id = format!("q{}", self.last_id);
        self.request(&id, method, params).await;
        id
    }

    async fn request(&mut self, id: &str, method: &str, params: &Value) {
        let frame = json!({ "type": "req", "id": id, "method": method, "params": params });
        self.say(&frame.to_string()).await;
    }

    /// One text message as it is. What became of it is seen by what comes back.
    pub async fn say(&mut self, text: &str) {
        self.put(Message::text(text));
    }

    pub async fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.put(Message::binary(bytes));
    }

    fn put(&self, message: Message) {
        // A gateway that has closed does not take it; its close frame is still there to be read.
        let _closed_meanwhile = self.leaving.send(message);
    }

    pub async fn answer(&mut self, id: &str) -> Answer {
        self.answer_within(id, PATIENCE).await
    }

    pub async fn answer_within(&mut self, id: &str, patience: Duration) -> Answer {
        let until = Instant::now() + patience;
        loop {
            if let Some(at) = self.answers.iter().position(|(of, _)| of == id) {
                let (_, frame) = self.answers.remove(at);
                return Answer::of(&frame);
            }
            if let Some((code, reason)) = &self.end {
                return Answer::Closed(*code, reason.clone());
            }
            if !self.hear(until).await {
                return Answer::Silent;
            }
        }
    }

    /// The next event of this name, which is taken out of `events`.
    pub async fn event(&mut self, name: &str, patience: Duration) -> Option<Value> {
        self.event_like(patience, |event| event["event"] == name).await
    }

    pub async fn event_like(&mut self, patience: Duration, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let until = Instant::now() + patience;
        loop {
            if let Some(at) = self.events.iter().position(&is_it) {
                return Some(self.events.remove(at));
            }
            if self.end.is_some() || !self.hear(until).await {
                return None;
            }
        }
    }

    /// The close code and reason, once the gateway has closed; `None` when it stays open for so long.
    pub async fn closed(&mut self, patience: Duration) -> Option<(u16, String)> {
        let until = Instant::now() + patience;
        while self.end.is_none() && self.hear(until).await {}
        self.end.clone()
    }

    /// Takes one message and puts it where it belongs; false when none came until then.
    async fn hear(&mut self, until: Instant) -> bool {
        match timeout_at(until, self.heard.recv()).await {
            Err(_) => return false,
            Ok(Some(Heard::Frame(frame))) if frame["type"] == "event" => self.events.push(frame),
            Ok(Some(Heard::Frame(frame))) => {
                let id = frame["id"]
                    .as_str()
                    .map_or(frame["id"].to_string(), str::to_owned);
                self.answers.push((id, frame));
            }
            Ok(Some(Heard::End(code, reason))) => self.end = Some((code, reason)),
            Ok(None) => {
                self.end.get_or_insert((1006, String::new()));
            }
        }
        true
    }
}

/// Owns the socket until it ends. Writing has a task of its own: a gateway that stops reading may still speak.
async fn carry(
    socket: WebSocketStream<TcpStream>,
    mut outbox: UnboundedReceiver<Message>,
    inbox: UnboundedSender<Heard>,
) {
    let (mut sink, mut stream) = socket.split();
    let writer = tokio::spawn(async move {
        while let Some(message) = outbox.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _closed_already = sink.close().await;
    });
    let end = loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                let frame = serde_json::from_str(&text).expect("a gateway speaks JSON");
                let _nobody_listens = inbox.send(Heard::Frame(frame));
            }
            Some(Ok(Message::Close(close))) => {
                let close = close.map(|close| (u16::from(close.code), close.reason.to_string()));
                // Reading once more sends our half of the close.
                let _answered = timeout(Duration::from_secs(2), stream.next()).await;
                break close.unwrap_or((1005, String::new()));
            }
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(_)) | None => break (1006, String::new()),
        }
    };
    writer.abort();
    let _nobody_listens = inbox.send(Heard::End(end.0, end.1));
}

impl Answer {
    fn of(frame: &Value) -> Self {
        if frame["ok"] == true {
            Self::Ok(frame["payload"].clone())
        } else {
            Self::Refused {
                error: frame["error"].clone(),
                payload: frame["payload"].clone(),
            }
        }
    }

    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }

    /// The payload of a request that a case cannot go on without.
    pub fn must(self) -> Value {
        match self {
            Self::Ok(payload) => payload,
            Self::Refused { .. } | Self::Closed(..) | Self::Silent => {
                panic!("the case cannot go on: {self:?}")
            }
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Self::Refused { error, .. } => error["message"].as_str().unwrap_or_default(),
            Self::Ok(_) | Self::Closed(..) | Self::Silent => "",
        }
    }
}
