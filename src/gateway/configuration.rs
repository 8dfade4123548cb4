//! One reading of a gateway's configuration: what we use of it, and the hash that a write must name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::names::AgentId;

/// An agent's entry as it stands in the configuration.
pub type Entry = Map<String, Value>;

#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Opaque; another after every change.
    pub hash: String,
    /// The agents that have an entry. `main` has none on a fresh gateway, and is there all the same.
    pub entries: BTreeMap<AgentId, Entry>,
    /// The list itself, where the roster is one: what a replacing patch must repeat, in its order.
    pub list: Vec<Value>,
    /// `agents.ownership`, on gateways that know it.
    pub ownership: Option<String>,
    /// `agents.defaults.heartbeat`.
    pub default_heartbeat: Option<Value>,
    pub bindings: Vec<Value>,
    /// How large its file is, where the file's content is shown. Secrets in it are placeholders, and counted as such.
    pub bytes: Option<usize>,
}

/// What a gateway shows in the place of a secret. Sent back, it keeps the stored value.
pub const REDACTED: &str = "__OPENCLAW_REDACTED__";

impl Configuration {
    /// From the answer of `config.get`; None where it is no such answer.
    pub fn parse(answer: &Value) -> Option<Self> {
        let hash = answer.get("hash")?.as_str()?.to_owned();
        let config = answer.get("config")?;
        let agents = config.get("agents");
        let part = |name: &str| agents.and_then(|agents| agents.get(name));
        let list: Vec<Value> = part("list")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let of_entries = part("entries").and_then(Value::as_object).into_iter().flatten();
        let of_list = list
            .iter()
            .filter_map(|item| Some((item.get("id")?.as_str()?, item)));
        let entries = of_entries
            .map(|(id, entry)| (id.as_str(), entry))
            .chain(of_list)
            .filter_map(|(id, entry)| Some((AgentId::parse(id).ok()?, entry.as_object()?.clone())))
            .collect();
        Some(Self {
            hash,
            entries,
            ownership: part("ownership").and_then(Value::as_str).map(str::to_owned),
            default_heartbeat: part("defaults")
                .and_then(|defaults| defaults.get("heartbeat"))
                .cloned(),
            bindings: config
                .get("bindings")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            bytes: answer
                .get("parsed")
                .and_then(|file| serde_json::to_string_pretty(file).ok())
                .map(|text| text.len() + 1),
            list,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_and_lists_read_alike() {
        let of = |agents: Value| {
            Configuration::parse(&json!({ "hash": "h", "config": { "agents": agents } })).unwrap()
        };
        let entry = json!({ "name": "A", "workspace": "/w" });
        let listed = json!({ "id": "a", "name": "A", "workspace": "/w" });
        let entries = of(json!({ "ownership": "explicit", "entries": { "a": entry } }));
        let list = of(json!({ "list": [listed] }));
        let id = AgentId::parse("a").unwrap();
        assert_eq!(entries.entries[&id]["name"], list.entries[&id]["name"]);
        assert_eq!(entries.ownership.as_deref(), Some("explicit"));
        assert_eq!(list.list.len(), 1);
    }

    #[test]
    fn what_is_odd_in_it_is_left_out_and_never_panics() {
        assert_eq!(Configuration::parse(&json!({ "config": {} })), None);
        assert_eq!(Configuration::parse(&json!([])), None);
        let odd = json!({ "hash": "h", "config": { "agents": { "entries": { "../x": {}, "ok": 7 }, "list": [1, {"id": 2}] } } });
        assert!(Configuration::parse(&odd).unwrap().entries.is_empty());
    }
}
