//! All that can be seen of a cluster and its gateways at one moment, in a form in which two runs are equal: times are left out,
//! and what is of chance (uids, keys, tokens) is told by what it is. So a token in a file is equal in both runs if it is the
//! one that the Secret holds, and only then.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use quartermaster::gateway::DeviceKey;
use quartermaster::simulated_gateway::SimulatedGateway;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Each thing by what it is called: `Gateway default/harbour`, `harbour: /srv/.../AGENTS.md`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Picture(BTreeMap<String, Value>);

/// What is to be seen of, and where all of a kind are listed.
pub(crate) const KINDS: [(&str, &str); 7] = [
    ("Gateway", "/apis/quartermaster.dev/v1alpha1/gateways"),
    ("Board", "/apis/quartermaster.dev/v1alpha1/boards"),
    ("Agent", "/apis/quartermaster.dev/v1alpha1/agents"),
    ("TemplateSync", "/apis/quartermaster.dev/v1alpha1/templatesyncs"),
    ("Secret", "/api/v1/secrets"),
    ("ConfigMap", "/api/v1/configmaps"),
    ("Namespace", "/api/v1/namespaces"),
];

/// What a picture is drawn of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Things {
    /// As the API server lists them, each with its kind.
    pub(crate) objects: Vec<Value>,
    /// By uid: kind and name, also of what is gone. Something of it may have been left behind.
    pub(crate) known: BTreeMap<String, (String, String)>,
    /// By what they are called.
    pub(crate) gateways: BTreeMap<String, Inside>,
    /// Other words of chance, and what they are.
    pub(crate) words: Vec<(String, String)>,
}

/// What is in one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    pub(crate) config: Value,
    /// By path.
    pub(crate) files: BTreeMap<String, String>,
    /// By session.
    pub(crate) histories: BTreeMap<String, Vec<Value>>,
    pub(crate) connections: usize,
}

impl Inside {
    pub(crate) fn of(gateway: &SimulatedGateway) -> Self {
        Self {
            config: gateway.config(),
            files: gateway.files(),
            histories: gateway.histories(),
            connections: gateway.connections(),
        }
    }
}

impl Picture {
    pub(crate) fn of(things: Things) -> Self {
        let Things {
            objects,
            known,
            gateways,
            words,
        } = things;
        let mut names = Names::default();
        let mut seen = BTreeMap::new();
        for object in objects {
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            let name = name_of(&kind, &object);
            names.learn(&kind, &name, &object);
            seen.insert(name, object);
        }
        for (uid, (kind, name)) in known {
            names.add(&uid, &format!("the uid of {kind} {name}"));
        }
        for (word, what) in words {
            names.add(&word, &what);
        }
        for (host, gateway) in gateways {
            let Inside {
                config,
                files,
                histories,
                connections,
            } = gateway;
            for (path, text) in files {
                // The file's own name holds what is of chance as well; it is told by then.
                names.learn_hash(&text, &format!("what {} says", last(&path)));
                seen.insert(format!("{host}: {path}"), json!(text));
            }
            for (session, messages) in histories {
                let keys = messages
                    .iter()
                    .filter_map(|message| message["idempotencyKey"].as_str());
                for (number, key) in keys.filter_map(|key| key.strip_suffix(":user")).enumerate() {
                    names.add(key, &format!("message {}", number + 1));
                }
                seen.insert(format!("{host}: session {session}"), json!(messages));
            }
            seen.insert(format!("{host}: configuration"), config);
            seen.insert(format!("{host}: connections"), json!(connections));
        }
        let told = seen
            .into_iter()
            .map(|(name, thing)| (names.tell(&name), names.normalised(thing)));
        Self(told.collect())
    }

    /// Whether a hash of a token is still being made. That takes a thread of its own, and real time.
    pub(crate) fn waits_for_a_hash(&self) -> bool {
        let mut tokens = self.0.values().filter_map(|thing| thing.pointer("/status/token"));
        tokens.any(|token| token.get("fingerprint").is_some() && token.get("hash").is_none())
    }

    /// Without what is called so.
    pub(crate) fn without(mut self, beginnings: &[&str]) -> Self {
        self.0
            .retain(|name, _| !beginnings.iter().any(|begins| name.starts_with(begins)));
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What differs: `-` as it should be, `+` as it is.
    pub(crate) fn difference(&self, is: &Self) -> String {
        let mut told = String::new();
        let names: BTreeSet<&String> = self.0.keys().chain(is.0.keys()).collect();
        for name in names {
            match (self.0.get(name), is.0.get(name)) {
                (Some(should), Some(is)) if should == is => {}
                (Some(should), Some(is)) => {
                    writeln!(told, "  {name}").unwrap();
                    let (should, is) = (pretty(should), pretty(is));
                    let lines = similar::TextDiff::from_lines(&should, &is);
                    for change in lines
                        .iter_all_changes()
                        .filter(|change| change.tag() != similar::ChangeTag::Equal)
                    {
                        write!(told, "    {}{change}", change.tag()).unwrap();
                    }
                }
                (Some(_), None) => writeln!(told, "  - {name} is not there").unwrap(),
                (None, Some(_)) => writeln!(told, "  + {name} should not be there").unwrap(),
                (None, None) => {}
            }
        }
        told
    }

    /// The conditions of every object, and what each gateway has: what somebody looks at first.
    pub(crate) fn summary(&self) -> String {
        let mut told = String::new();
        for (name, thing) in &self.0 {
            let conditions = thing.pointer("/status/conditions").and_then(Value::as_array);
            let shown: Vec<String> = conditions
                .into_iter()
                .flatten()
                .map(|condition| {
                    let word = |key: &str| condition[key].as_str().unwrap_or_default();
                    format!("{}={}/{}", word("type"), word("status"), word("reason"))
                })
                .collect();
            let end = match thing {
                Value::Number(number) => number.to_string(),
                Value::String(text) => format!("{} letters", text.len()),
                Value::Array(items) => format!("{} messages", items.len()),
                Value::Null | Value::Bool(_) | Value::Object(_) => shown.join(" "),
            };
            writeln!(told, "  {name}  {end}").unwrap();
        }
        told
    }
}

fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(value).unwrap() + "\n"
        }
    }
}

