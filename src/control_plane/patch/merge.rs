//! JSON merge patch (RFC 7386): null removes, maps are merged, all else is replaced.

use serde_json::{Map, Value};

/// Neither is changed where the patch has nothing to say.
pub(super) fn merge(document: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, patch) in patch {
        match (document.get_mut(&key), patch) {
            (_, Value::Null) => {
                document.remove(&key);
            }
            (Some(Value::Object(fields)), Value::Object(patch)) => merge(fields, patch),
            (Some(Value::Object(_)), patch) => {
                document.insert(key, patch);
            }
            (Some(_) | None, mut patch) => {
                drop_nulls(&mut patch);
                document.insert(key, patch);
            }
        }
    }
}

/// What is new has nothing that null could remove. Null items of a list stay.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The cases of the RFC whose document and patch are objects, and what the API server does in lists.
    #[test]
    fn merges() {
        for (document, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
            (
                json!({"a": 1}),
                json!({"a": [{"b": null}, null]}),
                json!({"a": [{}, null]}),
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": [{"b": null}]}),
                json!({"a": [{"b": null}]}),
            ),
        ] {
            let (Value::Object(mut document), Value::Object(patch)) = (document, patch) else {
                panic!("not objects")
            };
            merge(&mut document, patch);
            assert_eq!(Value::Object(document), expected);
        }
    }
}
