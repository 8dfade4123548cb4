//! JSON patch (RFC 6902), with the API server's liberties: negative indices count from the end, `replace` adds a field
//! that is not there, and what stands before a path's first `/` does not matter.
//!
//! Not the crate `json-patch` that kube brings: it has none of these, and no bound on what copies and moves may cost.

use serde_json::{Map, Value};

use super::bounds::{DEEPEST, depth};
use super::refusal;
use crate::control_plane::Status;

/// The API server's limit.
const OPERATIONS_MAX: usize = 10_000;
/// The API server's limit for what all `copy` of a patch add, in bytes.
const COPIES_MAX: usize = 3 * 1024 * 1024;
/// Values looked at or shifted for one patch: a hundred times what ten thousand operations on an object of 4 kB need, and
/// a second's work.
const STEPS_MAX: usize = 50_000_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Operations(Vec<Operation>);

#[derive(Debug, Clone, PartialEq)]
struct Operation {
    op: String,
    path: Option<String>,
    from: Option<String>,
    /// Not given and null are not told apart, but in `test`, where they mean the same.
    value: Value,
}

/// Why nothing came of it.
enum Failed {
    DoesNotFit,
    TooMuch,
}

impl Operations {
    pub(super) fn read(json: Value) -> Result<Self, Status> {
        let wrong = |what: &Value, into: &str| {
            let kind = go_kind(what);
            refusal::bad_request(format!(
                "error decoding patch: json: cannot unmarshal {kind} into Go {into}"
            ))
        };
        let items = match json {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                return Err(wrong(&json, "value of type []handlers.jsonPatchOp"));
            }
        };
        let mut operations = Vec::with_capacity(items.len());
        for item in items {
            let mut fields = match item {
                Value::Object(fields) => fields,
                Value::Null => Map::new(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    return Err(wrong(&item, "value of type handlers.jsonPatchOp"));
                }
            };
            let mut word = |name: &str| match fields.remove(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(word)) => Ok(Some(word)),
                Some(other) => Err(wrong(
                    &other,
                    &format!("struct field jsonPatchOp.{name} of type string"),
                )),
            };
            operations.push(Operation {
                op: word("op")?.unwrap_or_default(),
                path: word("path")?,
                from: word("from")?,
                value: fields.remove("value").unwrap_or_default(),
            });
        }
        if operations.len() > OPERATIONS_MAX {
            return Err(refusal::too_large(&format!(
                "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
                operations.len()
            )));
        }
        Ok(Self(operations))
    }

    /// The patched document. It may be no object any more.
    pub(super) fn apply(&self, document: Value) -> Result<Value, Status> {
        let mut patched = Patched {
            document,
            copied: 0,
            steps: STEPS_MAX,
        };
        for operation in &self.0 {
            patched.run(operation).map_err(|failed| match failed {
                Failed::DoesNotFit => refusal::does_not_fit(),
                Failed::TooMuch => refusal::too_large(&format!(
                    "the patch takes more than {STEPS_MAX} steps: send its operations in several patches"
                )),
            })?;
        }
        Ok(patched.document)
    }
}

pub(super) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

struct Patched {
    document: Value,
    copied: usize,
    steps: usize,
}

impl Patched {
    fn run(&mut self, operation: &Operation) -> Result<(), Failed> {
        let Operation {
            op,
            path,
            from,
            value,
        } = operation;
        let path = path.as_deref().ok_or(Failed::DoesNotFit);
        let from = from.as_deref().ok_or(Failed::DoesNotFit);
        match op.as_str() {
            "add" => self.add(path?, value.clone()),
            "remove" => self.remove(path?).map(drop),
            "replace" => self.replace(path?, value.clone()),
            "move" => {
                let value = self.remove(from?)?;
                self.add(path?, value)
            }
            "copy" => {
                let value = self.get(from?)?.cloned().unwrap_or_default();
                self.copied += value.to_string().len();
                if self.copied > COPIES_MAX {
                    return Err(Failed::DoesNotFit);
                }
                self.add(path?, value)
            }
            "test" => {
                let path = path?;
                let found = if path.is_empty() {
                    Some(&self.document)
                } else {
                    self.get(path)?
                };
                if found.unwrap_or(&Value::Null) == value {
                    Ok(())
                } else {
                    Err(Failed::DoesNotFit)
                }
            }
            _ => Err(Failed::DoesNotFit),
        }
    }

    /// None: a map that has no such field.
    fn get(&self, path: &str) -> Result<Option<&Value>, Failed> {
        let (parents, last) = split(path)?;
        let mut place = &self.document;
        for key in parents {
            place = below(place, &key)?.ok_or(Failed::DoesNotFit)?;
        }
        below(place, &last)
    }

