//! Strategic merge patch: a merge patch that also merges lists whose items are told apart, by the same shape that says
//! who owns them, and that takes directives (`$patch`, `$retainKeys`, `$setElementOrder/..`, `$deleteFromPrimitiveList/..`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::refusal;
use super::shape::{self, List, Shape, ToldApart};
use super::typed::value;
use crate::control_plane::Status;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

type Fields = Map<String, Value>;

pub(super) fn merge(shape: &Shape, document: Fields, patch: Fields) -> Result<Fields, Status> {
    merge_map(shape.map.as_ref(), document, patch)
}

fn merge_map(shape: Option<&shape::Map>, mut document: Fields, mut patch: Fields) -> Result<Fields, Status> {
    match patch.remove(PATCH) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => return Ok(patch),
        Some(Value::String(directive)) if directive == "delete" => return Ok(Fields::new()),
        Some(other) => return Err(unknown_directive(other, patch)),
    }
    retain_keys(&mut document, &mut patch)?;
    let ordered: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(ELEMENT_ORDER))
        .cloned()
        .collect();
    for key in ordered {
        merge_ordered(shape, &mut document, &mut patch, &key)?;
    }
    for (key, patch) in patch {
        if let Some(key) = key.strip_prefix(DELETE_FROM_LIST) {
            delete_from_list(&mut document, key, &patch)?;
            continue;
        }
        let Some(found) = document.get_mut(&key) else {
            if !patch.is_null() {
                take(&mut document, key, patch);
            }
            continue;
        };
        match (found.take(), patch) {
            (_, Value::Null) => {
                document.remove(&key);
            }
            (Value::Object(before), Value::Object(patch)) => {
                let shape = look_up(shape, &key)?;
                let merged = merge_map(shape.and_then(|shape| shape.map.as_ref()), before, patch)?;
                document.insert(key, Value::Object(merged));
            }
            (Value::Array(before), Value::Array(patch)) => {
                let list = look_up(shape, &key)?.and_then(|shape| shape.list.as_ref());
                let merged = merge_list(list, before, patch)?;
                document.insert(key, Value::Array(merged));
            }
            (_, patch) => take(&mut document, key, patch),
        }
    }
    Ok(document)
}

/// What stands below a field; an error where the kind has no such field.
fn look_up<'a>(shape: Option<&'a shape::Map>, key: &str) -> Result<Option<&'a Shape>, Status> {
    let Some(map) = shape else {
        return Ok(None);
    };
    match map.place(key) {
        Some(place) => Ok(Some(place.shape())),
        None => Err(refusal::internal(format!(
            "unable to find api field in struct for the json field {}",
            value::quoted(key)
        ))),
    }
}

/// Puts what the document has not got, without its directives and nulls.
fn take(document: &mut Fields, key: String, patch: Value) {
    match plain(patch) {
        Some(value) => {
            document.insert(key, value);
        }
        None => {
            document.remove(&key);
        }
    }
}

/// None: it was a directive.
fn plain(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(PATCH) => None,
        Value::Object(fields) => Some(Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .filter_map(|(key, value)| Some((key, plain(value)?)))
                .collect(),
        )),
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(plain).collect())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
    }
}

fn unknown_directive(directive: Value, mut patch: Fields) -> Status {
    let shown = match &directive {
        Value::String(word) => word.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            format!("%!s({})", value::shown(&directive))
        }
    };
    patch.insert(PATCH.to_owned(), directive);
    refusal::internal(format!(
        "unknown patch type: {shown} in map: {}",
        value::shown(&Value::Object(patch))
    ))
}

fn retain_keys(document: &mut Fields, patch: &mut Fields) -> Result<(), Status> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let wrong = || refusal::bad_request("invalid patch format of retainKeys");
    let Value::Array(keys) = keys else {
        return Err(wrong());
    };
    let keys: BTreeSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let is_named = |(key, value): (&String, &Value)| {
        value.is_null()
            || key.starts_with(DELETE_FROM_LIST)
            || key.starts_with(ELEMENT_ORDER)
            || keys.contains(key.as_str())
    };
    if !patch.iter().all(is_named) {
        return Err(wrong());
    }
    document.retain(|key, _| keys.contains(key.as_str()));
    Ok(())
}

fn delete_from_list(document: &mut Fields, key: &str, gone: &Value) -> Result<(), Status> {
    match (document.get_mut(key), gone) {
        (_, Value::Null) => {
            document.remove(key);
        }
        (Some(Value::Array(items)), Value::Array(gone)) => {
            same_types(items, gone)?;
            let gone: BTreeSet<Known> = gone.iter().map(Known::of).collect();
            items.retain(|item| !gone.contains(&Known::of(item)));
        }
        (Some(_) | None, _) => {}
    }
    Ok(())
}

