//! A resource within an object (`x-kubernetes-embedded-resource`): it says what it is.

use serde_json::{Map, Value};

use super::cause::{self, Shown};
use super::node::Node;
use super::path::At;
use crate::control_plane::Cause;

/// Its own `metadata` is not looked into: none of the kinds here embeds a resource.
pub(super) fn validate(node: &Node, fields: &Map<String, Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_fields(node, fields, &At::Root, &mut causes);
    causes
}

fn check_fields(node: &Node, fields: &Map<String, Value>, at: &At<'_>, causes: &mut Vec<Cause>) {
    if node.is_embedded_resource {
        for name in ["apiVersion", "kind"] {
            let field = at.field(name).cause_field();
            match fields.get(name) {
                None => causes.push(cause::required(field, "")),
                Some(Value::String(word)) if word.is_empty() => {
                    causes.push(cause::invalid(field, Shown::Word(""), "must not be empty"));
                }
                Some(Value::String(_)) => {}
                Some(value) => causes.push(cause::invalid(field, Shown::Value(value), "must be a string")),
            }
        }
    }
    for (name, value) in fields {
        if let Some(property) = node.properties.get(name) {
            check(property, value, &at.field(name), causes);
        } else if let Some(values) = node.values() {
            check(values, value, &at.key(name), causes);
        }
    }
}

fn check(node: &Node, value: &Value, at: &At<'_>, causes: &mut Vec<Cause>) {
    if let Value::Object(fields) = value {
        check_fields(node, fields, at, causes);
    } else if let (Value::Array(items), Some(below)) = (value, node.items()) {
        for (index, item) in items.iter().enumerate() {
            check(below, item, &at.index(index), causes);
        }
    }
}
