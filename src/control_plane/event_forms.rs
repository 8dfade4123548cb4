//! PURE. One Event in two groups' words: stored as the core group has it, shown to who asks for events.k8s.io in its own.

use serde_json::{Value, json};

use super::kind::{Kind, Nature};
use super::object::Object;

const CORE: &str = "v1";
const NEW: &str = "events.k8s.io/v1";

/// The same field in both: in core's words, in the new ones.
const RENAMED: [(&str, &str); 6] = [
    ("message", "note"),
    ("involvedObject", "regarding"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// An object as `kind` shows it. Nothing but the new Event differs from what is stored.
pub fn shown(kind: &Kind, stored: Object) -> Object {
    if kind.nature != Nature::NewEvent {
        return stored;
    }
    let mut object = renamed(
        stored,
        NEW,
        forward,
        ("reportingComponent", "reportingController"),
    );
    // What core always says, the new words leave out where it is empty.
    for name in ["reportingController", "reportingInstance"] {
        if object.fields().get(name) == Some(&json!("")) {
            object.fields_mut().remove(name);
        }
    }
    object
}

/// An object as it is stored.
pub fn stored(kind: &Kind, shown: Object) -> Object {
    if kind.nature != Nature::NewEvent {
        return shown;
    }
    let mut object = renamed(shown, CORE, back, ("reportingController", "reportingComponent"));
    for name in ["reportingComponent", "reportingInstance"] {
        object.fields_mut().entry(name).or_insert_with(|| json!(""));
    }
    object
}

fn forward(name: &str) -> Option<&'static str> {
    RENAMED
        .iter()
        .find(|(core, _)| *core == name)
        .map(|(_, new)| *new)
}

fn back(name: &str) -> Option<&'static str> {
    RENAMED
        .iter()
        .find(|(_, new)| *new == name)
        .map(|(core, _)| *core)
}

fn renamed(
    object: Object,
    api_version: &str,
    name_of: impl Fn(&str) -> Option<&'static str>,
    reporter: (&str, &str),
) -> Object {
    let Value::Object(fields) = object.into_value() else {
        return Object::default();
    };
    let mut fields: serde_json::Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| {
            let name = match name_of(&name) {
                Some(other) => other.to_owned(),
                None if name == reporter.0 => reporter.1.to_owned(),
                None => name,
            };
            (name, value)
        })
        .collect();
    fields.insert("apiVersion".to_owned(), json!(api_version));
    Object::of(Value::Object(fields)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::kinds;

    #[test]
    fn there_and_back_it_is_the_same() {
        let kinds = kinds::served(&[]).unwrap();
        let kind = kinds.find("events.k8s.io", "v1", "events").unwrap();
        let core = Object::of(json!({
            "apiVersion": "v1", "kind": "Event", "message": "hello", "reason": "Ready", "type": "Normal",
            "involvedObject": { "name": "a" }, "reportingComponent": "quartermaster", "count": 2, "reportingInstance": "",
        }))
        .unwrap();
        let new = shown(kind, core.clone());
        assert_eq!(
            new.clone().into_value(),
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "hello", "reason": "Ready", "type": "Normal",
                "regarding": { "name": "a" }, "reportingController": "quartermaster", "deprecatedCount": 2,
            })
        );
        assert_eq!(stored(kind, new), core);
    }
}
