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

/// Whether there are lists here whose order means nothing.
pub(super) fn has_unordered_lists(node: &Node) -> bool {
    let mut below = node.properties.values().chain(node.values()).chain(node.items());
    node.list_type != ListType::Atomic || below.any(has_unordered_lists)
}

/// The old value with such lists in the order of the new one: as rules compare them.
pub(super) fn aligned(node: &Node, new: &Value, old: &Value) -> Value {
    match (new, old) {
        (Value::Object(fields), Value::Object(olds)) => Value::Object(aligned_fields(node, fields, olds)),
        (Value::Array(items), Value::Array(olds)) => {
            let old_of = |new| match node.list_type {
                ListType::Atomic => None,
                ListType::Set => olds.iter().find(|old| *old == new),
                ListType::Map(_) => item(node, new, old),
            };
            let (mut taken, mut aligned) = (Vec::new(), Vec::with_capacity(olds.len()));
            for new in items {
                if let (Some(below), Some(old)) = (node.items(), old_of(new)) {
                    taken.push(old);
                    aligned.push(self::aligned(below, new, old));
                }
            }
            let others = olds.iter().filter(|old| !taken.contains(old));
            aligned.extend(others.cloned());
            Value::Array(aligned)
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => old.clone(),
    }
}

pub(super) fn aligned_fields(
    node: &Node,
    new: &Map<String, Value>,
    old: &Map<String, Value>,
) -> Map<String, Value> {
    let of_field = |(name, old): (&String, &Value)| {
        let aligned = match (node.field(name), new.get(name)) {
            (Some(below), Some(new)) => aligned(below, new, old),
            (None, _) | (_, None) => old.clone(),
        };
        (name.clone(), aligned)
    };
    old.iter().map(of_field).collect()
}
