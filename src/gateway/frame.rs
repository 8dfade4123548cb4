//! The gateway's frames: one JSON object a text message. Read leniently (unknown fields and kinds are skipped,
//! every length is bounded where it is kept), written strictly (the gateway refuses a field it does not know).

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::credentials::Secrets;

/// What a gateway may say. What it carries is read by whoever wants it: most events are nobody's news, and the health of
/// 500 agents is 323 kB a minute.
#[derive(Debug)]
pub enum Incoming<'a> {
    Answer {
        id: Cow<'a, str>,
        /// JSON; see [`value`].
        result: Result<&'a str, Refusal>,
    },
    Event {
        name: Cow<'a, str>,
        payload: &'a str,
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

/// The longest answer that we ask for is 1 MB (the configuration of 500 agents), much of it text. A frame of 32 MiB has
/// room for 16 million values, and each of them takes 32 bytes once it is read: half a gigabyte.
const MOST_VALUES: usize = 500_000;

impl<'a> Incoming<'a> {
    /// None for what is not a frame, or of a kind we do not know. What an error says is cleared of `secrets` before it is
    /// cut to length: a cut in the middle of a token would leave half of it.
    pub fn parse(text: &'a str, secrets: &Secrets) -> Option<Self> {
        let Frame {
            kind,
            id,
            ok,
            event,
            payload,
            error,
        } = serde_json::from_str(text).ok()?;
        let payload = payload.map(RawValue::get);
        match kind.as_ref() {
            "res" => {
                let result = if ok == Some(true) {
                    Ok(payload.unwrap_or(NOTHING))
                } else {
                    let error = error.and_then(|error| value(error.get())).map(|mut error| {
                        hide(&mut error, secrets);
                        error
                    });
                    let fault = error.and_then(|error| serde_json::from_value(error).ok());
                    Err(Refusal::of(fault.unwrap_or_default(), payload.is_some()))
                };
                Some(Self::Answer { id: id?, result })
            }
            "event" => Some(Self::Event {
                name: event?,
                payload: payload.unwrap_or(NOTHING),
            }),
            _ => None,
        }
    }
}

const NOTHING: &str = "null";

/// Reads JSON of a gateway. None also for what is nested deeper than 128 levels, or of more values than any answer has.
pub fn value(json: &str) -> Option<Value> {
    if json.len() > MOST_VALUES && values_in(json) > MOST_VALUES {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// How many values a text holds at most, without reading them.
fn values_in(json: &str) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

pub fn request(id: &str, method: &str, params: &Value) -> String {
    json!({ "type": "req", "id": id, "method": method, "params": params }).to_string()
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    ok: Option<bool>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
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

fn hide(value: &mut Value, secrets: &Secrets) {
    match value {
        Value::String(text) => *text = secrets.hide(text),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::Object(fields) => fields.values_mut().for_each(|field| hide(field, secrets)),
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
        }) = Incoming::parse(text, &Secrets::default())
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
            let _ = Incoming::parse(&text, &Secrets::default());
        }

        #[test]
        fn no_frame_shape_panics(kind in "res|event|req|", id in proptest::option::of(".*"), ok in any::<bool>(),
                                 error in proptest::option::of(".*"), number in any::<i64>()) {
            let frame = json!({ "type": kind, "id": id, "ok": ok, "error": error }).to_string();
            let _ = Incoming::parse(&frame, &Secrets::default());
            let odd = json!({ "type": kind, "id": "1", "error": { "code": "C", "retryAfterMs": number } });
            let _ = Incoming::parse(&odd.to_string(), &Secrets::default());
        }
    }
}
