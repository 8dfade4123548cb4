//! The refusals of a patch, in the API server's words.

use serde_json::Value;

use super::subject::Subject;
use crate::control_plane::status::{Cause, Details, Reason, Status};

fn status(code: u16, reason: Reason, message: String, details: Option<Details>) -> Status {
    Status {
        code,
        reason,
        message,
        details: details.map(Box::new),
        warnings: Vec::new(),
        go_on: None,
    }
}

pub(super) fn bad_request(message: impl Into<String>) -> Status {
    status(400, Reason::BadRequest, message.into(), None)
}

/// What the API server has no word for.
pub(super) fn internal(message: impl Into<String>) -> Status {
    status(500, Reason::Unknown, message.into(), None)
}

/// A JSON patch that does not fit the object. The API server has the same sentence for every way in which it does not.
pub(super) fn does_not_fit() -> Status {
    let message = "the server rejected our request due to an error in our request";
    status(422, Reason::Invalid, message.to_owned(), Some(Details::default()))
}

pub(super) fn too_large(what: &str) -> Status {
    let message = format!("Request entity too large: {what}");
    status(413, Reason::RequestEntityTooLarge, message, None)
}

/// `accepted`: None where the API server does not say.
pub(super) fn unsupported_media_type(accepted: Option<&[&str]>) -> Status {
    match accepted {
        Some(accepted) => status(
            415,
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
            None,
        ),
        None => status(
            415,
            Reason::UnsupportedMediaType,
            "415: Unsupported Media Type".to_owned(),
            Some(Details::default()),
        ),
    }
}

/// The options of the request are wrong.
pub(super) fn invalid_options(causes: Vec<Cause>) -> Status {
    let details = Details {
        group: "meta.k8s.io".to_owned(),
        kind: "PatchOptions".to_owned(),
        ..Details::default()
    };
    invalid("PatchOptions.meta.k8s.io \"\"", details, causes)
}

/// What came of the patch is no object of its kind. It is shown, as the API server shows it, but not to its end; and of a
/// Secret nothing is, though the API server does that: who may only patch one would read it so.
pub fn invalid_result(subject: &Subject, result: &Value, why: &str) -> Status {
    let shown = if subject.is_secret() {
        "<secret contents redacted>".to_owned()
    } else {
        super::typed::value::quoted(&beginning(&result.to_string()))
    };
    let cause = Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {shown}: {}", beginning(why)),
        field: "patch".to_owned(),
    };
    invalid(" \"\"", Details::default(), vec![cause])
}

/// As much of what was sent as is worth repeating.
pub fn beginning(text: &str) -> String {
    const SHOWN: usize = 4 << 10;
    let end = text.floor_char_boundary(SHOWN);
    match text.get(..end) {
        Some(beginning) if end < text.len() => format!("{beginning} ..."),
        Some(_) | None => text.to_owned(),
    }
}

fn invalid(what: &str, details: Details, causes: Vec<Cause>) -> Status {
    let each: Vec<String> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    let each = match each.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let message = format!("{what} is invalid: {each}");
    status(422, Reason::Invalid, message, Some(Details { causes, ..details }))
}

/// Somebody else owns what was to be changed.
pub(super) fn apply_conflict(message: String, causes: Vec<Cause>) -> Status {
    let details = Details {
        causes,
        ..Details::default()
    };
    status(409, Reason::Conflict, message, Some(details))
}

/// The object was to be changed, not created, and is gone.
pub(super) fn uid_of_nothing(group: &str, plural: &str, name: &str, uid: &str) -> Status {
    let resource = if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    };
    let message = format!(
        "Operation cannot be fulfilled on {resource} {}: uid mismatch: the provided object specified uid {uid}, \
         and no existing object was found",
        super::typed::value::quoted(name)
    );
    let details = Details {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: plural.to_owned(),
        ..Details::default()
    };
    status(409, Reason::Conflict, message, Some(details))
}
