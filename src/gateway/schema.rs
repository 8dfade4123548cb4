//! What a gateway's own schema says of an agent's entry, so that a setting that it would refuse costs no write.
//!
//! Only what is certainly wrong is complained of: an unknown key, a value of another type, a word that is not among the
//! allowed ones. Whatever the schema says beyond that, the gateway says itself.

use serde_json::{Map, Value, json};

use super::configuration::{Entry, REDACTED};
use super::connection::{CallError, Connection};
use super::contract::{Contract, Roster};
use super::frame::tame;
use super::refusal::{Issue, Meaning};
use super::rpc::READ;

/// The JSON schema of an entry, and how a gateway names the place of one.
#[derive(Debug, Clone, PartialEq)]
pub struct EntrySchema(Value);

/// Real ones are 30 kB; a gateway may be hostile.
const LARGEST: usize = 1 << 20;
/// More are told one after another.
const MOST_ISSUES: usize = 50;
/// The longest choice has 9.
const MOST_WORDS: usize = 20;
/// They end at a depth of 17.
const DEEPEST: usize = 40;

impl EntrySchema {
    pub fn of(schema: &Value) -> Option<Self> {
        let is_one = schema.get("properties").is_some_and(Value::is_object);
        (is_one && schema.to_string().len() <= LARGEST).then(|| Self(schema.clone()))
    }

    /// What is certainly wrong with these fields, with paths that begin with `at`. A null removes and is right anywhere.
    pub fn issues(&self, fields: &Entry, at: &str) -> Vec<Issue> {
        let mut issues = Vec::new();
        check(&self.0, &Value::Object(fields.clone()), at, DEEPEST, &mut issues);
        issues.truncate(MOST_ISSUES);
        issues
    }

    /// What it says ends up in conditions.
    fn cleared(self, of: &Connection) -> Self {
        Self(cleared(&self.0, of))
    }
}