    fn parent(&mut self, path: &str) -> Result<(&mut Value, String, usize), Failed> {
        let (parents, last) = split(path)?;
        let levels = parents.len() + 1;
        let mut place = &mut self.document;
        for key in parents {
            place = match place {
                Value::Object(fields) => fields.get_mut(&key).ok_or(Failed::DoesNotFit)?,
                Value::Array(items) => {
                    let index = index(&key, items.len())?;
                    items.get_mut(index).ok_or(Failed::DoesNotFit)?
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(Failed::DoesNotFit);
                }
            };
        }
        Ok((place, last, levels))
    }

    fn add(&mut self, path: &str, value: Value) -> Result<(), Failed> {
        let mut steps = self.steps;
        let below = depth(&value, &mut steps).ok_or(Failed::TooMuch)?;
        let (parent, key, levels) = self.parent(path)?;
        if levels + below > DEEPEST {
            return Err(Failed::DoesNotFit);
        }
        match parent {
            Value::Object(fields) => {
                fields.insert(key, value);
            }
            Value::Array(items) if key == "-" => items.push(value),
            Value::Array(items) => {
                let index = index(&key, items.len() + 1)?;
                steps = steps
                    .checked_sub(items.len().saturating_sub(index))
                    .ok_or(Failed::TooMuch)?;
                items.insert(index, value);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(Failed::DoesNotFit);
            }
        }
        self.steps = steps;
        Ok(())
    }

    fn replace(&mut self, path: &str, value: Value) -> Result<(), Failed> {
        if path.is_empty() {
            return match value {
                Value::Object(_) | Value::Array(_) => {
                    self.document = value;
                    Ok(())
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(Failed::DoesNotFit),
            };
        }
        let mut steps = self.steps;
        let (parent, key, levels) = self.parent(path)?;
        let place = match parent {
            Value::Object(fields) => fields.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let index = index(&key, items.len())?;
                items.get_mut(index).ok_or(Failed::DoesNotFit)?
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(Failed::DoesNotFit);
            }
        };
        let below = depth(&value, &mut steps).ok_or(Failed::TooMuch)?;
        if levels + below > DEEPEST {
            return Err(Failed::DoesNotFit);
        }
        *place = value;
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<Value, Failed> {
        let mut steps = self.steps;
        let (parent, key, _) = self.parent(path)?;
        let removed = match parent {
            Value::Object(fields) => fields.remove(&key).ok_or(Failed::DoesNotFit)?,
            Value::Array(items) => {
                let index = index(&key, items.len())?;
                steps = steps
                    .checked_sub(items.len().saturating_sub(index))
                    .ok_or(Failed::TooMuch)?;
                items.remove(index)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(Failed::DoesNotFit);
            }
        };
        self.steps = steps;
        Ok(removed)
    }
}

/// The names of the places on the way, and the last one.
fn split(path: &str) -> Result<(Vec<String>, String), Failed> {
    let read = |key: &str| key.replace("~1", "/").replace("~0", "~");
    let mut keys: Vec<String> = path.split('/').skip(1).map(read).collect();
    let last = keys.pop().ok_or(Failed::DoesNotFit)?;
    Ok((keys, last))
}

fn below<'a>(place: &'a Value, key: &str) -> Result<Option<&'a Value>, Failed> {
    match place {
        Value::Object(fields) => Ok(fields.get(key)),
        Value::Array(items) => Ok(items.get(index(key, items.len())?)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(Failed::DoesNotFit),
    }
}

