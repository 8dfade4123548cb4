//! The rules of Kubernetes' own kinds that no schema says: what is filled in, what is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{event, metadata, roles};
use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::object::Object;
use crate::control_plane::schema::body;
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
        wrong_metadata(kind, sent)?;
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
    let version_alone = version.rsplit('/').next().unwrap_or_default();
    if !named.is_empty() && named != kind.names.kind {
        return Err(Status::bad_request(format!(
            "{named} in version \"{version_alone}\" cannot be handled as a {}: unknown conversion",
            kind.names.kind
        )));
    }
    if !version.is_empty() && version != expected {
        return Err(Status::bad_request(format!(
            "{named} in version \"{version_alone}\" cannot be handled as a {}: no kind \"{named}\" is registered for version \
             \"{version}\"",
            kind.names.kind
        )));
    }
    sent.fields_mut()
        .insert("kind".to_owned(), json!(kind.names.kind));
    sent.fields_mut().insert("apiVersion".to_owned(), json!(expected));
    // Others are read into types of their own: a wrong type is no object of the kind at all.
    let wrong = kind.schema.validate(sent, None);
    let unreadable = |cause: &&Cause| {
        cause.reason == "FieldValueTypeInvalid" || cause.message.contains("must be of type integer")
    };
    match wrong.iter().find(unreadable) {
        Some(cause) => {
            let why = format!(
                "json: cannot unmarshal it into Go struct field {}.{}",
                kind.names.kind, cause.field
            );
            Err(undecodable(kind, &why))
        }
        None => {
            real_times(kind, sent)?;
            secret_is_base64(kind, sent)
        }
    }
}

/// An object of ours is read freely, its metadata is not.
fn wrong_metadata(kind: &Kind, sent: &mut Object) -> Result<(), Status> {
    let metadata = sent.fields_mut().get_mut("metadata");
    if let Some(metadata) = metadata.filter(|metadata| !metadata.is_null()) {
        body::settle_numbers(metadata);
    }
    if let Some(metadata) = sent
        .fields()
        .get("metadata")
        .filter(|metadata| !metadata.is_null())
        && let Some(why) = metadata::wrong_type(metadata)
    {
        return Err(undecodable(kind, &why));
    }
    real_times(kind, sent)
}

/// Kubernetes' own kinds have no fractions.
pub(super) fn whole_numbers(kind: &Kind, sent: &Object) -> Result<(), Status> {
    let fraction = if kind.nature == Nature::Custom {
        None
    } else {
        sent.fields().values().find_map(body::first_fraction)
    };
    fraction.map_or(Ok(()), |number| {
        let why = format!("json: cannot unmarshal number {number} into a whole number");
        Err(undecodable(kind, &why))
    })
}

fn real_times(kind: &Kind, sent: &Object) -> Result<(), Status> {
    let seconds = [
        "/metadata/creationTimestamp",
        "/metadata/deletionTimestamp",
        "/firstTimestamp",
        "/lastTimestamp",
        "/deprecatedFirstTimestamp",
        "/deprecatedLastTimestamp",
    ];
    let finer = [
        "/eventTime",
        "/series/lastObservedTime",
        "/spec/acquireTime",
        "/spec/renewTime",
    ];
    let own: &[&str] = match kind.nature {
        Nature::Event | Nature::NewEvent | Nature::Lease => &finer,
        Nature::Custom
        | Nature::Namespace
        | Nature::Secret
        | Nature::ConfigMap
        | Nature::ServiceAccount
        | Nature::Role
        | Nature::RoleBinding
        | Nature::Definition
        | Nature::Review(_) => &[],
    };
    let whole = if own.is_empty() {
        seconds.get(..2)
    } else {
        seconds.get(..)
    };
    let all = whole.unwrap_or_default().iter().map(|at| (at, false));
    for (pointer, fine) in all.chain(own.iter().map(|at| (at, true))) {
        let mut parts = pointer.split('/').skip(1);
        let first = parts.next().and_then(|name| sent.fields().get(name));
        let value = parts.fold(first, |value, name| value?.get(name));
        if let Some(time) = value.and_then(Value::as_str).filter(|time| !is_time(time, fine)) {
            let why = format!("parsing time {time:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse it");
            return Err(undecodable(kind, &why));
        }
    }
    Ok(())
}

/// As RFC 3339 has it; finer ones with exactly six digits after the second.
fn is_time(text: &str, fine: bool) -> bool {
    let digits = text.split_once('.').map_or(0, |(_, rest)| {
        rest.chars().take_while(char::is_ascii_digit).count()
    });
    let has_t = text.as_bytes().get(10) == Some(&b'T');
    has_t && (!fine || digits == 6) && text.parse::<jiff::Timestamp>().is_ok()
}

