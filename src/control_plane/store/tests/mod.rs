//! The store as its users see it.

pub(crate) mod disk;
mod power_cut;

use serde_json::json;

use super::{Key, ResourceName};
use crate::control_plane::Object;

fn agents() -> ResourceName {
    ResourceName::new("agents.quartermaster.dev").unwrap()
}

fn key(resource: &ResourceName, namespace: &str, name: &str) -> Key {
    Key::new(resource, Some(namespace), name).unwrap()
}

fn object(key: &Key, prompt: &str) -> Object {
    let object = json!({ "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
        "metadata": { "name": key.name(), "namespace": key.namespace() }, "spec": { "prompt": prompt } });
    Object::of(object).unwrap()
}

/// Text of that length.
fn words(length: usize) -> String {
    "Take stock of everything. "
        .chars()
        .cycle()
        .take(length)
        .collect()
}
