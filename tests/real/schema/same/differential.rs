//! A real API server and our schemas, object by object.

use std::collections::BTreeMap;

use axum::http::Request;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::super::ask::Asker;
use super::super::cluster::{asker, install};
use super::super::schemas::kind;
use super::answer::{Answer, Ours, of_response};
use super::cases::{Case, mutated, mutated_statuses, written_down};
use super::recorded::{self, SEEDS};
use crate::bed::{evidence, shared_cluster};

/// The recorded ones are among them.
const TRIED: u64 = 2_400;

#[tokio::test]
async fn both_say_the_same_of_what_a_person_wrote_down() {
    let cluster = real!(shared_cluster());
    install(cluster);
    let namespace = cluster.namespace("same");
    let asker = asker(cluster, &namespace).await;
    let tried = compare(&asker, written_down()).await;
    evidence::record(
        "schema",
        "objects answered alike, written down",
        tried,
        "causes and defaults",
    );
}

#[tokio::test]
async fn both_say_the_same_of_mutated_objects() {
    let cluster = real!(shared_cluster());
    install(cluster);
    let namespace = cluster.namespace("mutated");
    let asker = asker(cluster, &namespace).await;
    let last = seeds(TRIED);
    let tried = compare(&asker, mutated(0..last)).await;
    evidence::record(
        "schema",
        "objects answered alike, mutated",
        tried,
        &format!("seeds 0..{last}"),
    );
}

#[tokio::test]
async fn both_say_the_same_of_mutated_statuses() {
    let cluster = real!(shared_cluster());
    install(cluster);
    let namespace = cluster.namespace("statuses");
    let asker = asker(cluster, &namespace).await;
    let last = seeds(500);
    let tried = compare(&asker, mutated_statuses(0..last)).await;
    let note = format!("seeds 0..{last}");
    evidence::record("schema", "statuses answered alike, mutated", tried, &note);
}

/// `SCHEMA_SEEDS=20000` tries more.
fn seeds(usual: u64) -> u64 {
    std::env::var("SCHEMA_SEEDS").map_or(usual, |number| number.parse().expect("SCHEMA_SEEDS is a number"))
}

async fn compare(asker: &Asker, cases: Vec<Case>) -> u64 {
    let ours = Ours::compile();
    let stored = store(asker, &cases).await;
    let answers: Vec<(String, Answer, Answer, Value)> = stream::iter(&cases)
        .map(|case| answers(asker, &ours, &stored, case))
        .buffer_unordered(8)
        .collect()
        .await;
    let mut different: Vec<String> = Vec::new();
    for (name, theirs, ours, _) in &answers {
        if theirs != ours {
            different.push(format!("{name}\n  the API server: {theirs}\n  ours: {ours}"));
        }
    }
    different.sort();
    if std::env::var_os("SCHEMA_RECORD").is_some() {
        record(answers);
    }
    let shown: Vec<&str> = different.iter().take(40).map(String::as_str).collect();
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        cases.len(),
        shown.join("\n")
    );
    cases.len() as u64
}

fn record(answers: Vec<(String, Answer, Answer, Value)>) {
    let is_recorded = |name: &str| {
        let seed = name.rsplit_once("seed ").and_then(|(_, seed)| seed.parse().ok());
        seed.is_none_or(|seed: u64| seed < SEEDS) && !name.starts_with("status")
    };
    let kept = answers.into_iter().filter(|(name, ..)| is_recorded(name));
    recorded::add(kept.map(|(name, theirs, _, sent)| (name, recorded::shortened(theirs, &sent))));
}

/// What is stored before a change, by kind and what was asked to be stored. None of it is changed later.
type Stored = BTreeMap<String, Value>;

async fn store(asker: &Asker, cases: &[Case]) -> Stored {
    let mut stored = Stored::new();
    for case in cases {
        let Some(before) = &case.before else {
            continue;
        };
        let key = before.to_string();
        if stored.contains_key(&key) {
            continue;
        }
        let mut object = before.clone();
        object["metadata"]["name"] = format!("stored-{}", stored.len()).into();
        let created = asker
            .create(&object)
            .await
            .unwrap_or_else(|refusal| panic!("{}: {refusal:?}", case.name));
        let created = if case.part == "status" {
            let mut with_status = created;
            with_status["status"] = before["status"].clone();
            asker.replace_status(&with_status).await.expect("a legal status")
        } else {
            created
        };
        stored.insert(key, created);
    }
    stored
}

async fn answers(
    asker: &Asker,
    ours: &Ours,
    stored: &Stored,
    case: &Case,
) -> (String, Answer, Answer, Value) {
    let old = case.before.as_ref().map(|before| &stored[&before.to_string()]);
    let text = case.text(old);
    let (plural, namespace) = (&kind(&case.kind).plural, &asker.namespace);
    let (method, name) = match old {
        Some(old) => ("PUT", old["metadata"]["name"].as_str().expect("a name")),
        None => ("POST", ""),
    };
    let below = if case.part == "status" { "/status" } else { "" };
    let validation = if case.strict { "Strict" } else { "Ignore" };
    let path = format!(
        "/apis/quartermaster.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}{below}?fieldValidation={validation}&dryRun=All"
    );
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", "application/json")
        .body(text.clone().into_bytes())
        .expect("a request");
    let theirs = of_response(asker.client.request::<Value>(request).await);
    let ours = match old {
        Some(old) => ours.replace(&case.kind, case.part, &text, case.strict, old),
        None => ours.create(&case.kind, &text, case.strict),
    };
    let sent = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
    (case.name.clone(), theirs, ours, sent)
}
