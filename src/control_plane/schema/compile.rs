//! An `openAPIV3Schema` becomes nodes, once. What the API server would hold values to and this program cannot is refused
//! here: a schema is kept whole or not at all.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::format::{Format, NotHere};
use super::node::{Bounds, DataType, Limit, ListType, MapType, Node};
use super::path::At;
use super::pattern::Pattern;
use super::rule::{self, Rules};

/// A schema nests about ten levels; the API server reads a hundred times that.
const DEEPEST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    #[error("schema at {at}: {keyword} must be {expected}")]
    Malformed {
        at: String,
        keyword: &'static str,
        expected: &'static str,
    },
    #[error(
        "schema at {at}: {keyword} is not supported here: leave it out, or say the same with other keywords"
    )]
    Unsupported { at: String, keyword: String },
    #[error("schema at {at}: the pattern {pattern:?} cannot be compiled: {why}")]
    Pattern {
        at: String,
        pattern: String,
        why: String,
    },
    #[error("schema at {at}: the rule {rule:?} cannot be compiled: {why}")]
    Rule { at: String, rule: String, why: String },
    #[error("schema at {at}: it nests deeper than {DEEPEST} levels")]
    TooDeep { at: String },
}

/// Keywords of which one would have to be kept and is not. Everything else that is unknown is only for readers.
const NOT_HERE: [&str; 10] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "$ref",
    "uniqueItems",
    "patternProperties",
    "additionalItems",
    "dependencies",
    "definitions",
];

/// The patterns of all `matches` with a literal are put into `patterns`.
pub(super) fn node(schema: &Value, patterns: &mut Vec<Pattern>) -> Result<Node, SchemaError> {
    Place {
        at: At::Root,
        depth: 0,
    }
    .node(schema, patterns)
}

#[derive(Clone, Copy)]
struct Place<'a> {
    at: At<'a>,
    depth: usize,
}

