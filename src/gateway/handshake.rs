//! From an open stream to a greeted connection: the upgrade, the gateway's challenge, our `connect`, its
//! `hello-ok`. Whatever goes wrong on the way is told as a [`Trouble`].

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::header::ORIGIN;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes, http};

use super::address::Address;
use super::close::Cause;
use super::connection::Policy;
use super::credentials::{Credentials, Identity, Secrets, Token};
use super::device::Proof;
use super::dial::{Dial, Stream};
use super::frame::{self, Incoming, Refusal};
use super::session::Target;
use super::trouble::Trouble;

pub type Socket = WebSocketStream<Stream>;

/// What the gateway said of itself when it let us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    pub version: String,
    pub protocol: u64,
    /// Changes with every start of the gateway; gateways before 2026.8 send none.
    pub boot_id: Option<String>,
    pub methods: BTreeSet<String>,
    pub policy: Policy,
    /// Given to a device that was approved.
    pub device_token: Option<Token>,
}

/// What provisioning needs. Admin implies the others on current gateways; older ones check each by name.
pub const SCOPES: [&str; 3] = ["operator.read", "operator.write", "operator.admin"];

const ROLE: &str = "operator";
/// Frozen: a device whose platform changes must be approved again.
const PLATFORM: &str = "linux";
const UPGRADE_DEADLINE: Duration = Duration::from_secs(10);
const CHALLENGE_DEADLINE: Duration = Duration::from_secs(10);
/// 2026.9.6 answers in 0.1 s when idle; with 500 agents and a busy loop it has taken 15 s.
const HELLO_DEADLINE: Duration = Duration::from_secs(30);
/// `hello-ok` alone was 338 kB at 500 agents, `config.schema` 2.1 MB; the gateway's own limit is 25 MiB.
pub(super) const LARGEST_FRAME: usize = 32 << 20;
/// Answers to pings wait here for a peer that does not read, besides one request. Without a limit a flood of pings fills
/// the memory.
const LARGEST_BACKLOG: usize = LARGEST_FRAME + (1 << 20);
/// What a gateway may say between our `connect` and its answer.
const MOST_FRAMES_BEFORE_HELLO: usize = 64;
/// They have 32 or 43 characters.
const LONGEST_DEVICE_TOKEN: usize = 512;
/// Enough to see what a proxy has left us.
const MOST_SCOPES_TOLD: usize = 16;
const CONNECT_ID: &str = "connect";

/// `secrets`: what must not be in a word that the gateway says.
pub async fn open(dial: &dyn Dial, target: &Target, secrets: &Secrets) -> Result<(Socket, Hello), Trouble> {
    match greet(dial, target, secrets).await {
        // Gateways up to 2026.7 without the flag and newer ones refuse the control UI in the same words.
        Err(Trouble::ControlUiNotAllowed) if has_startup_probe(dial, target).await => {
            Err(Trouble::ControlUiRetired)
        }
        other => other,
    }
}

async fn greet(dial: &dyn Dial, target: &Target, secrets: &Secrets) -> Result<(Socket, Hello), Trouble> {
    let Target {
        address,
        trust,
        credentials,
    } = target;
    let stream = dial.dial(address, trust).await?;
    let mut socket = upgrade(stream, address, credentials).await?;
    let challenge = match timeout(CHALLENGE_DEADLINE, challenge(&mut socket, secrets)).await {
        Ok(challenge) => challenge?,
        Err(_) => return Err(Trouble::Silent),
    };
    let request = frame::request(CONNECT_ID, "connect", &connect_params(credentials, &challenge));
    socket
        .send(Message::text(request))
        .await
        .map_err(|error| of_socket(&error))?;
    match timeout(HELLO_DEADLINE, answer(&mut socket, secrets)).await {
        Ok(Ok(Ok(payload))) => Ok((socket, hello(&payload, credentials, secrets)?)),
        Ok(Ok(Err(refusal))) => Err(of_refusal(&refusal, credentials)),
        Ok(Err(trouble)) => Err(trouble),
        Err(_) => Err(Trouble::Silent),
    }
}

async fn upgrade(stream: Stream, address: &Address, credentials: &Credentials) -> Result<Socket, Trouble> {
    let mut request = address
        .as_str()
        .into_client_request()
        .map_err(|_| Trouble::NotAGateway {
            saw: "an unusable URL",
        })?;
    if credentials.identity == Identity::ControlUi {
        // The gateway lets a control UI in only from its own origin.
        let origin = http::HeaderValue::from_str(&address.origin()).map_err(|_| Trouble::NotAGateway {
            saw: "an unusable host name",
        })?;
        request.headers_mut().insert(ORIGIN, origin);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_FRAME))
        .max_frame_size(Some(LARGEST_FRAME))
        .max_write_buffer_size(LARGEST_BACKLOG);
    let upgrade = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    match timeout(UPGRADE_DEADLINE, upgrade).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(WsError::Http(response))) => Err(Trouble::UpgradeRefused {
            status: response.status().as_u16(),
        }),
        Ok(Err(error)) => {
            let trouble = of_socket(&error);
            let broke_off = matches!(trouble, Trouble::Lost { .. });
            Err(if broke_off {
                trouble
            } else {
                Trouble::NotAGateway { saw: "no HTTP" }
            })
        }
        Err(_) => Err(Trouble::Silent),
    }
}

