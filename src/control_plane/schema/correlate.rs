//! Which old value a new one stands for, and whether it is the same: the API server lets pass what was wrong before and is
//! not changed.

use serde_json::{Map, Value};

use super::node::{DataType, ListType, Node};

/// Nothing where the schema knows no such field: what is there cannot be followed.
pub(super) fn field<'o>(node: &Node, name: &str, old: &'o Map<String, Value>) -> Option<&'o Value> {
    node.field(name)?;
    old.get(name)
}

/// Only items with keys can be told apart.
pub(super) fn item<'o>(node: &Node, item: &Value, old: &'o Value) -> Option<&'o Value> {
    let ListType::Map(keys) = &node.list_type else {
        return None;
    };
    if node.data_type != Some(DataType::Array) || node.items.is_none() {
        return None;
    }
    let wanted: Vec<&Value> = keys.iter().map(|key| scalar(item, key)).collect::<Option<_>>()?;
    old.as_array()?.iter().find(|old| {
        keys.iter()
            .zip(&wanted)
            .all(|(key, wanted)| scalar(old, key) == Some(*wanted))
    })
}

fn scalar<'v>(item: &'v Value, key: &str) -> Option<&'v Value> {
    let value = item.as_object()?.get(key)?;
    (value.is_boolean() || value.is_number() || value.is_string()).then_some(value)
}

/// Items with keys may have changed places. What the schema does not know is never the same.
pub(super) fn is_equal(node: &Node, new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Array(items), Value::Array(olds)) if matches!(node.list_type, ListType::Map(_)) => {
            let is_as_before = |new| {
                let below = node.items().zip(item(node, new, old));
                below.is_some_and(|(below, old)| is_equal(below, new, old))
            };
            items.len() == olds.len() && items.iter().all(is_as_before)
        }
        (Value::Object(fields), Value::Object(olds)) => are_equal(node, fields, olds),
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => new == old,
    }
}

pub(super) fn are_equal(node: &Node, new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
    let is_as_before = |(name, new): (&String, &Value)| {
        let below = node.field(name).zip(old.get(name));
        below.is_some_and(|(below, old)| is_equal(below, new, old))
    };
    new.len() == old.len() && new.iter().all(is_as_before)
}
