//! The body of a request, as far as it is taken.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures::StreamExt;
use tokio::time::timeout;

use super::room::{Place, Room};
use crate::control_plane::status::Status;

/// What the API server takes, too.
pub(super) const LARGEST: usize = 3 << 20;

/// So long the API server lets any request take that is no watch.
const PATIENCE: Duration = Duration::from_secs(60);

/// A body, and its place among all that are in hand: to be kept until the request is answered.
pub(super) struct ReadBody {
    pub(super) bytes: Vec<u8>,
    #[expect(dead_code, reason = "held, not used")]
    places: Vec<Place>,
}

impl ReadBody {
    /// Nothing is read of a body that says it is too large, and of any other no more than is taken.
    pub(super) async fn read(body: Body, room: &Room) -> Result<Self, Status> {
        let announced = body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > LARGEST) {
            return Err(too_large());
        }
        let reading = read_all(body, room);
        timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| Err(Status::timed_out()))
    }
}

async fn read_all(body: Body, room: &Room) -> Result<ReadBody, Status> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    let mut taken = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Status::bad_request(error.to_string()))?;
        let length = bytes.len() + chunk.len();
        if length > LARGEST {
            return Err(too_large());
        }
        // A place at a time for what will come, too: bodies come in many small pieces.
        while taken < length {
            places.push(room.body(PLACE)?);
            taken += PLACE;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(ReadBody { bytes, places })
}

/// An object of ours fits into one.
const PLACE: usize = 8 << 10;

fn too_large() -> Status {
    Status::too_large(format!("Request entity too large: limit is {LARGEST}"))
}
