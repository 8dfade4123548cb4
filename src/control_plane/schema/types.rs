//! Whether a value is of the type that the schema names.

use serde_json::Value;

use super::node::{DataType, Node};
use super::number::is_whole;

/// The type that was expected, and the one that was found.
pub(super) fn wrong_type<'n>(node: &'n Node, value: &Value) -> Option<(&'n str, &'static str)> {
    let takes = |data_type: DataType| {
        node.data_type == Some(data_type)
            || node.is_int_or_string && [DataType::Integer, DataType::String].contains(&data_type)
    };
    let expected = if node.is_int_or_string {
        "integer,string"
    } else {
        node.data_type.map_or("", DataType::word)
    };
    let format = node.bounds.format_name.as_str();
    let (found, found_format) = match value {
        Value::Null if expected.is_empty() || node.nullable => return None,
        Value::Null => return Some((expected, "null")),
        Value::Bool(_) => (DataType::Boolean, ""),
        Value::String(_) => (DataType::String, ""),
        Value::Number(number) if number.as_i64().is_some() => (DataType::Integer, "int64"),
        Value::Number(_) => (DataType::Number, "float64"),
        Value::Array(_) => (DataType::Array, ""),
        Value::Object(_) => (DataType::Object, ""),
    };
    if expected.is_empty() && format.is_empty() {
        return None;
    }
    let is_accepted = takes(found)
        || found == DataType::Integer && takes(DataType::Number)
        || takes(DataType::Integer) && value.as_f64().is_some_and(is_whole);
    if !format.is_empty() {
        let is_text_or_list = [DataType::String, DataType::Array].contains(&found);
        if !is_text_or_list && !is_accepted && found_format != format {
            return Some((format, found_format));
        }
        // Of a text with a format the API server lets a list pass.
        if is_text_or_list && !takes(DataType::Integer) && !takes(DataType::Number) {
            return None;
        }
    }
    (!is_accepted).then(|| (expected, found.word()))
}
