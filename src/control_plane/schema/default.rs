//! Defaults, as the API server gives them: from the outside in, so that a parent with `default: {}` gets its children's,
//! and a parent that is not there gets nothing.

use serde_json::{Map, Value};

use super::node::Node;

pub(super) fn default(fields: &mut Map<String, Value>, node: &Node) {
    for (name, property) in &node.properties {
        let Some(given) = &property.default else {
            continue;
        };
        let is_missing = fields
            .get(name)
            .is_none_or(|value| value.is_null() && !property.nullable);
        if is_missing {
            fields.insert(name.clone(), given.clone());
        }
    }
    for (name, value) in fields {
        if let Some(property) = node.properties.get(name) {
            default_within(value, property);
        } else if let Some(values) = &node.values {
            replace_null(value, values);
            default_within(value, values);
        }
    }
}

fn default_within(value: &mut Value, node: &Node) {
    if let Value::Object(fields) = value {
        default(fields, node);
    } else if let (Value::Array(values), Some(items)) = (value, node.items()) {
        for value in values {
            replace_null(value, items);
            default_within(value, items);
        }
    }
}

fn replace_null(value: &mut Value, node: &Node) {
    if let (true, false, Some(given)) = (value.is_null(), node.nullable, &node.default) {
        *value = given.clone();
    }
}
