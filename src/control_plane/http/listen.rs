//! HTTPS on a socket. Whoever connects is a stranger until a request says who it is: what may be had before that, and held
//! by not going on, is bounded here.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::Service;
use super::answer::{self, Open};
use super::patience::Patient;

/// More open connections than that are kept waiting at the door.
const MOST_CONNECTIONS: usize = 2_000;
/// Until TLS is agreed upon. The API server's.
const HANDSHAKE: Duration = Duration::from_secs(32);
/// Without a request, or until one has a head: the API server's for the first of them, and hyper has one for both.
const IDLE: Duration = Duration::from_secs(90);
/// Requests at once on one connection of HTTP/2. The API server's, since it was flooded with streams that were reset.
const MOST_STREAMS: u32 = 100;
/// A peer that is gone without a word is noticed; kubectl asks as often.
const PING: Duration = Duration::from_secs(30);
/// When the server stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves until `stop`, then lets open requests end; watches are ended.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    service: Service,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let room = Arc::new(tokio::sync::Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, most likely: asking again at once would take the processor from those who could end.
                if !is_of_one_client(&error) {
                    sleep(LAST_WORDS).await;
                }
                continue;
            }
        };
        let place = tokio::select! {
            place = Arc::clone(&room).acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        stream.set_nodelay(true).ok();
        let (tls, service, stop) = (Arc::clone(&tls), service.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, tls, service, stop).await;
            drop(place);
        });
    }
    connections.close();
    connections.wait().await;
}

/// A client that is gone already is no reason to rest.
fn is_of_one_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Serves one client to its end.
pub async fn connection<S>(
    stream: S,
    tls: Arc<rustls::ServerConfig>,
    service: Service,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let shaking_hands = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(Patient::new(stream)));
    let stream = tokio::select! {
        stream = shaking_hands => stream,
        () = stop.cancelled() => return,
    };
    let Ok(Ok(stream)) = stream else { return };
    // What was agreed upon, not what the first bytes look like: nobody waits for bytes that do not come.
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let builder = builder(is_h2);
    let open = Open::default();
    let requests = open.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut service = service.clone();
        let begun = requests.begin();
        async move {
            let Ok(response) = service.call(request.map(Body::new)).await;
            Ok::<_, Infallible>(answer::bounded(response, &service.room, begun).await)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = idle(&open) => {}
    }
    connection.as_mut().graceful_shutdown();
    timeout(LAST_WORDS, connection).await.ok();
}

fn builder(is_h2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .keep_alive_interval(PING);
    if is_h2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}

/// Comes back when a client has asked for nothing for so long and waits for nothing. A head that never ends is nothing:
/// HTTP/2 has no deadline for it.
async fn idle(open: &Open) {
    let mut begun = None;
    loop {
        let now = open.begun();
        if begun == Some(now) && open.ended() == now {
            return;
        }
        begun = Some(now);
        sleep(IDLE).await;
    }
}
