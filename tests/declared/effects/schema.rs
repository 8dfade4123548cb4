//! The fields that there are, and whether each is spoken of.

use std::collections::BTreeSet;

use quartermaster::resource;
use serde_json::Value;

use super::{rows, scene};

pub struct Covered {
    pub shown: usize,
    pub note: String,
}

/// `Gateway.url`, `Agent.files[].name`: every leaf below the specs of the kinds that do something in a gateway. A map is one,
/// and so is a list of words.
pub fn fields() -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for definition in resource::definitions() {
        let kind = &definition.spec.names.kind;
        if kind == "TemplateSync" {
            continue;
        }
        let schema = definition.spec.versions[0].schema.as_ref().unwrap();
        let schema = serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap();
        leaves(kind, &schema["properties"]["spec"], &mut fields);
    }
    fields
}

fn leaves(path: &str, schema: &Value, fields: &mut BTreeSet<String>) {
    let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let below = schema["properties"].as_object().filter(|_| !is_open);
    match below {
        Some(properties) => {
            for (name, schema) in properties {
                leaves(&format!("{path}.{name}"), schema, fields);
            }
        }
        None if schema["items"]["type"] == "object" => leaves(&format!("{path}[]"), &schema["items"], fields),
        None => {
            fields.insert(path.to_owned());
        }
    }
}

/// Each field has a row, a scene or a refusal, and whatever has one is a field.
pub fn covered() -> Result<Covered, Vec<String>> {
    let fields = fields();
    let (mut spoken, mut idle, mut faults) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for row in rows() {
        if row.effects.is_empty() != row.idle.is_some() {
            faults.push(format!(
                "{}: a row has effects, or says why it has none",
                row.field
            ));
        }
        if row.idle.is_some() {
            idle.insert(row.field.clone());
        } else if !spoken.insert(row.field.clone()) {
            faults.push(format!("{}: two rows", row.field));
        }
    }
    spoken.extend(
        scene::scenes()
            .iter()
            .flat_map(|scene| scene.fields)
            .map(ToString::to_string),
    );
    for field in fields.difference(&spoken).filter(|field| !idle.contains(*field)) {
        faults.push(format!(
            "{field}: no row, no scene and no refusal shows what it does"
        ));
    }
    for unknown in spoken.union(&idle).filter(|field| !fields.contains(*field)) {
        faults.push(format!("{unknown}: no such field"));
    }
    faults.extend(
        spoken
            .intersection(&idle)
            .map(|field| format!("{field}: said to do nothing, and something")),
    );
    if !faults.is_empty() {
        return Err(faults);
    }
    let note = match idle.len() {
        0 => format!("{} of {}", spoken.len(), fields.len()),
        _ => {
            let named: Vec<&str> = idle.iter().map(String::as_str).collect();
            format!(
                "{} of {}; nothing acts yet on {}",
                spoken.len(),
                fields.len(),
                named.join(", ")
            )
        }
    };
    Ok(Covered {
        shown: spoken.len(),
        note,
    })
}