/// A list with the order that its items shall have.
fn merge_ordered(
    shape: Option<&shape::Map>,
    document: &mut Fields,
    patch: &mut Fields,
    directive: &str,
) -> Result<(), Status> {
    let Some(order) = patch.remove(directive) else {
        return Ok(());
    };
    let key = directive.strip_prefix(ELEMENT_ORDER).unwrap_or_default();
    let Value::Array(order) = order else {
        return Err(refusal::internal(format!(
            "expected a []interface {{}}, but received a {}",
            go_type(&order)
        )));
    };
    let list_of = |value: Option<Value>| match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)),
        ) => Err(refusal::internal(format!(
            "expected a []interface {{}}, but received a {}",
            go_type(&other)
        ))),
    };
    let before = list_of(document.get(key).cloned())?;
    let changes = list_of(patch.remove(key))?;
    let list = look_up(shape, key)?.and_then(|shape| shape.list.as_ref());
    let by = By::of(list);
    check_order(&by, changes.as_deref().unwrap_or_default(), &order)?;
    let serverside = before.clone().unwrap_or_default();
    let merged = match (before, changes) {
        (None, None) => return Ok(()),
        (Some(before), None) => before,
        (None, Some(changes)) => changes.into_iter().filter_map(plain).collect(),
        (Some(before), Some(changes)) => merge_list(list, before, changes)?,
    };
    let merged = in_order(&by, merged, &order, &serverside)?;
    document.insert(key.to_owned(), Value::Array(merged));
    Ok(())
}

/// The items of a patch must come in the order that it asks for.
fn check_order(by: &By<'_>, changes: &[Value], order: &[Value]) -> Result<(), Status> {
    if order.is_empty() || changes.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in changes {
        if item.as_object().is_some_and(|item| item.contains_key(PATCH)) {
            continue;
        }
        let item_key = by.key(item)?;
        let mut found = false;
        for place in rest.by_ref() {
            if by.key(place)? == item_key {
                found = true;
                break;
            }
        }
        if !found {
            return Err(refusal::internal(format!(
                "The order in patch list:\n{}\n doesn't match {} list:\n{}\n",
                value::shown(&Value::Array(changes.to_vec())),
                ELEMENT_ORDER.trim_end_matches('/'),
                value::shown(&Value::Array(order.to_vec()))
            )));
        }
    }
    Ok(())
}

fn merge_list(list: Option<&List>, before: Vec<Value>, changes: Vec<Value>) -> Result<Vec<Value>, Status> {
    let Some(list) = list.filter(|list| list.told_apart != ToldApart::Atomic) else {
        return Ok(changes);
    };
    let by = By::of(Some(list));
    if before.is_empty() && changes.is_empty() {
        return Ok(before);
    }
    same_types(&before, &changes)?;
    match by {
        By::Value => {
            let order = before.clone();
            let mut merged = before;
            merged.extend(changes.iter().cloned());
            let mut seen = BTreeSet::new();
            merged.retain(|item| seen.insert(Known::of(item)));
            in_order(&by, merged, &changes, &order)
        }
        By::Key(key) => {
            let (before, changes) = without_directives(&by, key, before, changes)?;
            let order = before.clone();
            let merged = merge_items(list, &by, before, &changes)?;
            in_order(&by, merged, &changes, &order)
        }
    }
}

/// Carries out `$patch` of the items.
fn without_directives(
    by: &By<'_>,
    key: &str,
    mut before: Vec<Value>,
    changes: Vec<Value>,
) -> Result<(Vec<Value>, Vec<Value>), Status> {
    let mut rest = Vec::with_capacity(changes.len());
    let mut gone = BTreeSet::new();
    let mut replace = false;
    for item in changes {
        let directive = item.as_object().and_then(|item| item.get(PATCH)).cloned();
        match directive {
            None => rest.push(item),
            Some(Value::String(word)) if word == "replace" => replace = true,
            Some(Value::String(word)) if word == "delete" => {
                gone.insert(by.key(&item)?);
            }
            Some(Value::String(word)) if word == "merge" => {
                return Err(refusal::internal(
                    "merging lists cannot yet be specified in the patch",
                ));
            }
            Some(other) => {
                let fields = item.as_object().cloned().unwrap_or_default();
                return Err(unknown_directive(other, fields));
            }
        }
    }
    if replace {
        return Ok((rest, Vec::new()));
    }
    before.retain(|item| {
        let value = item.as_object().and_then(|item| item.get(key));
        !value.is_some_and(|value| gone.contains(&Known::of(value)))
    });
    Ok((before, rest))
}

