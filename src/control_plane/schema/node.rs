//! One place of a schema: what may stand there, and how it is merged and explained.

use std::collections::BTreeMap;

use serde_json::Value;

use super::format::Format;
use super::pattern::Pattern;
use super::rule::Rules;

/// Compiled by [`Schema::compile`](super::Schema::compile); read by whoever merges or explains objects.
#[derive(Debug, Default)]
pub struct Node {
    pub(super) data_type: Option<DataType>,
    pub(super) description: String,
    pub(super) nullable: bool,
    pub(super) default: Option<Value>,
    pub(super) properties: BTreeMap<String, Self>,
    /// `additionalProperties`, as a schema.
    pub(super) values: Option<Box<Self>>,
    /// `additionalProperties: true`
    pub(super) any_values: bool,
    pub(super) items: Option<Box<Self>>,
    pub(super) list_type: ListType,
    pub(super) map_type: MapType,
    pub(super) preserves_unknown_fields: bool,
    pub(super) is_embedded_resource: bool,
    pub(super) is_int_or_string: bool,
    pub(super) bounds: Bounds,
    pub(super) rules: Option<Box<Rules>>,
    /// Here or further down.
    pub(super) has_rules: bool,
}

/// What a value must be beside its type.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) required: Vec<String>,
    pub(super) allowed: Vec<Value>,
    /// As it is written: messages name it so.
    pub(super) format_name: String,
    pub(super) format: Option<Format>,
    pub(super) pattern: Option<Pattern>,
    pub(super) max_length: Option<i64>,
    pub(super) min_length: Option<i64>,
    pub(super) max_items: Option<i64>,
    pub(super) min_items: Option<i64>,
    pub(super) max_properties: Option<i64>,
    pub(super) min_properties: Option<i64>,
    pub(super) maximum: Option<Limit>,
    pub(super) minimum: Option<Limit>,
    pub(super) multiple_of: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) value: f64,
    pub(super) exclusive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl DataType {
    pub fn word(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// `x-kubernetes-list-type`: who owns what in a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Each value is there once.
    Set,
    /// Each item is known by the values of these fields.
    Map(Vec<String>),
}

/// `x-kubernetes-map-type`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapType {
    #[default]
    Granular,
    /// The object is one value.
    Atomic,
}

impl Node {
    /// None: anything, where unknown fields are preserved; or an int or a string.
    pub fn data_type(&self) -> Option<DataType> {
        self.data_type
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    /// The node of a field's value: of a field that is named, else of any.
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.values.as_deref())
    }

    /// The fields that are named, sorted.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.properties.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// Of a map with keys of the user's choice.
    pub fn values(&self) -> Option<&Self> {
        self.values.as_deref()
    }

    pub fn items(&self) -> Option<&Self> {
        self.items.as_deref()
    }

    pub fn list_type(&self) -> &ListType {
        &self.list_type
    }

    pub fn map_type(&self) -> MapType {
        self.map_type
    }

    pub fn preserves_unknown_fields(&self) -> bool {
        self.preserves_unknown_fields
    }

    pub fn is_embedded_resource(&self) -> bool {
        self.is_embedded_resource
    }

    pub fn is_int_or_string(&self) -> bool {
        self.is_int_or_string
    }

    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    pub fn required(&self) -> &[String] {
        &self.bounds.required
    }

    /// `enum`; empty: no choice of few.
    pub fn allowed_values(&self) -> &[Value] {
        &self.bounds.allowed
    }

    /// `date-time`, `int32`, ...; empty: none.
    pub fn format(&self) -> &str {
        &self.bounds.format_name
    }
}
