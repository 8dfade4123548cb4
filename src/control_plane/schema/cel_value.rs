//! JSON as the values that rules see, by the schema: a field that may be null, a moment in time.

use std::collections::HashMap;

use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::objects::Key;
use kube_cel::cel::{Context, Value as Cel};
use serde_json::{Map, Number, Value};

use super::change::Here;
use super::escape::escaped;
use super::format::Format;
use super::node::{DataType, Node};
use super::sight::Sight;

/// Err: it is not of the type that the schema names, in the API server's words.
pub(super) fn of(node: &Node, here: Here<'_>, sight: &Sight, context: &Context<'_>) -> Result<Cel, String> {
    let conversion = Conversion { context };
    match here {
        Here::Fields(fields) => conversion.fields(Some(node), fields, sight),
        Here::Value(value) => conversion.value(Some(node), value, sight),
    }
}

/// About how many bytes there are to look at.
pub(super) fn size(here: Here<'_>) -> usize {
    match here {
        Here::Fields(fields) => fields
            .iter()
            .map(|(key, value)| 8 + key.len() + size(value.into()))
            .sum(),
        Here::Value(Value::String(text)) => 8 + text.len(),
        Here::Value(Value::Array(items)) => items.iter().map(|item| 8 + size(item.into())).sum(),
        Here::Value(_) => 8,
    }
}

struct Conversion<'c> {
    context: &'c Context<'c>,
}

impl Conversion<'_> {
    fn value(&self, node: Option<&Node>, value: &Value, sight: &Sight) -> Result<Cel, String> {
        let Some(node) = node else {
            return self.anything(value, sight);
        };
        if value.is_null() {
            return if node.nullable {
                Ok(Cel::Null)
            } else {
                Err("invalid data, got null for schema with nullable=false".to_owned())
            };
        }
        if node.is_int_or_string {
            return match value {
                Value::String(_) => self.anything(value, sight),
                Value::Number(number) if number.is_i64() => self.anything(value, sight),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(
                    "invalid data, expected XIntOrString value to be either a string or integer".to_owned(),
                ),
            };
        }
        match (node.data_type, value) {
            (Some(DataType::Object), Value::Object(fields)) => self.fields(Some(node), fields, sight),
            (Some(DataType::Array), Value::Array(items)) => self.items(node.items(), items),
            (Some(DataType::String), Value::String(text)) => self.text(node, text),
            (Some(DataType::Integer), Value::Number(number)) => number
                .as_i64()
                .map(Cel::Int)
                .ok_or_else(|| "invalid data, expected int, got float64".to_owned()),
            (Some(DataType::Number), Value::Number(number)) => {
                Ok(Cel::Float(number.as_f64().unwrap_or_default()))
            }
            (Some(DataType::Boolean), Value::Bool(truth)) => Ok(Cel::Bool(*truth)),
            (None, _) => self.anything(value, sight),
            (
                Some(
                    data_type @ (DataType::Object
                    | DataType::Array
                    | DataType::String
                    | DataType::Integer
                    | DataType::Number
                    | DataType::Boolean),
                ),
                _,
            ) => Err(format!("invalid data, expected {}", data_type.word())),
        }
    }

    /// Keys that the user chose are as they are; names of fields are escaped, or no rule could name some of them.
    fn fields(&self, node: Option<&Node>, fields: &Map<String, Value>, sight: &Sight) -> Result<Cel, String> {
        let mut seen = HashMap::new();
        let mut see = |name: &String, value: &Value, sight: &Sight| -> Result<(), String> {
            let is_named = node.is_some_and(|node| node.properties.contains_key(name));
            let key = if is_named { escaped(name) } else { None };
            let key = key.unwrap_or_else(|| name.clone());
            let below = node.and_then(|node| node.field(name));
            seen.insert(Key::from(key), self.value(below, value, sight)?);
            Ok(())
        };
        match sight {
            Sight::Everything => fields
                .iter()
                .try_for_each(|(name, value)| see(name, value, &Sight::Everything))?,
            Sight::Fields(names) => names.iter().try_for_each(|(name, sight)| {
                fields.get(name).map_or(Ok(()), |value| see(name, value, sight))
            })?,
        }
        Ok(Cel::from(seen))
    }

    fn items(&self, node: Option<&Node>, items: &[Value]) -> Result<Cel, String> {
        let items = items
            .iter()
            .map(|item| self.value(node, item, &Sight::Everything));
        Ok(Cel::List(items.collect::<Result<Vec<_>, _>>()?.into()))
    }

    fn text(&self, node: &Node, text: &str) -> Result<Cel, String> {
        match node.bounds.format {
            Some(Format::DateTime) => self.moment(text, text),
            Some(Format::Date) => self.moment(text, &format!("{text}T00:00:00Z")),
            None | Some(Format::Uuid | Format::ShortName | Format::LongName | Format::Password) => {
                Ok(Cel::from(text))
            }
        }
    }

    fn moment(&self, text: &str, moment: &str) -> Result<Cel, String> {
        let ided = |expr| IdedExpr { id: 0, expr };
        let call = ided(Expr::Call(CallExpr {
            func_name: "timestamp".to_owned(),
            target: None,
            args: vec![ided(Expr::Literal(LiteralValue::String(moment.into())))],
        }));
        self.context
            .resolve(&call)
            .map_err(|_| format!("Invalid date-time formatted string {text}"))
    }

    fn anything(&self, value: &Value, sight: &Sight) -> Result<Cel, String> {
        Ok(match value {
            Value::Null => Cel::Null,
            Value::Bool(truth) => Cel::Bool(*truth),
            Value::Number(number) => any_number(number),
            Value::String(text) => Cel::from(text.as_str()),
            Value::Array(items) => self.items(None, items)?,
            Value::Object(fields) => self.fields(None, fields, sight)?,
        })
    }
}

fn any_number(number: &Number) -> Cel {
    number
        .as_i64()
        .map_or_else(|| Cel::Float(number.as_f64().unwrap_or_default()), Cel::Int)
}
