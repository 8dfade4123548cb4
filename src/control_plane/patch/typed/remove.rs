//! A value without some of its fields and items.

use serde_json::{Map, Value};

use super::super::field_set::{FieldSet, Step};
use super::super::shape::{Shape, ToldApart};
use super::{Taken, step_to};

/// What loses all that it had becomes null: the kind's own reading of its objects then drops it, as it drops null from a
/// client. So does an atomic value in which something was to be removed.
pub(crate) fn remove(shape: &Shape, value: &Value, gone: &FieldSet) -> Value {
    match (shape.taken(value), value) {
        (Taken::Scalar(_), _) => value.clone(),
        (Taken::Map(map), Value::Object(fields)) if !map.atomic => {
            let mut kept = Map::new();
            for (name, value) in fields {
                let value = match gone.get(&Step::field(name)) {
                    Some(gone) if gone.member => continue,
                    Some(gone) => match map.place(name) {
                        Some(place) => remove(place.shape(), value, gone),
                        None => Value::Null,
                    },
                    None => value.clone(),
                };
                kept.insert(name.clone(), value);
            }
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            }
        }
        (Taken::List(list), Value::Array(items)) if list.told_apart != ToldApart::Atomic => {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                let gone = step_to(list, item).ok().and_then(|step| gone.get(&step));
                match gone {
                    Some(gone) if gone.member => {}
                    Some(gone) => kept.push(remove(list.item.shape(), item, gone)),
                    None => kept.push(item.clone()),
                }
            }
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Array(kept)
            }
        }
        (Taken::Map(_) | Taken::List(_) | Taken::Nothing, _) => Value::Null,
    }
}