fn merge_items(
    list: &List,
    by: &By<'_>,
    before: Vec<Value>,
    changes: &[Value],
) -> Result<Vec<Value>, Status> {
    let mut merged = before;
    let mut places: BTreeMap<Known, usize> = BTreeMap::new();
    for (place, item) in merged.iter().enumerate() {
        if let Ok(key) = by.key(item) {
            places.entry(key).or_insert(place);
        }
    }
    for change in changes {
        let key = by.key(change)?;
        match places.get(&key).and_then(|place| merged.get_mut(*place)) {
            Some(found) => {
                let (Value::Object(before), Value::Object(change)) = (found.take(), change.clone()) else {
                    continue;
                };
                *found = Value::Object(merge_map(list.item.shape().map.as_ref(), before, change)?);
            }
            None => {
                places.insert(key, merged.len());
                merged.push(change.clone());
            }
        }
    }
    Ok(merged)
}

/// First as the patch wants it; those that it does not name keep their place among the others as well as can be.
fn in_order(
    by: &By<'_>,
    items: Vec<Value>,
    wanted: &[Value],
    serverside: &[Value],
) -> Result<Vec<Value>, Status> {
    let places = |list: &[Value]| {
        let mut places = BTreeMap::new();
        for (place, item) in list.iter().enumerate() {
            if let Ok(key) = by.key(item) {
                places.entry(key).or_insert(place);
            }
        }
        places
    };
    let (wanted, serverside) = (places(wanted), places(serverside));
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let key = by.key(&item)?;
        if wanted.contains_key(&key) {
            named.push((key, item));
        } else {
            others.push((key, item));
        }
    }
    named.sort_by_key(|(key, _)| wanted.get(key).copied());
    others.sort_by_key(|(key, _)| serverside.get(key).copied().unwrap_or(usize::MAX));
    let mut ordered = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some((right, _)), Some((left, _))) = (named.peek(), others.peek()) {
        let is_before = match (serverside.get(left), serverside.get(right)) {
            (Some(left), Some(right)) => left < right,
            (Some(_) | None, _) => false,
        };
        ordered.extend(if is_before { others.next() } else { named.next() });
    }
    ordered.extend(named);
    ordered.extend(others);
    Ok(ordered.into_iter().map(|(_, item)| item).collect())
}

/// How items are told apart.
enum By<'a> {
    Value,
    Key(&'a str),
}

impl<'a> By<'a> {
    fn of(list: Option<&'a List>) -> Self {
        match list.map(|list| &list.told_apart) {
            Some(ToldApart::ByKeys(keys)) => keys.first().map_or(Self::Value, |key| Self::Key(key)),
            Some(ToldApart::Atomic | ToldApart::ByValue) | None => Self::Value,
        }
    }

    fn key(&self, item: &Value) -> Result<Known, Status> {
        let Self::Key(key) = self else {
            return Ok(Known::of(item));
        };
        let Value::Object(fields) = item else {
            return Err(refusal::internal(format!(
                "expected a map[string]interface {{}}, but received a {}",
                go_type(item)
            )));
        };
        match fields.get(*key) {
            Some(value) => Ok(Known::of(value)),
            None => Err(refusal::internal(format!(
                "map: {} does not contain declared merge key: {key}",
                value::shown(item)
            ))),
        }
    }
}

/// A value that can be looked up.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Known(String);

impl Known {
    fn of(value: &Value) -> Self {
        Self(value.to_string())
    }
}

