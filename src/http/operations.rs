//! For those who run the process: `/livez`, `/readyz`, `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::cluster::Health;
use crate::telemetry::Metrics;

#[derive(Clone)]
pub struct Operations {
    pub health: Health,
    pub metrics: Metrics,
}

pub fn router(operations: Operations) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(operations)
}

async fn live(State(operations): State<Operations>) -> Response {
    let (live, report) = operations.health.live();
    answer(live, report)
}

async fn ready(State(operations): State<Operations>) -> Response {
    let (ready, report) = operations.health.ready();
    answer(ready, report)
}

async fn metrics(State(operations): State<Operations>) -> Response {
    let Operations { health, metrics } = operations;
    metrics.healthy(&health.checks());
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn answer(good: bool, report: String) -> Response {
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, report).into_response()
}
