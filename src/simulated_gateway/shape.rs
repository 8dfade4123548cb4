//! What a request may look like. The gateway's objects are closed and its complaints are its own: first one missing
//! property, then one that is unexpected, then every value that is wrong, joined by "; ".

use serde_json::{Map, Value};

use super::contract::Contract;

/// The properties of one object. It is closed, unless [`OTHERS`] are among them.
pub(super) struct Shape(pub(super) &'static [Property]);

pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// With at least so many characters.
    Text(usize),
    TextOrNull,
    /// A SHA-256 in hex.
    Hash,
    /// At least this.
    Integer(u64),
    Number,
    Flag,
    Texts,
    OneOf(&'static [&'static str]),
    /// A union: its values are told one by one, then the union as a whole.
    AnyOf(&'static [&'static str]),
    Is(&'static str),
    Object(&'static Shape),
    OpenObject,
    Any,
}

pub(super) const fn must(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        required: true,
        kind,
    }
}

pub(super) const fn may(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        required: false,
        kind,
    }
}

/// Whatever else there is.
pub(super) const OTHERS: Property = may("*", Kind::Any);

/// The complaint about `value`, or none. Absent parameters count as an empty object.
pub(super) fn complaint(shape: &Shape, value: &Value, contract: Contract) -> Option<String> {
    let mut complaints = Vec::new();
    check(shape, value, "", contract, &mut complaints);
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

fn check(shape: &Shape, value: &Value, at: &str, contract: Contract, complaints: &mut Vec<String>) {
    let Some(object) = value.as_object() else {
        return complaints.push(located(at, "must be object"));
    };
    let Shape(properties) = shape;
    // Of several that are missing, or too many, only the first is told; 2026.2.9 tells all.
    let told = match contract {
        Contract::V2026_2_9 => usize::MAX,
        Contract::V2026_7_35 | Contract::V2026_9_6 => 1,
    };
    let missing = properties
        .iter()
        .filter(|property| property.required && !object.contains_key(property.name));
    for Property { name, .. } in missing.take(told) {
        complaints.push(located(at, &format!("must have required property '{name}'")));
    }
    for name in unexpected(properties, object).take(told) {
        let place = if at.is_empty() {
            "at root".to_owned()
        } else {
            format!("at {at}")
        };
        complaints.push(format!("{place}: unexpected property '{name}'"));
    }
    for Property { name, kind, .. } in *properties {
        if let Some(value) = object.get(*name) {
            check_kind(kind, value, &format!("{at}/{name}"), contract, complaints);
        }
    }
}

fn unexpected<'a>(
    properties: &'a [Property],
    object: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a String> {
    let is_known = |key: &str| {
        properties
            .iter()
            .any(|property| property.name == key || property.name == OTHERS.name)
    };
    object.keys().filter(move |key| !is_known(key))
}

fn check_kind(kind: &Kind, value: &Value, at: &str, contract: Contract, complaints: &mut Vec<String>) {
    let mut complain = |what: &str| complaints.push(located(at, what));
    match kind {
        Kind::Any => {}
        Kind::TextOrNull if value.is_null() => {}
        Kind::Text(_) | Kind::TextOrNull => match value.as_str() {
            None => complain("must be string"),
            Some(text) => {
                let least = if let Kind::Text(least) = kind { *least } else { 1 };
                if text.chars().count() < least {
                    complain(&too_short(least, contract));
                }
            }
        },
        Kind::Hash => match value.as_str() {
            None => complain("must be string"),
            Some(text) => {
                if text.len() < 64 {
                    complain(&too_short(64, contract));
                }
                if text.len() > 64 {
                    complain("must not have more than 64 characters");
                }
                if text.len() != 64 || !text.chars().all(|c| c.is_ascii_hexdigit()) {
                    complain("must match pattern \"^[a-fA-F0-9]{64}$\"");
                }
            }
        },
        Kind::Integer(least) => match value.as_i64() {
            None => complain("must be integer"),
            Some(number) if number < i64::try_from(*least).unwrap_or(i64::MAX) => {
                complain(&format!("must be >= {least}"));
            }
            Some(_) => {}
        },
        Kind::Number => {
            if !value.is_number() {
                complain("must be number");
            }
        }
        Kind::Flag => {
            if !value.is_boolean() {
                complain("must be boolean");
            }
        }
        Kind::Texts => match value.as_array() {
            None => complain("must be array"),
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    check_kind(
                        &Kind::Text(1),
                        item,
                        &format!("{at}/{index}"),
                        contract,
                        complaints,
                    );
                }
            }
        },
        Kind::OneOf(allowed) => {
            if !value.as_str().is_some_and(|text| allowed.contains(&text)) {
                complain("must be equal to one of the allowed values");
            }
        }
        Kind::AnyOf(allowed) => {
            if !value.as_str().is_some_and(|text| allowed.contains(&text)) {
                // Each value of the union is told, but the same words only once.
                complain("must be equal to constant");
                complain("must match a schema in anyOf");
            }
        }
        Kind::Is(word) => {
            if value.as_str() != Some(word) {
                complain("must be equal to constant");
            }
        }
        Kind::Object(shape) => check(shape, value, at, contract, complaints),
        Kind::OpenObject => {
            if !value.is_object() {
                complain("must be object");
            }
        }
    }
}

/// 2026.2.9 shouts.
fn too_short(least: usize, contract: Contract) -> String {
    let not = match contract {
        Contract::V2026_2_9 => "NOT",
        Contract::V2026_7_35 | Contract::V2026_9_6 => "not",
    };
    format!("must {not} have fewer than {least} characters")
}

fn located(at: &str, what: &str) -> String {
    if at.is_empty() {
        what.to_owned()
    } else {
        format!("at {at}: {what}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INNER: Shape = Shape(&[must("id", Kind::Text(1))]);
    const SHAPE: Shape = Shape(&[
        must("name", Kind::Text(1)),
        must("other", Kind::Text(0)),
        may("hash", Kind::Hash),
        may("inner", Kind::Object(&INNER)),
    ]);

    const OPEN: Shape = Shape(&[may("name", Kind::Text(1)), OTHERS]);

    fn says(value: &Value) -> Option<String> {
        complaint(&SHAPE, value, Contract::V2026_9_6)
    }

    #[test]
    fn complaints_read_as_recorded() {
        assert_eq!(says(&json!({"name": "x", "other": ""})), None);
        assert_eq!(says(&json!([])).unwrap(), "must be object");
        assert_eq!(
            says(&json!({"a": 1, "b": 2})).unwrap(),
            "must have required property 'name'; at root: unexpected property 'a'"
        );
        assert_eq!(
            says(&json!({"name": "", "other": 5})).unwrap(),
            "at /name: must not have fewer than 1 characters; at /other: must be string"
        );
        assert_eq!(
            says(&json!({"name": "x", "other": "", "inner": {"x": 1}})).unwrap(),
            "at /inner: must have required property 'id'; at /inner: unexpected property 'x'"
        );
        assert_eq!(
            says(&json!({"name": "x", "other": "", "hash": "zz"})).unwrap(),
            "at /hash: must not have fewer than 64 characters; at /hash: must match pattern \"^[a-fA-F0-9]{64}$\""
        );
        assert_eq!(
            complaint(&OPEN, &json!({"a": 1, "name": 5}), Contract::V2026_9_6).unwrap(),
            "at /name: must be string"
        );
        assert_eq!(
            complaint(&SHAPE, &json!({"name": "", "other": ""}), Contract::V2026_2_9).unwrap(),
            "at /name: must NOT have fewer than 1 characters"
        );
    }
}
