//! A body of JSON, read strictly: a field that is there twice is named, and one that nests without end is refused.

use std::fmt::{self, Formatter};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Number, Value};

use super::path::{At, FieldPath};

/// An object of ours nests about ten levels. Everything that walks an object later, and its end, goes as deep.
const DEEPEST: usize = 100;

/// As many duplicates are named. The API server stops there too.
const MOST_DUPLICATES: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub value: Value,
    /// `duplicate field "spec.foo"`; the last one counts. Each is named once, where its second one stands.
    pub duplicates: Vec<FieldPath>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is no JSON: {0}")]
    Malformed(String),
    #[error("the body nests deeper than {DEEPEST} levels: exceeded max depth")]
    TooDeep,
}

pub fn read(text: &[u8]) -> Result<Body, BodyError> {
    let mut duplicates = Vec::new();
    let mut is_too_deep = false;
    let mut deserializer = Deserializer::from_slice(text);
    let place = Place {
        at: At::Root,
        depth: 0,
        duplicates: &mut duplicates,
        is_too_deep: &mut is_too_deep,
    };
    let read = place
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => Ok(Body { value, duplicates }),
        Err(_) if is_too_deep => Err(BodyError::TooDeep),
        Err(error) => Err(BodyError::Malformed(error.to_string())),
    }
}

struct Place<'a> {
    at: At<'a>,
    depth: usize,
    duplicates: &'a mut Vec<FieldPath>,
    is_too_deep: &'a mut bool,
}

impl Place<'_> {
    fn below<'b>(&'b mut self, at: At<'b>) -> Place<'b> {
        Place {
            at,
            depth: self.depth + 1,
            duplicates: self.duplicates,
            is_too_deep: self.is_too_deep,
        }
    }

    fn go_deeper<E: serde::de::Error>(&mut self) -> Result<(), E> {
        *self.is_too_deep = self.depth >= DEEPEST;
        if *self.is_too_deep {
            return Err(E::custom("exceeded max depth"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Value, E> {
        Ok(whole.into())
    }

    /// What does not fit 63 bits is a fraction to the API server.
    fn visit_u64<E>(self, whole: u64) -> Result<Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "as the API server does")]
        Ok(i64::try_from(whole).map_or_else(|_| (whole as f64).into(), Value::from))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Number::from_f64(float).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.go_deeper()?;
        let at = self.at;
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self.below(at.index(read.len())))? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        self.go_deeper()?;
        let at = self.at;
        let mut read = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if read.contains_key(&name) {
                let path = at.field(&name).path();
                if self.duplicates.len() < MOST_DUPLICATES && !self.duplicates.contains(&path) {
                    self.duplicates.push(path);
                }
            }
            let value = fields.next_value_seed(self.below(at.field(&name)))?;
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}

/// As the API server writes it when all is checked: `1.0` is stored as `1`, and is a whole number from then on. What does
/// not fit 63 bits stays a fraction.
pub fn settle_numbers(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => {}
        Value::Number(number) => {
            let printed = number.as_f64().filter(|_| number.is_f64());
            if let Some(whole) = printed.and_then(|float| float.to_string().parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle_numbers),
        Value::Object(fields) => fields.values_mut().for_each(settle_numbers),
    }
}

/// A number that is written as a fraction, even `1.0`: what is read into a whole number takes none.
pub fn first_fraction(value: &Value) -> Option<&Number> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => None,
        Value::Number(number) => number.is_f64().then_some(number),
        Value::Array(items) => items.iter().find_map(first_fraction),
        Value::Object(fields) => fields.values().find_map(first_fraction),
    }
}

/// `duplicate field "spec.foo"`
pub fn duplicate(path: &FieldPath) -> String {
    format!("duplicate field \"{}\"", path.dotted())
}

/// `unknown field "spec.bar"`
pub fn unknown(path: &FieldPath) -> String {
    format!("unknown field \"{}\"", path.dotted())
}

/// `strict decoding error: duplicate field "spec.foo", unknown field "spec.bar"`
pub fn strict_decoding_error(ambiguous: &[String]) -> String {
    format!("strict decoding error: {}", ambiguous.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn duplicates_are_named_and_the_last_one_counts() {
        let text = br#"{"a":1,"spec":{"x":1,"x":2,"x":3,"files":[{},{"n":1,"n":2}]},"a":{"b":1,"b":2}}"#;
        let body = read(text).unwrap();
        assert_eq!(
            strict_decoding_error(&body.duplicates.iter().map(duplicate).collect::<Vec<_>>()),
            "strict decoding error: duplicate field \"spec.x\", duplicate field \"spec.files[1].n\", duplicate field \
             \"a\", duplicate field \"a.b\""
        );
        assert_eq!(
            body.value,
            json!({"a": {"b": 2}, "spec": {"x": 3, "files": [{}, {"n": 2}]}})
        );
    }

    #[test]
    fn numbers_are_as_wide_as_the_api_servers() {
        let body = read(b"[1, -1, 1.0, 9223372036854775807, 9223372036854775808, 1e3]").unwrap();
        assert_eq!(
            body.value,
            json!([
                1,
                -1,
                1.0,
                9_223_372_036_854_775_807_i64,
                9_223_372_036_854_775_808.0,
                1000.0
            ])
        );
    }

    #[test]
    fn what_is_stored_of_a_whole_number_is_whole() {
        let mut value = read(b"[1.0, -0.0, 1e3, 1.5, 9223372036854775808, 1e300]")
            .unwrap()
            .value;
        settle_numbers(&mut value);
        assert_eq!(
            value,
            json!([1, 0, 1000, 1.5, 9_223_372_036_854_775_808.0, 1e300])
        );
    }

    #[test]
    fn a_body_without_end_is_refused_and_not_walked() {
        for deep in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 20)] {
            assert_eq!(read(deep.as_bytes()), Err(BodyError::TooDeep));
        }
        let legal = format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
        assert!(read(legal.as_bytes()).is_ok());
        let deeper = format!("{}{}", "[".repeat(DEEPEST + 1), "]".repeat(DEEPEST + 1));
        assert_eq!(read(deeper.as_bytes()), Err(BodyError::TooDeep));
    }

    #[test]
    fn what_is_no_json_is_said_so() {
        for text in ["", "{", "{\"a\":1}x", "{\"a\":1,}", "\u{0}"] {
            assert!(
                matches!(read(text.as_bytes()), Err(BodyError::Malformed(_))),
                "{text}"
            );
        }
    }
}
