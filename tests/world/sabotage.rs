//! Controllers that are broken on purpose, to see that a world finds them out. Each is the real controller behind a layer that
//! makes of its requests what a controller with that defect would have sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use futures::FutureExt;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tower::BoxError;

use crate::meddler;
use crate::wire::Carry;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    None,
    /// It takes its status for written when it was only sent.
    ForgetsStatus,
    /// At each start it mints its keys anew, whatever is there, as one does that takes "exists already" for "mine to replace".
    MintsAnew,
    /// It writes something else than it compares with, so that it always finds a difference.
    NeverContent,
    /// Every message to an agent goes twice, the second time under another key.
    WakesTwice,
    /// It forgets that it has woken an agent, as one does that sends first and writes down afterwards.
    ForgetsWake,
}

impl Sabotage {
    pub(crate) fn around(self, wire: Carry) -> Carry {
        match self {
            Self::None | Self::WakesTwice => wire,
            Self::ForgetsStatus => forgets_status(wire),
            Self::MintsAnew => mints_anew(wire),
            Self::NeverContent => never_content(wire),
            Self::ForgetsWake => forgets_wake(wire),
        }
    }

    /// The controller's end of a pipe to a gateway.
    pub(crate) fn between(self, gateway: DuplexStream) -> DuplexStream {
        match self {
            Self::WakesTwice => meddler::wakes_twice(gateway),
            Self::None | Self::ForgetsStatus | Self::MintsAnew | Self::NeverContent | Self::ForgetsWake => {
                gateway
            }
        }
    }
}

fn is_status(request: &Request<Body>) -> bool {
    request.method() == Method::PATCH && request.uri().path().ends_with("/status")
}

/// The second status of each life, and every second one after it, is lost on the way.
fn forgets_status(wire: Carry) -> Carry {
    let written = Arc::new(AtomicUsize::new(0));
    Arc::new(move |request| {
        let (wire, written) = (Arc::clone(&wire), Arc::clone(&written));
        async move {
            if !is_status(&request) || written.fetch_add(1, Ordering::Relaxed) % 2 == 0 {
                return wire(request).await;
            }
            let path = request.uri().path().trim_end_matches("/status").to_owned();
            let answer = wire(Request::get(path).body(Body::empty())?).await?;
            let (head, body) = answer.into_parts();
            let mut shown: Value = serde_json::from_slice(&to_bytes(body, usize::MAX).await?)?;
            // Newer than whatever the watch shows: it believes itself.
            shown["metadata"]["resourceVersion"] = json!("999999999");
            let mut answer = Response::from_parts(head, Body::from(shown.to_string()));
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            Ok(answer)
        }
        .boxed()
    })
}

fn mints_anew(wire: Carry) -> Carry {
    let minted = Arc::new(AtomicUsize::new(0));
    Arc::new(move |request| {
        let (wire, minted) = (Arc::clone(&wire), Arc::clone(&minted));
        async move {
            let path = request.uri().path().to_owned();
            let is_ours = path.rsplit('/').next().is_some_and(|name| name.starts_with("oc"));
            let is_read = request.method() == Method::GET && path.contains("/secrets/") && is_ours;
            if is_read && minted.load(Ordering::Relaxed) == 0 {
                return not_there();
            }
            if request.method() != Method::POST || !path.ends_with("/secrets") {
                return wire(request).await;
            }
            minted.fetch_add(1, Ordering::Relaxed);
            let (head, body) = request.into_parts();
            let bytes = to_bytes(body, usize::MAX).await?;
            let again = |head: &axum::http::request::Parts| {
                Request::from_parts(head.clone(), Body::from(bytes.clone()))
            };
            let answer = wire(again(&head)).await?;
            if answer.status() != StatusCode::CONFLICT {
                return Ok(answer);
            }
            let sent: Value = serde_json::from_slice(&bytes)?;
            let name = sent["metadata"]["name"].as_str().unwrap_or_default();
            wire(Request::delete(format!("{path}/{name}")).body(Body::empty())?).await?;
            wire(again(&head)).await
        }
        .boxed()
    })
}

fn not_there() -> Result<Response<Body>, BoxError> {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound",
        "message": "not found", "code": 404 });
    Ok(Response::builder()
        .status(StatusCode::NOT_FOUND)
        .header("content-type", "application/json")
        .body(Body::from(status.to_string()))?)
}

fn never_content(wire: Carry) -> Carry {
    let written = Arc::new(AtomicUsize::new(0));
    Arc::new(move |request| {
        let (wire, written) = (Arc::clone(&wire), Arc::clone(&written));
        async move {
            if !is_status(&request) {
                return wire(request).await;
            }
            let (head, body) = request.into_parts();
            let mut sent: Value = serde_json::from_slice(&to_bytes(body, usize::MAX).await?)?;
            let count = written.fetch_add(1, Ordering::Relaxed);
            sent["status"]["lastHandledRequest"] = json!(count.to_string());
            wire(Request::from_parts(head, Body::from(sent.to_string()))).await
        }
        .boxed()
    })
}

/// What a status says of wakes is left out on the way.
fn forgets_wake(wire: Carry) -> Carry {
    Arc::new(move |request| {
        let wire = Arc::clone(&wire);
        async move {
            if !is_status(&request) {
                return wire(request).await;
            }
            let (head, body) = request.into_parts();
            let mut sent: Value = serde_json::from_slice(&to_bytes(body, usize::MAX).await?)?;
            if let Some(status) = sent["status"].as_object_mut() {
                status.remove("wake");
            }
            wire(Request::from_parts(head, Body::from(sent.to_string()))).await
        }
        .boxed()
    })
}
