//! Walks over a value along its shape: what is wrong with it, which fields it has, how it differs from another, both in
//! one, and a part of it taken away.
//!
//! All are recursive, and none goes deeper than the values they are given: JSON is read to a depth of 128.

mod check;
mod compare;
mod fields;
mod merge;
mod reconcile;
mod remove;
pub(crate) mod value;

pub(crate) use check::{Duplicates, Wrong, check};
pub(crate) use compare::{Difference, compare};
pub(crate) use fields::{fields, name_parents};
pub(crate) use merge::merge;
pub(crate) use reconcile::reconcile;
pub(crate) use remove::remove;

use serde_json::{Map, Value};

use super::field_set::Step;
use super::shape::{self, List, Scalar, Shape, ToldApart};

/// What a value is taken for.
#[derive(Clone, Copy)]
enum Taken<'a> {
    Map(&'a shape::Map),
    Scalar(Scalar),
    List(&'a List),
    Nothing,
}

/// Which of a shape's forms a value has; `Open`: null, or of none of them, where the shape has several.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Map,
    Scalar,
    List,
    Open,
}

impl Shape {
    fn form(&self, value: Option<&Value>) -> Form {
        let Self { scalar, list, map } = self;
        match (scalar, list, map) {
            (None, None, Some(_)) => return Form::Map,
            (Some(_), None, None) => return Form::Scalar,
            (None, Some(_), None) => return Form::List,
            (Some(_) | None, _, _) => {}
        }
        match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) if scalar.is_some() => Form::Scalar,
            Some(Value::Array(_)) if list.is_some() => Form::List,
            Some(Value::Object(_)) if map.is_some() => Form::Map,
            Some(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_),
            )
            | None => Form::Open,
        }
    }

    fn taken_as(&self, form: Form) -> Taken<'_> {
        let Self { scalar, list, map } = self;
        let (map, scalar, list) = (
            map.as_ref().map(Taken::Map),
            scalar.map(Taken::Scalar),
            list.as_ref().map(Taken::List),
        );
        match form {
            Form::Map => map,
            Form::Scalar => scalar,
            Form::List => list,
            Form::Open => map.or(scalar).or(list),
        }
        .unwrap_or(Taken::Nothing)
    }

    fn taken(&self, value: &Value) -> Taken<'_> {
        self.taken_as(self.form(Some(value)))
    }
}

/// The step to an item of a list whose items are told apart, or why it has none.
fn step_to(list: &List, item: &Value) -> Result<Step, String> {
    let keys = match &list.told_apart {
        ToldApart::Atomic => return Err("invalid indexing of non-associative list".to_owned()),
        ToldApart::ByKeys(keys) if !keys.is_empty() => keys,
        ToldApart::ByKeys(_) | ToldApart::ByValue => {
            return match item {
                Value::Object(_) => {
                    Err("associative list without keys has an element that's a map type".to_owned())
                }
                Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
                Value::Null => {
                    Err("associative list without keys has an element that's an explicit null".to_owned())
                }
                Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Step::Value(item.clone())),
            };
        }
    };
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err("associative list with keys may not have non-map elements".to_owned());
        }
    };
    let shape = list.item.shape().map.as_ref();
    let mut found: Vec<(String, Value)> = keys
        .iter()
        .filter_map(|key| {
            let default = || shape?.fields.get(key)?.default.as_ref();
            let value = fields.get(key).or_else(default)?;
            Some((key.clone(), value.clone()))
        })
        .collect();
    if found.is_empty() {
        let keys: Vec<String> = keys.iter().map(|key| value::quoted(key)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] \
             (and doesn't have default values for any key fields)",
            keys.join(" ")
        ));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Step::Key(found))
}

fn as_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn as_list(value: Option<&Value>) -> Option<&Vec<Value>> {
    value.and_then(Value::as_array)
}

/// Nothing or empty.
fn is_bare<T>(items: Option<&T>, is_empty: impl Fn(&T) -> bool) -> bool {
    items.is_none_or(is_empty)
}
