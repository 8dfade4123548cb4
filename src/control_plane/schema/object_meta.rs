//! The fields of `metadata`, which no schema describes: they are the same in every object.

use std::sync::LazyLock;

use serde_json::json;

use super::compile;
use super::node::Node;

pub(super) fn node() -> &'static Node {
    static NODE: LazyLock<Node> = LazyLock::new(|| {
        let text = || json!({"type": "string"});
        let words = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let schema = json!({"type": "object", "properties": {
            "name": text(), "generateName": text(), "namespace": text(), "selfLink": text(), "uid": text(),
            "resourceVersion": text(), "generation": {"type": "integer"}, "creationTimestamp": text(),
            "deletionTimestamp": text(), "deletionGracePeriodSeconds": {"type": "integer"},
            "labels": words, "annotations": words,
            "ownerReferences": {"type": "array", "items": {"type": "object", "properties": {
                "apiVersion": text(), "kind": text(), "name": text(), "uid": text(),
                "controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"},
            }}},
            "finalizers": {"type": "array", "items": text()},
            "managedFields": {"type": "array", "items": {"type": "object", "properties": {
                "manager": text(), "operation": text(), "apiVersion": text(), "time": text(), "fieldsType": text(),
                "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}, "subresource": text(),
            }}},
        }});
        let mut rules = Vec::new();
        // It is ours and a test compiles it; an empty schema would take every field out, which tests would see too.
        compile::node(&schema, &mut rules).unwrap_or_default()
    });
    &NODE
}