/// A patch cannot make one of ours something else.
pub(super) fn still_itself(kind: &Kind, stored: &Object, patched: &Object) -> Result<(), Status> {
    let word = |name: &str| {
        patched
            .fields()
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    for (field, is, must) in [
        ("kind", word("kind"), kind.names.kind.clone()),
        ("apiVersion", word("apiVersion"), kind.api_version()),
    ] {
        if is != must && !is.is_empty() {
            let cause = Cause::invalid(field, &json!(is), &format!("must be {must}"));
            let named = word("kind");
            return Err(Status::invalid_named(
                named,
                kind,
                stored.name().unwrap_or_default(),
                vec![cause],
            ));
        }
    }
    Ok(())
}

/// Without the words that [`undecodable`] puts before.
pub(super) fn why_undecodable<'a>(kind: &Kind, message: &'a str) -> &'a str {
    let before = format!(" cannot be handled as a {}: ", kind.names.kind);
    message.split_once(&before).map_or(message, |(_, why)| why)
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
        if let Err(at) = decoded(text) {
            return Err(undecodable(
                kind,
                &format!("illegal base64 data at input byte {at}"),
            ));
        }
    }
    Ok(())
}

/// Base64 as Go reads it: line ends are nothing, bits after the end do not matter. Err: where it goes wrong.
fn decoded(text: &str) -> Result<Vec<u8>, usize> {
    let all: Vec<(usize, u8)> = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let mut four = all.chunks(4);
    let mut seen = String::new();
    while let Some(chunk) = four.next() {
        for (place, (at, byte)) in chunk.iter().enumerate() {
            if byte.is_ascii_alphanumeric() || b"+/".contains(byte) {
                seen.push(char::from(*byte));
                continue;
            }
            if *byte != b'=' || place < 2 {
                return Err(*at);
            }
            match (place, chunk.get(3)) {
                (2, None) => return Err(text.len()),
                (2, Some((_, b'='))) | (3, _) => {}
                (_, _) => return Err(*at),
            }
            return match four.next().and_then(|rest| rest.first()) {
                Some((trailing, _)) => Err(*trailing),
                None => read_leniently(&seen).ok_or(*at),
            };
        }
        if let (true, Some((first, _))) = (chunk.len() < 4, chunk.first()) {
            return Err(*first);
        }
    }
    read_leniently(&seen).ok_or(text.len())
}

fn read_leniently(text: &str) -> Option<Vec<u8>> {
    use base64::engine::general_purpose::GeneralPurpose;
    use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config)
        .decode(text)
        .ok()
}

/// Every value as it is written again after it was read.
fn rewrite_base64(data: Option<&mut Value>) {
    for value in data
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        if let Some(bytes) = value.as_str().and_then(|text| decoded(text).ok()) {
            *value = json!(STANDARD.encode(bytes));
        }
    }
}

/// A body that cannot be read as its kind.
pub(super) fn undecodable(kind: &Kind, why: &str) -> Status {
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
        }
        Nature::Secret => {
            let fields = object.fields_mut();
            rewrite_base64(fields.get_mut("data"));
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
            let role = fields.entry("roleRef").or_insert_with(|| json!({}));
            if let Some(role) = role.as_object_mut() {
                role.entry("apiGroup").or_insert_with(|| json!(GROUP));
            }
        }
        Nature::ConfigMap => rewrite_base64(object.fields_mut().get_mut("binaryData")),
        Nature::Custom
        | Nature::ServiceAccount
        | Nature::Event
        | Nature::NewEvent
        | Nature::Lease
        | Nature::Role
        | Nature::Definition
        | Nature::Review(_) => {}
    }
}

