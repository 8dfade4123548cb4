//! Every refusal, in the API server's words: clients print the message and decide by `reason` and `code`.

use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    pub code: u16,
    pub reason: Reason,
    pub message: String,
    /// Boxed: most results are no refusal.
    pub details: Option<Box<Details>>,
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
    pub reason: &'static str,
    pub message: String,
    /// `spec.files[0].name`
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

impl Status {
    /// As it is sent.
    pub fn to_json(&self) -> Value {
        let Self {
            code,
            reason,
            message,
            details,
        } = self;
        let mut sent = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "code": code,
        });
        if let (true, Some(sent)) = (*reason != Reason::Unknown, sent.as_object_mut()) {
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
