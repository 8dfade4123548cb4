//! How a patch becomes part of a configuration, and what it changed.

use serde_json::{Map, Value};

use super::contract::Contract;

/// A merge patch: objects are merged, null removes, and lists of `{id}` are merged item by item where the contract does,
/// except at these paths.
pub(super) fn merge(base: &mut Value, patch: &Value, contract: Contract, replaced: &[String]) {
    merge_at(base, patch, "", contract, replaced);
}

fn merge_at(base: &mut Value, patch: &Value, at: &str, contract: Contract, replaced: &[String]) {
    let Some(patch) = patch.as_object() else {
        *base = match (base.as_array(), patch.as_array()) {
            (Some(old), Some(new))
                if contract.merges_arrays() && have_ids(old) && !replaced.iter().any(|path| path == at) =>
            {
                Value::Array(merged_by_id(old, new, &inside(at), contract, replaced))
            }
            _ => patch.clone(),
        };
        return;
    };
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
        merge_at(inner, value, &joined(at, key), contract, replaced);
    }
}

fn merged_by_id(
    old: &[Value],
    new: &[Value],
    at: &str,
    contract: Contract,
    replaced: &[String],
) -> Vec<Value> {
    let mut merged = old.to_vec();
    for item in new {
        match merged
            .iter_mut()
            .find(|known| id(known).is_some() && id(known) == id(item))
        {
            Some(known) => merge_at(known, item, at, contract, replaced),
            None => merged.push(item.clone()),
        }
    }
    merged
}

/// The lists that a patch takes something from, by their path: whoever means it names them in `replacePaths`. What is
/// removed together with a list counts too.
pub(super) fn shortened(base: &Value, patch: &Value, merged: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    shortened_at(base, patch, merged, "", &mut paths);
    paths
}

fn shortened_at(base: &Value, patch: &Value, merged: &Value, at: &str, paths: &mut Vec<String>) {
    let (Some(base), Some(patch)) = (base.as_object(), patch.as_object()) else {
        return;
    };
    for (key, new) in patch {
        let (path, merged) = (joined(at, key), merged.get(key).unwrap_or(&Value::Null));
        let Some(old) = base.get(key) else { continue };
        let Some(items) = old.as_array() else {
            if new.is_object() {
                shortened_at(old, new, merged, &path, paths);
            } else {
                lists_in(old, &path, paths);
            }
            continue;
        };
        match (new.as_array(), merged.as_array()) {
            (Some(new), Some(merged)) if have_ids(items) => {
                if items.iter().any(|old| by_id(merged, old).is_none()) {
                    paths.push(path);
                    continue;
                }
                for item in new {
                    if let (Some(old), Some(merged)) = (by_id(items, item), by_id(merged, item)) {
                        shortened_at(old, item, merged, &inside(&path), paths);
                    }
                }
            }
            (Some(_), Some(merged)) if keeps(items, merged) => {}
            _ => paths.push(path),
        }
    }
}

fn lists_in(value: &Value, at: &str, paths: &mut Vec<String>) {
    if value.is_array() {
        return paths.push(at.to_owned());
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        lists_in(inner, &joined(at, key), paths);
    }
}

/// Whether each item is still there, as often as it was.
fn keeps(old: &[Value], new: &[Value]) -> bool {
    let mut left: Vec<&Value> = new.iter().collect();
    old.iter().all(|item| {
        let found = left.iter().position(|other| *other == item);
        found.map(|at| left.swap_remove(at)).is_some()
    })
}

fn id(item: &Value) -> Option<&str> {
    item.get("id")?.as_str().filter(|id| !id.is_empty())
}

fn have_ids(items: &[Value]) -> bool {
    items.iter().all(|item| id(item).is_some())
}

fn by_id<'a>(items: &'a [Value], like: &Value) -> Option<&'a Value> {
    items
        .iter()
        .find(|item| id(item).is_some() && id(item) == id(like))
}

/// The path of what is in a list: items have no place of their own in it.
fn inside(list: &str) -> String {
    format!("{list}[]")
}

