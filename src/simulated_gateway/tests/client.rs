//! A raw client: frames as they are, nothing interpreted.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::simulated_gateway::{Contract, Peer, Settings, SimulatedGateway};

pub(super) struct Client {
    socket: WebSocketStream<DuplexStream>,
    next_id: u64,
    /// What came while an answer was waited for.
    pub(super) events: Vec<Value>,
}

pub(super) const TOKEN: &str = "secret";

pub(super) fn settings(contract: Contract) -> Settings {
    Settings::new(contract, TOKEN)
}

pub(super) fn gateway(contract: Contract) -> SimulatedGateway {
    SimulatedGateway::new(settings(contract))
}

/// A `connect` that every contract takes.
pub(super) fn connect_params() -> Value {
    json!({
        "minProtocol": 3, "maxProtocol": 4, "role": "operator", "caps": [], "auth": { "token": TOKEN },
        "client": { "id": "gateway-client", "version": "0.1.0", "platform": "linux", "mode": "backend" },
        "scopes": ["operator.admin", "operator.read", "operator.write", "operator.pairing"],
    })
}

impl Client {
    /// Open, and challenged.
    pub(super) async fn open(gateway: &SimulatedGateway, peer: Peer) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(gateway.connect(theirs, peer).expect("somebody listens"));
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let (socket, _) =
            tokio_tungstenite::client_async_with_config("ws://gateway:18789/", ours, Some(config))
                .await
                .unwrap();
        let mut client = Self {
            socket,
            next_id: 0,
            events: Vec::new(),
        };
        let challenge = client.frame().await.unwrap();
        assert_eq!(challenge["event"], "connect.challenge");
        client
    }

    pub(super) async fn admin(gateway: &SimulatedGateway) -> Self {
        let mut client = Self::open(gateway, Peer::LOOPBACK).await;
        client.call("connect", connect_params()).await.unwrap();
        client
    }

    pub(super) async fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(super) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next frame, or how it was closed.
    pub(super) async fn frame(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(close)))) => {
                    return Err((close.code.into(), close.reason.to_string()));
                }
                Some(Ok(_)) => {}
                other => return Err((0, format!("{other:?}"))),
            }
        }
    }

    /// How it is closed, whatever comes before.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame().await {
                Ok(frame) => self.events.push(frame),
                Err(close) => return close,
            }
        }
    }

    /// The answer: its payload, or its error.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.ask(method, params)
            .await
            .unwrap_or_else(|close| panic!("{method}: closed with {close:?}"))
    }

    pub(super) async fn ask(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Result<Value, Value>, (u16, String)> {
        self.next_id += 1;
        let id = self.next_id.to_string();
        self.send(&json!({ "type": "req", "id": id, "method": method, "params": params }))
            .await;
        loop {
            let mut frame = self.frame().await?;
            if frame["id"] == id.as_str() {
                return Ok(if frame["ok"] == true {
                    Ok(frame["payload"].take())
                } else {
                    Err(frame["error"].take())
                });
            }
            self.events.push(frame);
        }
    }

    /// A refusal's message.
    pub(super) async fn refusal(&mut self, method: &str, params: Value) -> String {
        let error = self.call(method, params).await.expect_err("it is refused");
        error["message"].as_str().unwrap().to_owned()
    }

    /// One `config.patch` on the newest hash.
    pub(super) async fn patch(&mut self, patch: &Value) -> Result<Value, Value> {
        let hash = self.call("config.get", json!({})).await.unwrap()["hash"].take();
        self.call(
            "config.patch",
            json!({ "raw": patch.to_string(), "baseHash": hash }),
        )
        .await
    }

    /// The names of the events that came so far.
    pub(super) fn heard(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|frame| frame["event"].as_str())
            .collect()
    }
}
