//! The control plane's patches, with as little of a registry around them as they need: reading, defaults, what a status
//! request cannot set.

use jiff::Timestamp;
use quartermaster::control_plane::patch::{
    Options, Patch, Subject, apply, check_created, keep_times, manager_of, track, writes_metadata_anew,
};
use quartermaster::control_plane::{Object, Status};
use serde_json::{Map, Value, json};

use super::{Method, Request};
use crate::schema::schemas;

/// The object, or the Status.
pub type Answer = Result<Value, Value>;

pub struct Kind {
    pub subject: Subject,
    /// Of a custom kind.
    schema: Option<Value>,
}

pub fn kinds() -> Vec<Kind> {
    let agent = schemas::kind("Agent");
    let built_in = |kind: &str, plural: &str| Kind {
        subject: Subject::built_in("", "v1", kind, plural).unwrap(),
        schema: None,
    };
    vec![
        Kind {
            subject: Subject::custom(
                "quartermaster.dev",
                "v1alpha1",
                "Agent",
                &agent.plural,
                true,
                &agent.schema,
            ),
            schema: Some(agent.schema.clone()),
        },
        built_in("ConfigMap", "configmaps"),
        built_in("Secret", "secrets"),
    ]
}

impl Kind {
    pub fn name(&self) -> &str {
        &self.subject.kind
    }

    pub fn is_custom(&self) -> bool {
        self.schema.is_some()
    }

