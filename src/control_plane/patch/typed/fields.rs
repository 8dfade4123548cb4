//! Which fields a value has, as the one who applies it owns them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::field_set::{FieldSet, Step};
use super::super::shape::{List, Shape, ToldApart};
use super::{Taken, step_to};

/// Every leaf, every item of a list, every entry of a map that no schema lists, and maps that are empty.
pub(crate) fn fields(shape: &Shape, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match (shape.taken(value), value) {
        (Taken::Scalar(_), _) => set.member = true,
        (Taken::Map(map), Value::Object(fields_of)) if !map.atomic => {
            for (name, value) in fields_of {
                let mut below = match map.place(name) {
                    Some(place) => fields(place.shape(), value),
                    None => FieldSet::default(),
                };
                let is_bare = match value {
                    Value::Null => true,
                    Value::Object(fields) => fields.is_empty(),
                    Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
                };
                below.member |= is_bare || !map.fields.contains_key(name);
                set.put(Step::field(name), below);
            }
        }
        (Taken::List(list), Value::Array(items)) if list.told_apart != ToldApart::Atomic => {
            add_items(list, items, &mut set);
        }
        (Taken::Map(map), _) => set.member = map.atomic,
        (Taken::List(list), _) => set.member = list.told_apart == ToldApart::Atomic,
        (Taken::Nothing, _) => {}
    }
    set
}

/// What stands in a list twice is owned as a whole: nobody could say which of the two is meant.
fn add_items(list: &List, items: &[Value], set: &mut FieldSet) {
    let mut found: BTreeMap<Step, Vec<&Value>> = BTreeMap::new();
    for item in items {
        if let Ok(step) = step_to(list, item) {
            found.entry(step).or_default().push(item);
        }
    }
    for (step, items) in found {
        let mut below = match items.as_slice() {
            [item] => fields(list.item.shape(), item),
            _ => FieldSet::default(),
        };
        below.member = true;
        set.put(step, below);
    }
}

/// Makes the named fields on the way to others members too: who owns `spec.size` can then take `spec` away with it.
/// Entries of maps that no schema lists are not made members.
pub(crate) fn name_parents(shape: &Shape, set: &FieldSet) -> FieldSet {
    name(Some(shape), set)
}

fn name(shape: Option<&Shape>, set: &FieldSet) -> FieldSet {
    let mut named = FieldSet::place(set.member);
    let (map, list) = shape.map_or((None, None), |shape| (shape.map.as_ref(), shape.list.as_ref()));
    for (step, below) in set.steps() {
        let (shape, is_listed) = match step {
            Step::Field(field) => (
                map.and_then(|map| map.place(field)).map(|place| place.shape()),
                map.is_some_and(|map| map.fields.contains_key(field)),
            ),
            Step::Key(_) => (list.map(|list| list.item.shape()), false),
            Step::Value(_) | Step::Index(_) => (None, false),
        };
        let mut below_named = name(shape, below);
        below_named.member |= is_listed && below.has_below();
        named.put(step.clone(), below_named);
    }
    named
}
