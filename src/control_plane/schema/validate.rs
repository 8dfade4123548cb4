//! Whether values are of the right type, size and form, as the API server checks them: node by node, from the outside in.
//!
//! A change may leave alone what was already wrong: causes within a value that is as it was before are forgotten.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::cause::{self, Shown};
use super::correlate;
use super::node::{DataType, Limit, Node};
use super::number::{fits, is_beyond, is_whole, limit_as_printed, truncated};
use super::path::At;
use super::printed;
use super::types::wrong_type;
use crate::control_plane::Cause;

pub(super) fn object(root: &Node, new: &Map<String, Value>, old: Option<&Map<String, Value>>) -> Vec<Cause> {
    let mut walk = Walk::of("");
    walk.fields(root, new, old, &At::Root);
    if old.is_some_and(|old| correlate::are_equal(root, new, old)) {
        walk.causes.clear();
    }
    walk.causes
}

/// One field of the object by itself, as the API server treats `status`.
pub(super) fn part(name: &'static str, node: &Node, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut walk = Walk::of(name);
    walk.value(node, new, old, &At::Root);
    walk.causes
}

/// No more is found than that: a body of 3 MiB has room for a million items that are wrong, each with a sentence.
const MOST_CAUSES: usize = 10_000;

struct Walk {
    /// The field whose value this is; empty: the whole object.
    part: &'static str,
    causes: Vec<Cause>,
}

impl Walk {
    fn of(part: &'static str) -> Self {
        Self {
            part,
            causes: Vec::new(),
        }
    }

