//! HTTPS on a socket.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Service;

/// More open connections than that are kept waiting at the door.
const MOST_CONNECTIONS: usize = 2_000;

/// Serves until `stop`, then lets open requests end; watches are ended.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    service: Service,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = TaskTracker::new();
    let room = Arc::new(tokio::sync::Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        // A client that is gone already is no reason to end.
        let Ok((stream, _)) = accepted else { continue };
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let (acceptor, service, stop) = (acceptor.clone(), service.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            stream.set_nodelay(true).ok();
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = tower::util::MapRequest::new(service, |request: Request<hyper::body::Incoming>| {
                request.map(Body::new)
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().keep_alive(true);
            let connection =
                builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let patience = std::time::Duration::from_secs(1);
                    tokio::time::timeout(patience, connection).await.ok();
                }
            }
        });
    }
    connections.close();
    connections.wait().await;
}
