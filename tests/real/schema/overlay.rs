//! JSON values laid over one another, and places within them.

use serde_json::Value;

/// `over` laid over `base`, as a JSON merge patch: null takes a field out.
pub fn merged(base: &Value, over: &Value) -> Value {
    let Value::Object(over) = over else {
        return over.clone();
    };
    let mut merged = base.as_object().cloned().unwrap_or_default();
    for (key, value) in over {
        if value.is_null() {
            merged.remove(key);
        } else {
            let base = merged.get(key).cloned().unwrap_or_default();
            merged.insert(key.clone(), self::merged(&base, value));
        }
    }
    Value::Object(merged)
}

/// Everything in `sent` that is not in `kept` as it was.
pub fn lost(path: &str, sent: &Value, kept: &Value) -> Vec<String> {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => sent
            .iter()
            .flat_map(|(key, value)| {
                lost(
                    &format!("{path}.{key}"),
                    value,
                    kept.get(key).unwrap_or(&Value::Null),
                )
            })
            .collect(),
        (Value::Array(sent), Value::Array(kept)) if sent.len() == kept.len() => sent
            .iter()
            .zip(kept)
            .enumerate()
            .flat_map(|(index, (sent, kept))| lost(&format!("{path}[{index}]"), sent, kept))
            .collect(),
        _ if sent == kept => Vec::new(),
        _ => vec![format!("{path}: sent {sent}, kept {kept}")],
    }
}
