//! What comes before a WebSocket: the head of the first request, the probes that answer plain HTTP on the same port, and
//! the upgrade.

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::contract::Contract;
use super::restart::Phase;
use super::world::World;

/// The head of an HTTP request, and what was read beyond it.
#[derive(Debug)]
pub(super) struct Head {
    method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) rest: Vec<u8>,
}

const LONGEST_HEAD: usize = 16 << 10;

impl Head {
    /// None where what came is no HTTP, or too much of it.
    pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return Self::parse(&bytes, rest);
            }
            if bytes.len() > LONGEST_HEAD || stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn parse(bytes: &[u8], rest: Vec<u8>) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?);
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self {
            method,
            path: target.split('?').next().unwrap_or_default().to_owned(),
            headers,
            rest,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn wants_upgrade(&self) -> bool {
        self.header("upgrade")
            .is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
    }

    /// Whether it came through a proxy, or says so.
    pub(super) fn speaks_for_a_proxy(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.starts_with("x-forwarded-") || name == "forwarded" || name == "x-real-ip")
    }

    /// The answer that opens the WebSocket.
    pub(super) async fn accept<S: AsyncWrite + Unpin>(&self, stream: &mut S) -> std::io::Result<()> {
        let key = derive_accept_key(self.header("sec-websocket-key").unwrap_or_default().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await
    }
}

/// A whole answer of plain HTTP.
pub(super) struct Reply {
    status: &'static str,
    kind: &'static str,
    body: String,
}

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

impl Reply {
    fn json(status: &'static str, body: &Value) -> Self {
        Self {
            status,
            kind: JSON,
            body: body.to_string(),
        }
    }

    fn text(status: &'static str, body: &str) -> Self {
        Self {
            status,
            kind: TEXT,
            body: body.to_owned(),
        }
    }

    pub(super) async fn write<S: AsyncWrite + Unpin>(
        self,
        head: &Head,
        stream: &mut S,
    ) -> std::io::Result<()> {
        let Self { status, kind, body } = self;
        let shown = if head.method == "HEAD" { "" } else { body.as_str() };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nCache-Control: no-store\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{shown}"
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }
}

/// Why this upgrade is refused, if it is.
pub(super) fn refused_upgrade(world: &World, head: &Head) -> Option<Reply> {
    if *world.phase.borrow() == Phase::Closing {
        return Some(Reply::text(
            "503 Service Unavailable",
            "Gateway websocket admission closed",
        ));
    }
    let refuses_proxies = match world.contract {
        Contract::V2026_9_6 => true,
        Contract::V2026_7_35 | Contract::V2026_2_9 => false,
    };
    (refuses_proxies && head.speaks_for_a_proxy()).then(|| {
        Reply::json(
            "403 Forbidden",
            &json!({ "error": { "type": "proxy_attribution_required", "message": "Proxy client attribution is required. \
                Configure gateway.trustedProxies narrowly and make the proxy overwrite or safely rebuild forwarded client headers." } }),
        )
    })
}

/// Plain HTTP: the probes of this contract, and the web page at every other path.
pub(super) fn answer(world: &World, head: &Head) -> Reply {
    let probes: &[&str] = match world.contract {
        Contract::V2026_2_9 => &[],
        Contract::V2026_7_35 => &["/healthz", "/health", "/readyz", "/ready"],
        Contract::V2026_9_6 => &["/healthz", "/health", "/readyz", "/ready", "/startupz"],
    };
    if !["GET", "HEAD"].contains(&head.method.as_str()) {
        return Reply::text("405 Method Not Allowed", "Method Not Allowed");
    }
    if !probes.contains(&head.path.as_str()) {
        return if head.path.starts_with("/api/") && world.contract != Contract::V2026_2_9 {
            Reply::text("404 Not Found", "Not Found")
        } else {
            page()
        };
    }
    let up = *world.phase.borrow() == Phase::Up;
    let uptime = world.lock().uptime_ms();
    match head.path.as_str() {
        "/healthz" | "/health" => Reply::json("200 OK", &json!({ "ok": true, "status": "live" })),
        "/startupz" if up => Reply::json(
            "200 OK",
            &json!({ "ok": true, "status": "started", "version": world.contract.version(), "uptimeMs": uptime }),
        ),
        "/startupz" => Reply::json(
            "503 Service Unavailable",
            &json!({ "ok": false, "status": "starting" }),
        ),
        _ if up => Reply::json(
            "200 OK",
            &json!({ "ready": true, "failing": [], "uptimeMs": uptime }),
        ),
        _ => Reply::json(
            "503 Service Unavailable",
            &json!({ "ready": false, "failing": ["startup-sidecars"], "uptimeMs": uptime }),
        ),
    }
}

fn page() -> Reply {
    Reply {
        status: "200 OK",
        kind: "text/html; charset=utf-8",
        body: "<!doctype html>\n<html lang=\"en\"><head><title>Simulated gateway</title></head><body></body></html>\n"
            .to_owned(),
    }
}