fn cleared(value: &Value, of: &Connection) -> Value {
    match value {
        Value::String(text) => Value::from(of.tamed(text)),
        Value::Array(items) => items.iter().map(|item| cleared(item, of)).collect(),
        Value::Object(fields) => {
            let each = fields
                .iter()
                .map(|(key, field)| (key.clone(), cleared(field, of)));
            Value::Object(each.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

impl Connection {
    /// None: this gateway shows no schema.
    pub(super) async fn entry_schema(&self, contract: &Contract) -> Result<Option<EntrySchema>, CallError> {
        // Of a map or a list a gateway shows what is in it, 28 kB; the whole schema is 1 to 2 MB.
        let (path, below, whole) = match contract.roster {
            Roster::Entries => (
                "agents.entries",
                "/schema/additionalProperties",
                "/schema/properties/agents/properties/entries/additionalProperties",
            ),
            Roster::MergedList | Roster::ReplacedList => (
                "agents.list",
                "/schema/items",
                "/schema/properties/agents/properties/list/items",
            ),
        };
        let part = self
            .call("config.schema.lookup", json!({ "path": path }), READ)
            .await;
        if let Some(schema) = shown(part)?
            .as_ref()
            .and_then(|part| EntrySchema::of(part.pointer(below)?))
        {
            return Ok(Some(schema.cleared(self)));
        }
        let all = shown(self.call("config.schema", json!({}), READ).await)?;
        let schema = all.and_then(|all| EntrySchema::of(all.pointer(whole)?));
        Ok(schema.map(|schema| schema.cleared(self)))
    }
}

/// None where a gateway does not offer it, or nothing that can be read.
fn shown(answer: Result<Value, CallError>) -> Result<Option<Value>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(CallError::Refused(refusal)) => match refusal.meaning() {
            Meaning::OverBudget { .. } | Meaning::Busy { .. } => Err(CallError::Refused(refusal)),
            Meaning::NoSuchAgent
            | Meaning::AlreadyExists
            | Meaning::UnsupportedFile
            | Meaning::UnsafeFile
            | Meaning::FileChanged
            | Meaning::ConfigChanged
            | Meaning::InvalidConfig(_)
            | Meaning::SizeDrop
            | Meaning::MissingScope
            | Meaning::UnknownMethod
            | Meaning::OtherMessage
            | Meaning::Other => Ok(None),
        },
        // What it does not say before a write, it says to the write.
        Err(CallError::TimedOut | CallError::Odd { .. } | CallError::TooLarge { .. }) => Ok(None),
        Err(error @ CallError::Lost(_)) => Err(error),
    }
}

fn check(schema: &Value, value: &Value, at: &str, depth: usize, issues: &mut Vec<Issue>) {
    let Some(schema) = schema.as_object().filter(|_| depth > 0) else {
        return;
    };
    // A placeholder, or a reference to the gateway's environment, stands for a value that we do not see.
    let is_hidden = |text: &str| text == REDACTED || text.contains("${");
    if value.is_null() || value.as_str().is_some_and(is_hidden) {
        return;
    }
    let complain = |message: String, issues: &mut Vec<Issue>| {
        issues.push(Issue {
            path: at.to_owned(),
            message,
        });
    };
    let alternatives = ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(*key)?.as_array());
    if let Some(alternatives) = alternatives {
        let complaints: Vec<Vec<Issue>> = alternatives
            .iter()
            .map(|alternative| {
                let mut issues = Vec::new();
                check(alternative, value, at, depth - 1, &mut issues);
                issues
            })
            .collect();
        if !complaints.is_empty() && complaints.iter().all(|issues| !issues.is_empty()) {
            let words: Vec<String> = alternatives
                .iter()
                .filter_map(|one| Some(one.get("const")?.to_string()))
                .collect();
            if words.len() == alternatives.len() {
                complain(not_among(&words), issues);
            } else {
                complain("Invalid input".to_owned(), issues);
            }
        }
        return;
    }
    if let Some(expected) = schema.get("type").filter(|expected| !is_of(value, expected)) {
        let expected = expected
            .as_str()
            .map_or_else(|| expected.to_string(), str::to_owned);
        return complain(
            tame(&format!(
                "Invalid input: expected {expected}, received {}",
                type_of(value)
            )),
            issues,
        );
    }
    let allowed = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    let allowed = allowed.or(schema.get("const").map(std::slice::from_ref));
    if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(value)) {
        let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
        return complain(not_among(&words), issues);
    }
    match value {
        Value::Object(fields) => check_fields(schema, fields, at, depth, issues),
        Value::Array(items) => {
            if let Some(each) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    check(each, item, &format!("{at}.{index}"), depth - 1, issues);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Some of the words are enough to see what is meant.
fn not_among(words: &[String]) -> String {
    let shown = words.get(..MOST_WORDS).unwrap_or(words).join(", ");
    let hidden = words.len().saturating_sub(MOST_WORDS);
    let more = if hidden > 0 {
        format!(", and {hidden} more")
    } else {
        String::new()
    };
    tame(&format!("Invalid input (allowed: {shown}{more})"))
}

fn check_fields(
    schema: &Map<String, Value>,
    fields: &Entry,
    at: &str,
    depth: usize,
    issues: &mut Vec<Issue>,
) {
    let known = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    let by_pattern = schema.contains_key("patternProperties");
    let mut unknown = Vec::new();
    // A null takes out, whatever it is called.
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let below = format!("{at}.{key}");
        match (known.and_then(|known| known.get(key)), others) {
            (Some(of_key), _) => check(of_key, value, &below, depth - 1, issues),
            (None, Some(Value::Bool(false))) if !by_pattern => unknown.push(format!("\"{key}\"")),
            (None, Some(others)) => check(others, value, &below, depth - 1, issues),
            (None, None) => {}
        }
    }
    if !unknown.is_empty() {
        let what = if unknown.len() == 1 { "key" } else { "keys" };
        issues.push(Issue {
            path: at.to_owned(),
            message: format!("Unrecognized {what}: {}", unknown.join(", ")),
        });
    }
}

fn is_of(value: &Value, expected: &Value) -> bool {
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        // A word that we do not know.
        _ => true,
    };
    match expected {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| kind.as_str().is_none_or(is)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a 2026.9.6 shows them, some of its keys.
    fn recorded() -> EntrySchema {
        EntrySchema::of(&json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "name": { "type": "string" },
                "model": { "anyOf": [{ "type": "string" }, { "type": "object", "additionalProperties": false,
                    "properties": { "primary": { "type": "string" } } }] },
                "params": { "type": "object", "additionalProperties": {} },
                "sandbox": { "type": "object", "additionalProperties": false, "properties": {
                    "mode": { "anyOf": [{ "type": "string", "const": "off" }, { "type": "string", "const": "all" }] },
                    "memory": { "type": ["string", "number"] },
                    "docker": { "type": "object", "additionalProperties": false, "properties": {
                        "env": { "type": "object", "additionalProperties": { "type": "string" } },
                        "pidsLimit": { "type": "integer" }, "tmpfs": { "type": "array", "items": { "type": "string" } } } } } } }
        }))
        .unwrap()
    }

    fn says(fields: &Value) -> Vec<String> {
        let issues = recorded().issues(fields.as_object().unwrap(), "agents.entries.a");
        issues
            .iter()
            .map(|Issue { path, message }| format!("{path}: {message}"))
            .collect()
    }

    #[test]
    fn what_is_wrong_is_said_in_the_gateways_words() {
        assert_eq!(
            says(&json!({ "toolz": 1, "skillz": 2, "name": 7 })),
            [
                "agents.entries.a.name: Invalid input: expected string, received number",
                "agents.entries.a: Unrecognized keys: \"skillz\", \"toolz\""
            ]
        );
        assert_eq!(
            says(
                &json!({ "sandbox": { "mode": "some", "docker": { "env": { "A": 1 }, "pidsLimit": 1.5, "tmpfs": ["x", 1] } } })
            ),
            [
                "agents.entries.a.sandbox.docker.env.A: Invalid input: expected string, received number",
                "agents.entries.a.sandbox.docker.pidsLimit: Invalid input: expected integer, received number",
                "agents.entries.a.sandbox.docker.tmpfs.1: Invalid input: expected string, received number",
                "agents.entries.a.sandbox.mode: Invalid input (allowed: \"off\", \"all\")",
            ]
        );
        assert_eq!(
            says(&json!({ "model": 7 })),
            ["agents.entries.a.model: Invalid input"]
        );
    }

    #[test]
    fn what_may_be_right_is_not_complained_of() {
        let fields = json!({ "model": { "primary": "x" }, "params": { "anything": [1, { "y": null }] }, "name": null, "toolz": null,
            "sandbox": { "memory": 7, "mode": REDACTED, "docker": { "pidsLimit": "${LIMIT}", "tmpfs": [] } } });
        assert_eq!(says(&fields), [""; 0]);
        assert!(
            EntrySchema::of(&json!({ "type": "object" })).is_none(),
            "says nothing of its keys"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("type"),
            Just("anyOf"),
            Just("items"),
            Just("properties"),
            Just("additionalProperties"),
            Just("enum"),
            Just("a"),
            Just("string"),
        ];
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            word.clone().prop_map(Value::from)
        ];
        leaf.prop_recursive(6, 40, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(word.clone(), inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_schema_panics(schema in any_json(), value in any_json()) {
            let mut issues = Vec::new();
            check(&schema, &value, "a", DEEPEST, &mut issues);
        }
    }
}
