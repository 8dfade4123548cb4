//! From a kind's Rust types to the CustomResourceDefinition that the API server gets.
//!
//! `Kind::crd()` of the derive would do, but for three things that users see: it marks every optional field
//! `nullable` (then `field: null` is stored instead of taken for absent, and `has(self.field)` is true of it),
//! it shows an optional object's field with the words of its type instead of its own, and it spells a parent's
//! default out where `{}` lets the children's defaults speak.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation,
};
use kube::CustomResourceExt;
use kube::core::schema::StructuralSchemaRewriter;
use schemars::generate::SchemaSettings;
use schemars::transform::{ReplaceConstValue, Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// The definition of one kind.
pub fn of<Kind: CustomResourceExt + JsonSchema>() -> CustomResourceDefinition {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.transforms = Vec::new();
    });
    let generator = settings
        .with_transform(ReplaceConstValue::default())
        .with_transform(OptionalIsAbsent)
        .with_transform(StructuralSchemaRewriter)
        .with_transform(Plain)
        .into_generator();
    let schema = generator.into_root_schema_for::<Kind>().to_value();

    let mut definition = Kind::crd();
    for version in &mut definition.spec.versions {
        version.schema = serde_json::from_value(schema.clone())
            .ok()
            .map(|schema| CustomResourceValidation {
                open_api_v3_schema: Some(schema),
            });
    }
    definition
}

/// `Option<T>` is a field that may be absent, of exactly T's schema, and described by its own words.
#[derive(Clone)]
struct OptionalIsAbsent;

impl Transform for OptionalIsAbsent {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };

        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|t| t != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        if let Some(Value::Array(choices)) = object.get("anyOf")
            && let [Value::Object(some), none] = choices.as_slice()
            && none.get("type") == Some(&Value::from("null"))
        {
            let some = some.clone();
            object.remove("anyOf");
            adopt(object, some);
        }
    }
}

/// Joins the schema of a type into that of the field: the field's own words stay, both have their rules.
fn adopt(field: &mut Map<String, Value>, of_type: Map<String, Value>) {
    for (key, value) in of_type {
        match (field.get_mut(&key), value) {
            (Some(Value::Array(rules)), Value::Array(more)) if key == "x-kubernetes-validations" => {
                rules.extend(more);
            }
            (Some(_), _) => {}
            (None, value) => {
                field.insert(key, value);
            }
        }
    }
}

/// Takes out what only Rust means (`format: uint32`, titles), and reduces a parent's default to `{}`.
#[derive(Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        object.remove("title");
        object.remove("nullable");
        if object
            .get("format")
            .and_then(Value::as_str)
            .is_some_and(|format| format.starts_with("uint"))
        {
            object.remove("format");
        }
        if let Some(Value::Object(default)) = object.get_mut("default") {
            default.clear();
        }
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
    }
}
