//! Gateways that mean no good, or have gone mad: each at the other end of a pipe, in paused time. Whatever they do ends
//! in a clear word and in bounded memory, nobody else's call is held up, and the next connection, to a sane one, is good.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, SinkExt, StreamExt};
use quartermaster::gateway::connection::{CallError, Ended};
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::device_token::InMemory;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::session::{State, Surroundings, Target, Wanted};
use quartermaster::gateway::{Address, Connection, Credentials, Guard, Session, Token, Trouble, Trust};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const MIB: usize = 1 << 20;
/// What one frame may hold.
const LARGEST_FRAME: usize = 32 * MIB;
/// What lies between the two ends of the pipe and in buffers.
const SLACK: usize = MIB;

type Peer = WebSocketStream<DuplexStream>;
type Script = Box<dyn FnOnce(DuplexStream) -> BoxFuture<'static, ()> + Send>;

/// Each connection plays the next script; after the last one a sane gateway answers.
#[derive(Clone, Default)]
struct Stage {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    /// How many bytes the client has taken in, on all connections.
    read: Arc<AtomicUsize>,
}

impl Stage {
    /// Bytes as they come.
    fn raw<F>(self, script: impl FnOnce(DuplexStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.scripts
            .lock()
            .unwrap()
            .push_back(Box::new(|stream| script(stream).boxed()));
        self
    }

    /// After the upgrade.
    fn before_hello<F>(self, script: impl FnOnce(Peer) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.raw(async move |stream| script(tokio_tungstenite::accept_async(stream).await.unwrap()).await)
    }

    /// After a hello like any other.
    fn after_hello<F>(self, script: impl FnOnce(Peer) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.before_hello(async move |mut peer| {
            welcome(&mut peer).await;
            script(peer).await;
        })
    }

    fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }

    fn session(&self) -> Session {
        let surroundings = Surroundings {
            dial: Arc::new(self.clone()),
            guard: Guard::default(),
            device_tokens: Arc::new(InMemory::default()),
            commit_meter: Arc::new(|_| {}),
            meter: Arc::new(|_, _| {}),
        };
        let wanted = Wanted {
            target: Target {
                address: Address::parse("ws://gateway:18789").unwrap(),
                trust: Trust::System,
                credentials: Credentials {
                    token: Token::from_bytes(b"sesame").ok(),
                    identity: Identity::TokenOnly,
                },
            },
            ask: String::new(),
        };
        Session::start(wanted, surroundings, 7, || {})
    }
}

impl Dial for Stage {
    fn dial<'a>(&'a self, _: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        let script = self.scripts.lock().unwrap().pop_front();
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(match script {
                Some(script) => script(theirs),
                None => sane(theirs).boxed(),
            });
            let read = Arc::clone(&self.read);
            Ok(Box::new(Counted { stream: ours, read }) as Stream)
        }
        .boxed()
    }
}

/// Counts what its owner takes in.
struct Counted {
    stream: DuplexStream,
    read: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.read
            .fetch_add(into.filled().len() - before, Ordering::SeqCst);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

async fn say(peer: &mut Peer, frame: Value) {
    // The client may have had enough of us.
    peer.send(Message::text(frame.to_string())).await.ok();
}

/// The id of the next request.
async fn hear(peer: &mut Peer) -> Option<Value> {
    while let Some(Ok(message)) = peer.next().await {
        if let Message::Text(text) = message {
            let mut frame: Value = serde_json::from_str(&text).unwrap();
            return Some(frame["id"].take());
        }
    }
    None
}

fn challenge() -> Value {
    json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}})
}

fn hello(id: &Value) -> Value {
    json!({"type": "res", "id": id, "ok": true, "payload": {
        "type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6"},
        "features": {"methods": ["secrets.store.set"]}, "auth": {"scopes": ["operator.admin"]},
        "policy": {"tickIntervalMs": 30_000, "maxPayload": 26_214_400}}})
}

