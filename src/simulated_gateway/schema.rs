//! What a configuration may contain. The trees in `facts/` are the key names and types of each contract's own
//! `config.schema`; channels and plugins, which bring their own, are left open. A node is
//!
//! - the word of a kind, `"string"`; `"any"` is anything,
//! - `[node]`, a list of such,
//! - `{"=": [value, ...]}`, one of these values,
//! - `{"|": [node, ...]}`, one of these kinds of things,
//! - any other object: its keys and what they hold; `*` stands for every other key, and `!` lists those that must be there.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::contract::Contract;

static V2026_9_6: LazyLock<Value> = LazyLock::new(|| parsed(include_str!("facts/config-2026.9.6.json")));
static V2026_7_35: LazyLock<Value> = LazyLock::new(|| parsed(include_str!("facts/config-2026.7.35.json")));
static V2026_2_9: LazyLock<Value> = LazyLock::new(|| parsed(include_str!("facts/config-2026.2.9.json")));

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

pub(super) fn tree(contract: Contract) -> &'static Value {
    match contract {
        Contract::V2026_9_6 => &V2026_9_6,
        Contract::V2026_7_35 => &V2026_7_35,
        Contract::V2026_2_9 => &V2026_2_9,
    }
}

/// What a key of an object holds, if it may be there.
pub(super) fn below<'a>(node: &'a Value, key: &str) -> Option<&'a Value> {
    let object = node.as_object()?;
    object
        .get(key)
        .filter(|_| !is_mark(key))
        .or_else(|| object.get("*"))
}

/// The keys of an object that are named.
pub(super) fn named(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let keys = node.as_object().into_iter().flatten();
    keys.filter(|(key, _)| !is_mark(key))
}

/// The keys that an object must have.
pub(super) fn required(node: &Value) -> impl Iterator<Item = &str> {
    let keys = node.get("!").and_then(Value::as_array);
    keys.into_iter().flatten().filter_map(Value::as_str)
}

fn is_mark(key: &str) -> bool {
    ["*", "!", "=", "|"].contains(&key)
}

/// Milliseconds of `5m`, `90s`, `1h30m`; a bare number is minutes.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    if let Ok(minutes) = text.parse::<f64>() {
        return (minutes >= 0.0).then_some((minutes * 60_000.0) as u64);
    }
    let (mut total, mut rest) = (0.0, text.as_str());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty()).then_some(total as u64)
}

/// The tree as a JSON Schema, for `config.schema`.
pub(super) fn json_schema(contract: Contract) -> Value {
    as_schema(tree(contract))
}

fn as_schema(node: &Value) -> Value {
    if let Some(kind) = node.as_str() {
        return if kind == "any" {
            json!({})
        } else {
            json!({ "type": kind })
        };
    }
    if let Some(items) = node.as_array() {
        return json!({ "type": "array", "items": items.first().map(as_schema) });
    }
    if let Some(values) = node.get("=").and_then(Value::as_array) {
        return match values.as_slice() {
            [one] => json!({ "const": one }),
            several => json!({ "enum": several }),
        };
    }
    if let Some(alternatives) = node.get("|").and_then(Value::as_array) {
        return json!({ "anyOf": alternatives.iter().map(as_schema).collect::<Vec<_>>() });
    }
    let properties: Map<String, Value> = named(node)
        .map(|(key, node)| (key.clone(), as_schema(node)))
        .collect();
    let others = node.get("*").map_or(json!(false), as_schema);
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": others });
    let required: Vec<&str> = required(node).collect();
    if let (Some(schema), false) = (schema.as_object_mut(), required.is_empty()) {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

/// The node at a path of `config.schema.lookup`, where `*` stands for any key.
pub(super) fn lookup(contract: Contract, path: &str) -> Option<&'static Value> {
    path.split('.')
        .try_fold(tree(contract), |node, key| below(node, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_understood() {
        assert_eq!(duration_ms("5m"), Some(300_000));
        assert_eq!(duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(duration_ms("0m"), Some(0));
        assert_eq!(duration_ms("banana"), None);
    }
}
