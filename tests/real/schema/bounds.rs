//! Bounds and formats, at every place where a definition has one: the value at the edge is not refused for it, the one
//! just beyond is, and the refusal names the field. Made from the definitions, so that a new field is tested unasked.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::ask::Asker;
use super::cluster::{asker, install};
use super::samples::whole_objects;
use super::schemas::{kind, kinds, messages, walk};
use crate::bed::{evidence, shared_cluster};

/// One value put at one place of a whole object.
struct Trial {
    /// The place in the schema, `.spec.files[].name`, and the bound there.
    bound: String,
    object: Value,
    /// The place as the refusal names it, `spec.files[0].name`.
    field: String,
    /// One of these words must be in the refusal; or, of a value at the edge, none of them.
    words: Vec<String>,
    refused: bool,
}

#[tokio::test]
async fn every_bound_holds_at_its_edge_and_no_further() {
    let cluster = real!(shared_cluster());
    install(cluster);
    let namespace = cluster.namespace("bounds");
    let asker = asker(cluster, &namespace).await;

    let mut trials = Vec::new();
    for whole in whole_objects() {
        let Value::String(kind_name) = &whole["kind"] else {
            panic!("no kind")
        };
        let schema = &kind(kind_name).schema;
        let place = Place {
            path: format!("{kind_name}.spec"),
            field: "spec".into(),
            pointer: "/spec".into(),
        };
        find(
            &whole,
            &place,
            &whole["spec"],
            &schema["properties"]["spec"],
            &mut trials,
        );
    }
    let tried: BTreeSet<&str> = trials.iter().map(|trial| trial.bound.as_str()).collect();
    let mut untried = Vec::new();
    for kind in kinds() {
        walk(
            &format!("{}.spec", kind.kind),
            &kind.schema["properties"]["spec"],
            &mut |path, schema| {
                let refused = schema["description"]
                    .as_str()
                    .is_some_and(|text| text.starts_with("Refused: "));
                for bound in bounds_of(schema).iter().filter(|_| !refused) {
                    if !tried.contains(format!("{path} {bound}").as_str()) {
                        untried.push(format!("{path} {bound}"));
                    }
                }
            },
        );
    }
    assert!(
        untried.is_empty(),
        "no object in whole/ lets these be tried: {}",
        untried.join(", ")
    );

    let faults: Vec<String> = stream::iter(&trials)
        .map(|trial| check(&asker, trial))
        .buffer_unordered(8)
        .filter_map(|fault| async { fault })
        .collect()
        .await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    evidence::record(
        "schema",
        "bounds",
        tried.len() as u64,
        &format!("{} trials at their edges and beyond", trials.len()),
    );
}

async fn check(asker: &Asker, trial: &Trial) -> Option<String> {
    let answer = asker.could_create(&trial.object).await;
    let said = answer.as_ref().err().and_then(|refusal| {
        refusal.causes.iter().find(|cause| {
            cause.field == trial.field
                && trial
                    .words
                    .iter()
                    .any(|words| cause.message.contains(words.as_str()))
        })
    });
    match (trial.refused, said) {
        (true, Some(_)) | (false, None) => None,
        (true, None) => Some(format!(
            "{}: beyond it, {} was not refused: {answer:?}",
            trial.bound, trial.field
        )),
        (false, Some(cause)) => Some(format!(
            "{}: at its edge, {} was refused: {}",
            trial.bound, trial.field, cause.message
        )),
    }
}

struct Place {
    path: String,
    field: String,
    pointer: String,
}

impl Place {
    fn down(&self, path: &str, field: &str, pointer: &str) -> Self {
        Self {
            path: format!("{}{path}", self.path),
            field: format!("{}{field}", self.field),
            pointer: format!(
                "{}/{}",
                self.pointer,
                pointer.replace('~', "~0").replace('/', "~1")
            ),
        }
    }
}

