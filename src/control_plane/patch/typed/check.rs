//! Whether a value has the form that its shape allows. What is wrong stops an apply, in the words of the API server.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::super::field_set::Step;
use super::super::shape::{self, List, Place, Scalar, Shape, ToldApart};
use super::{Taken, step_to, value};

/// Whether two items of a list may be the same one: in stored objects they may, in what is applied not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duplicates {
    Allowed,
    Forbidden,
}

/// No more is looked for in one place. A million numbers where texts should be made a message of 200 MB.
const MOST: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    path: String,
    what: String,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            what: what.into(),
        }
    }

    /// All of them as one message.
    pub(crate) fn message(all: &[Self]) -> String {
        match all {
            [one] => one.to_string(),
            several => {
                let lines: Vec<String> = several.iter().map(|wrong| format!("  {wrong}")).collect();
                format!("errors:\n{}", lines.join("\n"))
            }
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.path, self.what)
        }
    }
}

pub(crate) fn check(shape: &Shape, value: &Value, duplicates: Duplicates) -> Result<(), Vec<Wrong>> {
    let wrong = wrong(shape, value, duplicates);
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn wrong(shape: &Shape, value: &Value, duplicates: Duplicates) -> Vec<Wrong> {
    match (shape.taken(value), value) {
        (_, Value::Null) => Vec::new(),
        (Taken::Map(map), Value::Object(fields)) => wrong_fields(map, fields, duplicates),
        (Taken::List(list), Value::Array(items)) => wrong_items(list, items, duplicates),
        (Taken::Scalar(scalar), _) => wrong_scalar(scalar, value).map(Wrong::new).into_iter().collect(),
        (Taken::Map(_), _) => vec![Wrong::new(format!("expected map, got {}", pointed(value)))],
        (Taken::List(_), _) => vec![Wrong::new(format!("expected list, got {}", pointed(value)))],
        (Taken::Nothing, _) => vec![Wrong::new("schema error: invalid atom: inlined")],
    }
}

fn wrong_fields(map: &shape::Map, fields: &Map<String, Value>, duplicates: Duplicates) -> Vec<Wrong> {
    let mut all = Vec::new();
    for (name, value) in fields {
        if all.len() >= MOST {
            break;
        }
        let Some(place) = map.place(name) else {
            // The rest of such a map is not looked at.
            all.extend(below(
                &format!(".{name}"),
                vec![Wrong::new("field not declared in schema")],
            ));
            break;
        };
        if !is_anything(place) {
            let found = wrong(place.shape(), value, duplicates);
            all.extend(below(&format!(".{name}"), found));
        }
    }
    all
}

/// Nothing can be wrong with it, so that it need not be walked.
fn is_anything(place: &Place) -> bool {
    match place {
        Place::Deduced | Place::Untyped => true,
        Place::Own(_) | Place::Metadata => false,
    }
}

fn wrong_items(list: &List, items: &[Value], duplicates: Duplicates) -> Vec<Wrong> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if all.len() >= MOST {
            break;
        }
        let step = match &list.told_apart {
            ToldApart::Atomic if is_anything(&list.item) => continue,
            ToldApart::Atomic => Step::Index(i64::try_from(index).unwrap_or(i64::MAX)),
            ToldApart::ByValue | ToldApart::ByKeys(_) => match step_to(list, item) {
                Ok(step) => step,
                Err(why) => {
                    all.push(Wrong::new(format!("element {index}: {why}")));
                    return all;
                }
            },
        };
        let name = step.to_string();
        if list.told_apart != ToldApart::Atomic && !seen.insert(step) && duplicates == Duplicates::Forbidden {
            all.push(Wrong::new(format!("duplicate entries for key {name}")));
        }
        all.extend(below(&name, wrong(list.item.shape(), item, duplicates)));
    }
    all
}

fn below(step: &str, mut all: Vec<Wrong>) -> Vec<Wrong> {
    for wrong in &mut all {
        wrong.path.insert_str(0, step);
    }
    all
}

fn wrong_scalar(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (_, Value::Null)
        | (Scalar::Text | Scalar::Any, Value::String(_))
        | (Scalar::Number | Scalar::Any, Value::Number(_))
        | (Scalar::Truth | Scalar::Any, Value::Bool(_)) => None,
        (Scalar::Number, _) => Some(format!("expected numeric (int or float), got {}", go_type(value))),
        (Scalar::Text, _) => Some(format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            value::spelled(value)
        )),
        (Scalar::Truth, _) => Some(format!("expected boolean, got {}", pointed(value))),
        (Scalar::Any, _) => Some(format!("expected any scalar, got {}", pointed(value))),
    }
}

fn pointed(value: &Value) -> String {
    format!("&{{{}}}", value::shown(value))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
