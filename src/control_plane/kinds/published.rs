//! The schemas of Kubernetes' own kinds, from the descriptions that k8s-openapi carries: for `kubectl explain`, and to
//! drop what no field is for.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::control_plane::schema::{Schema, SchemaError};

/// The structural schema of a kind.
pub(super) fn of<Kind: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<Kind>();
    plain(schema)
}

/// What objects of such a kind are checked against. The system's kinds are read into types of their own, which miss
/// nothing and know no formats but how wide a number is: what a schema requires is not refused here, but by each kind's rules.
pub(super) fn checked(open_api: &Value) -> Result<Schema, SchemaError> {
    let mut lenient = open_api.clone();
    loosen(&mut lenient);
    Schema::compile(&lenient)
}

fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // A property may be called so, too.
            if fields.get("required").is_some_and(Value::is_array) {
                fields.remove("required");
            }
            let format = fields.get("format").and_then(Value::as_str);
            if format.is_some_and(|format| format != "int32") {
                fields.remove("format");
            }
            fields.values_mut().for_each(loosen);
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A definition holds schemas, and a schema holds schemas: published as an object of anything below `spec`.
pub(super) fn definition() -> Value {
    let anything = |description: &str| json!({ "type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "type": "object",
        "description": "A kind that is served in addition to Kubernetes' own. Here they are part of the program: read, never written.",
        "required": ["spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": metadata(),
            "spec": anything("What is served: names, scope, versions and their schemas."),
            "status": anything("Whether it is served."),
        },
    })
}

pub(super) fn metadata() -> Value {
    of::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>()
}

/// Titles are Rust's, and an optional field is one that may be absent.
fn plain(schema: schemars::Schema) -> Value {
    let mut value = schema.to_value();
    tidy(&mut value);
    value
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("title").is_some_and(Value::is_string) {
                fields.remove("title");
            }
            fields.remove("nullable");
            for field in fields.values_mut() {
                tidy(field);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