    fn value(&mut self, node: &Node, value: &Value, old: Option<&Value>, at: &At<'_>) {
        let before = self.causes.len();
        self.check_type(node, value, at);
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => self.text(node, value, text, at),
            Value::Number(number) => self.number(node, value, number, at),
            Value::Array(items) => self.items(node, items, old, at),
            Value::Object(_) => {}
        }
        let allowed = &node.bounds.allowed;
        if !allowed.is_empty() && !allowed.iter().any(|allowed| is_same(value, allowed)) {
            self.causes
                .push(cause::not_supported(self.field(at), value, allowed));
        }
        if let Value::Object(fields) = value {
            self.fields(node, fields, old.and_then(Value::as_object), at);
        }
        if self.causes.len() > before && old.is_some_and(|old| correlate::is_equal(node, value, old)) {
            self.causes.truncate(before);
        }
    }

    fn check_type(&mut self, node: &Node, value: &Value, at: &At<'_>) {
        if let Some((expected, found)) = wrong_type(node, value) {
            let detail = format!(
                "{}must be of type {expected}: {}",
                body(at),
                printed::quoted(found)
            );
            let cause = cause::wrong_type(self.field(at), Shown::Word(found), &detail);
            self.causes.push(cause);
        }
    }

    fn text(&mut self, node: &Node, value: &Value, text: &str, at: &At<'_>) {
        let bounds = &node.bounds;
        // A character has at least one byte: most texts need not be counted.
        let is_longer = |most: i64| within(text.len()) > most && within(text.chars().count()) > most;
        let cause = if let Some(most) = bounds.max_length.filter(|most| is_longer(*most)) {
            Some(cause::too_long(self.field(at), most))
        } else if let Some(least) = bounds.min_length.filter(|least| !is_longer(least - 1)) {
            let detail = format!("{}should be at least {least} chars long", body(at));
            Some(cause::invalid(self.field(at), Shown::Value(value), &detail))
        } else if let Some(pattern) = bounds.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            let detail = format!("{}should match '{}'", body(at), pattern.source());
            Some(cause::invalid(self.field(at), Shown::Value(value), &detail))
        } else {
            None
        };
        self.causes.extend(cause);
        if bounds.format.is_some_and(|format| !format.accepts(text)) {
            let (name, value) = (&bounds.format_name, printed::quoted(text));
            let detail = format!("{}must be of type {name}: {value}", body(at));
            let cause = cause::wrong_type(self.field(at), Shown::Word(text), &detail);
            self.causes.push(cause);
        }
    }

    fn number(&mut self, node: &Node, value: &Value, number: &Number, at: &At<'_>) {
        let bounds = &node.bounds;
        if !fits(node, number) {
            let type_name = node.data_type.map_or("", DataType::word);
            let format = match bounds.format_name.as_str() {
                "" => "(default format)".to_owned(),
                name => format!("with format {name}"),
            };
            let place = at.path().dotted();
            let detail = format!("Checked value must be of type {type_name} {format} in {place}");
            let field = self.field(&At::Root);
            self.causes.push(cause::invalid(field, Shown::Word(""), &detail));
        }
        if let Some(factor) = bounds.multiple_of {
            self.multiple(value, number, factor, at);
        }
        if let Some(least) = bounds
            .minimum
            .filter(|least| is_beyond(number, *least, Ordering::Less))
        {
            let (or_equal, limit) = (or_equal(least), limit_as_printed(number, least.value));
            self.out_of_range(value, at, &format!("should be greater than{or_equal} {limit}"));
        }
        if let Some(most) = bounds
            .maximum
            .filter(|most| is_beyond(number, *most, Ordering::Greater))
        {
            let (or_equal, limit) = (or_equal(most), limit_as_printed(number, most.value));
            self.out_of_range(value, at, &format!("should be less than{or_equal} {limit}"));
        }
    }

    /// Of a whole number only the whole part of the factor counts, and there must be one.
    fn multiple(&mut self, value: &Value, number: &Number, factor: f64, at: &At<'_>) {
        let is_multiple = match number.as_i64() {
            Some(_) if factor < 1.0 => {
                let detail = format!(
                    "factor MultipleOf declared for {} must be positive: 0",
                    at.path().dotted()
                );
                let field = self.field(at);
                self.causes.push(cause::invalid(field, Shown::Whole(0), &detail));
                return;
            }
            Some(whole) => whole.checked_rem(truncated(factor)) == Some(0),
            None => number.as_f64().is_some_and(|float| is_whole(float / factor)),
        };
        if !is_multiple {
            let factor = limit_as_printed(number, factor);
            self.out_of_range(value, at, &format!("should be a multiple of {factor}"));
        }
    }

    fn out_of_range(&mut self, value: &Value, at: &At<'_>, detail: &str) {
        let detail = format!("{}{detail}", body(at));
        let cause = cause::invalid(self.field(at), Shown::Value(value), &detail);
        self.causes.push(cause);
    }

    fn items(&mut self, node: &Node, items: &[Value], old: Option<&Value>, at: &At<'_>) {
        if let Some(item_node) = node.items() {
            for (index, item) in items.iter().enumerate() {
                if self.causes.len() >= MOST_CAUSES {
                    break;
                }
                let old = old.and_then(|old| correlate::item(node, item, old));
                self.value(item_node, item, old, &at.index(index));
            }
        }
        let count = within(items.len());
        if let Some(least) = node.bounds.min_items.filter(|least| count < *least) {
            let detail = format!("{}should have at least {least} items", body(at));
            let cause = cause::invalid(self.field(at), Shown::Whole(count), &detail);
            self.causes.push(cause);
        }
        if let Some(most) = node.bounds.max_items.filter(|most| count > *most) {
            self.causes.push(cause::too_many(self.field(at), count, most));
        }
    }

    fn fields(
        &mut self,
        node: &Node,
        fields: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
        at: &At<'_>,
    ) {
        let count = within(fields.len());
        if let Some(least) = node.bounds.min_properties.filter(|least| count < *least) {
            let detail = format!("{}should have at least {least} properties", body(at));
            let cause = cause::invalid(self.field(at), Shown::Whole(count), &detail);
            self.causes.push(cause);
        }
        if let Some(most) = node.bounds.max_properties.filter(|most| count > *most) {
            self.causes.push(cause::too_many(self.field(at), count, most));
        }
        if let Some(values) = node.values() {
            for (key, value) in fields
                .iter()
                .filter(|(key, _)| !node.properties.contains_key(*key))
            {
                if self.causes.len() >= MOST_CAUSES {
                    break;
                }
                let old = old.and_then(|old| correlate::field(node, key, old));
                self.value(values, value, old, &at.key(key));
            }
        }
        for (name, property) in &node.properties {
            if let Some(value) = fields.get(name) {
                // Both are read as the version that is asked for, so they always look alike.
                let is_type = matches!(at, At::Root) && ["kind", "apiVersion"].contains(&name.as_str());
                let old = old
                    .filter(|_| !is_type)
                    .and_then(|old| correlate::field(node, name, old));
                self.value(property, value, old, &at.field(name));
            }
        }
        for name in &node.bounds.required {
            if !fields.contains_key(name) {
                self.causes.push(cause::required(self.field(&at.field(name)), ""));
            }
        }
    }

    fn field(&self, at: &At<'_>) -> String {
        let dotted = at.path().dotted();
        match (self.part, dotted.as_str()) {
            ("", "") => At::Root.cause_field(),
            ("", _) => dotted,
            (part, "") => part.to_owned(),
            (part, _) => format!("{part}.{dotted}"),
        }
    }
}

fn body(at: &At<'_>) -> String {
    format!("{} in body ", at.path().dotted())
}

fn or_equal(limit: Limit) -> &'static str {
    if limit.exclusive { "" } else { " or equal to" }
}

fn is_same(value: &Value, allowed: &Value) -> bool {
    match (value.as_f64(), allowed.as_f64()) {
        #[expect(clippy::float_cmp, reason = "1 and 1.0 are the same choice")]
        (Some(value), Some(allowed)) => value == allowed,
        // An allowed null allows nothing, even where null may stand.
        (None | Some(_), _) => value == allowed && !value.is_null(),
    }
}

fn within(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
