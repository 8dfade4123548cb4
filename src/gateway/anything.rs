//! Whatever a gateway may say, through everything that reads it: what the fuzz targets in `fuzz/` and the tests below
//! share. Nothing of it may panic, hang, quote a token, or make words that are longer than we keep.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::address::Address;
use super::configuration::Configuration;
use super::connection::{Connection, Policy};
use super::contract::{V2026_2_9, V2026_9_6};
use super::credentials::{Credentials, Identity, Secrets, Token};
use super::device::DeviceKey;
use super::dial::{Dial, Stream};
use super::frame::{self, Incoming, Refusal};
use super::handshake;
use super::names::AgentId;
use super::news::News;
use super::session::Target;
use super::trouble::Trouble;
use super::trust::Trust;

/// One text message, as a frame.
pub fn frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut news = News::default();
    match Incoming::parse(text, &secrets()) {
        Some(Incoming::Answer {
            id: _,
            result: Ok(payload),
        }) => {
            if let Some(value) = frame::value(payload) {
                let _ = Configuration::parse(&value);
                if let Ok(hello) = handshake::hello(&value, &credentials(), &secrets()) {
                    check_words(&hello.version);
                }
            }
        }
        Some(Incoming::Answer {
            id: _,
            result: Err(refusal),
        }) => check_refusal(&refusal),
        Some(Incoming::Event { name, payload }) => {
            news.hear(&name, payload, &secrets());
        }
        None => {}
    }
}

/// What any call may be answered with, well or ill.
pub fn answers(bytes: &[u8]) {
    let payload = bytes.to_vec();
    runtime().block_on(async {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let ours = WebSocketStream::from_raw_socket(Box::new(ours) as Stream, Role::Client, None).await;
        tokio::spawn(answer_all(theirs, payload));
        let policy = Policy {
            tick: Duration::from_secs(30),
            largest_request: 1 << 20,
        };
        let connection = Connection::start(ours, policy, secrets(), Arc::new(|_, _| {}));
        let Ok(agent) = AgentId::parse("a") else { return };
        let session = agent.main_session();
        for _well_and_ill in 0..2 {
            let _ = connection.config_get().await;
            let _ = connection.config_patch(&json!({}), "h", 1, &[]).await;
            let _ = connection.agents_list().await;
            let _ = connection.agents_delete(&agent, true).await;
            let _ = connection.file_get(&agent, "SOUL.md").await;
            let _ = connection.file_set(&agent, "SOUL.md", "x", Some("h")).await;
            let _ = connection.session_reset(&session).await;
            let _ = connection.chat_send(&session, "x", "k").await;
            let _ = connection.files_list(&agent).await;
            let _ = connection.gateway_identity().await;
            for contract in [&V2026_9_6, &V2026_2_9] {
                let _ = connection.chat_holds(contract, &session, "k").await;
                let _ = connection.entry_schema(contract).await;
            }
        }
    });
}

/// How many calls [`answers`] makes in each of its two rounds.
const CALLS: usize = 16;

async fn answer_all(stream: DuplexStream, payload: Vec<u8>) {
    let mut peer = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let mut heard = 0;
    while let Some(Ok(message)) = peer.next().await {
        let Some(id) = message.to_text().ok().and_then(|text| {
            serde_json::from_str::<Value>(text)
                .ok()?
                .get("id")?
                .as_str()
                .map(str::to_owned)
        }) else {
            continue;
        };
        heard += 1;
        let head = match heard <= CALLS {
            true => format!(r#"{{"type":"res","id":"{id}","ok":true,"payload":"#),
            false => format!(r#"{{"type":"res","id":"{id}","ok":false,"error":"#),
        };
        let whole = [head.as_bytes(), &payload, b"}"].concat();
        // What is not text would end the connection: that is the other target's matter.
        let text = String::from_utf8_lossy(&whole).into_owned();
        if peer.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}

/// Everything that a peer sends after the upgrade: frames, whole and broken, greeting and all.
pub fn stream(bytes: &[u8]) {
    let target = Target {
        address: match Address::parse("ws://gateway:18789") {
            Ok(address) => address,
            Err(_) => return,
        },
        trust: Trust::System,
        credentials: credentials(),
    };
    let dial = Says(bytes.to_vec());
    runtime().block_on(async {
        match handshake::open(&dial, &target, &secrets()).await {
            Ok((socket, hello)) => {
                check_words(&hello.version);
                let meter = Arc::new(|_: &str, _| {});
                let connection = Connection::start(socket, hello.policy, secrets(), meter);
                let _ = connection
                    .call("health", json!({}), Duration::from_secs(10))
                    .await;
                check_words(&connection.ended().await.reason);
            }
            Err(trouble) => check_trouble(&trouble),
        }
    });
}

/// Takes the upgrade, says this, and leaves.
struct Says(Vec<u8>);

impl Dial for Says {
    fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        let bytes = self.0.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                if let Ok(mut peer) = tokio_tungstenite::accept_async(theirs).await {
                    peer.get_mut().write_all(&bytes).await.ok();
                }
            });
            Ok(Box::new(ours) as Stream)
        }
        .boxed()
    }
}

const TOKEN: &str = "sesame-and-more";

fn credentials() -> Credentials {
    Credentials {
        token: Token::from_bytes(TOKEN.as_bytes()).ok(),
        identity: Identity::Device(Arc::new(DeviceKey::from_seed(&[7; 32]))),
    }
}

fn secrets() -> Secrets {
    Secrets::of([credentials().token])
}

