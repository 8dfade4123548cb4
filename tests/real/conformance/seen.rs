//! What a case saw, as a few lines of text that are the same at every run.
//!
//! A line names what was done and what came back. Only what the operator relies on is written down: the code, the
//! words and the telling details of an error, and of a payload the fields that the case names. Ids, hashes, times
//! and paths are replaced by their kind.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::client::Answer;

#[derive(Debug, Clone, Default)]
pub struct Seen {
    text: String,
    /// Texts of this run and what stands for them, longest first.
    names: Vec<(String, String)>,
}

/// The details of an error by which the operator decides, or that it shows to its user.
const TELLING: [&str; 17] = [
    "code",
    "reason",
    "type",
    "name",
    "missingScope",
    "requiredScopes",
    "issues",
    "method",
    "limit",
    "authReason",
    "canRetryWithDeviceToken",
    "recommendedNextStep",
    "expectedProtocol",
    "requestedRole",
    "requestedScopes",
    "currentHash",
    "requestId",
];

impl Seen {
    pub fn new(mut names: Vec<(String, String)>) -> Self {
        names.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self {
            text: String::new(),
            names,
        }
    }

    pub fn line(&mut self, what: &str, said: impl std::fmt::Display) {
        let said = self.normal(&said.to_string());
        writeln!(self.text, "{what}: {said}").expect("a String takes all");
    }

    /// The answer; of its payload the fields at these pointers.
    pub fn answer(&mut self, what: &str, answer: &Answer, fields: &[&str]) {
        let said = match answer {
            Answer::Ok(payload) => format!("ok{}", picked(payload, fields)),
            Answer::Refused { error, payload } => {
                let beside = if payload.is_null() {
                    String::new()
                } else {
                    format!(" and payload{}", picked(payload, fields))
                };
                format!("{}{beside}", refusal(error))
            }
            Answer::Closed(code, reason) => format!("closed {code} {reason:?}"),
            Answer::Silent => "no answer".to_owned(),
        };
        self.line(what, said);
    }

    pub fn end(&mut self, what: &str, end: Option<&(u16, String)>) {
        match end {
            Some((code, reason)) => self.line(what, format!("closed {code} {reason:?}")),
            None => self.line(what, "stays open"),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    fn normal(&self, text: &str) -> String {
        let mut text = text.replace(['\n', '\t'], " ");
        for (this_run, stands_for) in &self.names {
            text = text.replace(this_run.as_str(), stands_for);
        }
        tokens(&text)
    }
}

fn refusal(error: &Value) -> String {
    let mut said = format!(
        "{} {}",
        error["code"].as_str().unwrap_or("NO CODE"),
        error["message"]
    );
    if error["retryable"] == true {
        said.push_str(" retryable");
    }
    if error["retryAfterMs"].is_number() {
        said.push_str(" retryAfterMs");
    }
    let details: Map<String, Value> = TELLING
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), error["details"].get(key)?.clone())))
        .collect();
    if !details.is_empty() {
        write!(said, " {}", Value::Object(details)).expect("a String takes all");
    }
    said
}

/// In what order paths have changed is nobody's business.
fn in_order(field: &str, value: &Value) -> Value {
    let mut value = value.clone();
    if let (Some(list), "/changedPaths") = (value.as_array_mut(), field) {
        list.sort_by_key(Value::to_string);
    }
    value
}

fn picked(payload: &Value, fields: &[&str]) -> String {
    fields.iter().fold(String::new(), |mut said, field| {
        let value = payload
            .pointer(field)
            .map_or("absent".to_owned(), |value| in_order(field, value).to_string());
        let name = field.trim_start_matches('/').replace('/', ".");
        write!(said, " {name}={value}").expect("a String takes all");
        said
    })
}

/// Replaces the words that differ from run to run by what they are.
fn tokens(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        normal.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
            .unwrap_or(rest.len());
        let word = &rest[..end];
        rest = &rest[end..];
        if word == "hmac-sha256" && rest.starts_with(":v1:") {
            let key = rest[4..]
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
                .map_or(rest.len(), |end| end + 4);
            rest = &rest[key..];
            normal.push_str("<hash>");
        } else {
            let waits = normal.ends_with("retry after ");
            normal.push_str(kind(word).or(waits.then_some("<n>s")).unwrap_or(word));
        }
    }
    normal.push_str(rest);
    normal
}

fn kind(word: &str) -> Option<&'static str> {
    let hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    if parts == [8, 4, 4, 4, 12] && hex(&word.replace('-', "")) {
        Some("<uuid>")
    } else if word.len() == 64 && hex(word) && word.chars().any(|c| c.is_ascii_digit()) {
        Some("<sha256>")
    } else if word.len() == 13 && digits(word) {
        Some("<ms>")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_named_by_its_kind() {
        let names = vec![("/tmp/x".to_owned(), "<root>".to_owned())];
        let seen = Seen::new(names);
        for (said, normal) in [
            ("at /tmp/x/w: no", "at <root>/w: no"),
            (
                "b07620c0-1111-2222-3333-0123456789ab, 1795167564340.",
                "<uuid>, <ms>.",
            ),
            ("\"hmac-sha256:v1:Tc0KU4UB_-S2\" ok", "\"<hash>\" ok"),
            ("retry after 60s; 30 per 60s", "retry after <n>s; 30 per 60s"),
            ("agent \"mc-1\" not found", "agent \"mc-1\" not found"),
            (&"a".repeat(64), &"a".repeat(64)),
        ] {
            assert_eq!(seen.normal(said), normal);
        }
    }

    #[test]
    fn an_answer_is_what_the_operator_relies_on() {
        let mut seen = Seen::new(Vec::new());
        let error = serde_json::json!({ "code": "C", "message": "m", "retryAfterMs": 5, "details": { "code": "D", "new": 1 } });
        seen.answer(
            "asked",
            &Answer::Refused {
                error,
                payload: Value::Null,
            },
            &[],
        );
        seen.answer(
            "read",
            &Answer::Ok(serde_json::json!({ "a": { "b": 1 } })),
            &["/a/b", "/c"],
        );
        assert_eq!(
            seen.text(),
            "asked: C \"m\" retryAfterMs {\"code\":\"D\"}\nread: ok a.b=1 c=absent\n"
        );
    }
}
