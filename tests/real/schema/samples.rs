//! What a person wrote down: objects that are legal, objects that are not, and objects with every field.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::overlay::merged;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub kind: String,
    /// The smallest legal object. Everything else is laid over it.
    pub least: Value,
    pub rules: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub name: String,
    /// The field that the refusal names, where it names one.
    pub field: Option<String>,
    /// Words of the refusal.
    pub says: String,
    /// The object is created like this first; the cases then change it.
    pub before: Option<Value>,
    pub illegal: Vec<Value>,
    pub legal: Vec<Value>,
}

impl Table {
    /// What the cases of a row are laid over.
    pub fn base(&self, row: usize) -> Value {
        let head = json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": self.kind, "metadata": {"name": format!("row-{row}")},
        });
        merged(&head, &self.least)
    }
}

pub fn tables() -> Vec<Table> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/schema/table");
    ["gateway", "board", "agent", "template-sync"]
        .iter()
        .map(|name| {
            let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("table/{name}.yaml: {error}"))
        })
        .collect()
}

/// The objects in `whole/`.
pub fn whole_objects() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/schema/whole");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}
