//! What a schema says about ownership: what is one thing (atomic) and what may belong to several, and by what the items
//! of a list are told apart. Nothing else of a schema matters here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::builtin;

/// A value may be taken as one of several; what a schema leaves open (`x-kubernetes-int-or-string`, unknown fields) has
/// all three.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Shape {
    pub(super) scalar: Option<Scalar>,
    pub(super) list: Option<List>,
    pub(super) map: Option<Map>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Text,
    Number,
    Truth,
    Any,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct List {
    pub(super) told_apart: ToldApart,
    pub(super) item: Place,
}

/// By what an item of a list is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ToldApart {
    /// By nothing: the list is one thing.
    Atomic,
    /// By its value: a set.
    ByValue,
    /// By the values of these fields.
    ByKeys(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map {
    /// The map is one thing.
    pub(super) atomic: bool,
    pub(super) fields: BTreeMap<String, Field>,
    /// Fields that are not listed; None: there are none.
    pub(super) rest: Option<Place>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) place: Place,
    /// Used where it is a key of a list and an item leaves it out.
    pub(super) default: Option<Value>,
}

/// Where a shape stands: written here, or one that all share (the first two contain themselves).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    Own(Box<Shape>),
    /// Anything; its maps belong to several.
    Deduced,
    /// Anything, as one thing.
    Untyped,
    /// `metadata`
    Metadata,
}

static DEDUCED: LazyLock<Shape> = LazyLock::new(|| {
    Shape::anything(Map {
        atomic: false,
        fields: BTreeMap::new(),
        rest: Some(Place::Deduced),
    })
});

static UNTYPED: LazyLock<Shape> = LazyLock::new(|| {
    Shape::anything(Map {
        atomic: true,
        fields: BTreeMap::new(),
        rest: Some(Place::Untyped),
    })
});

static METADATA: LazyLock<Shape> = LazyLock::new(builtin::metadata);

impl Place {
    pub(super) fn shape(&self) -> &Shape {
        match self {
            Self::Own(shape) => shape,
            Self::Deduced => &DEDUCED,
            Self::Untyped => &UNTYPED,
            Self::Metadata => &METADATA,
        }
    }
}

impl From<Shape> for Place {
    fn from(shape: Shape) -> Self {
        Self::Own(Box::new(shape))
    }
}

impl From<Place> for Field {
    fn from(place: Place) -> Self {
        Self { place, default: None }
    }
}

impl From<Shape> for Field {
    fn from(shape: Shape) -> Self {
        Place::from(shape).into()
    }
}

impl Map {
    /// Where this field stands; None: there is no such field.
    pub(super) fn place(&self, name: &str) -> Option<&Place> {
        self.fields
            .get(name)
            .map_or(self.rest.as_ref(), |field| Some(&field.place))
    }
}

impl Shape {
    pub(super) fn scalar(scalar: Scalar) -> Self {
        Self {
            scalar: Some(scalar),
            ..Self::default()
        }
    }

    pub(super) fn list(told_apart: ToldApart, item: impl Into<Place>) -> Self {
        let list = List {
            told_apart,
            item: item.into(),
        };
        Self {
            list: Some(list),
            ..Self::default()
        }
    }

    pub(super) fn map(map: Map) -> Self {
        Self {
            map: Some(map),
            ..Self::default()
        }
    }

    fn anything(map: Map) -> Self {
        Self {
            scalar: Some(Scalar::Any),
            list: Some(List {
                told_apart: ToldApart::Atomic,
                item: Place::Untyped,
            }),
            map: Some(map),
        }
    }

    /// A custom kind, from its `openAPIV3Schema`.
    pub(super) fn of_custom_kind(schema: &Value) -> Self {
        let mut shape = Self::of_schema(schema, false);
        let map = shape.map.get_or_insert_with(|| Map {
            atomic: false,
            fields: BTreeMap::new(),
            rest: Some(Place::Deduced),
        });
        for name in ["apiVersion", "kind"] {
            map.fields
                .insert(name.to_owned(), Self::scalar(Scalar::Text).into());
        }
        map.fields.insert("metadata".to_owned(), Place::Metadata.into());
        shape
    }

