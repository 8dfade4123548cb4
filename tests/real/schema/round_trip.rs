//! Nothing is lost: an object with every field is stored, read again and is the same but for defaults.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cluster::{asker, install};
use super::overlay::lost;
use super::samples::whole_objects;
use super::schemas::{kind, kinds, walk};
use super::table::misread;
use crate::bed::shared_cluster;

#[tokio::test]
async fn every_field_comes_back_as_it_was_sent() {
    let cluster = real!(shared_cluster());
    install(cluster);
    let namespace = cluster.namespace("whole");
    let asker = asker(cluster, &namespace).await;

    let mut met = BTreeSet::new();
    for sent in whole_objects() {
        let name = &sent["metadata"]["name"];
        let created = asker
            .create(&sent)
            .await
            .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(
            created["status"],
            Value::Null,
            "{name}: status is nothing that a user can write"
        );
        let mut with_status = created;
        with_status["status"] = sent["status"].clone();
        if sent["status"].is_object() {
            asker
                .replace_status(&with_status)
                .await
                .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        }
        let kept = asker
            .read(&sent)
            .await
            .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));

        assert_eq!(lost("spec", &sent["spec"], &kept["spec"]), [""; 0], "{name}");
        assert_eq!(sent["status"], kept["status"], "{name}: a status has no defaults");
        assert_eq!(misread(&kept), None, "{name}");
        let Value::String(kind_name) = &sent["kind"] else {
            panic!("{name} has no kind")
        };
        let added = added(
            "",
            &sent["spec"],
            &kept["spec"],
            &kind(kind_name).schema["properties"]["spec"],
        );
        assert_eq!(added, [""; 0], "{name}: only defaults are added");
        for part in ["spec", "status"] {
            visit(&format!("{kind_name}.{part}"), &sent[part], &mut met);
        }
    }

    // A field that no sample has is one that could be lost unseen.
    let mut unmet = Vec::new();
    for kind in kinds() {
        for part in ["spec", "status"] {
            walk(
                &format!("{}.{part}", kind.kind),
                &kind.schema["properties"][part],
                &mut |path, schema| {
                    let refused = schema["description"]
                        .as_str()
                        .is_some_and(|text| text.starts_with("Refused: "));
                    if !refused && !met.contains(path) {
                        unmet.push(path.to_owned());
                    }
                },
            );
        }
    }
    assert!(unmet.is_empty(), "no object in whole/ has {}", unmet.join(", "));
}

/// What the API server put in beside what was sent, if it is not what the schema's default says.
fn added(path: &str, sent: &Value, kept: &Value, schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => {
            for (key, value) in kept {
                let (path, schema) = (format!("{path}.{key}"), &schema["properties"][key]);
                match (sent.get(key), &schema["default"]) {
                    (Some(sent), _) => faults.extend(added(&path, sent, value, schema)),
                    (None, Value::Object(_)) => {
                        faults.extend(added(&path, &schema["default"], value, schema));
                    }
                    (None, default) if default == value => {}
                    (None, default) => {
                        faults.push(format!("{path}: {value}, though the default is {default}"));
                    }
                }
            }
        }
        (Value::Array(sent), Value::Array(kept)) => {
            for (index, (sent, kept)) in sent.iter().zip(kept).enumerate() {
                faults.extend(added(&format!("{path}[{index}]"), sent, kept, &schema["items"]));
            }
        }
        _ => {}
    }
    faults
}

/// Notes every path that an object has, as `walk` writes them: both for a map's keys and for a struct's fields.
fn visit(path: &str, value: &Value, met: &mut BTreeSet<String>) {
    met.insert(path.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                visit(&format!("{path}.{name}"), value, met);
                met.insert(format!("{path}{{}}"));
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| visit(&format!("{path}[]"), item, met)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
