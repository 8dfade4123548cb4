//! An error answer, in the gateway's shape.

use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) details: Option<Box<Value>>,
    pub(super) retry_after_ms: Option<u64>,
    pub(super) retryable: bool,
    /// `chat.send` answers a failed run with its outcome and an error both.
    pub(super) payload: Option<Box<Value>>,
}

pub(super) type Answer = Result<Value, Refusal>;

impl Refusal {
    fn of(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            retry_after_ms: None,
            retryable: false,
            payload: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::of("INVALID_REQUEST", message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::of("UNAVAILABLE", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::of("FORBIDDEN", message)
    }

    pub(super) fn not_paired(message: impl Into<String>) -> Self {
        Self::of("NOT_PAIRED", message)
    }

    pub(super) fn details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    pub(super) fn retry(mut self, after_ms: Option<u64>) -> Self {
        self.retryable = true;
        self.retry_after_ms = after_ms;
        self
    }

    pub(super) fn with_payload(mut self, payload: Value) -> Self {
        self.payload = Some(Box::new(payload));
        self
    }

    /// What is not there is left out, as the gateway does.
    pub(super) fn error(&self) -> Value {
        let Self {
            code,
            message,
            details,
            retry_after_ms,
            retryable,
            payload: _,
        } = self;
        let mut error = Map::new();
        error.insert("code".into(), json!(code));
        error.insert("message".into(), json!(message));
        if let Some(details) = details {
            error.insert("details".into(), (**details).clone());
        }
        if *retryable {
            error.insert("retryable".into(), json!(true));
        }
        if let Some(after) = retry_after_ms {
            error.insert("retryAfterMs".into(), json!(after));
        }
        Value::Object(error)
    }
}
