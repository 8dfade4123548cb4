//! What the schema does not know is taken out, and named for whoever asked for strictness.

use serde_json::{Map, Value};

use super::node::Node;
use super::object_meta;
use super::path::{At, FieldPath};

/// Fields of every object, which schemas need not name.
const OF_EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// In the API server's order: those of `metadata`, the others sorted, those of embedded resources' `metadata`.
pub(super) fn prune(object: &mut Map<String, Value>, root: &Node) -> Vec<FieldPath> {
    let mut unknown = Unknown::default();
    unknown.prune_metadata(object, &At::Root);
    let mut named = unknown.sorted();
    unknown.prune_fields(object, Some(root), root.preserves_unknown_fields, &At::Root);
    named.extend(unknown.sorted());
    unknown.embedded(object, root, &At::Root);
    named.extend(unknown.sorted());
    named
}

/// A null where none may be is as if the field were not there. One with a default is left for defaulting.
pub(super) fn drop_nulls(fields: &mut Map<String, Value>, node: Option<&Node>) {
    fields.retain(|name, value| {
        let node = node.and_then(|node| node.field(name));
        let goes = value.is_null() && node.is_some_and(|node| !node.nullable && node.default.is_none());
        if !goes {
            drop_nulls_within(value, node);
        }
        !goes
    });
}

fn drop_nulls_within(value: &mut Value, node: Option<&Node>) {
    if let Value::Object(fields) = value {
        drop_nulls(fields, node);
    } else if let Value::Array(items) = value {
        for item in items {
            drop_nulls_within(item, node.and_then(Node::items));
        }
    }
}

#[derive(Default)]
struct Unknown(Vec<FieldPath>);

impl Unknown {
    fn sorted(&mut self) -> Vec<FieldPath> {
        let mut found = std::mem::take(&mut self.0);
        found.sort_by_cached_key(FieldPath::dotted);
        found
    }

    /// `keeps`: a list here is of items whose unknown fields stay.
    fn prune_value(&mut self, value: &mut Value, node: Option<&Node>, keeps: bool, at: &At<'_>) {
        let keeps = keeps || node.is_some_and(|node| node.preserves_unknown_fields);
        if let Value::Object(fields) = value {
            self.prune_fields(fields, node, keeps, at);
        } else if let Value::Array(items) = value {
            let node = node.and_then(Node::items);
            if keeps && node.is_none() {
                return;
            }
            for (index, item) in items.iter_mut().enumerate() {
                self.prune_value(item, node, keeps, &at.index(index));
            }
        }
    }

    fn prune_fields(
        &mut self,
        fields: &mut Map<String, Value>,
        node: Option<&Node>,
        keeps: bool,
        at: &At<'_>,
    ) {
        let is_root = matches!(at, At::Root);
        let is_resource = is_root || node.is_some_and(|node| node.is_embedded_resource);
        fields.retain(|name, value| {
            let of_every_object = OF_EVERY_OBJECT.contains(&name.as_str());
            if is_resource && of_every_object {
                return true;
            }
            if let Some(property) = node.and_then(|node| node.properties.get(name)) {
                self.prune_value(value, Some(property), false, &at.field(name));
                true
            } else if node.is_some_and(|node| node.values.is_some() || node.any_values) {
                self.prune_value(value, node.and_then(Node::values), false, &at.key(name));
                true
            } else {
                if !keeps {
                    self.0.push(at.field(name).path());
                }
                keeps
            }
        });
    }

    /// `metadata` of a resource has a schema of its own.
    fn prune_metadata(&mut self, resource: &mut Map<String, Value>, at: &At<'_>) {
        if let Some(Value::Object(metadata)) = resource.get_mut("metadata") {
            self.prune_fields(metadata, Some(object_meta::node()), false, &at.field("metadata"));
        }
    }

    fn embedded(&mut self, fields: &mut Map<String, Value>, node: &Node, at: &At<'_>) {
        if node.is_embedded_resource {
            self.prune_metadata(fields, at);
        }
        for (name, value) in fields {
            if let Some(property) = node.properties.get(name) {
                self.embedded_within(value, property, &at.field(name));
            } else if let Some(values) = &node.values {
                self.embedded_within(value, values, &at.key(name));
            }
        }
    }

    fn embedded_within(&mut self, value: &mut Value, node: &Node, at: &At<'_>) {
        if let Value::Object(fields) = value {
            self.embedded(fields, node, at);
        } else if let (Value::Array(values), Some(items)) = (value, node.items()) {
            for (index, value) in values.iter_mut().enumerate() {
                self.embedded_within(value, items, &at.index(index));
            }
        }
    }
}