struct Challenge {
    nonce: String,
    at_ms: i64,
    /// Told by gateways from 2026.8 on.
    tells_capabilities: bool,
}

async fn challenge(socket: &mut Socket, secrets: &Secrets) -> Result<Challenge, Trouble> {
    const NONE: Trouble = Trouble::NotAGateway {
        saw: "a WebSocket without connect.challenge",
    };
    let text = next(socket, secrets).await?;
    let (name, payload) = match Incoming::parse(&text, secrets) {
        Some(Incoming::Event { name, payload }) => (name, frame::value(payload).unwrap_or_default()),
        Some(Incoming::Answer { .. }) => return Err(NONE),
        None => return Err(ANOTHER_KIND),
    };
    let nonce = payload.get("nonce").and_then(Value::as_str);
    match (name.as_ref(), nonce) {
        ("connect.challenge", Some(nonce)) => Ok(Challenge {
            nonce: nonce.to_owned(),
            at_ms: payload.get("ts").and_then(Value::as_i64).unwrap_or_default(),
            tells_capabilities: payload.get("capabilities").is_some(),
        }),
        _ => Err(NONE),
    }
}

async fn answer(socket: &mut Socket, secrets: &Secrets) -> Result<Result<Value, Refusal>, Trouble> {
    for _ in 0..MOST_FRAMES_BEFORE_HELLO {
        let text = next(socket, secrets).await?;
        match Incoming::parse(&text, secrets) {
            Some(Incoming::Answer { id, result }) if id == CONNECT_ID => {
                return match result {
                    Ok(payload) => frame::value(payload).map(Ok).ok_or(Trouble::NotAGateway {
                        saw: "a hello that cannot be read",
                    }),
                    Err(refusal) => Ok(Err(refusal)),
                };
            }
            Some(Incoming::Answer { .. } | Incoming::Event { .. }) => {}
            None => return Err(ANOTHER_KIND),
        }
    }
    Err(Trouble::NotAGateway {
        saw: "a WebSocket that says much and does not answer connect",
    })
}

const ANOTHER_KIND: Trouble = Trouble::NotAGateway {
    saw: "a WebSocket of another kind",
};

/// The next text; the stream's end and what is no text are troubles.
async fn next(socket: &mut Socket, secrets: &Secrets) -> Result<Utf8Bytes, Trouble> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Binary(_))) => return Err(ANOTHER_KIND),
            Some(Ok(Message::Close(close))) => {
                let Some(close) = close else {
                    return Err(Trouble::ended());
                };
                return Err(of_close(close.code.into(), secrets.tame(&close.reason)));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(error)) => return Err(of_socket(&error)),
            None => return Err(Trouble::ended()),
        }
    }
}

fn of_close(code: u16, reason: String) -> Trouble {
    match Cause::of(code) {
        Cause::Starting => Trouble::Starting {
            retry_after: Duration::from_millis(500),
        },
        // A refusal whose answer did not come, or was never sent: its text is the reason.
        Cause::Refused => Trouble::of_refusal(&Refusal::of_close(reason), None),
        Cause::Leaving
        | Cause::NotUnderstood
        | Cause::TooLarge
        | Cause::Failed
        | Cause::Restarting
        | Cause::Invalidated
        | Cause::Other(_) => Trouble::Lost {
            code: Some(code),
            reason,
        },
    }
}

fn of_socket(error: &WsError) -> Trouble {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other errors mean a peer that is no gateway"
    )]
    match error {
        WsError::Io(error) => Trouble::Lost {
            code: None,
            reason: error.kind().to_string(),
        },
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
        ) => Trouble::ended(),
        _ => Trouble::NotAGateway {
            saw: "broken WebSocket frames",
        },
    }
}