fn find(whole: &Value, at: &Place, value: &Value, schema: &Value, trials: &mut Vec<Trial>) {
    for bound in bounds_of(schema) {
        for (value, words, refused) in values(bound, value, schema) {
            let mut object = whole.clone();
            object.as_object_mut().unwrap().remove("status");
            object["metadata"]["name"] = json!("bound");
            *object.pointer_mut(&at.pointer).unwrap() = value;
            trials.push(Trial {
                bound: format!("{} {bound}", at.path),
                object,
                field: at.field.clone(),
                words,
                refused,
            });
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if schema["properties"][name].is_object() {
                    let down = at.down(&format!(".{name}"), &format!(".{name}"), name);
                    find(whole, &down, value, &schema["properties"][name], trials);
                } else if schema["additionalProperties"].is_object() {
                    let down = at.down("{}", &format!(".{name}"), name);
                    find(whole, &down, value, &schema["additionalProperties"], trials);
                }
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let down = at.down("[]", &format!("[{index}]"), &index.to_string());
                find(whole, &down, value, &schema["items"], trials);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a schema bounds at its own place.
fn bounds_of(schema: &Value) -> Vec<&'static str> {
    let mut bounds: Vec<&str> = [
        "minLength",
        "maxLength",
        "maxItems",
        "maxProperties",
        "minimum",
        "maximum",
        "enum",
        "type",
    ]
    .into_iter()
    .filter(|key| !schema[*key].is_null())
    .collect();
    if schema["type"] == "string" && !messages(schema).is_empty() {
        bounds.push("format");
    }
    bounds
}

/// Values at the edge of a bound and beyond it, the words by which a refusal is known, and whether one is due.
fn values(bound: &str, now: &Value, schema: &Value) -> Vec<(Value, Vec<String>, bool)> {
    let edge = schema[bound].as_f64().unwrap_or(0.0) as usize;
    let both = |words: &str, at: Value, beyond: Value| {
        vec![
            (at, vec![words.to_owned()], false),
            (beyond, vec![words.to_owned()], true),
        ]
    };
    let of_length = |length: usize| Value::String("a".repeat(length));
    match bound {
        "minLength" => both("at least", of_length(edge), of_length(edge - 1)),
        "maxLength" => both("Too long", of_length(edge), of_length(edge + 1)),
        "maxItems" => {
            // Items that differ, since many a list is a set; whatever else is wrong with them is not asked here.
            let items = |count: usize| {
                (0..count)
                    .map(|index| item(&schema["items"], index))
                    .collect::<Value>()
            };
            both("Too many", items(edge), items(edge + 1))
        }
        "maxProperties" => {
            let value = now
                .as_object()
                .and_then(|fields| fields.values().next().cloned())
                .unwrap_or(json!("a"));
            let fields = |count: usize| {
                (0..count)
                    .map(|index| (format!("a{index}"), value.clone()))
                    .collect::<Value>()
            };
            both("Too many", fields(edge), fields(edge + 1))
        }
        "minimum" => both("should be greater than", json!(edge), json!(edge as i64 - 1)),
        "maximum" => both("should be less than", json!(edge), json!(edge + 1)),
        "enum" => {
            let words = "Unsupported value".to_owned();
            let legal = schema["enum"].as_array().into_iter().flatten();
            let legal = legal.map(|value| (value.clone(), vec![words.clone()], false));
            legal
                .chain([(json!("Otherwise"), vec![words.clone()], true)])
                .collect()
        }
        "type" => {
            let wrong = if schema["type"] == "string" {
                json!(7)
            } else {
                json!("text")
            };
            vec![(wrong, vec!["must be of type".to_owned()], true)]
        }
        // Nothing that has a format begins with these.
        "format" => vec![(json!("!!"), messages(schema), true)],
        other => panic!("nobody knows how to try {other}"),
    }
}

fn item(schema: &Value, index: usize) -> Value {
    match schema["type"].as_str() {
        Some("object") => json!({"name": format!("A{index}.md")}),
        _ => json!(format!("a{index}")),
    }
}
