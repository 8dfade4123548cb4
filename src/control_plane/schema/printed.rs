//! How the API server prints a value within a message: as Go does.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

/// In quotes; what cannot be printed is escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            ' '..='~' => quoted.push(c),
            _ if is_printable(c) => quoted.push(c),
            _ => {
                let code = u32::from(c);
                // Writing to a String cannot fail.
                let _ = match code {
                    0..=0x1f | 0x7f => write!(quoted, "\\x{code:02x}"),
                    0..=0xffff => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

fn is_printable(c: char) -> bool {
    static PRINTABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").ok());
    let mut buffer = [0; 4];
    PRINTABLE
        .as_ref()
        .is_some_and(|printable| printable.is_match(c.encode_utf8(&mut buffer)))
}

/// A whole number as it is; any other one with an exponent from a million on.
pub(super) fn number(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(float)) => self::float(float),
        (None, None) => number.to_string(),
    }
}

pub(super) fn float(float: f64) -> String {
    let scientific = format!("{float:e}");
    match exponent_of(&scientific) {
        Some(exponent) if !(-4..6).contains(&exponent) => with_exponent(&scientific, exponent, 2),
        Some(_) | None => format!("{float}"),
    }
}

fn exponent_of(scientific: &str) -> Option<i32> {
    scientific.split_once('e')?.1.parse().ok()
}

/// Go writes its sign always, and some digits at least.
fn with_exponent(scientific: &str, exponent: i32, digits: usize) -> String {
    let mantissa = scientific
        .split_once('e')
        .map_or(scientific, |(mantissa, _)| mantissa);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:0digits$}", exponent.unsigned_abs())
}

/// Without blanks, keys sorted, and `<`, `>`, `&` escaped.
pub(super) fn json(value: &Value) -> String {
    let mut text = String::new();
    write_json(value, &mut text);
    text
}

fn write_json(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => text.push_str(&json_number(number)),
        Value::String(word) => write_json_string(word, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json_string(key, text);
                text.push(':');
                write_json(value, text);
            }
            text.push('}');
        }
    }
}

fn json_number(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(float)) if float != 0.0 && !(1e-6..1e21).contains(&float.abs()) => {
            let scientific = format!("{float:e}");
            let exponent = exponent_of(&scientific).unwrap_or_default();
            with_exponent(&scientific, exponent, 1)
        }
        (None, Some(float)) => format!("{float}"),
        (None, None) => number.to_string(),
    }
}

fn write_json_string(word: &str, text: &mut String) {
    text.push('"');
    for c in word.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            _ => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// All of it as Go 1.26 printed it.
    #[test]
    fn values_are_printed_as_go_does() {
        for (value, printed, in_json) in [
            (1e5, "100000", "100000"),
            (1e6, "1e+06", "1000000"),
            (123_456_789.5, "1.234567895e+08", "123456789.5"),
            (1e20, "1e+20", "100000000000000000000"),
            (1.5e22, "1.5e+22", "1.5e+22"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "0.00001"),
            (1.0, "1", "1"),
            (1.5e-7, "1.5e-07", "1.5e-7"),
        ] {
            assert_eq!(float(value), printed);
            assert_eq!(json(&json!(value)), in_json);
        }
        assert_eq!(
            quoted("a\"\\\n\u{ad}\u{200b}\u{e9}\u{1F600}\u{301}\u{2028}\u{0}\u{7f}\u{a0}\u{e000}"),
            "\"a\\\"\\\\\\n\\u00ad\\u200b\u{e9}\u{1F600}\u{301}\\u2028\\x00\\x7f\\u00a0\\ue000\""
        );
        assert_eq!(
            json(&json!({"b": ["\u{7f}\u{0}<\u{2028}\u{8}", null], "a": -1})),
            "{\"a\":-1,\"b\":[\"\u{7f}\\u0000\\u003c\\u2028\\b\",null]}"
        );
    }
}