/// Below `length`; from the end where it is negative.
fn index(key: &str, length: usize) -> Result<usize, Failed> {
    let index: i64 = key.parse().map_err(|_| Failed::DoesNotFit)?;
    let from_start = match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => usize::try_from(index.unsigned_abs())
            .ok()
            .and_then(|back| length.checked_sub(back)),
    };
    from_start
        .filter(|index| *index < length)
        .ok_or(Failed::DoesNotFit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(document: Value, patch: Value) -> Result<Value, Status> {
        Operations::read(patch)?.apply(document)
    }

    #[test]
    fn takes_the_api_servers_liberties() {
        for (patch, expected) in [
            (
                json!([{"op": "replace", "path": "/new", "value": 1}]),
                json!({"a": [1, 2], "new": 1}),
            ),
            (
                json!([{"op": "add", "path": "/a/-1", "value": 3}]),
                json!({"a": [1, 2, 3]}),
            ),
            (
                json!([{"op": "add", "path": "/a/-", "value": 3}]),
                json!({"a": [1, 2, 3]}),
            ),
            (json!([{"op": "remove", "path": "/a/-2"}]), json!({"a": [2]})),
            (
                json!([{"op": "replace", "path": "/a/1", "value": 5}]),
                json!({"a": [1, 5]}),
            ),
            (
                json!([{"op": "copy", "from": "/none", "path": "/b"}]),
                json!({"a": [1, 2], "b": null}),
            ),
            (json!([{"op": "test", "path": "/none"}]), json!({"a": [1, 2]})),
            (
                json!([{"op": "add", "path": "b/c~1d", "value": 1}]),
                json!({"a": [1, 2], "c/d": 1}),
            ),
            (
                json!([{"op": "move", "from": "/a/0", "path": "/a/1"}]),
                json!({"a": [2, 1]}),
            ),
            (
                json!([{"op": "replace", "path": "", "value": {"x": 1}}]),
                json!({"x": 1}),
            ),
            (Value::Null, json!({"a": [1, 2]})),
        ] {
            let found = patched(json!({"a": [1, 2]}), patch.clone());
            assert_eq!(found, Ok(expected), "{patch}");
        }
    }

    #[test]
    fn one_sentence_for_all_that_does_not_fit() {
        for operation in [
            json!({}),
            json!({"op": "x"}),
            json!({"op": "test", "path": "/a", "value": 9}),
            json!({"op": "remove", "path": "/none"}),
            json!({"op": "remove", "path": "/none/x"}),
            json!({"op": "replace", "path": "/none/x", "value": 1}),
            json!({"op": "replace", "path": "/a/2", "value": 1}),
            json!({"op": "add", "path": "a"}),
            json!({"op": "add", "path": "", "value": {}}),
            json!({"op": "replace", "path": "", "value": 5}),
            json!({"op": "copy", "path": "/x"}),
            json!({"op": "move", "from": "/none", "path": "/x"}),
            json!({"op": "add", "path": "/a/4", "value": 1}),
            json!({"op": "add", "path": "/a/x", "value": 1}),
            json!({"op": "remove", "path": "/a/-9"}),
            json!({"op": "test", "path": "/a/9", "value": 1}),
            json!({"op": "test", "path": "", "value": {}}),
        ] {
            let refusal = patched(json!({"a": [1, 2]}), json!([operation])).unwrap_err();
            assert_eq!(refusal.code, 422, "{operation}");
            assert_eq!(
                refusal.to_json().to_string(),
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422,
                    "reason": "Invalid", "details": {},
                    "message": "the server rejected our request due to an error in our request"})
                .to_string(),
            );
        }
    }

    #[test]
    fn a_malformed_patch_is_a_bad_request() {
        for (patch, message) in [
            (
                json!({}),
                "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
            ),
            (
                json!(["x"]),
                "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp",
            ),
            (
                json!([{"op": 5, "path": "/x"}]),
                "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
            ),
        ] {
            let refusal = Operations::read(patch).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (400, message));
        }
        let refusal = Operations::read(json!(vec![json!({}); 10_001])).unwrap_err();
        assert_eq!(refusal.code, 413);
        assert_eq!(
            refusal.message,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
        );
    }

    /// Copies double, moves pile up: what could not be read back is refused, and what would take minutes.
    #[test]
    fn what_grows_is_bounded() {
        let twice = json!([
            {"op": "copy", "from": "/a", "path": "/b"}, {"op": "move", "from": "/b", "path": "/a/b"}]);
        let many: Vec<Value> = (0..200).flat_map(|_| twice.as_array().unwrap().clone()).collect();
        assert_eq!(patched(json!({"a": {}}), json!(many)).unwrap_err().code, 422);

        let deeper: Vec<Value> = (0..300)
            .map(|depth| json!({"op": "add", "path": format!("{}/a", "/a".repeat(depth)), "value": {}}))
            .collect();
        assert_eq!(patched(json!({}), json!(deeper)).unwrap_err().code, 422);

        let pile: Vec<Value> = (0..300)
            .map(|_| json!({"op": "move", "from": "/x/0", "path": "/y/0"}))
            .collect();
        let nest = (0..100).fold(json!([]), |inner, _| json!([inner]));
        let many = json!({"x": vec![nest; 300], "y": []});
        assert!(patched(many, json!(pile)).is_ok());

        let shifts = vec![json!({"op": "add", "path": "/a/0", "value": 1}); 9_999];
        let refusal = patched(json!({"a": vec![1; 100_000]}), json!(shifts)).unwrap_err();
        assert_eq!(refusal.code, 413, "{refusal}");
    }
}
