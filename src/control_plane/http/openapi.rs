//! PURE. The schemas of what is served, as `kubectl explain` and `kubectl apply` read them: OpenAPI v3 a group and version at
//! a time, and v2 in one.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::control_plane::kind::{Kind, Kinds, Nature, Subresource, Verb};
use crate::control_plane::kinds;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert \
                           recognized schemas to the latest internal value, and may reject unrecognized values. More info: \
                           https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from \
                    the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
                    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: \
                        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// The list of documents; a document's address carries its hash, so that clients may keep it for ever.
pub(super) fn index(kinds: &Kinds) -> Value {
    let mut paths = Map::new();
    for (group, version) in group_versions(kinds) {
        let at = place(&group, &version);
        if let Some(document) = document(kinds, &group, &version) {
            let hash = Sha256::digest(document.to_string())
                .iter()
                .map(|byte| format!("{byte:02X}"))
                .collect::<String>();
            let url = format!("/openapi/v3/{at}?hash={hash}");
            paths.insert(at, json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

/// The OpenAPI v3 document of one group and version.
pub(super) fn document(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let served: Vec<_> = kinds
        .all()
        .filter(|kind| kind.group == group && kind.version == version)
        .collect();
    if served.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert(OBJECT_META.to_owned(), kinds::object_meta());
    for kind in served {
        schemas.insert(component(kind), schema(kind));
        for (path, item) in paths_of(kind) {
            paths.insert(path, item);
        }
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": "1.36" },
        "paths": paths,
        "components": { "schemas": schemas },
    }))
}

/// The OpenAPI v2 document of everything, for clients that know no other.
pub(super) fn second(kinds: &Kinds) -> Value {
    let mut paths = Map::new();
    let mut definitions = Map::new();
    for kind in kinds.all() {
        definitions.insert(component(kind), plain(schema(kind)));
        for (path, item) in paths_of(kind) {
            paths.insert(path, second_item(item));
        }
    }
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": "1.36" },
        "paths": paths,
        "definitions": definitions,
    })
}

pub(super) const SECOND_MEDIA: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// The `@` of what is asked for may not be in a media type.
pub(super) const SECOND_ANSWERED: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The OpenAPI v2 document as kubectl asks for it, in protobuf, about what it does not find in v3: kinds that are not
/// served, and lists. It says that nothing is known of them; in JSON kubectl would not take it, and give up.
pub(super) fn second_in_protobuf() -> Vec<u8> {
    let text = |field: u8, bytes: &[u8]| -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap_or_default();
        // A field's number and that bytes follow, and how many: less than 128, so one byte.
        [&[field << 3 | 2, length], bytes].concat()
    };
    let info = [text(1, b"Kubernetes"), text(2, b"1.36")].concat();
    [text(1, b"2.0"), text(2, &info)].concat()
}

fn group_versions(kinds: &Kinds) -> Vec<(String, String)> {
    let mut all: Vec<_> = kinds
        .all()
        .map(|kind| (kind.group.clone(), kind.version.clone()))
        .collect();
    all.dedup();
    all
}

fn place(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

/// `dev.quartermaster.v1alpha1.Agent`, or `io.k8s.api.core.v1.Secret`.
fn component(kind: &Kind) -> String {
    let (version, name) = (&kind.version, &kind.names.kind);
    if kind.nature == Nature::Definition {
        return format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{name}");
    }
    if kind.nature != Nature::Custom {
        let short = kind.group.split('.').next().filter(|group| !group.is_empty());
        return format!("io.k8s.api.{}.{version}.{name}", short.unwrap_or("core"));
    }
    let reversed: Vec<&str> = kind.group.rsplit('.').collect();
    format!("{}.{version}.{name}", reversed.join("."))
}

/// What every object has, described once, as kubectl shows it by its name.
fn schema(kind: &Kind) -> Value {
    let mut schema = kind.open_api.clone();
    if let Some(schema) = schema.as_object_mut() {
        let all = [
            (
                "apiVersion",
                json!({ "type": "string", "description": API_VERSION }),
            ),
            ("kind", json!({ "type": "string", "description": KIND })),
        ];
        let described = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(fields) = described.as_object_mut() {
            for (name, field) in all {
                fields.insert(name.to_owned(), field);
            }
            let reference = format!("#/components/schemas/{OBJECT_META}");
            let words = fields
                .get("metadata")
                .and_then(|metadata| metadata.get("description"));
            let words = words.and_then(Value::as_str).unwrap_or(METADATA);
            let metadata = json!({ "description": words, "allOf": [{ "$ref": reference }], "default": {} });
            fields.insert("metadata".to_owned(), metadata);
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| name != "metadata");
        }
        schema.insert(
            "x-kubernetes-group-version-kind".to_owned(),
            json!([kind_of(kind)]),
        );
    }
    schema
}

fn kind_of(kind: &Kind) -> Value {
    json!({ "group": kind.group, "kind": kind.names.kind, "version": kind.version })
}