fn name_of(kind: &str, object: &Value) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

fn by_name(mut told: Value) -> Value {
    if let Value::Array(all) = &mut told {
        all.sort_by_cached_key(Value::to_string);
    }
    told
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

thread_local! {
    /// A look at a hash costs as much as the hash did.
    static HASHES: RefCell<HashMap<(String, String), bool>> = RefCell::default();
}

fn is_hash_of(hash: &str, token: &str) -> bool {
    HASHES.with_borrow_mut(|known| {
        let looked_at = (hash.to_owned(), token.to_owned());
        *known
            .entry(looked_at)
            .or_insert_with(|| bcrypt::verify(token, hash).unwrap_or(false))
    })
}

/// What is of chance, and what it is.
#[derive(Default)]
struct Names {
    /// The longer ones first, as one may hold another.
    known: Vec<(String, String)>,
    /// What may stand behind a bcrypt hash, and what it is.
    tokens: Vec<(String, String)>,
}

impl Names {
    fn learn(&mut self, kind: &str, name: &str, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        if kind == "Secret" {
            for (key, value) in object["data"].as_object().into_iter().flatten() {
                let decoded = STANDARD
                    .decode(value.as_str().unwrap_or_default())
                    .unwrap_or_default();
                let what = format!("{key} of {name}");
                if let Ok(device) = DeviceKey::decode(&decoded) {
                    self.add(device.id(), &format!("the id of the device whose key is {what}"));
                }
                if let Ok(decoded) = String::from_utf8(decoded)
                    && decoded.len() >= 32
                {
                    self.learn_hash(&decoded, &what);
                    self.tokens.push((decoded.clone(), what.clone()));
                    self.add(value.as_str().unwrap_or_default(), &format!("{what}, encoded"));
                    self.add(&decoded, &what);
                }
            }
        }
        // Also where its history is gone with a session that was reset.
        if let Some(key) = text("/status/wake/id") {
            self.add(key, &format!("the key of the last message to {name}"));
        }
        if let Some(request) = text("/status/device/pairingRequest/requestId") {
            self.add(request, "a pairing request");
        }
    }

    fn learn_hash(&mut self, text: &str, what: &str) {
        let hash: String = Sha256::digest(text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.add(&hash, &format!("the hash of {what}"));
    }

    fn add(&mut self, text: &str, what: &str) {
        if !text.is_empty() {
            self.known.push((text.to_owned(), format!("<{what}>")));
            self.known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
    }

    fn tell(&self, text: &str) -> String {
        let mut told = text.to_owned();
        for (known, what) in &self.known {
            if told.contains(known.as_str()) {
                told = told.replace(known.as_str(), what);
            }
        }
        if told.parse::<Timestamp>().is_ok() {
            return "<a time>".to_owned();
        }
        if told.starts_with("$2")
            && let Some((_, what)) = self.tokens.iter().find(|(token, _)| is_hash_of(&told, token))
        {
            return format!("<the bcrypt hash of {what}>");
        }
        told
    }

    fn normalised(&self, value: Value) -> Value {
        match value {
            Value::String(text) => json!(self.tell(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.normalised(item)).collect(),
            Value::Object(fields) => {
                let is_entry = fields.contains_key("ownedPaths");
                let kept = fields.into_iter().filter_map(|(key, value)| {
                    let value = match key.as_str() {
                        "managedFields" | "resourceVersion" => return None,
                        // When something was last written, as far as who wrote it lived to tell.
                        "lastSync" => return None,
                        // Milliseconds, and what a gateway gives each start or message.
                        "timestamp" | "bootId" | "lastTouchedAt" | "seq" => json!("<of chance>"),
                        // Of settings with ids in them: that there is one is what counts.
                        "hash" if is_entry => json!("<the hash of its entry>"),
                        // As they were done, and several are at it at once.
                        "synced" | "errors" => by_name(self.normalised(value)),
                        _ => self.normalised(value),
                    };
                    Some((self.tell(&key), value))
                });
                Value::Object(kept.collect::<Map<_, _>>())
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }
}
