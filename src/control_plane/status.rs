//! Every refusal, in the API server's words: clients print the message and decide by `reason` and `code`.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::kind::Kind;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    pub code: u16,
    pub reason: Reason,
    pub message: String,
    /// Boxed: most results are no refusal.
    pub details: Option<Box<Details>>,
    /// What was noticed before it was refused.
    pub warnings: Vec<String>,
    /// By which the rest of a list can still be had, though not as it was.
    pub go_on: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    pub name: String,
    pub group: String,
    /// The plural of the resource; the kind where the object is invalid.
    pub kind: String,
    pub uid: Option<String>,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: Option<u32>,
}

/// One thing that is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldManagerConflict`, ...
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'static str,
    pub message: String,
    /// `spec.files[0].name`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Expired,
    Invalid,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
    /// Sent as none.
    Unknown,
}

/// So many causes are told, and how many more there are. The API server tells all, and takes half a minute to find out about
/// 100,000 items of a list that are wrong.
const MOST_CAUSES: usize = 1_000;

/// Made by what is wrong, in the API server's words.
impl Status {
    fn new(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            warnings: Vec::new(),
            go_on: None,
        }
    }

    /// About one object, or the resource where `name` is empty.
    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = Some(Box::new(Details {
            name: name.to_owned(),
            group: kind.group.clone(),
            kind: kind.names.plural.clone(),
            ..Details::default()
        }));
        self
    }

    #[must_use]
    pub fn warning_of(mut self, warnings: &[String]) -> Self {
        self.warnings = warnings.to_vec();
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, Reason::BadRequest, message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, Reason::Unauthorized, "Unauthorized")
    }

    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.resource());
        let message = match name {
            "" => format!("{} is forbidden: {why}", kind.resource()),
            _ => message,
        };
        Self::new(403, Reason::Forbidden, message).about(kind, name)
    }

    /// Whether it is served or not.
    pub fn forbidden_deed(deed: &super::access::Deed, why: &str) -> Self {
        let super::access::Deed::Objects {
            group,
            resource,
            name,
            ..
        } = deed
        else {
            return Self::forbidden_to(&format!("forbidden: {why}"));
        };
        let plural = resource.split('/').next().unwrap_or_default();
        let qualified = match group.as_str() {
            "" => plural.to_owned(),
            group => format!("{plural}.{group}"),
        };
        let name = name.clone().unwrap_or_default();
        let message = match name.as_str() {
            "" => format!("{qualified} is forbidden: {why}"),
            name => format!("{qualified} \"{name}\" is forbidden: {why}"),
        };
        let mut status = Self::new(403, Reason::Forbidden, message);
        status.details = Some(Box::new(Details {
            name,
            group: group.clone(),
            kind: plural.to_owned(),
            ..Details::default()
        }));
        status
    }

    /// In whole words, where no kind is in question.
    pub fn forbidden_to(message: &str) -> Self {
        let mut status = Self::new(403, Reason::Forbidden, message);
        status.details = Some(Box::default());
        status
    }

    /// A question about what somebody may. Its kind is not told.
    pub fn invalid_question(causes: Vec<Cause>) -> Self {
        let mut status = Self::invalid_options("", causes);
        let group = "authorization.k8s.io";
        status.message = status.message.replacen(".meta.k8s.io", &format!(".{group}"), 1);
        if let Some(details) = &mut status.details {
            group.clone_into(&mut details.group);
        }
        status
    }

    pub fn invalid_token_request(name: &str, cause: Cause) -> Self {
        let message = format!(
            "TokenRequest.authentication.k8s.io \"{name}\" is invalid: {}: {}",
            cause.field, cause.message
        );
        let mut status = Self::new(422, Reason::Invalid, message);
        status.details = Some(Box::new(Details {
            name: name.to_owned(),
            group: "authentication.k8s.io".to_owned(),
            kind: "TokenRequest".to_owned(),
            causes: vec![cause],
            ..Details::default()
        }));
        status
    }

    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.resource());
        Self::new(404, Reason::NotFound, message).about(kind, name)
    }

    /// No such path is served.
    pub fn no_such_resource() -> Self {
        let mut status = Self::new(
            404,
            Reason::NotFound,
            "the server could not find the requested resource",
        );
        status.details = Some(Box::default());
        status
    }

    pub fn method_not_allowed() -> Self {
        let mut status = Self::new(
            405,
            Reason::MethodNotAllowed,
            "the server does not allow this method on the requested resource",
        );
        status.details = Some(Box::default());
        status
    }

    /// The same of one of ours.
    pub fn not_supported(kind: &Kind, verb: &str) -> Self {
        let message = format!(
            "{verb} is not supported on resources of kind \"{}\"",
            kind.resource()
        );
        Self::new(405, Reason::MethodNotAllowed, message).about(kind, "")
    }

    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            accepted.join(", ")
        );
        Self::new(406, Reason::NotAcceptable, message)
    }

    /// One object was asked for as a list.
    pub fn no_list(kind: &str) -> Self {
        let message = format!(
            "you requested PartialObjectMetadataList, but the requested object is not a list ({kind})"
        );
        Self::new(406, Reason::NotAcceptable, message)
    }

    /// The same, of the system's kinds.
    pub fn not_representable(accepted: &[&str]) -> Self {
        let message = format!(
            "406: Not Acceptable\n\nAvailable representations: {}",
            accepted.join(", ")
        );
        let mut status = Self::new(406, Reason::NotAcceptable, message);
        status.details = Some(Box::default());
        status
    }

    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, Reason::UnsupportedMediaType, message)
    }

    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.resource());
        Self::new(409, Reason::AlreadyExists, message).about(kind, name)
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.resource()
        );
        Self::new(409, Reason::Conflict, message).about(kind, name)
    }

    /// Somebody else wrote the object first.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, Reason::Expired, message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, Reason::RequestEntityTooLarge, message)
    }

    pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let mut causes = causes;
        let beyond = causes.len().saturating_sub(MOST_CAUSES);
        causes.truncate(MOST_CAUSES);
        // Several looks may find the same; it is said once.
        let mut said = HashSet::new();
        let each = causes
            .iter()
            .map(|Cause { field, message, .. }| format!("{field}: {message}"));
        let mut each: Vec<String> = each.filter(|words| said.insert(words.clone())).collect();
        if beyond > 0 {
            each.push(format!("and {beyond} more"));
        }
        let words = match each.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", each.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {words}", kind.qualified());
        let mut status = Self::new(422, Reason::Invalid, message);
        status.details = Some(Box::new(Details {
            name: name.to_owned(),
            group: kind.told_group().to_owned(),
            kind: kind.names.kind.clone(),
            causes,
            ..Details::default()
        }));
        status
    }

    /// An invalid object, named by its resource: some rules of the store do.
    pub fn invalid_resource(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let mut status = Self::invalid(kind, name, causes);
        status.message = status.message.replacen(&kind.qualified(), &kind.resource(), 1);
        if let Some(details) = &mut status.details {
            details.kind.clone_from(&kind.names.plural);
        }
        status
    }

    /// An invalid object that calls itself something else.
    pub fn invalid_named(named: &str, kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let mut status = Self::invalid(kind, name, causes);
        status.message = status.message.replacen(&kind.names.kind, named, 1);
        if let Some(details) = &mut status.details {
            named.clone_into(&mut details.kind);
        }
        status
    }

    /// What a query asks for cannot be: `options` is `CreateOptions`, `DeleteOptions`, ...
    pub fn invalid_options(options: &str, causes: Vec<Cause>) -> Self {
        let each: Vec<String> = causes
            .iter()
            .map(|Cause { field, message, .. }| format!("{field}: {message}"))
            .collect();
        let words = match each.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", each.join(", ")),
        };
        let mut status = Self::new(
            422,
            Reason::Invalid,
            format!("{options}.meta.k8s.io \"\" is invalid: {words}"),
        );
        status.details = Some(Box::new(Details {
            group: "meta.k8s.io".to_owned(),
            kind: options.to_owned(),
            causes,
            ..Details::default()
        }));
        status
    }

    /// `why` says what of the options is forbidden.
    pub fn invalid_list_options(field: &str, why: &str) -> Self {
        let cause = Cause::forbidden(field, why);
        let mut status = Self::new(
            422,
            Reason::Invalid,
            format!(
                "ListOptions.meta.k8s.io \"\" is invalid: {field}: {}",
                cause.message
            ),
        );
        status.details = Some(Box::new(Details {
            group: "meta.k8s.io".to_owned(),
            kind: "ListOptions".to_owned(),
            causes: vec![cause],
            ..Details::default()
        }));
        status
    }

    /// A version that has not come yet.
    pub fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut status = Self::new(504, Reason::Timeout, message);
        status.details = Some(Box::new(Details {
            causes: vec![Cause {
                reason: "ResourceVersionTooLarge",
                message: "Too large resource version".to_owned(),
                field: String::new(),
            }],
            retry_after_seconds: Some(1),
            ..Details::default()
        }));
        status
    }

    /// Nothing new comes into a namespace that ends.
    pub fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Self::forbidden(kind, name, &why);
        if let Some(details) = &mut status.details {
            details.causes = vec![Cause {
                reason: "NamespaceTerminating",
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".to_owned(),
            }];
        }
        status
    }

    /// A conflict, named by the kind: preconditions of a deletion do.
    pub fn conflict_of_kind(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.qualified()
        );
        let mut status = Self::new(409, Reason::Conflict, message).about(kind, name);
        if let Some(details) = &mut status.details {
            details.kind.clone_from(&kind.names.kind);
        }
        status
    }

    /// Something that another object names.
    pub fn nothing_named(plural: &str, name: &str) -> Self {
        let mut status = Self::new(404, Reason::NotFound, format!("{plural} \"{name}\" not found"));
        status.details = Some(Box::new(Details {
            name: name.to_owned(),
            kind: plural.to_owned(),
            ..Details::default()
        }));
        status
    }

    /// Something that another object names, but means another.
    pub fn conflict_named(kind: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}");
        let mut status = Self::new(409, Reason::Conflict, message);
        status.details = Some(Box::new(Details {
            name: name.to_owned(),
            kind: kind.to_owned(),
            ..Details::default()
        }));
        status
    }

    /// What the API server answers where it has no word for it.
    pub fn unexplained(message: impl Into<String>) -> Self {
        Self::new(500, Reason::Unknown, message)
    }

    pub fn internal(message: impl std::fmt::Display) -> Self {
        let mut status = Self::new(
            500,
            Reason::InternalError,
            format!("Internal error occurred: {message}"),
        );
        status.details = Some(Box::new(Details {
            causes: vec![Cause {
                reason: "",
                message: message.to_string(),
                field: String::new(),
            }],
            ..Details::default()
        }));
        status
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, Reason::ServiceUnavailable, message)
    }

    /// There is no room for it now.
    pub fn too_many_requests() -> Self {
        let message = "Too many requests, please try again later.";
        let mut status = Self::new(429, Reason::TooManyRequests, message);
        status.details = Some(Box::new(Details {
            retry_after_seconds: Some(1),
            ..Details::default()
        }));
        status
    }

    /// The client took too long.
    pub fn timed_out() -> Self {
        let message =
            "Timeout: request did not complete within requested timeout - context deadline exceeded";
        let mut status = Self::new(504, Reason::Timeout, message);
        status.details = Some(Box::default());
        status
    }
}

