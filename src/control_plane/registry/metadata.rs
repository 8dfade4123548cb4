//! The rules for metadata: names, what the server sets, what may never change.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::{By, Moment};
use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::object::Object;
use crate::control_plane::status::{Cause, Status};

const NAMESPACE_MISMATCH: &str =
    "the namespace of the provided object does not match the namespace sent on the request";

/// Puts a new object into the namespace of the request.
pub(super) fn place(object: &mut Object, namespace: Option<&str>) -> Result<(), Status> {
    match (namespace, object.namespace().filter(|named| !named.is_empty())) {
        (Some(namespace), Some(named)) if namespace != named => Err(Status::bad_request(NAMESPACE_MISMATCH)),
        (Some(namespace), _) => {
            object
                .metadata_mut()
                .insert("namespace".to_owned(), json!(namespace));
            Ok(())
        }
        (None, _) => {
            object.metadata_mut().remove("namespace");
            Ok(())
        }
    }
}

/// What the server sets on a new object, whatever was sent.
pub(super) fn begin(object: &mut Object, kind: &Kind, moment: &Moment) {
    let metadata = object.metadata_mut();
    for theirs in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        metadata.remove(theirs);
    }
    metadata.insert("uid".to_owned(), json!(moment.uid));
    metadata.insert("creationTimestamp".to_owned(), json!(seconds(moment.now)));
    if kind.nature == Nature::Custom {
        metadata.insert("generation".to_owned(), json!(1));
    }
    let nameless = metadata
        .get("name")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty);
    let prefix = metadata
        .get("generateName")
        .and_then(Value::as_str)
        .filter(|prefix| !prefix.is_empty());
    if let (true, Some(prefix)) = (nameless, prefix) {
        // A name has at most 63 characters, five of which are the server's.
        let end = prefix.floor_char_boundary(63 - moment.suffix.len());
        let name = format!("{}{}", prefix.get(..end).unwrap_or_default(), moment.suffix);
        metadata.insert("name".to_owned(), json!(name));
    }
}

/// As the API server keeps times: whole seconds.
pub(super) fn seconds(now: jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The object in the body must be the one in the path.
pub(super) fn same_name(sent: &mut Object, name: &str, namespace: Option<&str>) -> Result<(), Status> {
    match sent.name().unwrap_or_default() {
        "" => {
            return Err(Status::bad_request(format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            )));
        }
        other if other != name => {
            return Err(Status::bad_request(format!(
                "the name of the object ({other}) does not match the name on the URL ({name})"
            )));
        }
        _ => {}
    }
    place(sent, namespace)
}

/// Optimistic concurrency: which state of which object the sender has seen.
pub(super) fn same_object(kind: &Kind, sent: &Object, stored: &Object, by: By) -> Result<(), Status> {
    let name = stored.name().unwrap_or_default();
    let uid = sent.uid().filter(|uid| !uid.is_empty());
    if let (By::Put, Some(uid)) = (by, uid)
        && stored.uid() != Some(uid)
    {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            stored.uid().unwrap_or_default()
        );
        return Err(Status::conflict(kind, name, &why));
    }
    match sent.resource_version().unwrap_or_default() {
        "" if by == By::Put && !kind.nature.takes_unconditional_updates() => {
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            Err(Status::invalid_resource(kind, name, vec![cause]))
        }
        "" => Ok(()),
        seen if Some(seen) == stored.resource_version() => Ok(()),
        seen if seen.parse::<u64>().is_err() => Err(Status::unexplained(format!(
            "strconv.ParseUint: parsing \"{seen}\": invalid syntax"
        ))),
        "0" => Ok(()),
        _ => Err(Status::modified(kind, name)),
    }
}

/// What an update that does not say keeps, and what no update may set.
pub(super) fn go_on(sent: &mut Object, stored: &Object) {
    let was = |name: &str| stored.metadata().and_then(|metadata| metadata.get(name)).cloned();
    let metadata = sent.metadata_mut();
    for kept in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let decided = kept == "deletionTimestamp" && stored.is_being_deleted();
        if decided || metadata.get(kept).is_none_or(Value::is_null) {
            put(metadata, kept, was(kept));
        }
    }
    for the_servers in ["creationTimestamp", "generation", "resourceVersion", "selfLink"] {
        put(metadata, the_servers, was(the_servers));
    }
}

fn put(metadata: &mut serde_json::Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => metadata.insert(name.to_owned(), value),
        None => metadata.remove(name),
    };
}

