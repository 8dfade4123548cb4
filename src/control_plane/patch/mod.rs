//! The four patches and managed fields.
//!
//! A patch is read once ([`Patch::read`]), however often the write is tried again. An apply makes the object together
//! with its managed fields ([`apply()`]); of the other three comes an object ([`Change::onto`]) that must first be read as any
//! client's is (unknown fields, defaults), and then [`track()`] works out who owns what. Whatever the kind's own rules change
//! after that, [`keep_times`] comes last, so that what changed nothing is nothing ([`writes_metadata_anew`] is the exception):
//!
//! ```text
//! apply ──────────────────────────► read, default ─► the kind's rules ─► keep_times ─► store
//! JSON, merge, strategic ─► read, default ─► track ─┘
//! ```

mod apply;
mod bounds;
mod builtin;
mod field_set;
mod json;
mod merge;
mod owners;
mod refusal;
mod shape;
mod strategic;
mod subject;
mod track;
mod typed;

pub use apply::{Config, apply};
pub use json::Operations;
pub use refusal::{beginning, invalid_result};
pub use subject::Subject;
pub use track::{keep_times, manager_of, track, writes_metadata_anew};

use serde_json::{Map, Value};

use self::typed::value;
use crate::control_plane::schema::body;
use crate::control_plane::{Cause, Object, Status};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Levels of YAML that is not JSON. Its reader takes 16 kB of stack a level in a debug build: 127 overflowed the 2 MB of a
/// thread.
const YAML_DEEPEST: usize = 32;

/// Bytes of a manager's name.
const MANAGER_MAX: usize = 128;

/// What the query of a patch says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    pub field_manager: Option<String>,
    pub force: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    Apply(Config),
    Change(Change),
}

/// A patch that says what to change, and needs an object to do it to.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Json(Operations),
    Merge(Map<String, Value>),
    Strategic(Map<String, Value>),
}

impl Patch {
    /// What is wrong with the type or the options of a request is said before its object is looked for; what is wrong with
    /// the body (the inner result) only when it was found.
    pub fn read(
        subject: &Subject,
        content_type: &str,
        options: &Options,
        body: &[u8],
    ) -> Result<Result<Self, Status>, Status> {
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let accepted: &[&str] = if subject.is_custom {
            &[JSON, MERGE, APPLY]
        } else {
            &[JSON, MERGE, STRATEGIC, APPLY]
        };
        if !accepted.contains(&content_type) {
            let said = subject.is_custom.then_some(accepted);
            return Err(refusal::unsupported_media_type(said));
        }
        check_options(options, content_type == APPLY)?;
        Ok(match content_type {
            APPLY => read_config(options, body).map(Self::Apply),
            JSON => read_json(body)
                .and_then(Operations::read)
                .map(|operations| Self::Change(Change::Json(operations))),
            MERGE => read_fields(body)
                .and_then(|fields| fields.ok_or_else(|| refusal::bad_request("Invalid JSON Patch")))
                .map(|fields| Self::Change(Change::Merge(fields))),
            _ => read_fields(body)
                .map(|fields| Self::Change(Change::Strategic(fields.unwrap_or_default())))
                .map_err(without_prefix),
        })
    }
}

impl Change {
    /// The changed object, as a client would have sent it.
    pub fn onto(&self, subject: &Subject, live: &Object) -> Result<Object, Status> {
        let changed = match self {
            Self::Json(operations) => operations.apply(Value::Object(live.fields().clone()))?,
            Self::Merge(patch) => {
                let mut fields = live.fields().clone();
                merge::merge(&mut fields, patch.clone());
                Value::Object(fields)
            }
            Self::Strategic(patch) => Value::Object(strategic::merge(
                &subject.shape,
                live.fields().clone(),
                patch.clone(),
            )?),
        };
        match changed {
            Value::Object(fields) => Ok(Object::of(Value::Object(fields)).unwrap_or_default()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(invalid_result(
                    subject,
                    &changed,
                    "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type \
                     struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
                     Kind string \"json:\\\"kind,omitempty\\\"\" }",
                ))
            }
        }
    }
}

