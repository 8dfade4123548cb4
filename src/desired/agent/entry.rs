//! An agent's entry in the gateway's configuration: the settings that are ours, and no others.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::obstacle::Obstacle;
use super::place::Place;
use super::promises::Promises;
use crate::gateway::Binding;
use crate::gateway::configuration::Entry;
use crate::resource::AgentSpec;
use crate::resource::settings::Heartbeat;

#[derive(Clone, PartialEq)]
pub struct WantedEntry {
    /// What it shall hold. Settings that were ours and are wanted no more are null: they are taken out.
    pub fields: Entry,
    /// The settings that it holds by our hand then, as paths.
    pub paths: BTreeSet<String>,
    pub bindings: BTreeSet<Binding>,
    /// Bindings that were ours before.
    pub owned_bindings: BTreeSet<Binding>,
}

/// A status has room for 256, and the ones of before stand there beside the new ones for a while.
const MOST_PATHS: usize = 100;
/// The schema's limit.
const LONGEST_PATH: usize = 256;

impl WantedEntry {
    /// Tells one wish from another: another one is ours, whatever else has changed.
    pub fn hash(&self) -> String {
        let Self {
            fields,
            paths: _,
            bindings,
            owned_bindings: _,
        } = self;
        // What is to be taken out is no part of what is wanted.
        let wanted = without_nulls(Value::Object(fields.clone()));
        let bindings: Vec<String> = bindings.iter().map(ToString::to_string).collect();
        let digest = Sha256::digest(json!([wanted, bindings]).to_string());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn of(
        name: &str,
        spec: &AgentSpec,
        place: &Place,
        heartbeat_prompt: Option<&str>,
        paused: bool,
        promises: &Promises,
    ) -> Result<Self, Obstacle> {
        let mut fields = Map::new();
        let display = spec.display_name.as_deref().unwrap_or(name);
        fields.insert("name".to_owned(), json!(display));
        fields.insert("workspace".to_owned(), json!(place.workspace));
        if let Some(model) = &spec.model {
            fields.insert("model".to_owned(), json!(model));
        }
        let heartbeat = heartbeat(&spec.heartbeat, heartbeat_prompt, paused);
        fields.insert("heartbeat".to_owned(), Value::Object(heartbeat));
        for (key, value) in &spec.config {
            // The schema refuses the ones that have a field of their own.
            fields
                .entry(key.clone())
                .or_insert_with(|| without_nulls(value.clone()));
        }
        fields.retain(|_, value| !value.is_null());
        let paths = paths_of(&fields);
        within_bounds(&paths)?;
        let gone = promises.owned_paths.iter().filter(|path| !paths.contains(*path));
        for path in gone {
            take_out(&mut fields, path);
        }
        let parsed = |text: &String| {
            Binding::parse(text).map_err(|error| Obstacle::InvalidSpec {
                field: "spec.bindings".to_owned(),
                why: error.to_string(),
            })
        };
        Ok(Self {
            fields,
            paths,
            bindings: spec.bindings.iter().map(parsed).collect::<Result<_, _>>()?,
            owned_bindings: promises
                .owned_bindings
                .iter()
                .filter_map(|text| Binding::parse(text).ok())
                .collect(),
        })
    }
}

/// In the gateway's words. Off is an interval of nothing: without a block the gateway's default would beat.
fn heartbeat(wanted: &Heartbeat, prompt: Option<&str>, paused: bool) -> Entry {
    let Ok(Value::Object(mut block)) = serde_json::to_value(wanted) else {
        return Entry::new();
    };
    block.remove("enabled");
    if paused || !wanted.enabled {
        block.insert("every".to_owned(), json!("0m"));
    }
    if let (None, Some(prompt)) = (&wanted.prompt, prompt) {
        block.insert("prompt".to_owned(), json!(prompt));
    }
    block
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => value,
    }
}

/// What was written must be remembered setting by setting, or it could not be taken out again without taking somebody
/// else's along.
fn within_bounds(paths: &BTreeSet<String>) -> Result<(), Obstacle> {
    let refused = |why: String| {
        Err(Obstacle::InvalidSpec {
            field: "spec.config".to_owned(),
            why,
        })
    };
    if paths.len() > MOST_PATHS {
        return refused(format!(
            "with name, workspace, model and heartbeat these are {} settings, and at most {MOST_PATHS} can be kept apart from other \
             people's: write fewer, or lists, each of which is one setting",
            paths.len()
        ));
    }
    match paths.iter().find(|path| path.len() > LONGEST_PATH) {
        Some(long) => refused(format!(
            "the path to a setting has at most {LONGEST_PATH} bytes, and one has {}, beginning {:?}: shorten its keys",
            long.len(),
            long.chars().take(40).collect::<String>()
        )),
        None => Ok(()),
    }
}