/// Another generation where anything but metadata and status differs.
pub(super) fn count_generation(kind: &Kind, sent: &mut Object, stored: &Object) {
    let Some(generation) = stored.generation().filter(|_| kind.nature == Nature::Custom) else {
        return;
    };
    let beside = |object: &Object| -> Vec<(String, Value)> {
        let has_status = kind.has_status();
        let fields = object.fields().iter();
        fields
            .filter(|(name, _)| *name != "metadata" && !(has_status && *name == "status"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    if beside(sent) != beside(stored) {
        sent.metadata_mut()
            .insert("generation".to_owned(), json!(generation + 1));
    }
}

/// Whether a field of it is of another type than it must be.
pub(super) fn wrong_type(metadata: &Value) -> Option<String> {
    let Some(fields) = metadata.as_object() else {
        return Some(unreadable(metadata, ""));
    };
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let fits = match name.as_str() {
            "name" | "generateName" | "namespace" | "selfLink" | "uid" | "resourceVersion"
            | "creationTimestamp" | "deletionTimestamp" => value.is_string(),
            "generation" | "deletionGracePeriodSeconds" => value.is_i64(),
            "labels" | "annotations" => value
                .as_object()
                .is_some_and(|words| words.values().all(|word| word.is_string() || word.is_null())),
            "finalizers" => value
                .as_array()
                .is_some_and(|words| words.iter().all(Value::is_string)),
            "ownerReferences" | "managedFields" => value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_object)),
            _ => true,
        };
        if !fits {
            return Some(unreadable(value, name));
        }
    }
    None
}

fn unreadable(value: &Value, field: &str) -> String {
    format!("json: cannot unmarshal {value} into Go struct field ObjectMeta.{field}")
}

/// What is wrong with a whole object's metadata.
pub(super) fn check(kind: &Kind, object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let prefix = object
        .metadata()
        .and_then(|metadata| metadata.get("generateName")?.as_str())
        .unwrap_or_default();
    if !prefix.is_empty() {
        let wrong = kind.nature.wrong_with_name(&with_an_end(prefix)).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid("metadata.generateName", &json!(prefix), &why)));
    }
    match object.name().unwrap_or_default() {
        "" => causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        )),
        name => causes.extend(
            kind.nature
                .wrong_with_name(name)
                .into_iter()
                .map(|why| Cause::invalid("metadata.name", &json!(name), &why)),
        ),
    }
    causes.extend(check_common(object));
    let finalizers: Vec<&str> = object.finalizers().collect();
    if kind.nature == Nature::Custom {
        return causes;
    }
    for (index, finalizer) in finalizers.iter().enumerate() {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(finalizer) {
            causes.push(Cause::invalid(
                format!("metadata.finalizers[{index}]"),
                &json!(finalizer),
                "name is neither a standard finalizer name nor is it fully qualified",
            ));
        }
    }
    causes
}

/// What holds for all metadata, whatever the kind.
pub(super) fn check_common(object: &Object) -> Vec<Cause> {
    let mut causes = check_words(object);
    let finalizers: Vec<&str> = object.finalizers().collect();
    for finalizer in &finalizers {
        let wrong = wrong_with_key(finalizer).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid("metadata.finalizers", &json!(finalizer), &why)));
    }
    if ["orphan", "foregroundDeletion"]
        .iter()
        .all(|one| finalizers.contains(one))
    {
        causes.push(Cause::invalid(
            "metadata.finalizers",
            &json!(finalizers),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
    causes
}

/// Labels, annotations and owners: what is looked at at every write.
fn check_words(object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let part = |name: &str| object.metadata().and_then(|metadata| metadata.get(name));
    let words = |name: &str| part(name).and_then(Value::as_object).into_iter().flatten();
    for (key, value) in words("labels") {
        let wrong = wrong_with_key(key).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid("metadata.labels", &json!(key), &why)));
        let value = value.as_str().unwrap_or_default();
        let wrong = wrong_with_label(value).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid("metadata.labels", &json!(value), &why)));
    }
    let mut size = 0;
    for (key, value) in words("annotations") {
        // Annotations' keys may have capitals in their prefix.
        let wrong = wrong_with_key(&key.to_lowercase()).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid("metadata.annotations", &json!(key), &why)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > LARGEST_ANNOTATIONS {
        causes.push(Cause::too_long("metadata.annotations", LARGEST_ANNOTATIONS));
    }
    causes.extend(wrong_with_owners(part("ownerReferences")));
    causes
}

/// What a name that is made of this prefix looks like: a dash may end a prefix, but no name.
fn with_an_end(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        Some(_) | None => prefix.to_owned(),
    }
}

const LARGEST_ANNOTATIONS: usize = 256 * 1024;
pub(super) const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

