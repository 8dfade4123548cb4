//! Two answers of two servers, made comparable: what must differ (uids, versions, times, random names, tokens) is replaced
//! by what it stands for, in order of appearance, so that the same uid is still the same and a later version later.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::declared::declared;
use super::side::Answer;

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

static UID: LazyLock<Regex> =
    LazyLock::new(|| pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b\d{2,}\b"));
static AGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\d+[smhd])+$"));

/// What one side answered to a whole case, in comparable words.
pub fn normal(mut answers: Vec<Answer>) -> Vec<Value> {
    let mut normal = Normal::default();
    for answer in &mut answers {
        normal.seen.look(&mut answer.body);
    }
    answers.into_iter().map(|answer| normal.say(answer)).collect()
}

/// One side's uids, versions and names so far.
#[derive(Default)]
pub struct Normal {
    seen: Seen,
    words: Words,
}

impl Normal {
    /// The next answer. Its versions are compared with those that came before.
    pub fn of(&mut self, mut answer: Answer) -> Value {
        self.seen.look(&mut answer.body);
        self.say(answer)
    }

    fn say(&mut self, answer: Answer) -> Value {
        let Answer {
            status,
            mut headers,
            body,
        } = answer;
        // Unknown fields are told in the order of the document by one, of their names by the other.
        headers.values_mut().for_each(|values| values.sort());
        self.words.order = self
            .seen
            .versions
            .iter()
            .enumerate()
            .map(|(place, version)| (version.to_string(), place + 1))
            .collect();
        self.words.names.clone_from(&self.seen.names);
        self.words
            .walk(json!({ "status": status, "headers": headers, "body": body }))
    }
}

#[derive(Default)]
struct Seen {
    /// Of objects; a list's is whatever the server was at.
    versions: BTreeSet<u64>,
    /// Names that the server made, and what they are made of.
    names: Vec<(Regex, String)>,
}

impl Seen {
    fn look(&mut self, value: &mut Value) {
        in_any_order(value);
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.look(item)),
            Value::Object(fields) => {
                // A name that was made and refused.
                if fields
                    .get("field")
                    .is_some_and(|field| field == "metadata.generateName")
                {
                    let message = fields["message"].as_str().unwrap_or_default();
                    if let Some(prefix) = message.split('"').nth(1) {
                        self.made_of(prefix);
                    }
                }
                let is_list = fields.contains_key("items") || fields.contains_key("rows");
                if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                    self.metadata(metadata, is_list);
                }
                fields.values_mut().for_each(|field| self.look(field));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn metadata(&mut self, metadata: &mut Map<String, Value>, is_list: bool) {
        let is_list = is_list || !metadata.contains_key("name");
        let version = metadata.get("resourceVersion").and_then(Value::as_str);
        if let Some(version) = version.and_then(|version| version.parse().ok()) {
            if is_list {
                metadata.insert("resourceVersion".to_owned(), json!("<list>"));
            } else {
                self.versions.insert(version);
            }
        }
        let next = metadata.get("continue").and_then(Value::as_str);
        if next.is_some_and(|next| !next.is_empty()) {
            metadata.insert("continue".to_owned(), json!("<continue>"));
        }
        if let Some(managers) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
            for manager in managers.iter_mut().filter_map(Value::as_object_mut) {
                if manager.contains_key("time") {
                    manager.insert("time".to_owned(), json!("<time>"));
                }
            }
            // Entries of the same second are in the order of their names, and seconds end when they end.
            managers.sort_by_key(Value::to_string);
        }
        let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
        let (prefix, name) = (text("generateName"), text("name"));
        if !prefix.is_empty() && name.len() > 5 {
            self.made_of(prefix);
        }
    }

    fn made_of(&mut self, prefix: &str) {
        let prefix = &prefix[..prefix.len().min(58)];
        let made = pattern(&format!(
            "{}[bcdfghjklmnpqrstvwxz2456789]{{5}}\\b",
            regex::escape(prefix)
        ));
        self.names.push((made, format!("{prefix}<5>")));
    }
}

