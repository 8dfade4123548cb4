//! How a patch becomes part of a configuration, and what it changed.

use serde_json::{Map, Value};

use super::contract::Contract;

/// A merge patch: objects are merged, null removes, and arrays of `{id}` are merged item by item where the contract does.
/// Items that get lost although nobody said so are told by their path.
pub(super) fn merge(
    base: &mut Value,
    patch: &Value,
    contract: Contract,
    replaced: &[String],
    lost: &mut Vec<String>,
) {
    merge_at(base, patch, "", contract, replaced, lost);
}

fn merge_at(
    base: &mut Value,
    patch: &Value,
    at: &str,
    contract: Contract,
    replaced: &[String],
    lost: &mut Vec<String>,
) {
    if let Some(patch) = patch.as_object() {
        if !base.is_object() {
            *base = Value::Object(Map::new());
        }
        let Some(base) = base.as_object_mut() else { return };
        for (key, value) in patch {
            if value.is_null() {
                base.remove(key);
                continue;
            }
            let inner = base.entry(key.clone()).or_insert(Value::Null);
            merge_at(inner, value, &joined(at, key), contract, replaced, lost);
        }
        return;
    }
    if let (Some(old), Some(new)) = (base.as_array(), patch.as_array())
        && contract.merges_arrays()
        && !replaced.iter().any(|path| path == at)
    {
        if have_ids(old) && have_ids(new) {
            let mut merged = old.clone();
            for item in new {
                let known = merged.iter_mut().find(|known| known.get("id") == item.get("id"));
                match known {
                    Some(known) => merge_at(known, item, &format!("{at}[]"), contract, replaced, lost),
                    None => merged.push(item.clone()),
                }
            }
            *base = Value::Array(merged);
            return;
        }
        if old.iter().any(|item| !new.contains(item)) {
            lost.push(at.to_owned());
        }
    }
    *base = patch.clone();
}

fn have_ids(items: &[Value]) -> bool {
    !items.is_empty()
        && items
            .iter()
            .all(|item| item.get("id").is_some_and(Value::is_string))
}

fn joined(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

/// The paths of the outermost things that differ; with `leaves`, of the innermost.
pub(super) fn changed(old: &Value, new: &Value, leaves: bool) -> Vec<String> {
    let mut paths = Vec::new();
    compare(Some(old), Some(new), "", leaves, &mut paths);
    paths
}

fn compare(old: Option<&Value>, new: Option<&Value>, at: &str, leaves: bool, paths: &mut Vec<String>) {
    if old == new {
        return;
    }
    let (was, is) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let empty = Map::new();
    let pair = match (was, is) {
        (Some(was), Some(is)) => Some((was, is)),
        (None, Some(is)) if leaves && old.is_none() && !is.is_empty() => Some((&empty, is)),
        _ => None,
    };
    let Some((was, is)) = pair else {
        return paths.push(at.to_owned());
    };
    for key in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
        compare(was.get(key), is.get(key), &joined(at, key), leaves, paths);
    }
}

/// Objects key by key; anything else replaces.
pub(super) fn lay_over(base: &mut Value, more: &Value) {
    match (base.as_object_mut(), more.as_object()) {
        (Some(base), Some(more)) => {
            for (key, value) in more {
                lay_over(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        _ => *base = more.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(base: &Value, patch: &Value, contract: Contract) -> (Value, Vec<String>) {
        let (mut base, mut lost) = (base.clone(), Vec::new());
        merge(&mut base, patch, contract, &[], &mut lost);
        (base, lost)
    }

    #[test]
    fn a_list_of_agents_is_merged_or_replaced() {
        let base = json!({"agents": {"list": [{"id": "a", "name": "A", "x": 1}, {"id": "b"}]}});
        let patch = json!({"agents": {"list": [{"id": "a", "x": null, "name": "A2"}, {"id": "c"}]}});
        assert_eq!(
            merged(&base, &patch, Contract::V2026_7_35).0,
            json!({"agents": {"list": [{"id": "a", "name": "A2"}, {"id": "b"}, {"id": "c"}]}})
        );
        assert_eq!(merged(&base, &patch, Contract::V2026_2_9).0, patch);
    }

    #[test]
    fn lost_items_are_told() {
        let (base, patch) = (json!({"bindings": [1, 2]}), json!({"bindings": [2]}));
        assert_eq!(merged(&base, &patch, Contract::V2026_9_6).1, ["bindings"]);
        assert!(merged(&base, &patch, Contract::V2026_2_9).1.is_empty());
    }

    #[test]
    fn changes_are_told_by_their_outermost_path() {
        let old = json!({"agents": {"entries": {"a": {"name": "A"}}}});
        let new = json!({"agents": {"entries": {"a": {"name": "B"}, "b": {"name": "B", "x": {"y": 1}}}}});
        assert_eq!(
            changed(&old, &new, false),
            ["agents.entries.a.name", "agents.entries.b"]
        );
        assert_eq!(
            changed(&old, &new, true),
            [
                "agents.entries.a.name",
                "agents.entries.b.name",
                "agents.entries.b.x.y"
            ]
        );
    }
}
