//! PURE. A gateway refuses a write that leaves less than half of its configuration file, taking it for an accident. What
//! is larger than that goes in steps: in each of them some of what is to go stays, or spaces hold its place.
//!
//! The file is known only by what is read of it, where a placeholder stands for each secret. So a step leaves somewhat more
//! than half, and where the gateway refuses all the same, much more.

use serde_json::{Map, Value};

use crate::gateway::configuration::Entry;

/// From this size on a file is watched over (both versions that do so).
const WATCHED: usize = 512;
/// Shorter texts and lists are not worth a step, and are often words of a fixed choice.
const WORTH: usize = 64;

/// How much of the file a step leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caution {
    /// Nine sixteenths: the placeholder of a secret has 21 letters, the secret may have any number.
    Usual,
    /// Seven eighths: the gateway has refused what was estimated to be right.
    Great,
}

impl Caution {
    /// By how many bytes a file of this size may shrink at once; None where it does not matter.
    pub(super) fn allowance(self, bytes: usize) -> Option<usize> {
        let may_go = match self {
            Self::Usual => bytes * 7 / 16,
            Self::Great => bytes / 8,
        };
        (bytes >= WATCHED).then_some(may_go)
    }
}

/// The bytes of a value in the file, as `JSON.stringify(value, null, 2)` writes it at this depth.
pub(super) fn bytes(value: &Value, depth: usize) -> usize {
    let inside = |lengths: &mut dyn Iterator<Item = usize>, is_empty: bool| {
        // Brackets, a line end after the first, and for each item its indentation, and a comma or nothing, and a line end.
        let items: usize = lengths.map(|length| length + 2 * (depth + 1) + 2).sum();
        if is_empty { 2 } else { 2 + items + 2 * depth }
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string().len(),
        Value::Array(items) => inside(
            &mut items.iter().map(|item| bytes(item, depth + 1)),
            items.is_empty(),
        ),
        Value::Object(fields) => inside(
            &mut fields
                .iter()
                .map(|(key, item)| key_bytes(key) + bytes(item, depth + 1)),
            fields.is_empty(),
        ),
    }
}

/// The bytes of a field with its line.
pub(super) fn field_bytes(key: &str, value: &Value, depth: usize) -> usize {
    key_bytes(key) + bytes(value, depth) + 2 * depth + 2
}

fn key_bytes(key: &str) -> usize {
    Value::from(key).to_string().len() + 2
}

/// As much of a merge patch as may be done while the file shrinks by no more than the allowance, which it spends. What
/// does not fit at once is done in part; what stays out is done by the next step.
pub(super) fn part_of(there: &Entry, patch: &Entry, depth: usize, allowance: &mut usize) -> Entry {
    let mut part = Map::new();
    for (key, wanted) in patch {
        let Some(old) = there.get(key) else {
            part.insert(key.clone(), wanted.clone());
            continue;
        };
        if let (Value::Object(old), Value::Object(wanted)) = (old, wanted) {
            let inner = part_of(old, wanted, depth + 1, allowance);
            if !inner.is_empty() {
                part.insert(key.clone(), Value::Object(inner));
            }
            continue;
        }
        let after = if wanted.is_null() {
            0
        } else {
            field_bytes(key, wanted, depth)
        };
        let saves = field_bytes(key, old, depth).saturating_sub(after);
        let meanwhile = if saves <= *allowance {
            *allowance -= saves;
            Some(wanted.clone())
        } else {
            on_the_way(old, wanted, depth, allowance)
        };
        if let Some(meanwhile) = meanwhile {
            part.insert(key.clone(), meanwhile);
        }
    }
    part
}