impl Place<'_> {
    fn node(self, schema: &Value, patterns: &mut Vec<Pattern>) -> Result<Node, SchemaError> {
        let keywords = schema
            .as_object()
            .ok_or_else(|| self.malformed("the schema", "an object"))?;
        if self.depth > DEEPEST {
            return Err(SchemaError::TooDeep { at: self.print() });
        }
        if let Some(keyword) = NOT_HERE.iter().find(|keyword| is_said(keywords, keyword)) {
            return Err(self.unsupported((*keyword).to_owned()));
        }
        let is_int_or_string = self.flag(keywords, "x-kubernetes-int-or-string")?;
        let data_type = self.data_type(keywords)?;
        let properties = self.properties(keywords, patterns)?;
        let (values, any_values) = match keywords.get("additionalProperties") {
            None | Some(Value::Bool(false)) => (None, false),
            Some(Value::Bool(true)) => (None, true),
            Some(schema) => (
                Some(Box::new(self.below(self.at.key("*")).node(schema, patterns)?)),
                false,
            ),
        };
        let items = match keywords.get("items") {
            None => None,
            Some(schema) => Some(Box::new(self.below(self.at.index(0)).node(schema, patterns)?)),
        };
        let bounds = self.bounds(keywords, data_type)?;
        let mut node = Node {
            data_type,
            description: self.text(keywords, "description")?,
            nullable: self.flag(keywords, "nullable")?,
            // A default of null is no default.
            default: keywords.get("default").filter(|value| !value.is_null()).cloned(),
            properties,
            values,
            any_values,
            items,
            list_type: self.list_type(keywords)?,
            map_type: self.map_type(keywords)?,
            preserves_unknown_fields: self.flag(keywords, "x-kubernetes-preserve-unknown-fields")?,
            is_embedded_resource: self.flag(keywords, "x-kubernetes-embedded-resource")?,
            is_int_or_string,
            bounds,
            rules: None,
            has_rules: false,
        };
        if let Some(rules) = keywords.get("x-kubernetes-validations") {
            let rules = rules
                .as_array()
                .ok_or_else(|| self.malformed("x-kubernetes-validations", "a list"))?;
            let rules = rules
                .iter()
                .map(|rule| self.rule(rule, patterns))
                .collect::<Result<Vec<_>, _>>()?;
            node.rules = Some(Box::new(Rules::of(rules, &node)));
        }
        let below = node.properties.values().chain(node.items()).chain(node.values());
        node.has_rules = node.rules.is_some() || below.into_iter().any(|node| node.has_rules);
        Ok(node)
    }

    fn rule(self, rule: &Value, patterns: &mut Vec<Pattern>) -> Result<rule::Rule, SchemaError> {
        rule::Rule::compile(rule, patterns).map_err(|why| SchemaError::Rule {
            at: self.print(),
            rule: rule
                .get("rule")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            why,
        })
    }

    fn properties(
        self,
        keywords: &Map<String, Value>,
        patterns: &mut Vec<Pattern>,
    ) -> Result<BTreeMap<String, Node>, SchemaError> {
        let Some(properties) = keywords.get("properties") else {
            return Ok(BTreeMap::new());
        };
        let properties = properties
            .as_object()
            .ok_or_else(|| self.malformed("properties", "an object"))?;
        properties
            .iter()
            .map(|(name, schema)| {
                Ok((
                    name.clone(),
                    self.below(self.at.field(name)).node(schema, patterns)?,
                ))
            })
            .collect()
    }

    fn data_type(self, keywords: &Map<String, Value>) -> Result<Option<DataType>, SchemaError> {
        Ok(
            match keywords.get("type").map(|word| word.as_str().unwrap_or("")) {
                None => None,
                Some("object") => Some(DataType::Object),
                Some("array") => Some(DataType::Array),
                Some("string") => Some(DataType::String),
                Some("integer") => Some(DataType::Integer),
                Some("number") => Some(DataType::Number),
                Some("boolean") => Some(DataType::Boolean),
                Some(_) => {
                    return Err(self.malformed("type", "object, array, string, integer, number or boolean"));
                }
            },
        )
    }

    fn list_type(self, keywords: &Map<String, Value>) -> Result<ListType, SchemaError> {
        let keys = match keywords.get("x-kubernetes-list-map-keys") {
            None => Vec::new(),
            Some(keys) => {
                words(keys).ok_or_else(|| self.malformed("x-kubernetes-list-map-keys", "a list of names"))?
            }
        };
        match self.text(keywords, "x-kubernetes-list-type")?.as_str() {
            "" | "atomic" => Ok(ListType::Atomic),
            "set" => Ok(ListType::Set),
            "map" if !keys.is_empty() => Ok(ListType::Map(keys)),
            _ => Err(self.malformed(
                "x-kubernetes-list-type",
                "atomic, set, or map with x-kubernetes-list-map-keys",
            )),
        }
    }

    fn map_type(self, keywords: &Map<String, Value>) -> Result<MapType, SchemaError> {
        match self.text(keywords, "x-kubernetes-map-type")?.as_str() {
            "" | "granular" => Ok(MapType::Granular),
            "atomic" => Ok(MapType::Atomic),
            _ => Err(self.malformed("x-kubernetes-map-type", "granular or atomic")),
        }
    }

    fn bounds(
        self,
        keywords: &Map<String, Value>,
        data_type: Option<DataType>,
    ) -> Result<Bounds, SchemaError> {
        let format_name = self.text(keywords, "format")?;
        let (format_name, format) = self.format(format_name, data_type)?;
        let required = match keywords.get("required") {
            None => Vec::new(),
            Some(names) => words(names).ok_or_else(|| self.malformed("required", "a list of names"))?,
        };
        let allowed = match keywords.get("enum") {
            None => Vec::new(),
            Some(values) => values
                .as_array()
                .cloned()
                .ok_or_else(|| self.malformed("enum", "a list"))?,
        };
        Ok(Bounds {
            required,
            allowed,
            format_name,
            format,
            pattern: self.pattern(keywords)?,
            max_length: self.count(keywords, "maxLength")?,
            min_length: self.count(keywords, "minLength")?,
            max_items: self.count(keywords, "maxItems")?,
            min_items: self.count(keywords, "minItems")?,
            max_properties: self.count(keywords, "maxProperties")?,
            min_properties: self.count(keywords, "minProperties")?,
            maximum: self.limit(keywords, "maximum", "exclusiveMaximum")?,
            minimum: self.limit(keywords, "minimum", "exclusiveMinimum")?,
            multiple_of: self.number(keywords, "multipleOf")?,
        })
    }

    /// The name is forgotten where the API server does not hold such a value to it.
    fn format(
        self,
        name: String,
        data_type: Option<DataType>,
    ) -> Result<(String, Option<Format>), SchemaError> {
        let is_known = match data_type {
            None | Some(DataType::String) => match Format::named(&name) {
                Ok(Some(format)) => return Ok((name, Some(format))),
                Ok(None) => false,
                Err(NotHere) => return Err(self.unsupported(format!("format {name}"))),
            },
            Some(DataType::Integer) => ["int32", "int64"].contains(&name.as_str()),
            Some(DataType::Number) => ["float", "double"].contains(&name.as_str()),
            Some(DataType::Object | DataType::Array | DataType::Boolean) => false,
        };
        Ok((if is_known { name } else { String::new() }, None))
    }

    fn pattern(self, keywords: &Map<String, Value>) -> Result<Option<Pattern>, SchemaError> {
        let source = self.text(keywords, "pattern")?;
        if source.is_empty() {
            return Ok(None);
        }
        Pattern::compile(&source)
            .map(Some)
            .map_err(|why| SchemaError::Pattern {
                at: self.print(),
                pattern: source,
                why,
            })
    }

    fn limit(
        self,
        keywords: &Map<String, Value>,
        keyword: &'static str,
        exclusive: &'static str,
    ) -> Result<Option<Limit>, SchemaError> {
        let exclusive = self.flag(keywords, exclusive)?;
        Ok(self
            .number(keywords, keyword)?
            .map(|value| Limit { value, exclusive }))
    }

    fn number(
        self,
        keywords: &Map<String, Value>,
        keyword: &'static str,
    ) -> Result<Option<f64>, SchemaError> {
        self.read(keywords, keyword, "a number", Value::as_f64)
    }

    fn count(self, keywords: &Map<String, Value>, keyword: &'static str) -> Result<Option<i64>, SchemaError> {
        self.read(keywords, keyword, "a whole number", Value::as_i64)
    }

    fn flag(self, keywords: &Map<String, Value>, keyword: &'static str) -> Result<bool, SchemaError> {
        self.read(keywords, keyword, "true or false", Value::as_bool)
            .map(Option::unwrap_or_default)
    }

    fn text(self, keywords: &Map<String, Value>, keyword: &'static str) -> Result<String, SchemaError> {
        self.read(keywords, keyword, "a text", |value| {
            value.as_str().map(str::to_owned)
        })
        .map(Option::unwrap_or_default)
    }

    fn read<T>(
        self,
        keywords: &Map<String, Value>,
        keyword: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, SchemaError> {
        keywords
            .get(keyword)
            .map(|value| read(value).ok_or_else(|| self.malformed(keyword, expected)))
            .transpose()
    }

    fn below(self, at: At<'_>) -> Place<'_> {
        Place {
            at,
            depth: self.depth + 1,
        }
    }

    fn print(self) -> String {
        match self.at {
            At::Root => "its root".to_owned(),
            At::Field(..) | At::Key(..) | At::Index(..) => self.at.path().to_string(),
        }
    }

    fn malformed(self, keyword: &'static str, expected: &'static str) -> SchemaError {
        SchemaError::Malformed {
            at: self.print(),
            keyword,
            expected,
        }
    }

    fn unsupported(self, keyword: String) -> SchemaError {
        SchemaError::Unsupported {
            at: self.print(),
            keyword,
        }
    }
}

fn is_said(keywords: &Map<String, Value>, keyword: &str) -> bool {
    keywords
        .get(keyword)
        .is_some_and(|value| !value.is_null() && *value != Value::Bool(false))
}

fn words(list: &Value) -> Option<Vec<String>> {
    list.as_array()?
        .iter()
        .map(|word| word.as_str().map(str::to_owned))
        .collect()
}
