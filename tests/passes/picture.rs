//! What must be the same however it came about.

use std::collections::BTreeMap;

use quartermaster::gateway::configuration::Entry;
use serde_json::{Value, json};

use crate::model::Model;

#[derive(PartialEq, serde::Serialize)]
pub(crate) struct Picture {
    entry: Option<Entry>,
    files: BTreeMap<String, String>,
    has_token: bool,
    is_there: bool,
    turns: usize,
    status: Option<Value>,
}

impl Picture {
    pub(crate) fn of(model: &Model) -> Self {
        let status = model.agent.as_ref().and_then(|agent| agent.status.clone());
        let status = status.map(|status| {
            let mut value = serde_json::to_value(status).unwrap();
            blank_times(&mut value);
            value
        });
        Self {
            entry: model.outside.entry.clone(),
            files: model.outside.files.clone(),
            has_token: model.secret.is_some(),
            is_there: model.agent.is_some(),
            turns: model.outside.turns(),
            status,
        }
    }

    /// Where a message may have been lost, or nobody can tell whether it was, how it went with it may differ.
    pub(crate) fn without_the_wake(mut self) -> Self {
        self.turns = 0;
        if let Some(status) = &mut self.status {
            if let Some(wake) = status["wake"].as_object_mut() {
                for field in ["state", "attempt", "id"] {
                    wake.insert(field.to_owned(), json!(null));
                }
            }
            if let Some(conditions) = status["conditions"].as_array_mut() {
                conditions.retain(|condition| condition["type"] != "Woken");
            }
        }
        self
    }

    /// None where they are the same.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<String> {
        let text = |picture: &Self| serde_json::to_string_pretty(picture).unwrap();
        let (one, other_text) = (text(self), text(other));
        let diff = similar::TextDiff::from_lines(&other_text, &one);
        (self != other).then(|| diff.unified_diff().context_radius(4).to_string())
    }
}

/// When something came about may differ; what came about may not.
fn blank_times(value: &mut Value) {
    const TIMES: [&str; 6] = [
        "lastTransitionTime",
        "since",
        "at",
        "rotatedAt",
        "lastSync",
        "dueSince",
    ];
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !TIMES.contains(&key.as_str()));
            fields.values_mut().for_each(blank_times);
        }
        Value::Array(items) => items.iter_mut().for_each(blank_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
