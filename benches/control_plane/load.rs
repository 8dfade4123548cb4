//! Requests, so many in flight, until all are answered.

use axum::http::Request;
use bytes::Bytes;
use futures::StreamExt;
use kube::Client;
use kube::client::Body;

const LARGEST: usize = 1 << 30;

/// The bodies, in the order of the requests. Whatever is refused ends the bench.
pub async fn send(client: &Client, in_flight: usize, requests: Vec<Request<Body>>) -> Vec<Bytes> {
    let answers = requests.into_iter().map(|request| answer(client, request));
    let answers: Vec<Result<Bytes, String>> =
        futures::stream::iter(answers).buffered(in_flight).collect().await;
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|why| panic!("{why}")))
        .collect()
}

pub async fn answer(client: &Client, request: Request<Body>) -> Result<Bytes, String> {
    let asked = format!("{} {}", request.method(), request.uri());
    let response = client.send(request).await;
    let response = response.map_err(|error| format!("{asked}: {error}"))?;
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(axum::body::Body::new(body), LARGEST).await;
    let body = body.map_err(|error| format!("{asked}: {error}"))?;
    if !head.status.is_success() {
        let said = String::from_utf8_lossy(&body).into_owned();
        return Err(format!("{asked}: {} {said}", head.status));
    }
    Ok(body)
}
