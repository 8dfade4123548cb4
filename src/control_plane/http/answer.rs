//! An answer on its way to a client that may never read it. What is long is handed over in pieces and dropped after a
//! minute, read or not: with HTTP/2 a client can leave an answer lying and keep its connection busy.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::{HeaderValue, Response, header};
use futures::stream;
use hyper::body::{Frame, SizeHint};
use tokio_util::task::AbortOnDropHandle;

use super::room::{Place, Room};

/// The API server ends what is no watch after as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is shorter is left to the connection: it buffers more than that anyway.
const SHORT: u64 = 64 << 10;

/// The requests of one connection.
#[derive(Clone, Default)]
pub(super) struct Open(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

pub(super) struct OpenRequest(Open);

impl Open {
    pub(super) fn begin(&self) -> OpenRequest {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        OpenRequest(self.clone())
    }

    pub(super) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Answered to the end, or dropped.
    pub(super) fn ended(&self) -> usize {
        self.0.ended.load(Ordering::Relaxed)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// The same answer, bounded in what it holds and for how long.
pub(super) async fn bounded(response: Response<Body>, room: &Room, open: OpenRequest) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let body = match body.size_hint().exact() {
        Some(length) if length > SHORT => {
            let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
            match room.answer(bytes.len()) {
                Ok(place) => {
                    head.headers
                        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
                    in_pieces(bytes, place)
                }
                Err(status) => {
                    let (other, body) = super::refusal(&status).into_parts();
                    head = other;
                    body
                }
            }
        }
        // Short, or a stream that makes up its pieces when they are asked for.
        Some(_) | None => body,
    };
    Response::from_parts(head, Body::new(Answer { body, _open: open }))
}

/// Copied, because a piece that is only a part of the whole would hold all of it.
fn in_pieces(bytes: Bytes, place: Place) -> Body {
    let kept = Arc::new(Mutex::new(Some((bytes, place))));
    let ours = Arc::clone(&kept);
    let giving_up = AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::time::sleep(PATIENCE).await;
        ours.lock().unwrap_or_else(PoisonError::into_inner).take();
    }));
    let pieces = stream::unfold((kept, giving_up), async |(kept, giving_up)| {
        let piece = {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            match kept.as_mut() {
                Some((bytes, _)) if bytes.is_empty() => return None,
                Some((bytes, _)) => {
                    let length = bytes.len().min(SHORT as usize);
                    Ok(Bytes::copy_from_slice(&bytes.split_to(length)))
                }
                None => Err(Unread),
            }
        };
        Some((piece, (kept, giving_up)))
    });
    Body::from_stream(pieces)
}

#[derive(Debug, thiserror::Error)]
#[error("the answer was not read within {PATIENCE:?}")]
struct Unread;

struct Answer {
    body: Body,
    _open: OpenRequest,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