#[expect(clippy::expect_used, reason = "without a runtime nothing can be tried")]
fn runtime() -> Runtime {
    // Paused: whatever waits for a deadline has it at once.
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

fn check_refusal(refusal: &Refusal) {
    let _ = refusal.meaning();
    check_words(&refusal.code);
    check_words(&refusal.message);
    check_trouble(&Trouble::of_refusal(refusal, Some("d")));
}

/// Everything that a trouble says ends up in a condition.
fn check_trouble(trouble: &Trouble) {
    let _ = (trouble.again(), trouble.whose(), trouble.outcome());
    let words = format!("{trouble:?}");
    assert!(!words.contains(TOKEN), "a token is told");
    assert!(words.len() < 32 << 10, "{} bytes of words", words.len());
}

fn check_words(words: &str) {
    assert!(!words.contains(TOKEN), "a token is told");
    assert!(words.chars().count() <= 301, "too long");
    assert!(!words.chars().any(char::is_control), "not on one line");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// What gateways of three versions have said, a frame a line.
    const RECORDED: &str = include_str!("../../fuzz/recorded.jsonl");

    /// What hurts parsers.
    const SPLINTERS: &[&str] = &[
        "[[[[[[[[",
        "{\"a\":",
        "1e999",
        "-0",
        "99999999999999999999999999",
        "\"\\ud800\"",
        "\"id\":\"1\",",
        "\"ok\":true,",
        "\"type\":\"res\",",
        "\"payload\":null,",
        "sesame-and-more",
        "\\u0000",
        "null",
        "\"",
        "}",
    ];

    fn recorded(which: Index) -> &'static str {
        let lines: Vec<&str> = RECORDED.lines().collect();
        which.get::<&str>(&lines)
    }

    #[derive(Debug, Clone)]
    enum Harm {
        Flip(Index, u8),
        Cut(Index, usize),
        Repeat(Index, usize),
        Insert(Index, Index),
    }

    fn harm() -> impl Strategy<Value = Harm> {
        let at = any::<Index>;
        prop_oneof![
            (at(), any::<u8>()).prop_map(|(at, byte)| Harm::Flip(at, byte)),
            (at(), 1..40usize).prop_map(|(at, length)| Harm::Cut(at, length)),
            (at(), 1..80usize).prop_map(|(at, length)| Harm::Repeat(at, length)),
            (at(), at()).prop_map(|(at, which)| Harm::Insert(at, which)),
        ]
    }

    /// A real frame, harmed in a few places; may be no text any more.
    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        let harms = prop::collection::vec(harm(), 0..6);
        (any::<Index>(), harms).prop_map(|(which, harms)| {
            let mut bytes = recorded(which).as_bytes().to_vec();
            for harm in harms {
                bytes.push(b' ');
                let length = bytes.len();
                let range = |at: Index, count: usize| {
                    let start = at.index(length);
                    start..(start + count).min(length)
                };
                match harm {
                    Harm::Flip(at, byte) => bytes[at.index(length)] ^= byte,
                    Harm::Cut(at, count) => drop(bytes.drain(range(at, count))),
                    Harm::Repeat(at, count) => {
                        let piece = bytes[range(at, count)].to_vec();
                        bytes.splice(range(at, 0), piece);
                    }
                    Harm::Insert(at, which) => {
                        bytes.splice(range(at, 0), which.get(SPLINTERS).bytes());
                    }
                }
            }
            bytes
        })
    }

    fn deep() -> impl Strategy<Value = Vec<u8>> {
        (1..5000usize, any::<bool>()).prop_map(|(depth, objects)| {
            let (open, close) = if objects {
                ("{\"config\":", "}")
            } else {
                ("[", "]")
            };
            format!("{}0{}", open.repeat(depth), close.repeat(depth)).into_bytes()
        })
    }

    fn anything() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => mutated(),
            1 => prop::collection::vec(any::<u8>(), 0..300),
            1 => deep(),
        ]
    }

    /// As a server would send it, now and then with a broken head.
    fn in_frames() -> impl Strategy<Value = Vec<u8>> {
        let greeting = [
            r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1}}"#,
            r#"{"type":"res","id":"connect","ok":true,"payload":{"protocol":4,"server":{"version":"2026.9.6"}}}"#,
        ];
        let framed = |first: u8, payload: Vec<u8>| {
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            let mut whole = vec![first, 126];
            whole.extend(length.to_be_bytes());
            whole.extend(payload);
            whole
        };
        let head = prop_oneof![9 => Just(0x81u8), 1 => any::<u8>()];
        let messages = prop::collection::vec((head, anything()), 0..4);
        (0..=greeting.len(), messages).prop_map(move |(greeted, messages)| {
            let greeting = greeting
                .iter()
                .take(greeted)
                .map(|text| (0x81, text.as_bytes().to_vec()));
            greeting
                .chain(messages)
                .flat_map(|(first, payload)| framed(first, payload))
                .collect()
        })
    }

    #[test]
    fn what_was_recorded_is_understood() {
        for line in RECORDED.lines() {
            assert!(Incoming::parse(line, &secrets()).is_some(), "{line}");
            frame(line.as_bytes());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
        #[test]
        fn no_frame_does_harm(bytes in anything()) {
            frame(&bytes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
        #[test]
        fn no_answer_does_harm(bytes in anything()) {
            answers(&bytes);
        }

        #[test]
        fn no_stream_does_harm(bytes in in_frames()) {
            stream(&bytes);
        }
    }
}
