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

/// Takes out what only Rust means (line breaks, titles, `format: uint32`), and reduces a parent's default to `{}`.
#[derive(Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        // A comment's line breaks are ours; whoever shows the text breaks its lines anew.
        if let Some(Value::String(description)) = object.get_mut("description") {
            *description = description.replace('\n', " ");
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::{
        Agent, AgentSpec, Board, BoardSpec, Gateway, GatewaySpec, TemplateSync, TemplateSyncSpec, definitions,
    };

    fn schema_of(definition: &CustomResourceDefinition) -> Value {
        let schema = definition.spec.versions[0].schema.as_ref().unwrap();
        serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap()
    }

    /// Calls `see` with every schema below this one, and where it is.
    fn walk(path: &str, schema: &Value, see: &mut impl FnMut(&str, &Value)) {
        see(path, schema);
        for (name, child) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), child, see);
        }
        if schema["items"].is_object() {
            walk(&format!("{path}[]"), &schema["items"], see);
        }
        if schema["additionalProperties"].is_object() {
            walk(&format!("{path}{{}}"), &schema["additionalProperties"], see);
        }
    }

    #[test]
    fn everything_is_bounded_and_explained() {
        let mut faults = Vec::new();
        for definition in definitions() {
            let schema = schema_of(&definition);
            for part in ["spec", "status"] {
                let path = format!("{}.{part}", definition.spec.names.kind);
                walk(&path, &schema["properties"][part], &mut |path, schema| {
                    let has = |key: &str| !schema[key].is_null();
                    let bounded = match schema["type"].as_str() {
                        Some("string") => has("maxLength") || has("enum") || has("format"),
                        Some("array") => has("maxItems"),
                        Some("integer") => has("minimum"),
                        Some("object") if has("additionalProperties") => has("maxProperties"),
                        _ => true,
                    };
                    if !bounded {
                        faults.push(format!("{path} has no bound"));
                    }
                    if !path.ends_with(['}', ']']) && !has("description") {
                        faults.push(format!("{path} has no description"));
                    }
                    if has("nullable") || has("anyOf") || has("oneOf") {
                        faults.push(format!("{path} is not plain: {schema}"));
                    }
                });
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// What the API server does with a new object.
    fn fill_defaults(schema: &Value, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                    if let Some(default) = schema.get("default") {
                        fields.entry(name.clone()).or_insert_with(|| default.clone());
                    }
                    if let Some(field) = fields.get_mut(name) {
                        fill_defaults(schema, field);
                    }
                }
            }
            Value::Array(items) => items
                .iter_mut()
                .for_each(|item| fill_defaults(&schema["items"], item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Rust's defaults and the API server's are the same: an object means the same before and after it was stored.
    fn agrees<Kind>(spec: &Value)
    where
        Kind: CustomResourceExt
            + JsonSchema
            + serde::de::DeserializeOwned
            + serde::Serialize
            + PartialEq
            + std::fmt::Debug,
    {
        let sent = json!({"metadata": {"name": "x"}, "spec": spec});
        let mut stored = sent.clone();
        fill_defaults(&schema_of(&of::<Kind>()), &mut stored);
        assert_ne!(sent, stored, "the sample lets no default speak");
        let ours: Kind = serde_json::from_value(sent).unwrap();
        let theirs: Kind = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(ours, theirs);
        assert_eq!(
            serde_json::to_value(&ours).unwrap()["spec"],
            stored["spec"],
            "what we would write and what is stored"
        );
    }

    #[test]
    fn a_spec_made_in_rust_has_the_defaults_of_one_that_was_read() {
        fn same<Spec: Default + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(least: Value) {
            assert_eq!(Spec::default(), serde_json::from_value(least).unwrap());
        }
        same::<GatewaySpec>(json!({"url": "", "workspaceRoot": ""}));
        same::<BoardSpec>(json!({"gatewayRef": {"name": ""}}));
        same::<AgentSpec>(json!({}));
        same::<TemplateSyncSpec>(json!({"gatewayRef": {"name": ""}}));
    }

    #[test]
    fn defaults_in_rust_and_in_the_schema_agree() {
        agrees::<Gateway>(&json!({
            "url": "ws://x", "workspaceRoot": "~", "tokenSecretRef": {"name": "x"}, "caBundleRef": {"name": "x"},
        }));
        agrees::<Gateway>(
            &json!({"url": "ws://x", "workspaceRoot": "~", "mainAgent": {"heartbeat": {"every": "1h"}}}),
        );
        agrees::<Board>(&json!({"gatewayRef": {"name": "x"}}));
        agrees::<Board>(&json!({"gatewayRef": {"name": "x"}, "rules": {"onlyLeadCanChangeStatus": true}}));
        agrees::<Agent>(&json!({"boardRef": {"name": "x"}}));
        agrees::<Agent>(
            &json!({"boardRef": {"name": "x"}, "heartbeat": {"enabled": false}, "token": {"rotation": "x"}}),
        );
        agrees::<TemplateSync>(&json!({"gatewayRef": {"name": "x"}}));
    }
}
