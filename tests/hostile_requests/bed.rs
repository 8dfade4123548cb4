//! A control plane in memory, asked in process or through TLS in a pipe: with the clock paused, what takes a minute takes no
//! time, and what waits for ever is seen.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use quartermaster::control_plane::access::{Tokens, User};
use quartermaster::control_plane::http::{Service, listen};
use quartermaster::control_plane::identity::Identity;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, kinds};
use quartermaster::resource;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
pub const AGENTS: &str = "/apis/quartermaster.dev/v1alpha1/namespaces/default/agents";
pub const JSON: &str = "application/json";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const MERGE_PATCH: &str = "application/merge-patch+json";
pub const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";

pub struct Bed {
    pub control_plane: ControlPlane,
    pub identity: Identity,
    /// One for all connections, as in the program.
    pub service: Service,
    admin: Service,
}

/// What came back, read to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Bed {
    pub async fn new() -> Self {
        Self::keeping(Keep::default()).await
    }

    pub async fn keeping(keep: Keep) -> Self {
        let identity = Identity::new(jiff::Timestamp::now()).unwrap();
        let definitions = resource::definitions();
        let control_plane = ControlPlane::new(
            Store::in_memory(keep),
            kinds::served(&definitions).unwrap(),
            Tokens::new(identity.token.clone(), identity.seed),
            Arc::new(jiff::Timestamp::now),
        );
        control_plane.begin(&definitions).await.unwrap();
        Self {
            service: control_plane.service(),
            admin: control_plane.service_for(User::admin()),
            identity,
            control_plane,
        }
    }

    /// In process, as the administrator.
    pub async fn ask(&self, method: &str, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type);
        answer(self.admin.clone(), request.body(body.into()).unwrap()).await
    }

    /// In process, as somebody else.
    pub async fn ask_as(
        &self,
        user: &User,
        method: &str,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type);
        let service = self.control_plane.service_for(user.clone());
        answer(service, request.body(body.into()).unwrap()).await
    }

    pub async fn create(&self, path: &str, object: &Value) -> Answer {
        let answer = self.ask("POST", path, JSON, object.to_string()).await;
        assert_eq!(answer.code, 201, "{}", answer.message());
        answer
    }

    pub fn token(&self) -> &str {
        self.identity.token.expose_secret()
    }

    /// A pipe to a server that speaks TLS. It holds `buffer` bytes on their way, in either direction.
    pub fn pipe(&self, buffer: usize) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(buffer);
        let tls = self.identity.tls(&[]).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(listen::connection(theirs, tls, self.service.clone(), stop));
        ours
    }

    /// The same, with hands shaken.
    pub async fn connect(&self, protocol: &str, buffer: usize) -> TlsStream<DuplexStream> {
        let mut roots = rustls::RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.identity.authority.as_bytes()).unwrap();
        roots.add(authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.pipe(buffer);
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }
}

pub async fn answer(service: Service, request: Request<Body>) -> Answer {
    let response = service.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Answer {
        code: head.status.as_u16(),
        headers: head.headers,
        body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn message(&self) -> String {
        let json = self.json();
        let message = json["message"].as_str().map(str::to_owned);
        message.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned())
    }

    /// A refusal with this code and in these words.
    #[track_caller]
    pub fn is_refusal(&self, code: u16, reason: &str, message: &str) {
        self.is_status();
        assert_eq!(
            (
                self.code,
                self.json()["reason"].as_str().unwrap_or_default(),
                &*self.message()
            ),
            (code, reason, message)
        );
    }

    /// Whatever it says, it says it in the form that clients know.
    #[track_caller]
    pub fn is_status(&self) {
        let status = self.json();
        let head = json!([
            status["kind"],
            status["apiVersion"],
            status["status"],
            status["code"]
        ]);
        assert_eq!(
            head,
            json!(["Status", "v1", "Failure", self.code]),
            "{}",
            self.message()
        );
        assert!(status["message"].is_string(), "{status}");
    }
}
