//! What is written: an Agent with every field, as the tests of the schema have it.

use bytes::Bytes;
use kube::client::Body;
use serde_json::{Value, json};

use axum::http::Request;

const WHOLE: &str = include_str!("../../tests/real/schema/whole/worker.yaml");
pub const NAMESPACE: &str = "bench";
pub const AGENTS: &str = "/apis/quartermaster.dev/v1alpha1/namespaces/bench/agents";

pub struct Payload(Value);

impl Payload {
    pub fn new() -> Self {
        Self(serde_saphyr::from_str(WHOLE).expect("YAML that the tests read too"))
    }

    pub fn creation(&self, name: &str) -> Request<Body> {
        let Self(whole) = self;
        let mut agent = whole.clone();
        agent["metadata"]["name"] = json!(name);
        request("POST", AGENTS, "application/json", &agent)
    }

    /// The whole status by server-side apply, as our controller writes it. `turn`: it is another one each time.
    pub fn status(&self, name: &str, turn: usize) -> Request<Body> {
        let Self(whole) = self;
        let mut agent = json!({
            "apiVersion": whole["apiVersion"], "kind": whole["kind"], "metadata": { "name": name },
            "status": whole["status"],
        });
        agent["status"]["filesSummary"] = json!(format!("{turn}/6"));
        let path = format!("{AGENTS}/{name}/status?fieldManager=quartermaster&force=true");
        request("PATCH", &path, "application/apply-patch+yaml", &agent)
    }
}

/// Replaces what was answered by the same with another spec.
pub fn replacement(answer: &Bytes) -> Request<Body> {
    let mut agent: Value = serde_json::from_slice(answer).unwrap();
    agent["spec"]["displayName"] = json!("Incident Triage, renamed");
    let name = agent["metadata"]["name"].as_str().unwrap().to_owned();
    request("PUT", &format!("{AGENTS}/{name}"), "application/json", &agent)
}

pub fn reading(name: &str) -> Request<Body> {
    get(&format!("{AGENTS}/{name}"))
}

pub fn get(path: &str) -> Request<Body> {
    let request = Request::get(path).header("accept", "application/json");
    request.body(Body::empty()).unwrap()
}

fn request(method: &str, path: &str, media: &str, body: &Value) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request
        .header("content-type", media)
        .header("accept", "application/json");
    request.body(Body::from(body.to_string().into_bytes())).unwrap()
}
