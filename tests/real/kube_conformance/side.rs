//! One of the two that are asked.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::Client;
use kube::client::Body;
use regex::Regex;
use serde_json::Value;

use super::case::{Case, Step};

/// What was answered, as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, Vec<String>>,
    /// JSON; the events of a watch; or a text.
    pub body: Value,
}

#[derive(Clone)]
pub struct Side {
    client: Client,
    /// Without a token, for requests that bring their own.
    bare: Client,
}

/// Headers that are part of what is promised.
const HEADERS: [&str; 4] = ["content-type", "warning", "retry-after", "allow"];
/// A request that takes longer is a difference, not a reason to wait for ever.
const LONGEST: Duration = Duration::from_secs(20);
const LARGEST: usize = 64 << 20;

/// What the cases put finalizers on.
const HELD: [&str; 7] = [
    "/api/v1/namespaces/{}/configmaps",
    "/api/v1/namespaces/{}/secrets",
    "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "/apis/quartermaster.dev/v1alpha1/namespaces/{}/agents",
    "/apis/quartermaster.dev/v1alpha1/namespaces/{}/boards",
    "/apis/quartermaster.dev/v1alpha1/namespaces/{}/gateways",
];

impl Side {
    pub async fn of(kubeconfig: &std::path::Path) -> Self {
        let read = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(read, &options)
            .await
            .unwrap();
        let mut bare = config.clone();
        bare.auth_info = kube::config::AuthInfo::default();
        Self {
            client: Client::try_from(config).unwrap(),
            bare: Client::try_from(bare).unwrap(),
        }
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// In a namespace of its own, which ends afterwards.
    pub async fn run(&self, case: &Case, namespace: &str) -> Vec<Answer> {
        let made = format!("{{\"metadata\":{{\"name\":\"{namespace}\"}}}}");
        let json = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let answer = self
            .ask("POST", "/api/v1/namespaces", &json, made.clone().into_bytes())
            .await;
        assert_eq!(answer.status, 201, "namespace {namespace}: {}", answer.body);
        let mut saved = BTreeMap::new();
        let mut answers = Vec::new();
        for step in &case.steps {
            let answer = self.step(case, step, namespace, &saved).await;
            if answer.body.is_object() {
                saved.insert("last".to_owned(), answer.body.clone());
            }
            if let Some(name) = &step.save {
                saved.insert(name.clone(), answer.body.clone());
            }
            answers.push(answer);
        }
        self.end(namespace).await;
        answers
    }

    /// With whatever would keep it from ending: a namespace that cannot end is looked at by the controller manager again and
    /// again, and a hundred of them cost a core.
    pub async fn end(&self, namespace: &str) {
        let path = format!("/api/v1/namespaces/{namespace}");
        self.ask("DELETE", &path, &[], Vec::new()).await;
        for kind in HELD {
            let kind = kind.replace("{}", namespace);
            let held = self.ask("GET", &kind, &[], Vec::new()).await;
            let held = held.body["items"].as_array().cloned().unwrap_or_default();
            for object in held
                .iter()
                .filter(|object| object["metadata"]["finalizers"].is_array())
            {
                let path = format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap());
                let merge = (
                    "Content-Type".to_owned(),
                    "application/merge-patch+json".to_owned(),
                );
                let free = br#"{"metadata":{"finalizers":null}}"#.to_vec();
                self.ask("PATCH", &path, &[merge], free).await;
            }
        }
    }

