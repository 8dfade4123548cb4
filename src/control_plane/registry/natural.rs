//! The rules of Kubernetes' own kinds that no schema says: what is filled in, what is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::object::Object;
use crate::control_plane::status::{Cause, Status};

pub(super) const PERMANENT_NAMESPACES: [&str; 4] =
    ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Whether the body is an object of this kind. Ours must say so; Kubernetes' own may leave it to the path.
pub(super) fn readable(kind: &Kind, sent: &mut Object) -> Result<(), Status> {
    let word = |object: &Object, name: &str| {
        let word = object.fields().get(name).and_then(Value::as_str);
        word.unwrap_or_default().to_owned()
    };
    let (named, version) = (word(sent, "kind"), word(sent, "apiVersion"));
    let expected = kind.api_version();
    if kind.nature == Nature::Custom {
        if named.is_empty() {
            let body = Value::Object(sent.fields().clone()).to_string();
            return Err(Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{body}' ({body})",
                kind.names.kind
            )));
        }
        if version != expected {
            return Err(Status::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({expected})"
            )));
        }
        if named != kind.names.kind {
            let cause = Cause::invalid("kind", &json!(named), &format!("must be {}", kind.names.kind));
            return Err(Status::invalid_named(
                &named,
                kind,
                sent.name().unwrap_or_default(),
                vec![cause],
            ));
        }
        // An empty list of managers asks to forget them; who reads an object without a type of its own drops the list.
        let none = |managers: &Value| managers.as_array().is_some_and(Vec::is_empty);
        if sent
            .metadata()
            .and_then(|metadata| metadata.get("managedFields"))
            .is_some_and(none)
        {
            sent.metadata_mut().remove("managedFields");
        }
        return Ok(());
    }
    if !named.is_empty() && named != kind.names.kind {
        return Err(Status::bad_request(format!(
            "{named} in version \"{version}\" cannot be handled as a {}: unknown conversion",
            kind.names.kind
        )));
    }
    if !version.is_empty() && version != expected {
        return Err(Status::bad_request(format!(
            "{named} in version \"{version}\" cannot be handled as a {}: no kind \"{named}\" is registered for version \
             \"{version}\"",
            kind.names.kind
        )));
    }
    sent.fields_mut()
        .insert("kind".to_owned(), json!(kind.names.kind));
    sent.fields_mut().insert("apiVersion".to_owned(), json!(expected));
    // Others are read into types of their own: a wrong type is no object of the kind at all.
    let wrong = kind.schema.validate(sent, None);
    match wrong.iter().find(|cause| cause.reason == "FieldValueTypeInvalid") {
        Some(cause) => Err(undecodable(kind, &format!("{}: {}", cause.field, cause.message))),
        None => secret_is_base64(kind, sent),
    }
}

fn secret_is_base64(kind: &Kind, sent: &Object) -> Result<(), Status> {
    let field = match kind.nature {
        Nature::Secret => "data",
        Nature::ConfigMap => "binaryData",
        Nature::Custom
        | Nature::Namespace
        | Nature::ServiceAccount
        | Nature::Event
        | Nature::NewEvent
        | Nature::Lease
        | Nature::Role
        | Nature::RoleBinding
        | Nature::Definition
        | Nature::Review(_) => return Ok(()),
    };
    for value in sent
        .fields()
        .get(field)
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::values)
    {
        let text = value.as_str().unwrap_or_default();
        if STANDARD.decode(text).is_err() {
            let at = text
                .bytes()
                .position(|byte| !(byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)))
                .unwrap_or(text.len());
            return Err(undecodable(
                kind,
                &format!("illegal base64 data at input byte {at}"),
            ));
        }
    }
    Ok(())
}

/// A body that cannot be read as its kind.
pub(super) fn undecodable(kind: &Kind, why: &str) -> Status {
    if kind.nature == Nature::Custom {
        return Status::bad_request(why);
    }
    let name = &kind.names.kind;
    Status::bad_request(format!(
        "{name} in version \"{}\" cannot be handled as a {name}: {why}",
        kind.version
    ))
}

