//! The real API server.

use std::time::Duration;

use axum::http;
use kube::Client;
use serde_json::{Value, json};

use super::ours::{Answer, Kind};
use super::{Method, Request};

pub struct Server {
    client: Client,
    namespace: String,
}

/// Whole seconds, as managed fields have them.
pub fn now() -> i64 {
    let now = std::time::SystemTime::now();
    i64::try_from(now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// At most a second, until a time that is taken now is a new one.
pub async fn next_second() {
    let before = now();
    while now() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Server {
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// Objects that may own others: the garbage collector would take whose owner is not there.
    pub async fn owners(&self) -> Vec<Value> {
        let mut owners = Vec::new();
        for name in ["owner-a", "owner-b", "owner-c"] {
            let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
            let path = format!("/api/v1/namespaces/{}/configmaps", self.namespace);
            let made = self
                .send("POST", &path, "application/json", "owners/1", &body)
                .await
                .unwrap();
            owners.push(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"],
            }));
        }
        owners
    }

    pub async fn ask(&self, kind: &Kind, name: &str, request: &Request) -> Answer {
        let Request {
            method,
            subresource,
            field_manager,
            force,
            user_agent,
            body,
        } = request;
        let mut path = kind.path(&self.namespace);
        let (method, content_type) = match method {
            Method::Create => ("POST", "application/json"),
            Method::Update => ("PUT", "application/json"),
            Method::Patch(content_type) => ("PATCH", *content_type),
        };
        if method != "POST" {
            path = format!("{path}/{name}");
        }
        if let Some(subresource) = subresource {
            path = format!("{path}/{subresource}");
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(manager) = field_manager {
            query.append_pair("fieldManager", manager);
        }
        if let Some(force) = force {
            query.append_pair("force", &force.to_string());
        }
        let path = format!("{path}?{}", query.finish());
        self.send(method, &path, content_type, user_agent, body).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        user_agent: &str,
        body: &Value,
    ) -> Answer {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", content_type)
            .header("User-Agent", user_agent)
            .body(body.to_string().into_bytes())
            .unwrap();
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) => Err(json!(status)),
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
}