fn same_types(before: &[Value], changes: &[Value]) -> Result<(), Status> {
    let mut all = before.iter().chain(changes);
    let first = all.next().map(go_type).unwrap_or_default();
    if first.starts_with('[') {
        // "lists of lists are not supported", if anybody were told.
        return Err(refusal::does_not_fit());
    }
    if all.all(|item| go_type(item) == first) {
        return Ok(());
    }
    let shown = |list: &[Value]| value::shown(&Value::Array(list.to_vec()));
    Err(refusal::internal(format!(
        "list element types are not identical: [{} {}]",
        shown(before),
        shown(changes)
    )))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::builtin;
    use super::*;

    fn patched(document: Value, patch: Value) -> Result<Value, Status> {
        let shape = builtin::shape("v1", "ServiceAccount").unwrap();
        let (Value::Object(document), Value::Object(patch)) = (document, patch) else {
            panic!("not objects")
        };
        merge(&shape, document, patch).map(Value::Object)
    }

    fn secrets(names: &[&str]) -> Value {
        let secrets: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"secrets": secrets})
    }

    #[test]
    fn lists_are_merged_by_their_keys() {
        let finalizers = |names: &[&str]| json!({"metadata": {"finalizers": names}});
        for (document, patch, expected) in [
            // What the patch names comes first.
            (finalizers(&["a"]), finalizers(&["b"]), finalizers(&["b", "a"])),
            (
                finalizers(&["a", "b", "c"]),
                finalizers(&["c"]),
                finalizers(&["a", "b", "c"]),
            ),
            (
                finalizers(&["a", "b"]),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
                finalizers(&["b"]),
            ),
            (
                finalizers(&["a", "b"]),
                json!({"metadata": {"finalizers": ["c"], "$setElementOrder/finalizers": ["c", "b", "a"]}}),
                finalizers(&["c", "b", "a"]),
            ),
            (
                json!({"secrets": [{"name": "a", "uid": "1"}, {"name": "b"}]}),
                json!({"secrets": [{"name": "a", "kind": "Secret"}]}),
                json!({"secrets": [{"name": "a", "uid": "1", "kind": "Secret"}, {"name": "b"}]}),
            ),
            (
                secrets(&["a", "b"]),
                json!({"secrets": [{"$patch": "delete", "name": "a"}]}),
                secrets(&["b"]),
            ),
            // Recorded: after a replacement the order is that of the patch.
            (
                secrets(&["a", "c"]),
                json!({"secrets": [{"name": "b"}, {"name": "c"}, {"$patch": "replace"}]}),
                secrets(&["b", "c"]),
            ),
            // No merge key is known of these: one list replaces the other.
            (
                json!({"imagePullSecrets": [{"name": "a"}]}),
                json!({"imagePullSecrets": [{"name": "b"}]}),
                json!({"imagePullSecrets": [{"name": "b"}]}),
            ),
            (
                json!({"metadata": {"labels": {"a": "1", "b": "1"}}}),
                json!({"metadata": {"labels": {"$retainKeys": ["b"], "b": "2"}}}),
                json!({"metadata": {"labels": {"b": "2"}}}),
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}}}),
                json!({"metadata": {"labels": {"$patch": "replace", "b": "2"}}}),
                json!({"metadata": {"labels": {"b": "2"}}}),
            ),
            (
                json!({}),
                json!({"metadata": {"labels": {"a": null}, "annotations": {"$patch": "delete"}}}),
                json!({"metadata": {"labels": {}}}),
            ),
        ] {
            assert_eq!(patched(document, patch.clone()).unwrap(), expected, "{patch}");
        }
    }

    #[test]
    fn refuses_in_the_api_servers_words() {
        let document = json!({"metadata": {"finalizers": ["x.dev/a"]}, "secrets": [{"name": "a"}]});
        for (patch, code, message) in [
            (
                json!({"$patch": "bogus"}),
                500,
                "unknown patch type: bogus in map: map[$patch:bogus]",
            ),
            (
                json!({"$retainKeys": 5}),
                400,
                "invalid patch format of retainKeys",
            ),
            (
                json!({"metadata": {"finalizers": [["x"]]}}),
                500,
                "list element types are not identical: [[x.dev/a] [[x]]]",
            ),
            (
                json!({"metadata": {"finalizers": ["x.dev/b"], "$setElementOrder/finalizers": ["x.dev/c"]}}),
                500,
                "The order in patch list:\n[x.dev/b]\n doesn't match $setElementOrder list:\n[x.dev/c]\n",
            ),
            (
                json!({"metadata": {"$setElementOrder/finalizers": 5}}),
                500,
                "expected a []interface {}, but received a int64",
            ),
            (
                json!({"secrets": [{"kind": "x"}]}),
                500,
                "map: map[kind:x] does not contain declared merge key: name",
            ),
        ] {
            let refusal = patched(document.clone(), patch).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
        }
    }

    /// Each item is looked up, not searched for.
    #[test]
    fn long_lists_take_no_longer_than_their_length() {
        let secrets =
            |count: usize| -> Vec<Value> { (0..count).map(|n| json!({"name": n.to_string()})).collect() };
        let merged = patched(
            json!({"secrets": secrets(50_000)}),
            json!({"secrets": secrets(50_000)}),
        )
        .unwrap();
        assert_eq!(merged["secrets"].as_array().unwrap().len(), 50_000);
    }
}
