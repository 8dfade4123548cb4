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

/// The schema's limits on a status: more or longer paths are owned by a level higher.
const MOST_PATHS: usize = 200;
const LONGEST_PATH: usize = 256;

impl WantedEntry {
    /// What it shall hold, where this is there. A key with too many settings to remember each is ours whole: what stands there
    /// and is not wanted is one of ours that is wanted no more.
    pub fn over(&self, there: Option<&Entry>) -> Entry {
        let mut fields = self.fields.clone();
        let is_owned = |key: &String| self.paths.contains(&escaped(key));
        for (key, wanted) in &mut fields {
            // An object that is wanted empty is one setting, and says nothing of what else stands there.
            let is_whole = is_owned(key) && wanted.as_object().is_some_and(|inner| !inner.is_empty());
            if let (true, Some(found)) = (is_whole, there.and_then(|there| there.get(key))) {
                take_out_others(wanted, found);
            }
        }
        fields
    }

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

/// The settings that an object holds, each by the path to it. Lists are one setting, as they are to a merge patch.
fn paths_of(fields: &Entry) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (key, value) in fields {
        let mut of_key = BTreeSet::new();
        collect(&escaped(key), value, &mut of_key);
        let too_fine = of_key.len() > MOST_PATHS / 4 || of_key.iter().any(|path| path.len() > LONGEST_PATH);
        if too_fine {
            of_key = BTreeSet::from([escaped(key)]);
        }
        paths.append(&mut of_key);
    }
    // The ones of before stand beside the new ones for a while, and both must fit.
    if paths.len() > MOST_PATHS / 2 {
        return fields.keys().map(|key| escaped(key)).collect();
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

/// Only of objects: everything else is replaced whole.
fn take_out_others(wanted: &mut Value, there: &Value) {
    if let (Value::Object(wanted), Value::Object(there)) = (wanted, there) {
        for (key, found) in there {
            match wanted.get_mut(key) {
                Some(inner) => take_out_others(inner, found),
                None => {
                    wanted.insert(key.clone(), Value::Null);
                }
            }
        }
    }
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
    fn a_large_config_is_owned_by_its_first_key_and_one_of_its_settings_goes_all_the_same() {
        let many: Entry = (0..300).map(|n| (format!("k{n}"), json!(n))).collect();
        let mut fewer = many.clone();
        fewer.remove("k7");
        let fields = object(json!({ "tools": fewer, "name": "x" }));
        let entry = WantedEntry {
            paths: paths_of(&fields),
            fields,
            bindings: BTreeSet::new(),
            owned_bindings: BTreeSet::new(),
        };
        assert_eq!(
            entry.paths,
            BTreeSet::from(["tools".to_owned(), "name".to_owned()])
        );
        let there = object(json!({ "tools": many, "name": "y", "foreign": { "a": 1 } }));
        let over = entry.over(Some(&there));
        assert_eq!(over["tools"]["k7"], Value::Null);
        assert_eq!(over["tools"]["k8"], json!(8));
        assert_eq!(over.len(), 2, "nothing of what is not ours");
    }

    #[test]
    fn of_a_small_config_what_is_not_ours_stays() {
        let fields = object(json!({ "tools": { "deny": ["exec"] } }));
        let entry = WantedEntry {
            paths: paths_of(&fields),
            fields,
            bindings: BTreeSet::new(),
            owned_bindings: BTreeSet::new(),
        };
        let there = object(json!({ "tools": { "deny": [], "profile": "full" } }));
        assert_eq!(entry.over(Some(&there)), entry.fields);
    }
}
