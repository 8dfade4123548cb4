//! The gateway's frames: one JSON object a text message. Read leniently (unknown fields and kinds are skipped,
//! every length is bounded where it is kept), written strictly (the gateway refuses a field it does not know).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::credentials::Token;

/// What a gateway may say.
#[derive(Debug)]
pub enum Incoming {
    Answer {
        id: String,
        result: Result<Value, Refusal>,
    },
    Event {
        name: String,
        payload: Value,
    },
}

/// A request that the gateway answered with an error.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    /// `details.code`, which most authentication errors carry and most others do not.
    pub detail_code: Option<String>,
    pub details: Value,
    pub retry_after: Option<Duration>,
    /// The error came together with an answer: it tells what became of an earlier request, not of this one.
    pub answered: bool,
}

/// Longest text of a gateway that we keep: it ends up in conditions and logs, and a gateway may be hostile.
const LONGEST_TEXT: usize = 300;

impl Incoming {
    /// None for what is not a frame, or of a kind we do not know. What an error says is cleared of `secret` before it is
    /// cut to length: a cut in the middle of a token would leave half of it.
    pub fn parse(text: &str, secret: Option<&Token>) -> Option<Self> {
        let mut frame: Frame = serde_json::from_str(text).ok()?;
        if let (Some(error), Some(secret)) = (&mut frame.error, secret) {
            hide(error, secret);
        }
        match frame.kind.as_str() {
            "res" => {
                let result = if frame.ok == Some(true) {
                    Ok(frame.payload)
                } else {
                    Err(Refusal::of(
                        frame
                            .error
                            .and_then(|error| serde_json::from_value(error).ok())
                            .unwrap_or_default(),
                        !frame.payload.is_null(),
                    ))
                };
                Some(Self::Answer {
                    id: frame.id?,
                    result,
                })
            }
            "event" => Some(Self::Event {
                name: frame.event?,
                payload: frame.payload,
            }),
            _ => None,
        }
    }
}

pub fn request(id: &str, method: &str, params: &Value) -> String {
    json!({ "type": "req", "id": id, "method": method, "params": params }).to_string()
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    ok: Option<bool>,
    event: Option<String>,
    #[serde(default)]
    payload: Value,
    error: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Fault {
    code: String,
    message: String,
    details: Value,
    retry_after_ms: Option<u64>,
}

impl Refusal {
    /// What a close frame says where an answer was due.
    pub(super) fn of_close(reason: String) -> Self {
        Self::of(
            Fault {
                message: reason,
                ..Fault::default()
            },
            false,
        )
    }

    fn of(fault: Fault, answered: bool) -> Self {
        let Fault {
            code,
            message,
            details,
            retry_after_ms,
        } = fault;
        Self {
            code: tame(&code),
            message: tame(&message),
            detail_code: details.get("code").and_then(Value::as_str).map(tame),
            details,
            retry_after: retry_after_ms.map(Duration::from_millis),
            answered,
        }
    }
}

fn hide(value: &mut Value, secret: &Token) {
    match value {
        Value::String(text) => *text = secret.hide(text),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secret)),
        Value::Object(fields) => fields.values_mut().for_each(|field| hide(field, secret)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A gateway's words, fit for a condition: bounded, on one line.
pub fn tame(text: &str) -> String {
    let mut kept: String = text
        .chars()
        .take(LONGEST_TEXT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_keeps_what_decides() {
        let text = r#"{"type":"res","id":"7","ok":false,"error":{"code":"UNAVAILABLE","message":"gateway starting",
            "retryable":true,"retryAfterMs":500,"details":{"code":"X","reason":"startup-sidecars"},"new":1}}"#;
        let Some(Incoming::Answer {
            id,
            result: Err(refusal),
        }) = Incoming::parse(text, None)
        else {
            panic!()
        };
        assert_eq!(id, "7");
        assert_eq!(refusal.detail_code.as_deref(), Some("X"));
        assert_eq!(refusal.details["reason"], "startup-sidecars");
        assert_eq!(refusal.retry_after, Some(Duration::from_millis(500)));
    }

    #[test]
    fn words_of_a_gateway_are_bounded_and_on_one_line() {
        assert_eq!(tame("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(tame(&"ä".repeat(5000)).chars().count(), LONGEST_TEXT + 1);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Incoming::parse(&text, None);
        }

        #[test]
        fn no_frame_shape_panics(kind in "res|event|req|", id in proptest::option::of(".*"), ok in any::<bool>(),
                                 error in proptest::option::of(".*"), number in any::<i64>()) {
            let _ = Incoming::parse(&json!({ "type": kind, "id": id, "ok": ok, "error": error }).to_string(), None);
            let odd = json!({ "type": kind, "id": "1", "error": { "code": "C", "retryAfterMs": number } });
            let _ = Incoming::parse(&odd.to_string(), None);
        }
    }
}
