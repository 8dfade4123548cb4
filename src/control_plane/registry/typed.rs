//! What becomes of an object that is read into a type and written again, as the API server does with Kubernetes' own kinds:
//! what is empty is not there, but for some fields that always are. An object is worked on bare, and stored complete.

use serde_json::{Map, Value, json};

use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::object::Object;

/// Takes out what is empty.
pub(super) fn bare(kind: &Kind, object: &mut Object) {
    if let Some(metadata) = object
        .fields_mut()
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    {
        // An empty list of managers asks to forget them.
        metadata.retain(|name, value| {
            value.as_array().is_some_and(|_| name == "managedFields") || !is_empty(value)
        });
    }
    if kind.nature == Nature::Custom {
        return;
    }
    let fields = object.fields_mut();
    // No rules are still rules, until they are stored.
    let kept = |name: &str, value: &Value| name == "rules" && value.is_array();
    fields.retain(|name, value| name == "metadata" || kept(name, value) || !is_empty(value));
    if let Nature::Event | Nature::NewEvent = kind.nature {
        for (name, _) in always(kind) {
            if let Some(part) = fields.get_mut(*name).and_then(Value::as_object_mut) {
                part.retain(|_, value| !is_empty(value));
            }
        }
    }
}

/// Puts in what is always there.
pub(super) fn complete(kind: &Kind, object: &mut Object) {
    let fields = object.fields_mut();
    for (name, zero) in always(kind) {
        fields.entry(*name).or_insert_with(|| zero.value());
    }
}

/// An object of this kind before anybody wrote it.
pub fn blank(kind: &Kind) -> Object {
    let mut blank = kind.subject.blank();
    complete(kind, &mut blank);
    blank
}

/// The last touch before it is stored: an empty list of rules is none.
pub(super) fn settle(kind: &Kind, object: &mut Object) {
    if kind.nature == Nature::Lease
        && let Some(spec) = object.fields_mut().get_mut("spec").and_then(Value::as_object_mut)
    {
        // Of a way to choose a leader that is not switched on in 1.36.
        spec.remove("strategy");
        spec.remove("preferredHolder");
    }
    let rules = object
        .fields_mut()
        .get_mut("rules")
        .filter(|_| kind.nature == Nature::Role);
    if let Some(rules) = rules.filter(|rules| is_empty(rules)) {
        *rules = Value::Null;
    }
}

/// A null in a map of words is an empty word; any other is nothing.
pub(super) fn without_nulls(kind: &Kind, object: &mut Object) {
    if kind.nature != Nature::Custom {
        for map in ["data", "stringData", "binaryData"] {
            words(object.fields_mut().get_mut(map));
        }
        for (name, value) in object.fields_mut() {
            if name != "metadata" {
                drop_nulls(value);
            }
        }
        object.fields_mut().retain(|_, value| !value.is_null());
    }
    if let Some(metadata) = object
        .fields_mut()
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    {
        for map in ["labels", "annotations"] {
            words(metadata.get_mut(map));
        }
        metadata.retain(|_, value| !value.is_null());
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn words(map: Option<&mut Value>) {
    for value in map
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        if value.is_null() {
            *value = json!("");
        }
    }
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[derive(Debug, Clone, Copy)]
enum Zero {
    Null,
    Text,
    Object,
    /// A binding's.
    Role,
}

impl Zero {
    fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text => json!(""),
            Self::Object => json!({}),
            Self::Role => json!({ "apiGroup": "", "kind": "", "name": "" }),
        }
    }
}

fn always(kind: &Kind) -> &'static [(&'static str, Zero)] {
    match kind.nature {
        Nature::Event => &[
            ("eventTime", Zero::Null),
            ("firstTimestamp", Zero::Null),
            ("lastTimestamp", Zero::Null),
            ("involvedObject", Zero::Object),
            ("source", Zero::Object),
            ("reportingComponent", Zero::Text),
            ("reportingInstance", Zero::Text),
        ],
        Nature::NewEvent => &[
            ("eventTime", Zero::Null),
            ("deprecatedFirstTimestamp", Zero::Null),
            ("deprecatedLastTimestamp", Zero::Null),
            ("regarding", Zero::Object),
            ("deprecatedSource", Zero::Object),
        ],
        Nature::Lease => &[("spec", Zero::Object)],
        Nature::Namespace => &[("spec", Zero::Object), ("status", Zero::Object)],
        Nature::Role => &[("rules", Zero::Null)],
        Nature::RoleBinding => &[("roleRef", Zero::Role)],
        Nature::Custom
        | Nature::Secret
        | Nature::ConfigMap
        | Nature::ServiceAccount
        | Nature::Definition
        | Nature::Review(_) => &[],
    }
}
