//! What is wrong with a field, in the API server's words.

use serde_json::Value;

use super::path::At;
use super::printed;
use crate::control_plane::Cause;

pub(super) const REQUIRED: &str = "FieldValueRequired";
pub(super) const INVALID: &str = "FieldValueInvalid";
pub(super) const TYPE_INVALID: &str = "FieldValueTypeInvalid";
pub(super) const NOT_SUPPORTED: &str = "FieldValueNotSupported";
pub(super) const TOO_LONG: &str = "FieldValueTooLong";
pub(super) const TOO_MANY: &str = "FieldValueTooMany";
pub(super) const DUPLICATE: &str = "FieldValueDuplicate";
pub(super) const FORBIDDEN: &str = "FieldValueForbidden";

/// The value that a message shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown<'a> {
    Nothing,
    Word(&'a str),
    Whole(i64),
    Value(&'a Value),
}

impl Shown<'_> {
    fn print(self) -> Option<String> {
        Some(match self {
            Self::Nothing => return None,
            Self::Word(word) => printed::quoted(word),
            Self::Whole(whole) => whole.to_string(),
            Self::Value(Value::String(word)) => printed::quoted(word),
            Self::Value(Value::Number(number)) => printed::number(number),
            Self::Value(value) => printed::json(value),
        })
    }
}

pub(super) fn required(field: String, detail: &str) -> Cause {
    cause(REQUIRED, "Required value", field, Shown::Nothing, detail)
}

pub(super) fn forbidden(field: String, detail: &str) -> Cause {
    cause(FORBIDDEN, "Forbidden", field, Shown::Nothing, detail)
}

pub(super) fn invalid(field: String, shown: Shown<'_>, detail: &str) -> Cause {
    cause(INVALID, "Invalid value", field, shown, detail)
}

pub(super) fn wrong_type(field: String, shown: Shown<'_>, detail: &str) -> Cause {
    cause(TYPE_INVALID, "Invalid value", field, shown, detail)
}

pub(super) fn duplicate(field: String, shown: Shown<'_>) -> Cause {
    cause(DUPLICATE, "Duplicate value", field, shown, "")
}

pub(super) fn not_supported(field: String, value: &Value, supported: &[Value]) -> Cause {
    let supported: Vec<String> = supported
        .iter()
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| printed::quoted(&printed::json(value)), printed::quoted)
        })
        .collect();
    let detail = format!("supported values: {}", supported.join(", "));
    cause(
        NOT_SUPPORTED,
        "Unsupported value",
        field,
        Shown::Value(value),
        &detail,
    )
}

/// "bytes" is the API server's word; it counts characters.
pub(super) fn too_long(field: String, most: i64) -> Cause {
    let bytes = if most == 1 { "byte" } else { "bytes" };
    let detail = format!("may not be more than {most} {bytes}");
    cause(TOO_LONG, "Too long", field, Shown::Nothing, &detail)
}

pub(super) fn too_many(field: String, count: i64, most: i64) -> Cause {
    let items = if most == 1 { "item" } else { "items" };
    let detail = format!("must have at most {most} {items}");
    cause(TOO_MANY, "Too many", field, Shown::Whole(count), &detail)
}

/// Instead of what the rules would say.
pub(super) fn rules_not_checked() -> Cause {
    invalid(
        At::Root.cause_field(),
        Shown::Value(&Value::Null),
        "some validation rules were not checked because the object was invalid; correct the existing errors to complete \
         validation",
    )
}

/// Rules are not checked where a value is of the wrong type or size: they rely on it.
pub(super) fn stops_rules(cause: &Cause) -> bool {
    [REQUIRED, TYPE_INVALID, NOT_SUPPORTED, TOO_LONG, TOO_MANY].contains(&cause.reason)
}

fn cause(reason: &'static str, what: &str, field: String, shown: Shown<'_>, detail: &str) -> Cause {
    let mut message = what.to_owned();
    for part in [shown.print().as_deref().unwrap_or_default(), detail] {
        if !part.is_empty() {
            message.push_str(": ");
            message.push_str(part);
        }
    }
    Cause {
        reason,
        message,
        field,
    }
}

/// All of them in one sentence, as it stands in a Status after `is invalid: `. What is said twice is said once.
pub fn joined(causes: &[Cause]) -> String {
    let mut said: Vec<String> = Vec::with_capacity(causes.len());
    for Cause {
        reason: _,
        message,
        field,
    } in causes
    {
        let sentence = format!("{field}: {message}");
        if !said.contains(&sentence) {
            said.push(sentence);
        }
    }
    match said.as_slice() {
        [alone] => alone.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}