/// What v2 has no words for is left out.
fn plain(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            for unknown in [
                "x-kubernetes-validations",
                "nullable",
                "oneOf",
                "anyOf",
                "allOf",
                "not",
            ] {
                fields.remove(unknown);
            }
            for value in fields.values_mut() {
                *value = plain(value.take());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = plain(item.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    schema
}

fn paths_of(kind: &Kind) -> Vec<(String, Value)> {
    let (root, plural) = (place(&kind.group, &kind.version), &kind.names.plural);
    let all = if kind.is_namespaced() {
        format!("/{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("/{root}/{plural}")
    };
    let one = format!("{all}/{{name}}");
    let mut paths = vec![
        (
            all,
            item(kind, &[Verb::List, Verb::Create, Verb::DeleteCollection]),
        ),
        (
            one.clone(),
            item(kind, &[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete]),
        ),
    ];
    if kind.is_namespaced() {
        paths.push((format!("/{root}/{plural}"), item(kind, &[Verb::List])));
    }
    if kind.subresources.contains(&Subresource::Status) {
        let verbs = [Verb::Get, Verb::Update, Verb::Patch];
        paths.push((format!("{one}/status"), item(kind, &verbs)));
    }
    paths.retain(|(_, item)| item.as_object().is_some_and(|methods| !methods.is_empty()));
    paths
}

fn item(kind: &Kind, verbs: &[Verb]) -> Value {
    let methods = verbs
        .iter()
        .filter(|verb| kind.offers(**verb))
        .map(|verb| (method(*verb).to_owned(), operation(kind, *verb)));
    Value::Object(methods.collect())
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "post",
        Verb::Delete | Verb::DeleteCollection => "delete",
        Verb::Get | Verb::List | Verb::Watch => "get",
        Verb::Patch => "patch",
        Verb::Update => "put",
    }
}

fn operation(kind: &Kind, verb: Verb) -> Value {
    let action = match verb {
        Verb::Create => "post",
        Verb::Update => "put",
        Verb::Delete | Verb::DeleteCollection | Verb::Get | Verb::List | Verb::Patch | Verb::Watch => {
            verb.name()
        }
    };
    // kubectl looks here whether unknown fields are checked by us, and whether there is a dry run.
    let parameters: &[&str] = match verb {
        Verb::Create | Verb::Update => &["dryRun", "fieldManager", "fieldValidation"],
        Verb::Patch => &["dryRun", "fieldManager", "fieldValidation", "force"],
        Verb::Delete | Verb::DeleteCollection => &["dryRun"],
        Verb::Get | Verb::List | Verb::Watch => &[],
    };
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| {
            let value = if *name == "force" { "boolean" } else { "string" };
            json!({ "name": name, "in": "query", "schema": { "type": value, "uniqueItems": true } })
        })
        .collect();
    let reference = format!("#/components/schemas/{}", component(kind));
    let mut operation = json!({
        "operationId": format!("{}{}{}", verb.name(), kind.version, kind.names.kind),
        "parameters": parameters,
        "responses": { "200": { "description": "OK", "content": { "application/json": { "schema": { "$ref": reference } } } } },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind_of(kind),
    });
    if let (Verb::Patch, Some(operation)) = (verb, operation.as_object_mut()) {
        let types = [
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
        ];
        let content: Map<String, Value> = types
            .into_iter()
            .map(|media| (media.to_owned(), json!({ "schema": { "type": "object" } })))
            .collect();
        operation.insert(
            "requestBody".to_owned(),
            json!({ "content": content, "required": true }),
        );
    }
    operation
}

/// The same path in the words of v2.
fn second_item(item: Value) -> Value {
    let Value::Object(methods) = item else { return item };
    let methods = methods.into_iter().map(|(method, operation)| {
        let field = |name: &str| operation.get(name).cloned().unwrap_or(Value::Null);
        let parameters: Vec<Value> = field("parameters")
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| {
                let of = |pointer: &str| parameter.pointer(pointer).cloned().unwrap_or(Value::Null);
                json!({ "name": of("/name"), "in": "query", "type": of("/schema/type"), "uniqueItems": true })
            })
            .collect();
        let operation = json!({
            "operationId": field("operationId"),
            "parameters": parameters,
            "responses": { "200": { "description": "OK" } },
            "x-kubernetes-action": field("x-kubernetes-action"),
            "x-kubernetes-group-version-kind": field("x-kubernetes-group-version-kind"),
        });
        (method, operation)
    });
    Value::Object(methods.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_reads_as_protobuf_is_some() {
        let document = second_in_protobuf();
        assert_eq!(document, b"\x0a\x032.0\x12\x12\x0a\x0aKubernetes\x12\x041.36");
    }

    #[test]
    fn every_document_that_the_index_names_is_there() {
        let kinds = kinds::served(&crate::resource::definitions()).unwrap();
        let index = index(&kinds);
        let paths = index["paths"].as_object().unwrap();
        assert!(paths.contains_key("api/v1") && paths.contains_key("apis/quartermaster.dev/v1alpha1"));
        let ours = document(&kinds, "quartermaster.dev", "v1alpha1").unwrap();
        let schema = &ours["components"]["schemas"]["dev.quartermaster.v1alpha1.Agent"];
        assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Agent");
        let path = "/apis/quartermaster.dev/v1alpha1/namespaces/{namespace}/agents/{name}";
        assert_eq!(ours["paths"][path]["patch"]["x-kubernetes-action"], "patch");
        assert_eq!(document(&kinds, "nope", "v1"), None);
        assert!(second(&kinds)["definitions"]["io.k8s.api.core.v1.Secret"].is_object());
    }
}