/// What to write in the place of a value that cannot go at once; None: it waits. Where a whole object is to go, its keys
/// stay as long as they can, since some of them may be compulsory in it.
fn on_the_way(old: &Value, wanted: &Value, depth: usize, allowance: &mut usize) -> Option<Value> {
    match (old, wanted) {
        (Value::String(old), Value::String(new)) => padded(old, new, allowance),
        (Value::Array(old), Value::Array(new)) => shorter(old, new, depth, allowance),
        // To go, or to be something else: as little of it as there can be, for now.
        (Value::String(old), _) => padded(old, " ", allowance),
        (Value::Array(old), _) => shorter(old, old.get(..1)?, depth, allowance),
        (Value::Object(old), _) => {
            let large = old.iter().filter(|(_, value)| bytes(value, depth + 1) >= WORTH);
            let mut less: Entry = large
                .filter_map(|(key, value)| {
                    Some((
                        key.clone(),
                        on_the_way(value, &Value::Null, depth + 1, allowance)?,
                    ))
                })
                .collect();
            if less.is_empty() {
                // Nothing but small keys.
                let all = old.keys().map(|key| (key.clone(), Value::Null)).collect();
                less = part_of(old, &all, depth + 1, allowance);
            }
            (!less.is_empty()).then_some(Value::Object(less))
        }
        (Value::Null | Value::Bool(_) | Value::Number(_), _) => None,
    }
}

/// The new text, and spaces in the place of what may not go yet: half of an old instruction could mean anything.
fn padded(old: &str, new: &str, allowance: &mut usize) -> Option<Value> {
    let (was, is) = (
        Value::from(old).to_string().len(),
        Value::from(new).to_string().len(),
    );
    let saves = was.checked_sub(is)?.min(*allowance);
    *allowance -= saves;
    let spaces = was - is - saves;
    (saves >= WORTH.min(was - is) && saves > 0).then(|| Value::from(format!("{new}{}", " ".repeat(spaces))))
}

/// The new items, and as many of the old ones as may not go yet.
fn shorter(old: &[Value], new: &[Value], depth: usize, allowance: &mut usize) -> Option<Value> {
    let was = bytes(&Value::from(old.to_vec()), depth);
    let mut items = new.to_vec();
    let mut is = bytes(&Value::from(items.clone()), depth);
    for item in old.iter().filter(|item| !new.contains(item)) {
        if was.saturating_sub(is) <= *allowance {
            break;
        }
        items.push(item.clone());
        is += bytes(item, depth + 1) + 2 * (depth + 1) + 2;
    }
    let saves = was
        .checked_sub(is)
        .filter(|saves| *saves > 0 && saves <= allowance)?;
    *allowance -= saves;
    Some(Value::from(items))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_those_of_the_file(texts in proptest::collection::btree_map(".{0,5}", proptest::collection::vec(".{0,5}", 0..3), 0..4)) {
            let value = json!({ "a": texts, "b": [[], {}, [1, null, true, {"x": "é\n"}]] });
            prop_assert_eq!(bytes(&value, 0), serde_json::to_string_pretty(&value).unwrap().len());
        }
    }

    #[test]
    fn a_text_that_shrinks_is_new_at_once_and_spaces_hold_its_place() {
        let there = json!({ "prompt": "x".repeat(1000), "name": "A" });
        let patch = json!({ "prompt": "new", "name": "B" });
        let mut allowance = 400;
        let part = part_of(
            there.as_object().unwrap(),
            patch.as_object().unwrap(),
            4,
            &mut allowance,
        );
        assert_eq!(part["name"], "B");
        let prompt = part["prompt"].as_str().unwrap();
        assert_eq!((prompt.trim_end(), prompt.len(), allowance), ("new", 600, 0));
    }

    #[test]
    fn what_goes_as_a_whole_keeps_its_keys_until_the_end() {
        let there = json!({ "activeHours": { "start": "08:00" }, "docker": { "image": "x", "env": "y".repeat(1000), "dns": vec!["1.1.1.1"; 100] } });
        let patch = json!({ "docker": null });
        let mut allowance = 1200;
        let part = part_of(
            there.as_object().unwrap(),
            patch.as_object().unwrap(),
            4,
            &mut allowance,
        );
        let docker = part["docker"].as_object().unwrap();
        assert!(docker.values().all(|value| !value.is_null()), "{docker:?}");
    }
}