/// An apply that would create the object must not name the one that it means to change.
pub fn check_created(subject: &Subject, name: &str, created: &Object) -> Result<(), Status> {
    match created.uid() {
        Some(uid) if !uid.is_empty() => Err(refusal::uid_of_nothing(
            &subject.group,
            &subject.plural,
            name,
            uid,
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_options(options: &Options, is_apply: bool) -> Result<(), Status> {
    let Options { field_manager, force } = options;
    let manager = field_manager.as_deref().unwrap_or_default();
    let mut causes = Vec::new();
    let mut refuse = |reason: &'static str, message: String, field: &str| {
        causes.push(Cause {
            reason,
            message,
            field: field.to_owned(),
        });
    };
    if is_apply && manager.is_empty() {
        let message = "Required value: is required for apply patch".to_owned();
        refuse("FieldValueRequired", message, "fieldManager");
    }
    if !is_apply && force.is_some() {
        let message = "Forbidden: may not be specified for non-apply patch".to_owned();
        refuse("FieldValueForbidden", message, "force");
    }
    for (reason, message) in wrong_with_manager(manager) {
        refuse(reason, message, "fieldManager");
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(refusal::invalid_options(causes))
    }
}

/// Of creates and updates too: reasons and messages of the causes at `fieldManager`.
pub fn wrong_with_manager(name: &str) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if name.len() > MANAGER_MAX {
        let message = format!("Too long: may not be more than {MANAGER_MAX} bytes");
        wrong.push(("FieldValueTooLong", message));
    }
    for (at, c) in name.char_indices().filter(|(_, c)| !value::is_printable(*c)) {
        let code = u32::from(c);
        let shown = if c.is_control() {
            String::new()
        } else {
            format!(" '{c}'")
        };
        let name = value::quoted(name);
        let message =
            format!("Invalid value: {name}: invalid character U+{code:04X}{shown} (at position {at})");
        wrong.push(("FieldValueInvalid", message));
    }
    wrong
}

fn read_config(options: &Options, body: &[u8]) -> Result<Config, Status> {
    let wrong = |why: String| refusal::bad_request(format!("error decoding YAML: {why}"));
    let value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) => {
            read_yaml(body).map_err(|why| wrong(format!("error converting YAML to JSON: yaml: {why}")))?
        }
    };
    let object = match value {
        Value::Null => Object::default(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            let refusal = not_a_map(&value);
            Object::of(value)
                .ok_or_else(|| wrong(format!("error unmarshaling JSON: while decoding JSON: {refusal}")))?
        }
    };
    Ok(Config {
        object,
        manager: options.field_manager.clone().unwrap_or_default(),
        force: options.force.unwrap_or_default(),
    })
}

/// What a body of JSON says twice, in the API server's words. Nothing where it cannot be read.
pub fn said_twice(content_type: &str, body: &[u8]) -> Vec<String> {
    let duplicates = body::read(body).map(|body| body.duplicates).unwrap_or_default();
    let of_what = if content_type.starts_with(JSON) {
        "json patch "
    } else {
        ""
    };
    let said = duplicates.iter().map(body::duplicate);
    said.map(|said| format!("{of_what}{said}")).collect()
}

/// YAML from a stranger, as JSON; the words say why not.
pub fn read_yaml(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|_| "invalid Unicode character".to_owned())?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: YAML_DEEPEST },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    })
}

fn read_json(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body).map_err(|error| {
        let why = if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        };
        refusal::bad_request(format!("error decoding patch: {why}"))
    })
}

/// None: null.
fn read_fields(body: &[u8]) -> Result<Option<Map<String, Value>>, Status> {
    let value = read_json(body)?;
    match value {
        Value::Object(fields) => Ok(Some(fields)),
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(refusal::bad_request(
            format!("error decoding patch: {}", not_a_map(&value)),
        )),
    }
}

/// The API server says the same of a strategic merge patch, but for this.
fn without_prefix(status: Status) -> Status {
    let message = match status.message.strip_prefix("error decoding patch: ") {
        Some(rest) => rest.to_owned(),
        None => status.message,
    };
    Status { message, ..status }
}

fn not_a_map(value: &Value) -> String {
    let kind = json::go_kind(value);
    format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")
}

#[cfg(test)]
mod tests;