fn answer(id: &Value, payload: &Value) -> Value {
    json!({"type": "res", "id": id, "ok": true, "payload": payload})
}

async fn welcome(peer: &mut Peer) {
    say(peer, challenge()).await;
    let id = hear(peer).await.unwrap();
    say(peer, hello(&id)).await;
}

/// Answers every call until the client leaves.
async fn serve(mut peer: Peer) {
    while let Some(id) = hear(&mut peer).await {
        say(&mut peer, answer(&id, &json!({"ok": true}))).await;
    }
}

async fn sane(stream: DuplexStream) {
    let mut peer = tokio_tungstenite::accept_async(stream).await.unwrap();
    welcome(&mut peer).await;
    serve(peer).await;
}

/// Keeps the stream and does nothing with it.
async fn nothing<T>(stream: T) {
    std::future::pending::<()>().await;
    drop(stream);
}

const SOON: Duration = Duration::from_secs(10);

async fn call(connection: &Connection) -> Result<Value, CallError> {
    connection.call("health", json!({}), SOON).await
}

async fn until<T>(session: &Session, found: impl Fn(State) -> Option<T>) -> T {
    let waiting = async {
        loop {
            match found(session.link().state) {
                Some(found) => return found,
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(Duration::from_secs(600), waiting)
        .await
        .unwrap_or_else(|_| panic!("it never became so: {:?}", session.link().state))
}

async fn up(session: &Session) -> Arc<Connection> {
    until(session, |state| {
        let online = session.online().filter(|_| matches!(state, State::Up(_)));
        online.map(|online| online.connection)
    })
    .await
}

async fn down(session: &Session) -> Trouble {
    until(session, |state| match state {
        State::Down(trouble) => Some(trouble),
        State::Connecting | State::Up(_) => None,
    })
    .await
}

/// How the link went down, and then that it came up again and is good.
async fn down_and_up_again(session: &Session) -> Trouble {
    let trouble = down(session).await;
    assert!(call(&*up(session).await).await.is_ok(), "after {trouble:?}");
    trouble
}

fn lost(reason: &str) -> Trouble {
    Trouble::Lost {
        code: None,
        reason: reason.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_never_come_come_late_twice_or_unasked_disturb_nobody() {
    let stage = Stage::default().after_hello(async |mut peer| {
        let never = hear(&mut peer).await.unwrap();
        let next = hear(&mut peer).await.unwrap();
        // The first one's caller has gone by now.
        for id in [
            &json!("12345"),
            &json!("made up"),
            &json!(""),
            &never,
            &next,
            &next,
        ] {
            say(&mut peer, answer(id, &json!({"to": id}))).await;
        }
        serve(peer).await;
    });
    let session = stage.session();
    let connection = up(&session).await;
    assert_eq!(call(&connection).await, Err(CallError::TimedOut));
    let second = call(&connection).await.unwrap();
    assert_ne!(second["to"], "12345");
    assert!(call(&connection).await.is_ok(), "an answer for each after that");
}

#[tokio::test(start_paused = true)]
async fn answers_out_of_order_find_their_callers() {
    let stage = Stage::default().after_hello(async |mut peer| {
        let mut asked = Vec::new();
        for _ in 0..16 {
            let Some(Ok(Message::Text(text))) = peer.next().await else {
                panic!("16 at once")
            };
            asked.push(serde_json::from_str::<Value>(&text).unwrap());
        }
        for request in asked.iter().rev() {
            say(&mut peer, answer(&request["id"], &request["params"])).await;
        }
        serve(peer).await;
    });
    let session = stage.session();
    let connection = up(&session).await;
    let calls = (0..16).map(|number| connection.call("health", json!({"number": number}), SOON));
    for (number, answered) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(answered.unwrap()["number"], number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_events_is_counted_and_not_kept() {
    const EVENTS: usize = 20_000;
    let stage = Stage::default().after_hello(async |mut peer| {
        let id = hear(&mut peer).await.unwrap();
        for number in 0..EVENTS {
            let event = ["config.changed", "made.up", "chat", "tick"][number % 4];
            let payload = json!({"state": "delta", "text": "x".repeat(100)});
            say(
                &mut peer,
                json!({"type": "event", "event": event, "payload": payload}),
            )
            .await;
        }
        say(&mut peer, answer(&id, &json!({}))).await;
        serve(peer).await;
    });
    let session = stage.session();
    let connection = up(&session).await;
    let news = connection.news();
    assert!(call(&connection).await.is_ok());
    assert_eq!(news.borrow().configuration, EVENTS as u64 / 4);
    assert_eq!(news.borrow().sessions, 0, "no turn has ended");
}

/// 100 MiB in one frame are refused at its first bytes, and in fragments of 1 MiB at the 33rd.
#[tokio::test(start_paused = true)]
async fn a_message_of_100_mib_is_not_taken_in() {
    for (fragments, taken) in [(1, 0), (100, LARGEST_FRAME + MIB)] {
        let stage = Stage::default().after_hello(async move |mut peer| {
            let stream = peer.get_mut();
            let piece = vec![b' '; 100 * MIB / fragments];
            for number in 0..fragments {
                let (first, last) = (number == 0, number == fragments - 1);
                let mut head = vec![u8::from(first) | if last { 0x80 } else { 0 }, 127];
                head.extend((piece.len() as u64).to_be_bytes());
                if stream.write_all(&head).await.is_err() || stream.write_all(&piece).await.is_err() {
                    return;
                }
            }
        });
        let session = stage.session();
        let told = down_and_up_again(&session).await;
        assert_eq!(told, lost("a frame of more than 32 MiB"), "in {fragments}");
        assert!(stage.read() <= taken + SLACK, "{} bytes read", stage.read());
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_is_waited_for_two_ticks() {
    let stage = Stage::default().after_hello(async |mut peer| {
        peer.get_mut()
            .write_all(&[0x81, 126, 0x40, 0, b'{', b'"'])
            .await
            .unwrap();
        nothing(peer).await;
    });
    let session = stage.session();
    let connection = up(&session).await;
    assert_eq!(call(&connection).await, Err(CallError::TimedOut));
    assert_eq!(down_and_up_again(&session).await, lost("silent for 60 s"));
}

/// A peer that is alive and has nothing to say, not even ticks: it is asked, and a pong is an answer.
#[tokio::test(start_paused = true)]
async fn a_gateway_whose_ticks_fail_is_asked_for_a_sign_of_life() {
    let stage = Stage::default().after_hello(serve);
    let session = stage.session();
    let connection = up(&session).await;
    sleep(Duration::from_secs(3600)).await;
    assert!(
        Arc::ptr_eq(&up(&session).await, &connection),
        "the same connection"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_web_socket_ends_the_connection() {
    for (bytes, what) in [
        (vec![0xc1, 2, 0, 0], "compressed, which nobody has agreed on"),
        (vec![0x81, 0x80, 1, 2, 3, 4], "masked, as only clients do"),
        (vec![0x83, 0], "an opcode that is none"),
        (vec![0x80, 0], "the end of a message without its beginning"),
        ([vec![0x89, 126, 0, 200], vec![0; 200]].concat(), "a ping that is too long"),
        (vec![0x81, 2, 0xff, 0xfe], "text that is none"),
        (b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\n\r\n<h1>Internal Server Error</h1>".to_vec(), "HTTP"),
    ] {
        let stage = Stage::default().after_hello(async move |mut peer| {
            peer.get_mut().write_all(&bytes).await.unwrap();
            nothing(peer).await;
        });
        let session = stage.session();
        let told = down_and_up_again(&session).await;
        let Trouble::Lost { code: None, reason } = told else {
            panic!("{what}: {told:?}")
        };
        assert!(
            !reason.is_empty() && !reason.starts_with("silent"),
            "{what}: {reason}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn binary_and_what_is_no_frame_is_skipped() {
    let stage = Stage::default().after_hello(async |mut peer| {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let odd = [
            Message::binary(vec![0xff; 100]),
            Message::text(""),
            Message::text("{}"),
            Message::text("[1e999]"),
            Message::text(r#"{"type":"res","id":1,"id":"1","ok":true}"#),
            Message::text(r#"{"type":"event","event":"shutdown","payload":{"restartExpectedMs":-1e400}}"#),
            Message::text(r#"{"type":"event","event":"shutdown","payload":7}"#),
            Message::text(format!(
                r#"{{"type":"event","event":"config.changed","payload":{deep}}}"#
            )),
            Message::text(deep),
        ];
        for message in odd {
            peer.send(message).await.unwrap();
        }
        serve(peer).await;
    });
    let session = stage.session();
    let connection = up(&session).await;
    assert!(call(&connection).await.is_ok());
}

/// It is answered, so it is told at once; and what is too much of it is not even built.
#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_can_read_is_told_to_its_caller_alone() {
    let stage = Stage::default().after_hello(async |mut peer| {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        let many = format!("[{}0]", "0,".repeat(600_000));
        for payload in [deep, many, "1e999".to_owned(), r#""\ud800""#.to_owned()] {
            let id = hear(&mut peer).await.unwrap();
            let frame = format!(r#"{{"type":"res","id":{id},"ok":true,"payload":{payload}}}"#);
            peer.send(Message::text(frame)).await.unwrap();
        }
        serve(peer).await;
    });
    let session = stage.session();
    let connection = up(&session).await;
    for what in ["deep", "many", "a number that is none", "half a character"] {
        let told = call(&connection).await;
        assert_eq!(told, Err(CallError::Odd { method: "health" }), "{what}");
    }
    assert!(call(&connection).await.is_ok());
}

/// Requests that were given up are not sent later, and the connection is given up when nothing moves for two ticks.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_read_is_left() {
    let stage = Stage::default().after_hello(async |mut peer| {
        // It goes on talking, so that silence does not end it.
        loop {
            sleep(Duration::from_secs(20)).await;
            let tick = b"\x81\x25{\"type\":\"event\",\"event\":\"tick\",\"x\":1}";
            if peer.get_mut().write_all(tick).await.is_err() {
                return;
            }
        }
    });
    let session = stage.session();
    let connection = up(&session).await;
    let large = json!({"content": "x".repeat(200_000)});
    let calls = (0..40).map(|_| connection.call("agents.files.set", large.clone(), SOON));
    assert!(join_all(calls).await.iter().all(Result::is_err));
    assert_eq!(
        down_and_up_again(&session).await,
        lost("the gateway stopped reading")
    );
}

/// Each ping is owed a pong, and whoever does not read them could fill our memory with them.
#[tokio::test(start_paused = true)]
async fn pongs_for_a_gateway_that_does_not_read_are_bounded() {
    const PINGS: usize = 330_000;
    const PONG: usize = 6 + 125;
    let (count, counted) = tokio::sync::oneshot::channel();
    let stage = Stage::default().after_hello(async move |mut peer| {
        let stream = peer.get_mut();
        let mut ping = vec![0x89, 125];
        ping.extend([7; 125]);
        let some = ping.repeat(1000);
        for _ in 0..PINGS / 1000 {
            stream.write_all(&some).await.unwrap();
        }
        let (mut pongs, mut buffer) = (0, vec![0; 1 << 16]);
        while let Ok(Ok(read @ 1..)) = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await {
            pongs += read;
        }
        count.send(pongs).unwrap();
        nothing(peer).await;
    });
    let session = stage.session();
    up(&session).await;
    let pongs = counted.await.unwrap();
    const { assert!(PINGS * PONG > LARGEST_FRAME + 8 * MIB) };
    assert!(pongs <= LARGEST_FRAME + 2 * MIB, "{pongs} bytes were kept for it");
    assert!(pongs > 0);
}

#[tokio::test(start_paused = true)]
async fn who_says_much_before_hello_is_left_soon() {
    let stage = Stage::default().before_hello(async |mut peer| {
        for _ in 0..100_000 {
            if peer.send(Message::text(challenge().to_string())).await.is_err() {
                return;
            }
        }
    });
    let session = stage.session();
    let told = down_and_up_again(&session).await;
    assert_eq!(
        told,
        Trouble::NotAGateway {
            saw: "a WebSocket that says much and does not answer connect"
        }
    );
    assert!(stage.read() < SLACK, "{} bytes read", stage.read());
}

#[tokio::test(start_paused = true)]
async fn a_second_hello_is_nobodys_answer() {
    let stage = Stage::default().before_hello(async |mut peer| {
        say(&mut peer, challenge()).await;
        let id = hear(&mut peer).await.unwrap();
        for _ in 0..1000 {
            say(&mut peer, hello(&id)).await;
            say(&mut peer, challenge()).await;
        }
        serve(peer).await;
    });
    let session = stage.session();
    let connection = up(&session).await;
    assert!(call(&connection).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn before_hello_binary_and_a_large_message_are_no_gateway() {
    for (frame, saw) in [
        (Message::binary(vec![1, 2, 3]), "a WebSocket of another kind"),
        (Message::text(" ".repeat(40 * MIB)), "broken WebSocket frames"),
    ] {
        let stage = Stage::default().before_hello(async move |mut peer| {
            peer.send(frame).await.ok();
            nothing(peer).await;
        });
        let session = stage.session();
        assert_eq!(down_and_up_again(&session).await, Trouble::NotAGateway { saw });
        assert!(stage.read() < SLACK, "{} bytes read", stage.read());
    }
}

#[tokio::test(start_paused = true)]
async fn an_http_answer_without_end_is_not_read_to_it() {
    let stage = Stage::default().raw(async |mut stream| {
        let endless = format!("X-More: {}\r\n", "x".repeat(1000));
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\n")
            .await
            .unwrap();
        while stream.write_all(endless.as_bytes()).await.is_ok() {}
    });
    let session = stage.session();
    let told = down_and_up_again(&session).await;
    assert_eq!(told, Trouble::NotAGateway { saw: "no HTTP" });
    assert!(stage.read() < SLACK, "{} bytes read", stage.read());

    let stage = Stage::default().raw(async |mut stream| {
        for byte in b"HTTP/1.1 101 Switching Protocols\r\n".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    let session = stage.session();
    assert_eq!(down_and_up_again(&session).await, Trouble::Silent);
}

/// It says what it takes, and it would end everybody's calls over more: such a request is not sent.
#[tokio::test(start_paused = true)]
async fn a_request_that_the_gateway_would_not_take_is_not_sent() {
    let stage = Stage::default();
    let session = stage.session();
    let connection = up(&session).await;
    let content = json!({"content": "x".repeat(26 * MIB)});
    let told = connection.call("agents.files.set", content, SOON).await;
    let Err(CallError::TooLarge { limit, .. }) = told else {
        panic!("{told:?}")
    };
    assert_eq!(limit, 26_214_400);
    assert!(call(&connection).await.is_ok());
    assert!(
        Arc::ptr_eq(&up(&session).await, &connection),
        "the same connection"
    );
}

/// Those who wait when it ends are all told, and none of them waits for its deadline.
#[tokio::test(start_paused = true)]
async fn whoever_waits_at_the_end_is_told_at_once() {
    let stage = Stage::default().after_hello(async |mut peer| {
        for _ in 0..16 {
            hear(&mut peer).await;
        }
    });
    let session = stage.session();
    let connection = up(&session).await;
    let calls = (0..50).map(|_| connection.call("health", json!({}), Duration::from_secs(86_400)));
    for told in join_all(calls).await {
        assert!(
            matches!(told, Err(CallError::Lost(Ended { code: None, .. }))),
            "{told:?}"
        );
    }
}
