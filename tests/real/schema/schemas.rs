//! The definitions that the program prints, as the tests walk them.

use std::sync::OnceLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// One kind: its names and its schema.
pub struct Kind {
    pub kind: String,
    pub plural: String,
    pub schema: Value,
}

/// Made once: it takes a debug build a good part of a second.
pub fn kinds() -> &'static [Kind] {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    KINDS.get_or_init(|| {
        quartermaster::resource::definitions()
            .iter()
            .map(Kind::from)
            .collect()
    })
}

pub fn kind(name: &str) -> &'static Kind {
    kinds()
        .iter()
        .find(|kind| kind.kind == name)
        .unwrap_or_else(|| panic!("there is no kind {name}"))
}

impl From<&CustomResourceDefinition> for Kind {
    fn from(definition: &CustomResourceDefinition) -> Self {
        let schema = definition.spec.versions[0].schema.as_ref().unwrap();
        Self {
            kind: definition.spec.names.kind.clone(),
            plural: definition.spec.names.plural.clone(),
            schema: serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap(),
        }
    }
}

/// The messages of a schema's own CEL rules.
pub fn messages(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array();
    rules
        .into_iter()
        .flatten()
        .map(|rule| rule["message"].as_str().unwrap().to_owned())
        .collect()
}

/// Calls `see` with every schema from this one down, and the path to it: `.spec.files[].name`, `.spec.rules{}`.
pub fn walk(path: &str, schema: &Value, see: &mut impl FnMut(&str, &Value)) {
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