/// What a new object is found with, though nobody owns it.
pub(super) fn found(kind: &Kind, object: &mut Object) {
    match kind.nature {
        Nature::Namespace => {
            let fields = object.fields_mut();
            let mut finalizers = finalizers_of(fields).cloned().unwrap_or_default();
            if !finalizers.contains(&json!("kubernetes")) {
                finalizers.push(json!("kubernetes"));
            }
            fields.insert("spec".to_owned(), json!({ "finalizers": finalizers }));
            fields.insert("status".to_owned(), json!({ "phase": "Active" }));
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
        | Nature::Review(_) => {}
    }
}

/// What is taken, but not recommended.
pub(super) fn warnings(kind: &Kind, object: &Object, stored: Option<&Object>) -> Vec<String> {
    match kind.nature {
        Nature::Custom => object
            .finalizers()
            .filter(|finalizer| stored.is_none_or(|stored| !stored.finalizers().any(|old| old == *finalizer)))
            .filter(|finalizer| !finalizer.contains('/') && !metadata::STANDARD_FINALIZERS.contains(finalizer))
            .map(|finalizer| {
                let path = if finalizer.contains('.') {
                    " including a path (/)"
                } else {
                    ""
                };
                format!(
                    "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name{path} to avoid accidental \
                     conflicts with other finalizer writers"
                )
            })
            .collect(),
        Nature::Secret => certificate_warning(object).into_iter().collect(),
        Nature::Namespace
        | Nature::ConfigMap
        | Nature::ServiceAccount
        | Nature::Event
        | Nature::NewEvent
        | Nature::Lease
        | Nature::Role
        | Nature::RoleBinding
        | Nature::Definition
        | Nature::Review(_) => Vec::new(),
    }
}

/// Of a pair of certificate and key that holds none.
fn certificate_warning(object: &Object) -> Option<String> {
    let is_tls = object.fields().get("type").and_then(Value::as_str) == Some("kubernetes.io/tls");
    for (key, what) in [("tls.crt", "certificate"), ("tls.key", "key")] {
        let (_, value) = map(object, "data")
            .find(|(have, _)| *have == key)
            .filter(|_| is_tls)?;
        let bytes = decoded(value.as_str().unwrap_or_default()).unwrap_or_default();
        if !String::from_utf8_lossy(&bytes).contains("-----BEGIN") {
            return Some(format!("tls: failed to find any PEM data in {what} input"));
        }
    }
    None
}

/// Of a namespace; other kinds have theirs in their metadata.
fn finalizers_of(fields: &Map<String, Value>) -> Option<&Vec<Value>> {
    fields.get("spec")?.get("finalizers")?.as_array()
}

/// Whether nothing of its own keeps an object that is being deleted.
pub(super) fn may_go(kind: &Kind, object: &Object) -> bool {
    match kind.nature {
        Nature::Namespace => finalizers_of(object.fields()).is_none_or(Vec::is_empty),
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

/// What is wrong with a change. Kinds look at the same things in different orders, and at some of them twice: clients get
/// every finding.
pub(super) fn check_change(kind: &Kind, object: &Object, stored: &Object) -> Vec<Cause> {
    // The first look, the same for all, sees the whole of the metadata but for names.
    let first = || {
        [
            metadata::check_common(object),
            metadata::check_change(object, stored),
        ]
        .concat()
    };
    let change = || metadata::check_change(object, stored);
    let whole = || metadata::check(kind, object);
    let own = || check(kind, object, Some(stored));
    match kind.nature {
        Nature::Secret | Nature::ConfigMap => [
            first(),
            change(),
            frozen(object, stored, &["data", "binaryData"]),
            whole(),
            own(),
        ]
        .concat(),
        Nature::ServiceAccount => [first(), change(), whole()].concat(),
        Nature::Namespace | Nature::Role | Nature::RoleBinding => {
            [first(), whole(), own(), change(), fixed_role(object, stored)].concat()
        }
        Nature::Event => [first(), own()].concat(),
        Nature::NewEvent => [first(), own(), change(), event::fixed(object, stored)].concat(),
        Nature::Custom | Nature::Lease | Nature::Definition | Nature::Review(_) => {
            [first(), change(), own()].concat()
        }
    }
}

/// What is wrong with an object beyond its schema.
pub(super) fn check(kind: &Kind, object: &Object, stored: Option<&Object>) -> Vec<Cause> {
    match kind.nature {
        Nature::Secret => [
            wrong_keys(object, "data"),
            too_much(object, "data", &["data"]),
            wrong_secret_type(object),
        ]
        .concat(),
        Nature::ConfigMap => [
            wrong_keys(object, "data"),
            same_keys(object),
            wrong_keys(object, "binaryData"),
            too_much(object, "[]", &["data", "binaryData"]),
        ]
        .concat(),
        Nature::Event => event::legacy(object, "involvedObject", "reportingComponent"),
        Nature::NewEvent => event::check(kind, object, stored),
        Nature::Role => roles::wrong_rules(kind, object),
        Nature::RoleBinding => roles::wrong_binding(kind, object),
        Nature::Lease => wrong_lease(object),
        Nature::Namespace => wrong_phase(object),
        Nature::Custom | Nature::ServiceAccount | Nature::Definition | Nature::Review(_) => Vec::new(),
    }
}

fn wrong_lease(object: &Object) -> Vec<Cause> {
    let number = |field: &str| {
        object
            .fields()
            .get("spec")
            .and_then(|spec| spec.get(field)?.as_i64())
    };
    let mut causes = Vec::new();
    if let Some(seconds) = number("leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        let why = "must be greater than 0";
        causes.push(Cause::invalid("spec.leaseDurationSeconds", &json!(seconds), why));
    }
    if let Some(count) = number("leaseTransitions").filter(|count| *count < 0) {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid("spec.leaseTransitions", &json!(count), why));
    }
    causes
}

fn wrong_phase(object: &Object) -> Vec<Cause> {
    let phase = object
        .fields()
        .get("status")
        .and_then(|status| status.get("phase")?.as_str());
    match phase {
        Some(phase) if phase != "Active" && !object.is_being_deleted() => {
            let why = "may only be 'Active' if `deletionTimestamp` is empty";
            vec![Cause::invalid("status.Phase", &json!(phase), why)]
        }
        Some(phase) if phase != "Terminating" && object.is_being_deleted() => {
            let why = "may only be 'Terminating' if `deletionTimestamp` is not empty";
            vec![Cause::invalid("status.Phase", &json!(phase), why)]
        }
        Some(_) | None => Vec::new(),
    }
}

/// A megabyte of data is the most.
fn too_much(object: &Object, at: &str, fields: &[&str]) -> Vec<Cause> {
    const MOST: usize = 1 << 20;
    let size = |(field, value): (&str, &Value)| {
        let text = value.as_str().unwrap_or_default();
        match (at, field) {
            // Words count as they are, bytes as they were.
            ("[]", "data") => text.len(),
            _ => decoded(text).map_or(0, |bytes| bytes.len()),
        }
    };
    let values = fields
        .iter()
        .flat_map(|field| map(object, field).map(move |(_, value)| (*field, value)));
    if values.map(size).sum::<usize>() > MOST {
        return vec![Cause::too_long(at, MOST)];
    }
    Vec::new()
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
        } else if key.starts_with("..") {
            causes.push(Cause::invalid(at, &json!(key), "must not start with '..'"));
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
    let has = |key: &str| map(object, "data").any(|(have, _)| have == key);
    let needed: &[&str] = match object.fields().get("type").and_then(Value::as_str) {
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/dockerconfigjson") => return docker_config(object, ".dockerconfigjson"),
        Some("kubernetes.io/dockercfg") => return docker_config(object, ".dockercfg"),
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        // One of them will do.
        Some("kubernetes.io/basic-auth") if !has("username") && !has("password") => &["username", "password"],
        Some("kubernetes.io/service-account-token") => {
            const NAME: &str = "kubernetes.io/service-account.name";
            let named = object
                .metadata()
                .and_then(|metadata| metadata.get("annotations")?.get(NAME)?.as_str());
            return if named.is_none_or(str::is_empty) {
                vec![Cause::required(format!("metadata.annotations[{NAME}]"), "")]
            } else {
                Vec::new()
            };
        }
        Some(_) | None => &[],
    };
    needed
        .iter()
        .filter(|key| !has(key))
        .map(|key| Cause::required(format!("data[{key}]"), ""))
        .collect()
}

/// It must be JSON; what it says is not repeated.
fn docker_config(object: &Object, key: &str) -> Vec<Cause> {
    let at = format!("data[{key}]");
    let Some((_, value)) = map(object, "data").find(|(have, _)| *have == key) else {
        return vec![Cause::required(at, "")];
    };
    let bytes = decoded(value.as_str().unwrap_or_default()).unwrap_or_default();
    match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(_) => Vec::new(),
        Err(error) => vec![Cause::invalid(
            at,
            &json!("<secret contents redacted>"),
            &error.to_string(),
        )],
    }
}

/// `immutable` cannot be taken back, and freezes the data; a Secret's type never changes.
fn frozen(object: &Object, stored: &Object, fields: &[&str]) -> Vec<Cause> {
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

fn fixed_role(object: &Object, stored: &Object) -> Vec<Cause> {
    let of = |object: &Object| object.fields().get("roleRef").cloned().unwrap_or(Value::Null);
    let role = of(object);
    if of(stored) == role {
        return Vec::new();
    }
    let word = |name: &str| role.get(name).cloned().unwrap_or_else(|| json!(""));
    let shown = format!(
        "{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}",
        word("apiGroup"),
        word("kind"),
        word("name")
    );
    vec![Cause::unfit("roleRef", &shown, "cannot change roleRef")]
}
