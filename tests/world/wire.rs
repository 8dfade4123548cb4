//! Between the controller and the API server: every request is seen, every write has a name, and one of them may be struck.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use futures::FutureExt;
use futures::future::BoxFuture;
use quartermaster::control_plane::access::User;
use quartermaster::control_plane::{ControlPlane, http};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::time::sleep;
use tower::{BoxError, ServiceExt, service_fn};

use crate::blow::{Blow, Loss};
use crate::ledger::{Ledger, Whose};
use crate::life::Life;

/// What carries a request, whole. Layers are put around one another.
pub(crate) type Carry =
    Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, BoxError>> + Send + Sync>;

/// A client for one life of the controller.
pub(crate) fn client(carry: Carry) -> kube::Client {
    let service = service_fn(move |request: Request<kube::client::Body>| carry(request.map(Body::new)));
    kube::Client::new(service, "default")
}

/// The wire of one life.
pub(crate) fn wire(control_plane: &ControlPlane, ledger: &Ledger, life: &Life, seed: u64) -> Carry {
    let wire = Wire {
        server: control_plane.service_for(User::admin()),
        ledger: ledger.clone(),
        life: life.clone(),
        delays: Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))),
    };
    Arc::new(move |request| wire.clone().carry(request).boxed())
}

#[derive(Clone)]
struct Wire {
    server: http::Service,
    ledger: Ledger,
    life: Life,
    delays: Arc<Mutex<SmallRng>>,
}

impl Wire {
    async fn carry(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        self.life.goes_on().await;
        self.travels().await;
        let (effect, request) = named(request).await?;
        let Some(effect) = effect else {
            self.ledger.read();
            let answer = self.ask(request).await;
            self.travels().await;
            return Ok(answer);
        };
        let blow = self.ledger.effect(Whose::Api, effect.clone());
        if blow == Some(Blow::KilledBefore) {
            self.life.kill();
        }
        self.life.goes_on().await;
        let mut answer = self.ask(request).await;
        if answer.status() == StatusCode::CREATED {
            let (head, body) = answer.into_parts();
            let bytes = to_bytes(body, usize::MAX).await?;
            self.ledger.knows(&serde_json::from_slice(&bytes)?);
            self.ledger.has_made(effect);
            answer = Response::from_parts(head, Body::from(bytes));
        } else if answer.status() == StatusCode::OK && effect.ends_with(NEXT_TOKEN) {
            self.ledger.has_made(effect);
        }
        match blow {
            None => {}
            Some(Blow::KilledBefore | Blow::KilledAfter) => self.life.kill(),
            Some(Blow::Lost(Loss::Silence)) => std::future::pending().await,
            Some(Blow::Lost(Loss::Cut | Loss::Restart)) => {
                return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
            }
        }
        self.life.goes_on().await;
        self.travels().await;
        Ok(answer)
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        match self.server.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    /// A millisecond or so each way, so that answers and watches overtake one another. The seed says by how much.
    async fn travels(&self) {
        let micros = self.delays.lock().unwrap().random_range(200..3_000);
        sleep(Duration::from_micros(micros)).await;
        self.life.goes_on().await;
    }
}

/// A rotation begins: a new token is made by it, though no new object.
const NEXT_TOKEN: &str = " with a next token";

/// The name of a write, and the request again; None: it only reads.
async fn named(request: Request<Body>) -> Result<(Option<String>, Request<Body>), BoxError> {
    if request.method() == Method::GET {
        return Ok((None, request));
    }
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, usize::MAX).await?;
    let sent: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let media = head.headers.get(header::CONTENT_TYPE);
    let is_apply = media.is_some_and(|media| media.as_bytes().starts_with(b"application/apply-patch"));
    let verb = match head.method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::DELETE => "delete",
        Method::PATCH if is_apply => "apply",
        _ => "patch",
    };
    let name = effect(verb, head.uri.path(), &sent);
    Ok((Some(name), Request::from_parts(head, Body::from(bytes))))
}

/// `apply gateways/status default/harbour`
fn effect(verb: &str, path: &str, sent: &Value) -> String {
    let text = |pointer: &str| sent.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let below = match parts.as_slice() {
        ["api", _, below @ ..] | ["apis", _, _, below @ ..] => below,
        other => other,
    };
    let (namespace, below) = match below {
        ["namespaces", namespace, below @ ..] if !below.is_empty() => (format!("{namespace}/"), below),
        below => (String::new(), below),
    };
    match below {
        // Their own names are of chance.
        ["events", ..] => {
            let of = if text("/regarding/kind").is_empty() {
                "/involvedObject"
            } else {
                "/regarding"
            };
            let (kind, name) = (text(&format!("{of}/kind")), text(&format!("{of}/name")));
            format!("{verb} Event {} of {kind} {namespace}{name}", text("/reason"))
        }
        [kind] => format!("{verb} {kind} {namespace}{}", text("/metadata/name")),
        ["secrets", name] if !text("/data/next").is_empty() => {
            format!("{verb} secrets {namespace}{name}{NEXT_TOKEN}")
        }
        [kind, name] => format!("{verb} {kind} {namespace}{name}"),
        [kind, name, subresource, ..] => format!("{verb} {kind}/{subresource} {namespace}{name}"),
        [] => format!("{verb} {path}"),
    }
}

#[test]
fn writes_have_names() {
    let secret = serde_json::json!({ "metadata": { "name": "ocgw-a-device" } });
    let event = serde_json::json!({ "reason": "Connected", "regarding": { "kind": "Gateway", "name": "a" } });
    for (verb, path, sent, name) in [
        (
            "create",
            "/api/v1/namespaces/x/secrets",
            &secret,
            "create secrets x/ocgw-a-device",
        ),
        (
            "apply",
            "/apis/quartermaster.dev/v1alpha1/namespaces/x/gateways/a/status",
            &secret,
            "apply gateways/status x/a",
        ),
        (
            "create",
            "/apis/events.k8s.io/v1/namespaces/x/events",
            &event,
            "create Event Connected of Gateway x/a",
        ),
        (
            "patch",
            "/api/v1/namespaces/x/secrets/ocagent-a-token",
            &serde_json::json!({ "data": { "next": "c2VjcmV0" } }),
            "patch secrets x/ocagent-a-token with a next token",
        ),
        ("delete", "/api/v1/namespaces/x", &secret, "delete namespaces x"),
    ] {
        assert_eq!(effect(verb, path, sent), name);
    }
}