/// What Kubernetes fills in.
pub(super) fn complete(kind: &Kind, object: &mut Object) {
    match kind.nature {
        Nature::Namespace => {
            let name = object.name().unwrap_or_default().to_owned();
            let labels = object.metadata_mut().entry("labels").or_insert_with(|| json!({}));
            if let Some(labels) = labels.as_object_mut() {
                labels.insert("kubernetes.io/metadata.name".to_owned(), json!(name));
            }
            let fields = object.fields_mut();
            fields
                .entry("spec")
                .or_insert_with(|| json!({ "finalizers": ["kubernetes"] }));
            fields
                .entry("status")
                .or_insert_with(|| json!({ "phase": "Active" }));
        }
        Nature::Secret => {
            let fields = object.fields_mut();
            if let Some(Value::Object(plain)) = fields.remove("stringData") {
                let data = fields.entry("data").or_insert_with(|| json!({}));
                for (key, value) in plain {
                    let text = STANDARD.encode(value.as_str().unwrap_or_default());
                    if let Some(data) = data.as_object_mut() {
                        data.insert(key, json!(text));
                    }
                }
            }
            fields.entry("type").or_insert_with(|| json!("Opaque"));
        }
        Nature::RoleBinding => {
            const GROUP: &str = "rbac.authorization.k8s.io";
            let fields = object.fields_mut();
            let subjects = fields.get_mut("subjects").and_then(Value::as_array_mut);
            for subject in subjects.into_iter().flatten().filter_map(Value::as_object_mut) {
                if matches!(
                    subject.get("kind").and_then(Value::as_str),
                    Some("User" | "Group")
                ) {
                    subject.entry("apiGroup").or_insert_with(|| json!(GROUP));
                }
            }
            if let Some(role) = fields.get_mut("roleRef").and_then(Value::as_object_mut) {
                role.entry("apiGroup").or_insert_with(|| json!(GROUP));
            }
        }
        Nature::Custom
        | Nature::ConfigMap
        | Nature::ServiceAccount
        | Nature::Event
        | Nature::NewEvent
        | Nature::Lease
        | Nature::Role
        | Nature::Definition
        | Nature::Review(_) => {}
    }
}

/// Whether nothing of its own keeps an object that is being deleted.
pub(super) fn may_go(kind: &Kind, object: &Object) -> bool {
    match kind.nature {
        Nature::Namespace => {
            let held = object
                .fields()
                .get("spec")
                .and_then(|spec| spec.get("finalizers")?.as_array());
            held.is_none_or(Vec::is_empty)
        }
        Nature::Custom
        | Nature::Secret
        | Nature::ConfigMap
        | Nature::ServiceAccount
        | Nature::Event
        | Nature::NewEvent
        | Nature::Lease
        | Nature::Role
        | Nature::RoleBinding
        | Nature::Definition
        | Nature::Review(_) => true,
    }
}

/// What is wrong with an object beyond its schema.
pub(super) fn check(kind: &Kind, object: &Object, stored: Option<&Object>) -> Vec<Cause> {
    match kind.nature {
        Nature::Secret => [
            wrong_keys(object, "data"),
            wrong_secret_type(object),
            frozen(object, stored, &["data"]),
        ]
        .concat(),
        Nature::ConfigMap => [
            wrong_keys(object, "data"),
            wrong_keys(object, "binaryData"),
            same_keys(object),
            frozen(object, stored, &["data", "binaryData"]),
        ]
        .concat(),
        Nature::RoleBinding => fixed_role(object, stored),
        Nature::Event => event_place(object),
        Nature::Custom
        | Nature::Namespace
        | Nature::ServiceAccount
        | Nature::NewEvent
        | Nature::Lease
        | Nature::Role
        | Nature::Definition
        | Nature::Review(_) => Vec::new(),
    }
}

