//! A copy of everything, for whoever may `post` this path. The store's file is locked, so who wants one asks us.

use std::fs::File;
use std::io::{self, Read};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use futures::stream;
use tokio::task::spawn_blocking;

use super::room::Place;
use crate::control_plane::status::Status;
use crate::control_plane::store::Store;

pub(super) const PATH: [&str; 2] = ["quartermaster", "backup"];

const PIECE: usize = 256 << 10;

/// `place`: one copy is there at a time, as each takes as much of the disk as the store until it is read or let go.
pub(super) async fn answer(store: &Store, place: Place) -> Result<Response<Body>, Status> {
    let store = store.clone();
    // It goes with the work: who asked may leave while the copy is made.
    let making = spawn_blocking(move || (store.unnamed_backup(), place));
    let (made, place) = making.await.map_err(Status::internal)?;
    let (file, length) = made.map_err(|error| Status::unavailable(error.to_string()))?;
    let pieces = stream::try_unfold((file, place), async |(file, place)| {
        let read = spawn_blocking(move || piece(file)).await;
        let read = read.map_err(io::Error::other)??;
        Ok::<_, io::Error>(read.map(|(piece, file)| (piece, (file, place))))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    let media = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, media);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn piece(mut file: File) -> io::Result<Option<(Bytes, File)>> {
    let mut piece = Vec::with_capacity(PIECE);
    let length = file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
    Ok((length > 0).then(|| (piece.into(), file)))
}
