//! One object as JSON, and its metadata by name. What is not there reads as absent; nothing here can fail.

use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(Map<String, Value>);

impl Object {
    /// None: it is no JSON object.
    pub fn of(value: Value) -> Option<Self> {
        match value {
            Value::Object(fields) => Some(Self(fields)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        self.0.get("metadata").and_then(Value::as_object)
    }

    /// Made where there is none.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        let metadata = self
            .0
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        if !metadata.is_object() {
            *metadata = Value::Object(Map::new());
        }
        match metadata {
            Value::Object(fields) => fields,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                unreachable!("made an object just above")
            }
        }
    }

    pub fn name(&self) -> Option<&str> {
        self.word("name")
    }

    pub fn namespace(&self) -> Option<&str> {
        self.word("namespace")
    }

    pub fn uid(&self) -> Option<&str> {
        self.word("uid")
    }

    /// As the API shows it; the store sets it.
    pub fn resource_version(&self) -> Option<&str> {
        self.word("resourceVersion")
    }

    pub fn generation(&self) -> Option<i64> {
        self.metadata()?.get("generation")?.as_i64()
    }

    pub fn is_being_deleted(&self) -> bool {
        self.word("deletionTimestamp").is_some()
    }

    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        let listed = self
            .metadata()
            .and_then(|metadata| metadata.get("finalizers")?.as_array());
        listed.into_iter().flatten().filter_map(Value::as_str)
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.metadata()?.get(name)?.as_str()
    }
}