fn map<'a>(object: &'a Object, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object
        .fields()
        .get(field)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn wrong_keys(object: &Object, field: &str) -> Vec<Cause> {
    const WHY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
                       'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let mut causes = Vec::new();
    for (key, _) in map(object, field) {
        let at = format!("{field}[{key}]");
        if key.is_empty() || !key.chars().all(plain) {
            causes.push(Cause::invalid(at, &json!(key), WHY));
        } else if key.len() > 253 {
            causes.push(Cause::invalid(
                at,
                &json!(key),
                "must be no more than 253 characters",
            ));
        } else if matches!(key.as_str(), "." | "..") {
            causes.push(Cause::invalid(at, &json!(key), &format!("must not be '{key}'")));
        }
    }
    causes
}

fn same_keys(object: &Object) -> Vec<Cause> {
    let binary: Vec<&String> = map(object, "binaryData").map(|(key, _)| key).collect();
    map(object, "data")
        .filter(|(key, _)| binary.contains(key))
        .map(|(key, _)| {
            let why = "duplicate of key present in binaryData";
            Cause::invalid(format!("data[{key}]"), &json!(key), why)
        })
        .collect()
}

/// Types that promise keys.
fn wrong_secret_type(object: &Object) -> Vec<Cause> {
    let needed: &[&str] = match object.fields().get("type").and_then(Value::as_str) {
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/dockercfg") => &[".dockercfg"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        Some(_) | None => &[],
    };
    needed
        .iter()
        .filter(|key| !map(object, "data").any(|(have, _)| have == *key))
        .map(|key| Cause::required(format!("data[{key}]"), ""))
        .collect()
}

/// `immutable` cannot be taken back, and freezes the data; a Secret's type never changes.
fn frozen(object: &Object, stored: Option<&Object>, fields: &[&str]) -> Vec<Cause> {
    let Some(stored) = stored else { return Vec::new() };
    let mut causes = Vec::new();
    let of = |object: &Object, name: &str| object.fields().get(name).cloned();
    if of(object, "type") != of(stored, "type") {
        let value = of(object, "type").unwrap_or(Value::Null);
        causes.push(Cause::invalid("type", &value, "field is immutable"));
    }
    if of(stored, "immutable") == Some(Value::Bool(true)) {
        const WHY: &str = "field is immutable when `immutable` is set";
        if of(object, "immutable") != Some(Value::Bool(true)) {
            causes.push(Cause::forbidden("immutable", WHY));
        }
        for field in fields {
            let empty = |value: Option<Value>| {
                value.filter(|value| value.as_object().is_some_and(|map| !map.is_empty()))
            };
            if empty(of(object, field)) != empty(of(stored, field)) {
                causes.push(Cause::forbidden(*field, WHY));
            }
        }
    }
    causes
}

fn fixed_role(object: &Object, stored: Option<&Object>) -> Vec<Cause> {
    let of = |object: &Object| object.fields().get("roleRef").cloned().unwrap_or(Value::Null);
    match stored {
        Some(stored) if of(stored) != of(object) => {
            vec![Cause::invalid("roleRef", &of(object), "cannot change roleRef")]
        }
        Some(_) | None => Vec::new(),
    }
}

/// An Event stands where its object is; of one that has no namespace, in `default`.
fn event_place(object: &Object) -> Vec<Cause> {
    let about = object
        .fields()
        .get("involvedObject")
        .and_then(|about| about.get("namespace")?.as_str())
        .unwrap_or_default();
    let here = object.namespace().unwrap_or_default();
    let fits = if about.is_empty() {
        here == "default" || here == "kube-system"
    } else {
        about == here
    };
    if fits {
        return Vec::new();
    }
    vec![Cause::invalid(
        "involvedObject.namespace",
        &json!(about),
        "does not match event.namespace",
    )]
}