    /// `open`: a schema above preserves unknown fields, which holds for all below it.
    fn of_schema(schema: &Value, open: bool) -> Self {
        let open = open || schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => Self::map(Map::of_schema(schema, open)),
            Some("array") => Self {
                list: Some(List::of_schema(schema, open)),
                ..Self::default()
            },
            Some("integer" | "number") => Self::scalar(Scalar::Number),
            Some("boolean") => Self::scalar(Scalar::Truth),
            Some("string") => match schema.get("format").and_then(Value::as_str) {
                None | Some("" | "byte") => Self::scalar(Scalar::Text),
                Some(_) => Self::scalar(Scalar::Any),
            },
            Some(_) => Self::scalar(Scalar::Any),
            None => Self {
                scalar: Some(Scalar::Any),
                list: Some(List::of_schema(schema, open)),
                map: Some(Map::of_schema(schema, open)),
            },
        }
    }
}

impl List {
    fn of_schema(schema: &Value, open: bool) -> Self {
        let words = |name: &str| -> Vec<String> {
            let words = schema.get(name).and_then(Value::as_array).into_iter().flatten();
            words.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let told_apart = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ToldApart::ByValue,
            Some("map") => ToldApart::ByKeys(words("x-kubernetes-list-map-keys")),
            Some(_) | None => ToldApart::Atomic,
        };
        let item = match schema.get("items") {
            Some(item) => Shape::of_schema(item, open).into(),
            None => Place::Untyped,
        };
        Self { told_apart, item }
    }
}

impl Map {
    fn of_schema(schema: &Value, open: bool) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields: BTreeMap<String, Field> = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let field = Field {
                    place: Shape::of_schema(schema, open).into(),
                    default: schema.get("default").filter(|value| !value.is_null()).cloned(),
                };
                (name.clone(), field)
            })
            .collect();
        let rest = match schema.get("additionalProperties") {
            None => (open || fields.is_empty()).then_some(Place::Deduced),
            Some(Value::Bool(any)) => any.then_some(Place::Deduced),
            Some(schema) => Some(Shape::of_schema(schema, open).into()),
        };
        Self {
            atomic: schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"),
            fields,
            rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_read_from_a_schema() {
        let shape = Shape::of_custom_kind(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "files": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}}},
                "config": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"in": {"type": "object", "properties": {"a": {"type": "string"}}}}},
                "one": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "integer"}},
                "when": {"type": "string", "format": "date-time"},
                "port": {"x-kubernetes-int-or-string": true},
            }},
        }}));
        let root = shape.map.as_ref().unwrap();
        assert_eq!(root.place("metadata"), Some(&Place::Metadata));
        assert_eq!(root.place("other"), None);
        let spec = root.place("spec").unwrap().shape().map.as_ref().unwrap();
        let at = |name: &str| spec.place(name).unwrap().shape();
        let files = at("files").list.as_ref().unwrap();
        assert_eq!(files.told_apart, ToldApart::ByKeys(vec!["name".to_owned()]));
        let file = files.item.shape().map.as_ref().unwrap();
        assert_eq!(file.fields["name"].default, Some(json!("x")));
        assert_eq!(file.rest, None);
        let config = at("config").map.as_ref().unwrap();
        assert_eq!(config.rest, Some(Place::Deduced));
        let inner = config.place("in").unwrap().shape().map.as_ref().unwrap();
        assert_eq!(inner.rest, Some(Place::Deduced), "what is below stays open");
        assert!(at("one").map.as_ref().unwrap().atomic);
        assert_eq!(at("when").scalar, Some(Scalar::Any));
        assert_eq!(at("port"), &Shape::anything(DEDUCED.map.clone().unwrap()));
    }
}
