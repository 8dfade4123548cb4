//! The language of schemas and rules beyond what our kinds say in it: `rules.yaml`, as one definition with a field for each
//! schema in it. What a change starts from is stored before there are schemas, so that it may be illegal.

use std::time::Duration;

use axum::http::Request;
use futures::{StreamExt, stream};
use kube::Client;
use quartermaster::control_plane::schema::Schema;
use serde_json::{Value, json};

use super::answer::{Answer, of_response};
use super::beyond::{Beyond, Trial};
use super::recorded;
use crate::bed::{Cluster, evidence, shared_cluster};

#[tokio::test]
async fn both_say_the_same_of_schemas_beyond_ours() {
    let cluster = real!(shared_cluster());
    let Beyond { schema, trials } = Beyond::read();
    let ours = Schema::compile(&schema).unwrap_or_else(|error| panic!("{error}"));

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
    if std::env::var_os("SCHEMA_RECORD").is_some() {
        let of_trial = |(trial, theirs, _): &(&Trial, Answer, Answer)| {
            let theirs = recorded::shortened(theirs.clone(), &trial.after);
            (trial.name.clone(), theirs)
        };
        recorded::add(answers.iter().map(of_trial));
    }
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
    evidence::record(
        "schema",
        "values answered alike",
        trials.len() as u64,
        "schemas of one field",
    );
}

async fn answers<'t>(
    client: &Client,
    path: &str,
    ours: &Schema,
    trial: &'t Trial,
) -> (&'t Trial, Answer, Answer) {
    let answer = trial.answer(ours);
    let Some(before) = &trial.before else {
        let text = trial.after.to_string();
        let theirs = send(client, "POST", &format!("{path}?dryRun=All"), text).await;
        return (trial, theirs, answer);
    };
    let path = format!("{path}/{}", before["metadata"]["name"].as_str().expect("a name"));
    let stored = client.request::<Value>(get(&path)).await.expect("it is stored");
    let mut after = trial.after.clone();
    after["metadata"] = stored["metadata"].clone();
    let theirs = send(client, "PUT", &format!("{path}?dryRun=All"), after.to_string()).await;
    (trial, theirs, answer)
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