    pub fn path(&self, namespace: &str) -> String {
        let Subject {
            group,
            version,
            plural,
            ..
        } = &self.subject;
        if group.is_empty() {
            format!("/api/{version}/namespaces/{namespace}/{plural}")
        } else {
            format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}")
        }
    }

    /// `now`: when it is asked, in whole seconds.
    pub fn answer(&self, name: &str, stored: Option<&Value>, request: &Request, now: i64) -> Answer {
        let now = Timestamp::from_second(now).unwrap();
        self.try_answer(name, stored, request, now)
            .map(Object::into_value)
            .map_err(|status| status.to_json())
    }

    fn try_answer(
        &self,
        name: &str,
        stored: Option<&Value>,
        request: &Request,
        now: Timestamp,
    ) -> Result<Object, Status> {
        let Request {
            method,
            subresource,
            field_manager,
            force,
            user_agent,
            body,
        } = request;
        let live = stored.map(|stored| Object::of(stored.clone()).unwrap());
        let manager = field_manager.clone().unwrap_or_else(|| manager_of(user_agent));
        let track = |new: Object| {
            track(
                &self.subject,
                live.as_ref(),
                self.read(new),
                &manager,
                *subresource,
                now,
            )
        };
        let mut is_written_anew = false;
        let mut new = match method {
            Method::Create | Method::Update => track(Object::of(body.clone()).unwrap()),
            Method::Patch(content_type) => {
                let options = Options {
                    field_manager: field_manager.clone(),
                    force: *force,
                };
                let body = body.to_string();
                match Patch::read(&self.subject, content_type, &options, body.as_bytes())?? {
                    Patch::Apply(config) => {
                        let applied = apply(&self.subject, live.as_ref(), &config, *subresource, now)?;
                        match &live {
                            Some(live) => {
                                is_written_anew =
                                    writes_metadata_anew(&self.subject, live, &applied, *subresource);
                            }
                            None => check_created(&self.subject, name, &applied)?,
                        }
                        self.read(applied)
                    }
                    Patch::Change(change) => track(change.onto(&self.subject, live.as_ref().unwrap())?),
                }
            }
        };
        self.prepare(live.as_ref(), &mut new, *subresource);
        if let Some(live) = live.as_ref().filter(|_| !is_written_anew) {
            keep_times(live, &mut new);
        }
        Ok(new)
    }

    /// What the registry does between a patch and the store.
    fn prepare(&self, live: Option<&Object>, new: &mut Object, subresource: Option<&str>) {
        let Some(live) = live else {
            if self.is_custom() {
                new.fields_mut().remove("status");
                new.metadata_mut().insert("generation".to_owned(), json!(1));
            }
            return;
        };
        for field in ["resourceVersion", "uid", "creationTimestamp", "generation"] {
            match live.metadata().and_then(|metadata| metadata.get(field)) {
                Some(value) => new.metadata_mut().insert(field.to_owned(), value.clone()),
                None => new.metadata_mut().remove(field),
            };
        }
        if !self.is_custom() {
            return;
        }
        if subresource == Some("status") {
            let status = new.fields().get("status").cloned();
            let managed = new
                .metadata()
                .and_then(|metadata| metadata.get("managedFields"))
                .cloned();
            *new = live.clone();
            put(new.fields_mut(), "status", status);
            put(new.metadata_mut(), "managedFields", managed);
            return;
        }
        put(new.fields_mut(), "status", live.fields().get("status").cloned());
        let body = |object: &Object| {
            let mut fields = object.fields().clone();
            fields.remove("metadata");
            fields
        };
        if body(live) != body(new) {
            let generation = live.generation().unwrap_or_default() + 1;
            new.metadata_mut()
                .insert("generation".to_owned(), json!(generation));
        }
    }

    fn read(&self, object: Object) -> Object {
        let mut value = object.into_value();
        let fields = value.as_object_mut().unwrap();
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            // An empty list of managed fields is lost where a custom kind is read.
            let reset = metadata
                .get("managedFields")
                .cloned()
                .filter(|_| !self.is_custom());
            metadata.retain(|_, value| !is_bare(value));
            for name in ["labels", "annotations"] {
                null_is_empty(metadata.get_mut(name));
            }
            if let Some(reset) = reset.filter(Value::is_array) {
                metadata.insert("managedFields".to_owned(), reset);
            }
        }
        match &self.schema {
            Some(schema) => {
                let metadata = fields.remove("metadata");
                let words: Vec<_> = ["apiVersion", "kind"]
                    .iter()
                    .filter_map(|name| Some((*name, fields.remove(*name)?)))
                    .collect();
                prune(&mut value, schema);
                set_defaults(&mut value, schema);
                let fields = value.as_object_mut().unwrap();
                for (name, word) in words {
                    fields.insert(name.to_owned(), word);
                }
                put(fields, "metadata", metadata);
            }
            None => self.read_built_in(fields),
        }
        Object::of(value).unwrap()
    }

    fn read_built_in(&self, fields: &mut Map<String, Value>) {
        use base64::Engine;
        let known: &[&str] = match self.name() {
            "Secret" => &["data", "immutable", "stringData", "type"],
            _ => &["binaryData", "data", "immutable"],
        };
        fields.retain(|name, value| {
            ["apiVersion", "kind", "metadata"].contains(&name.as_str())
                || known.contains(&name.as_str()) && !is_bare(value)
        });
        for name in ["binaryData", "data"] {
            null_is_empty(fields.get_mut(name));
        }
        if self.name() != "Secret" {
            return;
        }
        if let Some(Value::Object(plain)) = fields.remove("stringData") {
            let data = fields.entry("data").or_insert_with(|| json!({}));
            for (key, text) in plain {
                let text = text.as_str().unwrap_or_default();
                data[key] = json!(base64::engine::general_purpose::STANDARD.encode(text));
            }
        }
        fields.entry("type").or_insert_with(|| json!("Opaque"));
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
}

/// A map from words to words has no null.
fn null_is_empty(map: Option<&mut Value>) {
    for value in map
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        if value.is_null() {
            *value = json!("");
        }
    }
}

fn is_bare(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `schema`: of a place that no schema describes, null, and all is kept.
fn prune(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) if !schema.is_null() => {
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
            let any = &schema["additionalProperties"];
            fields.retain(|name, value| {
                let known = &schema["properties"][name];
                if !known.is_object() && !any.is_object() {
                    return open;
                }
                !value.is_null() || known.get("default").is_some()
            });
            for (name, value) in fields {
                let known = &schema["properties"][name];
                prune(value, if known.is_object() { known } else { any });
            }
        }
        Value::Array(items) => {
            for item in items {
                prune(item, &schema["items"]);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {}
    }
}

fn set_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                let is_missing = fields.get(name).is_none_or(Value::is_null);
                if let Some(default) = schema.get("default").filter(|_| is_missing) {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(value) = fields.get_mut(name) {
                    set_defaults(value, schema);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                set_defaults(item, &schema["items"]);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