fn wrong_with_owners(owners: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut controller: Option<&Value> = None;
    let owners_list = owners
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    for owner in owners_list {
        let word = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
        let api_version = word("apiVersion");
        // `group/version` or `version`; anything else has no version.
        if api_version.is_empty() || api_version.ends_with('/') || api_version.matches('/').count() > 1 {
            causes.push(Cause::invalid(
                "metadata.ownerReferences.apiVersion",
                &json!(api_version),
                "version must not be empty",
            ));
        }
        for name in ["kind", "name", "uid"] {
            if word(name).is_empty() {
                let field = format!("metadata.ownerReferences.{name}");
                causes.push(Cause::invalid(field, &json!(""), "must not be empty"));
            }
        }
        if api_version == "v1" && word("kind") == "Event" {
            causes.push(Cause::unfit(
                "metadata.ownerReferences",
                &in_order(owner),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            match controller {
                None => controller = Some(owner),
                Some(first) => {
                    let of = |owner: &Value| {
                        let word = |name| owner.get(name).and_then(Value::as_str).unwrap_or_default();
                        format!("{}/{}", word("kind"), word("name"))
                    };
                    let why = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                        of(first),
                        of(owner)
                    );
                    let all: Vec<String> = owners_list.iter().map(in_order).collect();
                    let all = format!("[{}]", all.join(","));
                    causes.push(Cause::unfit("metadata.ownerReferences", &all, &why));
                }
            }
        }
    }
    causes
}

/// An owner as the API server prints it: its fields in the order of their definition.
fn in_order(owner: &Value) -> String {
    let fields = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let parts: Vec<String> = fields
        .iter()
        .filter_map(|name| Some(format!("{name:?}:{}", owner.get(name)?)))
        .collect();
    format!("{{{}}}", parts.join(","))
}

/// What an update may not do to the metadata of `stored`.
pub(super) fn check_change(sent: &Object, stored: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let of = |object: &Object, name: &str| object.metadata().and_then(|metadata| metadata.get(name)).cloned();
    if stored.is_being_deleted() {
        let new: Vec<String> = sent
            .finalizers()
            .filter(|finalizer| !stored.finalizers().any(|old| old == *finalizer))
            .map(|finalizer| format!("{finalizer:?}"))
            .collect();
        if !new.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                new.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    for fixed in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (now, was) = (of(sent, fixed), of(stored, fixed));
        if now != was {
            let value = now.unwrap_or(Value::Null);
            causes.push(Cause::invalid(
                format!("metadata.{fixed}"),
                &value,
                "field is immutable",
            ));
        }
    }
    causes.extend(check_words(sent));
    causes
}

impl Nature {
    /// Whether an update need not say which state it replaces.
    fn takes_unconditional_updates(self) -> bool {
        match self {
            Self::Custom | Self::Lease | Self::Definition => false,
            Self::Namespace
            | Self::Secret
            | Self::ConfigMap
            | Self::ServiceAccount
            | Self::Event
            | Self::NewEvent
            | Self::Role
            | Self::RoleBinding
            | Self::Review(_) => true,
        }
    }

    fn wrong_with_name(self, name: &str) -> Vec<String> {
        match self {
            Self::Namespace => wrong_with_label_name(name),
            // Anything that fits into a path.
            Self::Role | Self::RoleBinding => wrong_with_path_segment(name),
            Self::Custom
            | Self::Secret
            | Self::ConfigMap
            | Self::ServiceAccount
            | Self::Event
            | Self::NewEvent
            | Self::Lease
            | Self::Definition
            | Self::Review(_) => wrong_with_subdomain(name),
        }
    }
}

fn regex(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_NAME: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

static IS_SUBDOMAIN: LazyLock<Option<Regex>> = LazyLock::new(|| regex(SUBDOMAIN));
static IS_LABEL_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| regex(LABEL_NAME));
static IS_KEY: LazyLock<Option<Regex>> = LazyLock::new(|| regex(KEY));
static IS_LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| regex(LABEL));

fn matches(pattern: &Option<Regex>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

pub(super) fn wrong_with_subdomain(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 253 {
        wrong.push("must be no more than 253 characters".to_owned());
    }
    if !matches(&IS_SUBDOMAIN, name) {
        wrong.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
             and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
        ));
    }
    wrong
}

fn wrong_with_label_name(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push("must be no more than 63 characters".to_owned());
    }
    if !matches(&IS_LABEL_NAME, name) {
        if name.contains('.') {
            wrong.push("must not contain dots".to_owned());
        } else {
            wrong.push(format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                 end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '{LABEL_NAME}')"
            ));
        }
    }
    wrong
}

pub(super) fn wrong_with_path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let illegal = ["/", "%"].into_iter().filter(|sign| name.contains(sign));
    illegal.map(|sign| format!("may not contain '{sign}'")).collect()
}

/// A label's, an annotation's or a finalizer's name: `prefix/name`.
pub(in crate::control_plane) fn wrong_with_key(key: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let parts: Vec<&str> = key.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                let why = wrong_with_subdomain(prefix).into_iter();
                wrong.extend(
                    why.map(|why| format!("prefix part {}", why.replace("253 characters", "253 bytes"))),
                );
            }
            name
        }
        _ => {
            return vec![format!(
                "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '{KEY}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if !matches(&IS_KEY, name) {
        wrong.push(format!(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
             character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{KEY}')"
        ));
    }
    wrong
}

pub(in crate::control_plane) fn wrong_with_label(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > 63 {
        wrong.push("must be no more than 63 bytes".to_owned());
    }
    if !matches(&IS_LABEL, value) {
        wrong.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
             end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '{LABEL}')"
        ));
    }
    wrong
}