fn connect_params(credentials: &Credentials, challenge: &Challenge) -> Value {
    let Credentials { token, identity } = credentials;
    let (client_id, client_mode) = match identity {
        Identity::TokenOnly | Identity::Device(_) => ("gateway-client", "backend"),
        Identity::ControlUi => ("openclaw-control-ui", "ui"),
    };
    let token = token.as_ref().map(Token::expose);
    let auth = token.map(|token| json!({ "token": token }));
    let device = match identity {
        Identity::TokenOnly | Identity::ControlUi => None,
        Identity::Device(key) => {
            let proof = Proof {
                client_id,
                client_mode,
                role: ROLE,
                scopes: &SCOPES,
                signed_at_ms: challenge.at_ms,
                token: token.unwrap_or_default(),
                nonce: &challenge.nonce,
                platform: challenge.tells_capabilities.then_some(PLATFORM),
            };
            Some(json!({
                "id": key.id(),
                "publicKey": key.public_key(),
                "signature": key.sign(&proof),
                "signedAt": challenge.at_ms,
                "nonce": challenge.nonce,
            }))
        }
    };
    // A null would be refused as a value of the wrong type: what we do not have is left out.
    let optional = [("auth", auth), ("device", device)];
    let mut params = Map::from_iter(
        optional
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?))),
    );
    params.insert("minProtocol".into(), json!(3));
    params.insert("maxProtocol".into(), json!(4));
    params.insert(
        "client".into(),
        json!({ "id": client_id, "version": env!("CARGO_PKG_VERSION"), "platform": PLATFORM, "mode": client_mode }),
    );
    params.insert("role".into(), json!(ROLE));
    params.insert("scopes".into(), json!(SCOPES));
    params.insert("caps".into(), json!([]));
    Value::Object(params)
}

fn of_refusal(refusal: &Refusal, credentials: &Credentials) -> Trouble {
    let device_id = credentials.identity.device_id();
    match (Trouble::of_refusal(refusal, device_id), &credentials.identity) {
        // The control UI never has a device. 2026.2.9 asks for one where it means the token.
        (Trouble::DeviceNeeded, Identity::ControlUi) if credentials.token.is_none() => Trouble::TokenMissing,
        (Trouble::DeviceNeeded, Identity::ControlUi) => Trouble::ControlUiNotAllowed,
        (trouble, Identity::ControlUi | Identity::TokenOnly | Identity::Device(_)) => trouble,
    }
}

/// A connect without usable scopes still succeeds, so they are checked here and not at the first refused call.
pub(super) fn hello(payload: &Value, credentials: &Credentials, secrets: &Secrets) -> Result<Hello, Trouble> {
    let protocol = payload.get("protocol").and_then(Value::as_u64);
    let version = payload.pointer("/server/version").and_then(Value::as_str);
    let (Some(protocol), Some(version)) = (protocol, version) else {
        return Err(Trouble::NotAGateway {
            saw: "a hello without version and protocol",
        });
    };
    // What is compared is compared as it is; what people read is cleared of the token, which may be a common word.
    let words = |text: &str| secrets.tame(text);
    let texts = |pointer: &str| {
        let list = payload.pointer(pointer)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str))
    };
    let scopes: Option<Vec<&str>> = texts("/auth/scopes").map(Iterator::collect);
    if let Some(granted) = scopes
        && !granted.contains(&"operator.admin")
    {
        return Err(match credentials.identity {
            Identity::TokenOnly => Trouble::DeviceNeeded,
            Identity::Device(_) | Identity::ControlUi => Trouble::ScopesMissing {
                granted: granted.into_iter().take(MOST_SCOPES_TOLD).map(words).collect(),
            },
        });
    }
    let tick = payload
        .pointer("/policy/tickIntervalMs")
        .and_then(Value::as_u64)
        .unwrap_or(30_000);
    let largest_request = payload
        .pointer("/policy/maxPayload")
        .and_then(Value::as_u64)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(LARGEST_FRAME);
    let device_token = payload
        .pointer("/auth/deviceToken")
        .and_then(Value::as_str)
        .filter(|text| text.len() <= LONGEST_DEVICE_TOKEN)
        .and_then(|text| Token::from_bytes(text.as_bytes()).ok());
    Ok(Hello {
        version: words(version),
        protocol,
        boot_id: payload
            .pointer("/server/bootId")
            .and_then(Value::as_str)
            .map(words),
        methods: texts("/features/methods")
            .into_iter()
            .flatten()
            .map(frame::tame)
            .collect(),
        policy: Policy {
            tick: Duration::from_millis(tick.clamp(1_000, 120_000)),
            largest_request: largest_request.min(LARGEST_FRAME),
        },
        device_token,
    })
}

/// `GET /startupz` answers with JSON from 2026.8.1 on; older gateways serve their web page at every path.
async fn has_startup_probe(dial: &dyn Dial, target: &Target) -> bool {
    let Target {
        address,
        trust,
        credentials: _,
    } = target;
    let probe = async {
        let mut stream = dial.dial(address, trust).await.ok()?;
        let request = format!(
            "GET /startupz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            address.authority()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(16 << 10).read_to_end(&mut answer).await.ok()?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (_head, body) = text.split_once("\r\n\r\n")?;
        Some(body.contains("\"ok\"") || body.contains("\"ready\"") || body.contains("\"status\""))
    };
    timeout(UPGRADE_DEADLINE, probe)
        .await
        .ok()
        .flatten()
        .unwrap_or(false)
}
