//! `rules.yaml`: the language of schemas and rules beyond what our kinds say in it, as one schema with a field for each.

use quartermaster::control_plane::Object;
use quartermaster::control_plane::schema::{Schema, body};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, write};

pub struct Beyond {
    pub schema: Value,
    pub trials: Vec<Trial>,
}

pub struct Trial {
    pub name: String,
    pub before: Option<Value>,
    pub after: Value,
}

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

impl Beyond {
    /// Panics where our schemas compile what they are said to refuse.
    pub fn read() -> Self {
        let entries: Vec<Entry> = serde_saphyr::from_str(include_str!("rules.yaml")).expect("rules.yaml");
        for entry in &entries {
            if entry.on_purpose.as_deref() == Some("refused") {
                let refused = Schema::compile(&whole(&json!({"f": entry.schema})));
                assert!(refused.is_err(), "{} compiles after all", entry.schema);
            }
        }
        let kept: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.on_purpose.is_none())
            .collect();
        let fields = kept
            .iter()
            .enumerate()
            .map(|(number, entry)| (format!("f{number}"), entry.schema.clone()));
        Self {
            schema: whole(&fields.collect()),
            trials: trials(&kept),
        }
    }
}

impl Trial {
    pub fn answer(&self, ours: &Schema) -> Answer {
        let old = self.before.as_ref().map(|before| as_read(ours, before));
        write(ours, &self.after.to_string(), false, old.as_ref())
    }
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