/// The settings that an object holds, each by the path to it. Lists are one setting, as they are to a merge patch.
fn paths_of(fields: &Entry) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (key, value) in fields {
        collect(&escaped(key), value, &mut paths);
    }
    paths
}

fn collect(at: &str, value: &Value, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                collect(&format!("{at}.{}", escaped(key)), value, paths);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            paths.insert(at.to_owned());
        }
    }
}

/// Nulls the setting at this path, unless something wanted stands there, above it or below it.
fn take_out(fields: &mut Entry, path: &str) {
    let keys = keys_of(path);
    let Some((last, above)) = keys.split_last() else {
        return;
    };
    let mut at = fields;
    for key in above {
        let inner = at.entry(key.clone()).or_insert_with(|| json!({}));
        match inner {
            Value::Object(inner) => at = inner,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return,
        }
    }
    at.entry(last.clone()).or_insert(Value::Null);
}

/// A dot separates keys, so a dot in a key is written `\.`, and a backslash `\\`.
fn escaped(key: &str) -> String {
    key.replace('\\', "\\\\").replace('.', "\\.")
}

fn keys_of(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut signs = path.chars();
    while let Some(sign) = signs.next() {
        let sign = match sign {
            '.' => {
                keys.push(String::new());
                continue;
            }
            '\\' => signs.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(last) = keys.last_mut() {
            last.push(sign);
        }
    }
    keys
}

/// Without the values: a setting may hold a secret.
impl fmt::Debug for WantedEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fields: _,
            paths,
            bindings,
            owned_bindings,
        } = self;
        out.debug_struct("WantedEntry")
            .field("paths", paths)
            .field("bindings", bindings)
            .field("owned_bindings", owned_bindings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Entry {
        let Value::Object(fields) = value else { panic!() };
        fields
    }

    #[test]
    fn a_path_leads_back_to_its_setting() {
        let fields = object(json!({ "tools": { "a.b": { "c\\d": 1 }, "list": [1] }, "empty": {} }));
        let paths = paths_of(&fields);
        assert_eq!(
            paths.iter().map(String::as_str).collect::<Vec<_>>(),
            ["empty", "tools.a\\.b.c\\\\d", "tools.list"]
        );
        assert_eq!(keys_of("tools.a\\.b.c\\\\d"), ["tools", "a.b", "c\\d"]);
    }

    #[test]
    fn what_is_wanted_no_more_is_taken_out_and_its_neighbours_stay() {
        let mut fields = object(json!({ "tools": { "allow": ["x"] }, "model": "m" }));
        for path in [
            "tools.deny",
            "sandbox.mode",
            "tools",
            "model.deep",
            "tools.allow.x",
        ] {
            take_out(&mut fields, path);
        }
        assert_eq!(
            Value::Object(fields),
            json!({ "tools": { "allow": ["x"], "deny": null }, "model": "m", "sandbox": { "mode": null } })
        );
    }

    #[test]
    fn off_is_said_and_not_left_out() {
        let wanted = Heartbeat::default();
        assert_eq!(
            Value::Object(heartbeat(&wanted, Some("look"), false)),
            json!({ "every": "10m", "target": "last", "prompt": "look" })
        );
        assert_eq!(heartbeat(&wanted, None, true).get("every"), Some(&json!("0m")));
    }

    #[test]
    fn more_settings_than_can_be_remembered_are_refused() {
        let config = |settings: usize| {
            let many: Entry = (0..settings).map(|n| (format!("k{n}"), json!(n))).collect();
            paths_of(&object(json!({ "tools": many })))
        };
        assert_eq!(within_bounds(&config(MOST_PATHS)), Ok(()));
        let Err(Obstacle::InvalidSpec { field, why }) = within_bounds(&config(MOST_PATHS + 1)) else {
            panic!()
        };
        assert_eq!(field, "spec.config");
        assert!(why.contains("101 settings, and at most 100"), "{why}");
        let long = paths_of(&object(json!({ "tools": { "x".repeat(LONGEST_PATH): 1 } })));
        assert!(within_bounds(&long).is_err());
    }
}
