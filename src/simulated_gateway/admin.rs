//! The administrative port, for tests that have the simulated gateway in another process:
//!
//! | request | does |
//! |---|---|
//! | `GET /calls` | how often each method was called |
//! | `POST /faults` | arms a fault: `{"method": "config.patch", "nth": 1, "hit": "drop"}` |
//! | `DELETE /faults` | disarms all |
//! | `POST /deeds` | does something now: `"restart"`, `{"loseFile": {"agent": "a", "name": "SOUL.md"}}` |
//! | `GET /config` | the whole configuration, secrets and all |

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::SimulatedGateway;

pub(super) fn router(gateway: SimulatedGateway) -> Router {
    Router::new()
        .route("/calls", get(calls))
        .route("/config", get(config))
        .route("/faults", post(arm).delete(disarm))
        .route("/deeds", post(perform))
        .with_state(gateway)
}

fn shown(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The request's body, or why it cannot be read.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| {
        (
            StatusCode::BAD_REQUEST,
            format!(
                "{error}
"
            ),
        )
    })
}

async fn calls(State(gateway): State<SimulatedGateway>) -> Response {
    shown(&json!(gateway.calls()))
}

async fn config(State(gateway): State<SimulatedGateway>) -> Response {
    shown(&gateway.config())
}

async fn arm(State(gateway): State<SimulatedGateway>, body: Bytes) -> Response {
    match read(&body) {
        Ok(fault) => {
            gateway.inject(fault);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn disarm(State(gateway): State<SimulatedGateway>) -> StatusCode {
    gateway.world.lock().faults.disarm();
    StatusCode::NO_CONTENT
}

async fn perform(State(gateway): State<SimulatedGateway>, body: Bytes) -> Response {
    match read(&body) {
        Ok(deed) => {
            gateway.perform(deed);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