    async fn step(
        &self,
        case: &Case,
        step: &Step,
        namespace: &str,
        saved: &BTreeMap<String, Value>,
    ) -> Answer {
        let say = |text: &str| words(case, text, namespace, saved);
        let mut headers: Vec<(String, String)> = step
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), say(value)))
            .collect();
        let mut or = |name: &str, value: &str| {
            if !headers.iter().any(|(have, _)| have == name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        let body = step.body.as_ref().map(|body| body_of(&say(body)));
        let (method, until) = match step.method.as_str() {
            "MERGE" => ("PATCH", Some("application/merge-patch+json")),
            "JSONPATCH" => ("PATCH", Some("application/json-patch+json")),
            "STRATEGIC" => ("PATCH", Some("application/strategic-merge-patch+json")),
            "APPLY" => ("PATCH", Some("application/apply-patch+yaml")),
            method => (method, body.is_some().then_some("application/json")),
        };
        if let Some(media) = until {
            or("Content-Type", media);
        }
        or("Accept", "application/json");
        or("User-Agent", "conformance");
        let (method, wanted) = match method.strip_prefix("UNTIL ") {
            Some(wanted) => ("GET", Some(wanted)),
            None => (method, None),
        };
        let path = say(&step.path);
        let body = body.unwrap_or_default();
        let mut answer = self.ask(method, &path, &headers, body.clone()).await;
        for _ in 0..800 {
            let is_so =
                |wanted| answer.status.to_string() == wanted || answer.body.to_string().contains(wanted);
            if wanted.is_none_or(is_so) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = self.ask(method, &path, &headers, body.clone()).await;
        }
        answer
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(String, String)], body: Vec<u8>) -> Answer {
        let asked = self.answer(method, path, headers, body);
        match tokio::time::timeout(LONGEST, asked).await {
            Ok(answer) => answer,
            Err(_) => Answer {
                status: 0,
                headers: BTreeMap::new(),
                body: Value::from(format!("no answer to {method} {path} in {LONGEST:?}")),
            },
        }
    }

    async fn answer(&self, method: &str, path: &str, headers: &[(String, String)], body: Vec<u8>) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let has_token = headers.iter().any(|(name, _)| name == "Authorization");
        let client = if has_token { &self.bare } else { &self.client };
        let broken = |error: &dyn std::fmt::Display| Answer {
            status: 0,
            headers: BTreeMap::new(),
            body: Value::from(format!("no answer: {error}")),
        };
        let response = match client.send(request).await {
            Ok(response) => response,
            Err(error) => return broken(&error),
        };
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(axum::body::Body::new(body), LARGEST).await;
        let text = match &body {
            Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Err(error) => format!("the answer broke off: {error}"),
        };
        let of = |name: &str| -> Vec<String> {
            let values = head.headers.get_all(name).iter();
            values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect()
        };
        Answer {
            status: StatusCode::as_u16(&head.status),
            headers: HEADERS
                .iter()
                .map(|name| ((*name).to_owned(), of(name)))
                .filter(|(_, values)| !values.is_empty())
                .collect(),
            body: parsed(&text, path.contains("watch=") || path.contains("/watch/")),
        }
    }
}

/// Periodic bookmarks come when they come, and are no part of what is compared.
fn parsed(text: &str, watch: bool) -> Value {
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && (!watch || value["type"].is_null())
    {
        return value;
    }
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    match lines {
        // A watch that told nothing is one that told what is left out.
        Ok(events) if watch || !events.is_empty() => events
            .into_iter()
            .filter(|event| {
                let end = "/object/metadata/annotations/k8s.io~1initial-events-end";
                let is_asked_for = event["type"] != "BOOKMARK" || event.pointer(end).is_some();
                // A controller puts it into every namespace, when it comes to it.
                is_asked_for && event["object"]["metadata"]["name"] != "kube-root-ca.crt"
            })
            .collect(),
        Ok(_) | Err(_) => Value::from(text),
    }
}

fn body_of(text: &str) -> Vec<u8> {
    if text.trim() == "raw" {
        return Vec::new();
    }
    if let Some(raw) = text.strip_prefix("raw ") {
        return raw.as_bytes().to_vec();
    }
    // `y` is a word here.
    let options = serde_saphyr::options! { strict_booleans: true };
    let value: Value =
        serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{error}: {text}"));
    value.to_string().into_bytes()
}

static SAVED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\{([^}]+)\}\}").unwrap());
static MANY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<<(.)\*(\d+)>>").unwrap());

/// A continue token as it was at version 1. Both servers write the same three fields.
fn of_version_one(token: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    let mut token: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(token["rv"].is_number(), "{token}");
    token["rv"] = Value::from(1);
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn words(case: &Case, text: &str, namespace: &str, saved: &BTreeMap<String, Value>) -> String {
    let mut text = text.to_owned();
    for (word, meant) in &case.words {
        text = text.replace(word, meant);
    }
    text = text.replace("$ns", namespace);
    let text = SAVED.replace_all(&text, |found: &regex::Captures<'_>| {
        let (path, is_old) = match found[1].strip_suffix("@1") {
            Some(path) => (path, true),
            None => (&found[1], false),
        };
        let mut parts = path.split('.');
        let mut value = parts.next().and_then(|name| saved.get(name));
        for part in parts {
            value = value.and_then(|value| value.get(part));
        }
        match value {
            Some(Value::String(text)) if is_old => of_version_one(text),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "MISSING".to_owned(),
        }
    });
    MANY.replace_all(&text, |found: &regex::Captures<'_>| {
        found[1].repeat(found[2].parse().unwrap())
    })
    .into_owned()
}
