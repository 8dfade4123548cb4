//! What there is to compare with: a socket, frames written by hand, and nothing else. No deadlines, no bound, no reading
//! back, no second try.

use std::collections::BTreeMap;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub struct Bare<S> {
    socket: WebSocketStream<S>,
    last_id: u64,
}

impl Bare<TcpStream> {
    pub async fn connect(url: &str, token: &str) -> Self {
        let address = url.strip_prefix("ws://").expect("the bench speaks plain ws://");
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::greet(stream, token).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bare<S> {
    pub async fn greet(stream: S, token: &str) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let (socket, _) = tokio_tungstenite::client_async_with_config("ws://gateway", stream, Some(config))
            .await
            .unwrap();
        let mut this = Self { socket, last_id: 0 };
        // The challenge; a token alone needs no answer to it.
        this.hear().await;
        let connect = json!({
            "minProtocol": 3, "maxProtocol": 4, "role": "operator",
            "client": { "id": "gateway-client", "version": "1.0.0", "platform": "linux", "mode": "backend" },
            "scopes": ["operator.read", "operator.write", "operator.admin"],
            "auth": { "token": token },
        });
        this.call("connect", &connect).await;
        this
    }

    pub async fn call(&mut self, method: &str, params: &Value) -> Value {
        answer(method, self.ask(method, params).await)
    }

    /// Err: the gateway's own `{code, message, ...}`.
    pub async fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let mut frame = self.ask(method, params).await;
        if frame["ok"] == json!(true) {
            Ok(frame["payload"].take())
        } else {
            Err(frame["error"].take())
        }
    }

    async fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params).await;
        loop {
            let frame = self.hear().await;
            if frame["id"] == id {
                return frame;
            }
        }
    }

    /// Sends everything at once, up to `in_flight` without an answer, and waits for all answers.
    pub async fn pipeline(
        &mut self,
        in_flight: usize,
        requests: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        let mut waiting: BTreeMap<String, &str> = BTreeMap::new();
        let mut requests = requests.into_iter();
        loop {
            while waiting.len() < in_flight
                && let Some((method, params)) = requests.next()
            {
                waiting.insert(self.send(method, &params).await, method);
            }
            if waiting.is_empty() {
                return;
            }
            let frame = self.hear().await;
            if let Some(method) = frame["id"].as_str().and_then(|id| waiting.remove(id)) {
                answer(method, frame);
            }
        }
    }

    /// One frame out, the next answer in, neither looked at.
    pub async fn exchange(&mut self, frame: &str) {
        self.socket.send(Message::text(frame)).await.unwrap();
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if !text.starts_with(r#"{"type":"event""#) => return,
                Some(Ok(_)) => {}
                end => panic!("the gateway hung up: {end:?}"),
            }
        }
    }

    pub async fn close(mut self) {
        self.socket.close(None).await.ok();
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    async fn send(&mut self, method: &str, params: &Value) -> String {
        self.last_id += 1;
        let id = self.last_id.to_string();
        let frame = json!({ "type": "req", "id": id, "method": method, "params": params });
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
        id
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(_)) => {}
                end => panic!("the gateway hung up: {end:?}"),
            }
        }
    }
}

fn answer(method: &str, mut frame: Value) -> Value {
    assert!(frame["ok"] == json!(true), "{method}: {frame}");
    frame["payload"].take()
}