/// The causes that registries find by hand.
impl Cause {
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        Self::new("FieldValueRequired", field, message)
    }

    /// `value` as JSON shows it.
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {value}: {why}"),
        )
    }

    /// A value that is shown otherwise than as JSON.
    pub fn unfit(field: impl Into<String>, shown: &str, why: &str) -> Self {
        Self::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {shown}: {why}"),
        )
    }

    pub fn unsupported(field: impl Into<String>, shown: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|word| format!("{word:?}")).collect();
        let message = format!(
            "Unsupported value: {shown}: supported values: {}",
            supported.join(", ")
        );
        Self::new("FieldValueNotSupported", field, message)
    }

    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {why}"))
    }

    pub fn too_long(field: impl Into<String>, most: usize) -> Self {
        Self::new(
            "FieldValueTooLong",
            field,
            format!("Too long: may not be more than {most} bytes"),
        )
    }

    fn new(reason: &'static str, field: impl Into<String>, message: String) -> Self {
        Self {
            reason,
            message,
            field: field.into(),
        }
    }
}

impl Status {
    /// As it is sent.
    pub fn to_json(&self) -> Value {
        let Self {
            code,
            reason,
            message,
            details,
            warnings: _,
            go_on,
        } = self;
        let metadata = go_on
            .as_ref()
            .map_or_else(|| json!({}), |token| json!({ "continue": token }));
        let mut sent = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": message, "code": code,
        });
        if *reason != Reason::Unknown
            && let Some(sent) = sent.as_object_mut()
        {
            sent.insert("reason".to_owned(), json!(format!("{reason:?}")));
        }
        if let (Some(details), Some(sent)) = (details, sent.as_object_mut()) {
            sent.insert("details".to_owned(), details.to_json());
        }
        sent
    }
}

impl Details {
    /// Empty fields are left out, as the API server does.
    fn to_json(&self) -> Value {
        let Self {
            name,
            group,
            kind,
            uid,
            causes,
            retry_after_seconds,
        } = self;
        let mut sent = serde_json::Map::new();
        let words = [("name", name), ("group", group), ("kind", kind)];
        for (key, word) in words.into_iter().chain(uid.as_ref().map(|uid| ("uid", uid))) {
            if !word.is_empty() {
                sent.insert(key.to_owned(), json!(word));
            }
        }
        if !causes.is_empty() {
            sent.insert("causes".to_owned(), json!(causes));
        }
        if let Some(seconds) = retry_after_seconds {
            sent.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        Value::Object(sent)
    }
}