fn joined(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

/// The paths of what differs. Something that comes or goes as a whole is told by its own path, or by those of its parts.
pub(super) fn changed(old: &Value, new: &Value, by_parts: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut paths = Vec::new();
    compare(Some(old), Some(new), "", by_parts, &mut paths);
    paths
}

fn compare(
    old: Option<&Value>,
    new: Option<&Value>,
    at: &str,
    by_parts: &dyn Fn(&str) -> bool,
    paths: &mut Vec<String>,
) {
    if old == new {
        return;
    }
    let empty = Map::new();
    let (was, is) = match (old.and_then(Value::as_object), new.and_then(Value::as_object)) {
        (Some(was), Some(is)) => (was, is),
        (Some(was), None) if !was.is_empty() && by_parts(at) => (was, &empty),
        (None, Some(is)) if !is.is_empty() && by_parts(at) => (&empty, is),
        _ => return paths.push(at.to_owned()),
    };
    for key in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
        compare(was.get(key), is.get(key), &joined(at, key), by_parts, paths);
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

    fn merged(base: &Value, patch: &Value, contract: Contract) -> Value {
        let mut merged = base.clone();
        merge(&mut merged, patch, contract, &[]);
        merged
    }

    #[test]
    fn a_list_of_agents_is_merged_or_replaced() {
        let base = json!({"agents": {"list": [{"id": "a", "name": "A", "x": 1}, {"id": "b"}]}});
        let patch = json!({"agents": {"list": [{"id": "a", "x": null, "name": "A2"}, {"id": "c"}]}});
        assert_eq!(
            merged(&base, &patch, Contract::V2026_7_35),
            json!({"agents": {"list": [{"id": "a", "name": "A2"}, {"id": "b"}, {"id": "c"}]}})
        );
        assert_eq!(merged(&base, &patch, Contract::V2026_2_9), patch);
    }

    fn loses(base: &Value, patch: &Value) -> Vec<String> {
        shortened(base, patch, &merged(base, patch, Contract::V2026_7_35))
    }

    #[test]
    fn a_list_that_gets_shorter_is_told() {
        let base = json!({"bindings": [1, 2, 2], "tools": {"deny": ["exec"], "more": {"allow": ["read"]}}});
        assert_eq!(loses(&base, &json!({"bindings": [2, 1]})), ["bindings"]);
        assert_eq!(loses(&base, &json!({"bindings": [3, 2, 1, 2]})), [] as [&str; 0]);
        assert_eq!(
            loses(&base, &json!({"tools": null})),
            ["tools.deny", "tools.more.allow"]
        );
        assert_eq!(
            loses(&base, &json!({"tools": {"deny": null}, "new": [1]})),
            ["tools.deny"]
        );
    }

    #[test]
    fn a_list_inside_a_merged_item_has_the_path_of_all_items() {
        let base = json!({"agents": {"list": [{"id": "a", "tools": {"deny": ["exec"]}}]}});
        let patch = |tools: Value| json!({"agents": {"list": [{"id": "a", "tools": tools}]}});
        assert_eq!(
            loses(&base, &patch(json!({"deny": null}))),
            ["agents.list[].tools.deny"]
        );
        assert_eq!(
            loses(&base, &patch(json!({"deny": ["exec", "read"]}))),
            [] as [&str; 0]
        );
    }

    #[test]
    fn changes_are_told_by_their_outermost_path_or_by_parts() {
        let old = json!({"agents": {"entries": {"a": {"name": "A"}}}});
        let new = json!({"agents": {"entries": {"a": {"name": "B"}, "b": {"name": "B", "x": {"y": 1}}}}});
        assert_eq!(
            changed(&old, &new, &|_| false),
            ["agents.entries.a.name", "agents.entries.b"]
        );
        assert_eq!(
            changed(&old, &new, &|_| true),
            [
                "agents.entries.a.name",
                "agents.entries.b.name",
                "agents.entries.b.x.y"
            ]
        );
        assert_eq!(
            changed(&new, &old, &|path| path == "agents.entries.b"),
            [
                "agents.entries.a.name",
                "agents.entries.b.name",
                "agents.entries.b.x"
            ]
        );
    }
}