/// What is wrong with maps is found in the order of Go's maps, which is none: the causes, and the message that lists them.
fn in_any_order(value: &mut Value) {
    let Some(causes) = value.pointer_mut("/details/causes").and_then(Value::as_array_mut) else {
        return;
    };
    // So are managers in conflict; their message is sorted.
    if causes
        .iter()
        .any(|cause| cause["reason"] == "FieldManagerConflict")
    {
        causes.sort_by_key(Value::to_string);
        return;
    }
    let of_map = |cause: &Value| {
        let field = cause["field"].as_str().unwrap_or_default();
        ["metadata.labels", "metadata.annotations", "data["]
            .iter()
            .any(|map| field.starts_with(map))
    };
    if causes.iter().filter(|cause| of_map(cause)).count() < 2 {
        return;
    }
    causes.sort_by_key(Value::to_string);
    let message = value["message"].as_str().unwrap_or_default();
    let mut parts: Vec<&str> = message.split([' ', '[', ']', ',']).collect();
    parts.sort_unstable();
    value["message"] = json!(parts.join(" "));
}

#[derive(Default)]
struct Words {
    order: BTreeMap<String, usize>,
    uids: HashMap<String, usize>,
    names: Vec<(Regex, String)>,
}

impl Words {
    fn walk(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.say(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.walk(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, field)| (self.say(&name), self.walk(field)))
                .collect(),
            // What does not fit 63 bits is a fraction to all who read it as the API server does, however it is written.
            Value::Number(ref number) if number.is_u64() && !number.is_i64() => json!(number.as_f64()),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    fn say(&mut self, text: &str) -> String {
        let text = TOKEN.replace_all(text, |found: &Captures<'_>| claims(&found[1]));
        let text = UID.replace_all(&text, |found: &Captures<'_>| {
            let next = self.uids.len() + 1;
            format!("<uid {}>", self.uids.entry(found[0].to_owned()).or_insert(next))
        });
        let now = Timestamp::now();
        let text = TIME.replace_all(&text, |found: &Captures<'_>| {
            let recent = found[0]
                .parse::<Timestamp>()
                .is_ok_and(|time| time.duration_since(now).abs() < jiff::SignedDuration::from_hours(72));
            match (recent, found.get(1)) {
                (true, Some(_)) => "<time, to the microsecond>".to_owned(),
                (true, None) => "<time>".to_owned(),
                (false, _) => found[0].to_owned(),
            }
        });
        let mut text = text.into_owned();
        for (made, shown) in &self.names {
            text = made.replace_all(&text, shown.as_str()).into_owned();
        }
        let is_version = text.contains("ResourceVersion") || text.chars().all(|c| c.is_ascii_digit());
        if is_version {
            let said = NUMBER.replace_all(&text, |found: &Captures<'_>| match self.order.get(&found[0]) {
                Some(place) => format!("<version {place}>"),
                None => found[0].to_owned(),
            });
            text = said.into_owned();
        }
        if AGE.is_match(&text) {
            return "<age>".to_owned();
        }
        declared(&text)
    }
}

/// What a token says, but for when.
fn claims(payload: &str) -> String {
    let read = URL_SAFE_NO_PAD
        .decode(payload)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).ok());
    let Some(mut claims) = read else {
        return "<a token>".to_owned();
    };
    let number = |claims: &Map<String, Value>, name: &str| {
        claims.get(name).and_then(Value::as_i64).unwrap_or_default()
    };
    let lasts = number(&claims, "exp") - number(&claims, "iat");
    for name in ["exp", "iat", "nbf"] {
        claims.remove(name);
    }
    claims.insert("lasts".to_owned(), json!(lasts));
    format!("<a token: {}>", Value::Object(claims))
}
