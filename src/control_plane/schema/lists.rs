//! What must be there once is there once: the values of a set, the keys of a map kept as a list.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::cause::{self, Shown};
use super::node::{ListType, Node};
use super::path::At;
use crate::control_plane::Cause;

pub(super) fn validate(node: &Node, fields: &Map<String, Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_fields(node, fields, &At::Root, &mut causes);
    causes
}

fn check_fields(node: &Node, fields: &Map<String, Value>, at: &At<'_>, causes: &mut Vec<Cause>) {
    for (name, value) in fields {
        if let Some(property) = node.properties.get(name) {
            check(property, value, &at.field(name), causes);
        } else if let Some(values) = node.values() {
            check(values, value, &at.key(name), causes);
        }
    }
}

fn check(node: &Node, value: &Value, at: &At<'_>, causes: &mut Vec<Cause>) {
    if let Value::Object(fields) = value {
        check_fields(node, fields, at, causes);
    } else if let Value::Array(items) = value {
        match &node.list_type {
            ListType::Atomic => {}
            ListType::Set => {
                for (index, item) in second_ones(items) {
                    causes.push(cause::duplicate(
                        at.index(index).cause_field(),
                        Shown::Value(item),
                    ));
                }
            }
            ListType::Map(keys) => check_keys(keys, items, at, causes),
        }
        if let Some(below) = node.items() {
            for (index, item) in items.iter().enumerate() {
                check(below, item, &at.index(index), causes);
            }
        }
    }
}

fn check_keys(keys: &[String], items: &[Value], at: &At<'_>, causes: &mut Vec<Cause>) {
    let is_item = |item: &&Value| item.is_object() || item.is_null();
    if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| !is_item(item)) {
        let detail = "must be an object for an array of list-type map";
        let field = at.index(index).cause_field();
        causes.push(cause::invalid(field, Shown::Value(item), detail));
        return;
    }
    // What an item lacks is part of what it is known by.
    let known_by: Vec<Value> = items
        .iter()
        .map(|item| {
            let of_item = keys
                .iter()
                .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
            Value::Object(of_item.collect())
        })
        .collect();
    for (index, known_by) in second_ones(&known_by) {
        causes.push(cause::duplicate(
            at.index(index).cause_field(),
            Shown::Value(known_by),
        ));
    }
}

/// Each value that is there more than once, where it is for the second time.
fn second_ones(values: &[Value]) -> Vec<(usize, &Value)> {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(values.len());
    let mut second = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let times = seen.entry(value.to_string()).or_default();
        *times += 1;
        if *times == 2 {
            second.push((index, value));
        }
    }
    second
}
