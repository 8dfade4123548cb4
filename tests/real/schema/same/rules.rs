//! The language of schemas and rules beyond what our kinds say in it: `rules.yaml`, as one definition with a field for each
//! schema in it. What a change starts from is stored before there are schemas, so that it may be illegal.

use std::time::Duration;

use axum::http::Request;
use futures::{StreamExt, stream};
use kube::Client;
use quartermaster::control_plane::Object;
use quartermaster::control_plane::schema::{Schema, body};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, of_response, write};
use crate::bed::{Cluster, evidence, shared_cluster};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    schema: Value,
    /// `refused`: our schemas refuse to compile it. Anything else: it is left out, for that reason.
    on_purpose: Option<String>,
    #[serde(default)]
    values: Vec<Value>,
    #[serde(default)]
    changes: Vec<(Value, Value)>,
}

struct Trial {
    name: String,
    before: Option<Value>,
    after: Value,
}

#[tokio::test]
async fn both_say_the_same_of_schemas_beyond_ours() {
    let cluster = real!(shared_cluster());
    let text = include_str!("rules.yaml");
    let entries: Vec<Entry> = serde_saphyr::from_str(text).expect("rules.yaml");
    for entry in entries
        .iter()
        .filter(|entry| entry.on_purpose.as_deref() == Some("refused"))
    {
        let refused = Schema::compile(&whole(&json!({"f": entry.schema})));
        assert!(refused.is_err(), "{} compiles after all", entry.schema);
    }
    let kept: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.on_purpose.is_none())
        .collect();
    let fields: serde_json::Map<String, Value> = kept
        .iter()
        .enumerate()
        .map(|(number, entry)| (format!("f{number}"), entry.schema.clone()))
        .collect();
    let schema = whole(&Value::Object(fields));
    let ours = Schema::compile(&schema).unwrap_or_else(|error| panic!("{error}"));
    let trials = trials(&kept);

    define(
        cluster,
        &json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    );
    let namespace = cluster.namespace("rules");
    let client = cluster.client().await;
    let path = format!(
        "/apis/same.example.org/v1/namespaces/{}/samples",
        namespace.name()
    );
    for trial in &trials {
        if let Some(before) = &trial.before {
            let stored = send(&client, "POST", &path, before.to_string()).await;
            assert!(matches!(stored, Answer::Kept(_)), "{}: {stored}", trial.name);
        }
    }
    define(cluster, &schema);
    until_in_force(&client, &path).await;

    let answers: Vec<(&Trial, Answer, Answer)> = stream::iter(&trials)
        .map(|trial| answers(&client, &path, &ours, trial))
        .buffer_unordered(8)
        .collect()
        .await;
    let mut different: Vec<String> = answers
        .iter()
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(trial, theirs, ours)| format!("{}\n  the API server: {theirs}\n  ours: {ours}", trial.name))
        .collect();
    different.sort();
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
    let note = format!("{} schemas of one field", kept.len());
    evidence::record("schema", "values answered alike", trials.len() as u64, &note);
}

async fn answers<'t>(
    client: &Client,
    path: &str,
    ours: &Schema,
    trial: &'t Trial,
) -> (&'t Trial, Answer, Answer) {
    let text = trial.after.to_string();
    let Some(before) = &trial.before else {
        let theirs = send(client, "POST", &format!("{path}?dryRun=All"), text.clone()).await;
        return (trial, theirs, write(ours, &text, false, None));
    };
    let path = format!("{path}/{}", before["metadata"]["name"].as_str().expect("a name"));
    let stored = client.request::<Value>(get(&path)).await.expect("it is stored");
    let mut after = trial.after.clone();
    after["metadata"] = stored["metadata"].clone();
    let theirs = send(client, "PUT", &format!("{path}?dryRun=All"), after.to_string()).await;
    let old = as_read(ours, before);
    (trial, theirs, write(ours, &text, false, Some(&old)))
}

fn trials(entries: &[&Entry]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let sample = |name: String, value: &Value| {
            json!({"apiVersion": "same.example.org/v1", "kind": "Sample", "metadata": {"name": name},
                "spec": {format!("f{number}"): value}})
        };
        for (which, value) in entry.values.iter().enumerate() {
            trials.push(Trial {
                name: format!("{} given {value}", entry.schema),
                before: None,
                after: sample(format!("new-{number}-{which}"), value),
            });
        }
        for (which, (before, after)) in entry.changes.iter().enumerate() {
            let name = format!("changed-{number}-{which}");
            trials.push(Trial {
                name: format!("{} changed from {before} to {after}", entry.schema),
                before: Some(sample(name.clone(), before)),
                after: sample(name, after),
            });
        }
    }
    trials
}

fn whole(fields: &Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}})
}

/// A stored object as the present schema reads it.
fn as_read(schema: &Schema, stored: &Value) -> Value {
    let mut object = Object::of(stored.clone()).expect("an object");
    schema.prune(&mut object);
    schema.default(&mut object);
    let mut value = object.into_value();
    body::settle_numbers(&mut value);
    value
}

fn define(cluster: &Cluster, schema: &Value) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "samples.same.example.org"},
        "spec": {
            "group": "same.example.org", "scope": "Namespaced",
            "names": {"kind": "Sample", "plural": "samples", "singular": "sample", "listKind": "SampleList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    cluster.apply(&definition.to_string());
    let served = cluster.kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/samples.same.example.org",
    ]);
    assert!(served.ok, "{}", served.stderr);
}

/// A definition that is changed comes into force a moment later.
async fn until_in_force(client: &Client, path: &str) {
    let illegal = json!({"apiVersion": "same.example.org/v1", "kind": "Sample", "metadata": {"name": "probe"}, "spec": 7});
    for _ in 0..300 {
        let answer = send(client, "POST", &format!("{path}?dryRun=All"), illegal.to_string()).await;
        if matches!(answer, Answer::Invalid(_)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the schema is not in force after 30 s");
}

fn get(path: &str) -> Request<Vec<u8>> {
    Request::builder().uri(path).body(Vec::new()).expect("a request")
}

async fn send(client: &Client, method: &str, path: &str, text: String) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", "application/json")
        .body(text.into_bytes())
        .expect("a request");
    of_response(client.request::<Value>(request).await)
}
