//! What a patch must know of a kind.

use serde_json::{Value, json};

use super::builtin;
use super::field_set::FieldSet;
use super::shape::Shape;
use crate::control_plane::Object;

#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    /// Custom kinds take no strategic merge patch: no schema says how their lists are merged.
    pub is_custom: bool,
    /// What a request for the object itself cannot set, and so nobody comes to own by one.
    reset: FieldSet,
    /// The same, for a request for its status.
    reset_by_status: FieldSet,
    pub(super) shape: Shape,
}

impl Subject {
    /// A custom kind, from the `openAPIV3Schema` of its version.
    pub fn custom(
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        has_status: bool,
        schema: &Value,
    ) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            is_custom: true,
            reset: FieldSet::of_fields(if has_status { &[&["status"]] } else { &[] }),
            reset_by_status: FieldSet::of_fields(&[&["metadata"], &["spec"]]),
            shape: Shape::of_custom_kind(schema),
        }
    }

    /// None: no such kind is built in.
    pub fn built_in(group: &str, version: &str, kind: &str, plural: &str) -> Option<Self> {
        let shape = builtin::shape(&api_version(group, version), kind)?;
        let has_status = shape
            .map
            .as_ref()
            .is_some_and(|map| map.fields.contains_key("status"));
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            is_custom: false,
            reset: FieldSet::of_fields(if has_status { &[&["status"]] } else { &[] }),
            reset_by_status: FieldSet::of_fields(&[&["spec"]]),
            shape,
        })
    }

    /// What is in it is not told in a refusal.
    pub(super) fn is_secret(&self) -> bool {
        self.group.is_empty() && self.kind == "Secret"
    }

    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    pub(super) fn reset_by(&self, subresource: Option<&str>) -> &FieldSet {
        if subresource == Some("status") {
            &self.reset_by_status
        } else {
            &self.reset
        }
    }

    /// An object of this kind before it is one.
    pub fn blank(&self) -> Object {
        let blank = json!({"apiVersion": self.api_version(), "kind": self.kind, "metadata": {}});
        Object::of(blank).unwrap_or_default()
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}
