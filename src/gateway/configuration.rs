//! One reading of a gateway's configuration: what we use of it, and the hash that a write must name.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::names::AgentId;

/// An agent's entry as it stands in the configuration.
pub type Entry = Map<String, Value>;

#[derive(Clone, PartialEq)]
pub struct Configuration {
    /// Opaque; another after every change.
    pub hash: String,
    /// The agents that have an entry, as the gateway uses it. `main` has none on a fresh gateway, and is there all the same.
    pub entries: BTreeMap<AgentId, Entry>,
    /// Those that the configuration spells otherwise than their id: written as `ops-team`, `Ops Team` would be a second one.
    pub spellings: BTreeMap<AgentId, String>,
    /// The list itself, where the roster is one.
    pub list: Vec<Value>,
    /// `agents.ownership`, on gateways that know it.
    pub ownership: Option<String>,
    /// `agents.defaults.heartbeat`.
    pub default_heartbeat: Option<Value>,
    /// `agents.defaults.systemAgent.agentId`: whose is what is nobody else's, on gateways that know it.
    pub system_agent: Option<AgentId>,
    pub bindings: Vec<Value>,
    pub written: Written,
    /// How large its file is, where the file's content is shown. Secrets in it are placeholders, and counted as such.
    pub bytes: Option<usize>,
}

/// The same as the file has it: `${NAME}` where a gateway uses the variable's value, `~` where it uses a folder. Item by item
/// as above. What a write repeats is this: a 2026.2.9 that is sent the value has it in its file from then on, secret or not.
#[derive(Clone, PartialEq)]
pub struct Written {
    pub entries: BTreeMap<AgentId, Entry>,
    pub list: Vec<Value>,
    pub bindings: Vec<Value>,
}

/// What a gateway shows in the place of a secret. Sent back, it keeps the stored value.
pub const REDACTED: &str = "__OPENCLAW_REDACTED__";

impl Configuration {
    /// From the answer of `config.get`; None where it is no such answer.
    pub fn parse(answer: &Value) -> Option<Self> {
        let hash = answer.get("hash")?.as_str()?.to_owned();
        let config = answer.get("config")?;
        let file = answer.get("parsed");
        let agents = config.get("agents");
        let list = list_at(Some(config), "/agents/list");
        let bindings = list_at(Some(config), "/bindings");
        let entries = entries_of(config);
        let written_entries = file.map(entries_of).unwrap_or_default();
        let spelling = |(agent, (spelled, _)): (&AgentId, &(&str, Entry))| {
            (agent.as_str() != *spelled).then(|| (agent.clone(), (*spelled).to_owned()))
        };
        Some(Self {
            hash,
            spellings: entries.iter().filter_map(spelling).collect(),
            ownership: agents
                .and_then(|agents| agents.get("ownership"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            default_heartbeat: config.pointer("/agents/defaults/heartbeat").cloned(),
            system_agent: config
                .pointer("/agents/defaults/systemAgent/agentId")
                .and_then(Value::as_str)
                .map(AgentId::normalised),
            written: Written {
                entries: without_spellings(written_entries),
                list: matching(list_at(file, "/agents/list"), &list),
                bindings: matching(list_at(file, "/bindings"), &bindings),
            },
            bytes: file
                .and_then(|file| serde_json::to_string_pretty(file).ok())
                .map(|text| text.len() + 1),
            entries: without_spellings(entries),
            list,
            bindings,
        })
    }

    /// How the configuration spells this agent's id.
    pub fn spelling<'a>(&'a self, agent: &'a AgentId) -> &'a str {
        self.spellings.get(agent).map_or(agent.as_str(), String::as_str)
    }
}

/// Without what is in it: values of variables, and whatever secrets the gateway does not know as such.
impl fmt::Debug for Configuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Configuration")
            .field("hash", &self.hash)
            .field("entries", &self.entries.keys())
            .finish_non_exhaustive()
    }
}

fn list_at(config: Option<&Value>, pointer: &str) -> Vec<Value> {
    let list = config
        .and_then(|config| config.pointer(pointer))
        .and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

/// The list of the file, unless it is another one: a file may include others, and then shows less than there is.
fn matching(of_file: Vec<Value>, used: &[Value]) -> Vec<Value> {
    if of_file.len() == used.len() {
        of_file
    } else {
        used.to_vec()
    }
}

/// By id, with the spelling that each is found under. Of two spellings of one id the first counts, as for the gateway.
fn entries_of(config: &Value) -> BTreeMap<AgentId, (&str, Entry)> {
    let of_entries = config.pointer("/agents/entries").and_then(Value::as_object);
    let of_entries = of_entries.into_iter().flatten();
    let of_list = config.pointer("/agents/list").and_then(Value::as_array);
    let of_list = of_list
        .into_iter()
        .flatten()
        .filter_map(|item| Some((item.get("id")?.as_str()?, item)));
    let mut entries = BTreeMap::new();
    for (spelled, entry) in of_entries.map(|(id, entry)| (id.as_str(), entry)).chain(of_list) {
        if let Some(entry) = entry.as_object() {
            let agent = AgentId::normalised(spelled);
            entries.entry(agent).or_insert_with(|| (spelled, entry.clone()));
        }
    }
    entries
}

fn without_spellings(entries: BTreeMap<AgentId, (&str, Entry)>) -> BTreeMap<AgentId, Entry> {
    let each = entries.into_iter().map(|(agent, (_, entry))| (agent, entry));
    each.collect()
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
    fn what_the_file_says_is_kept_beside_what_it_comes_to() {
        let of = |name: &str| json!({ "list": [{ "id": "Ops Team", "name": name }] });
        let bound = |to: &str| json!([{ "agentId": "ops-team", "match": { "channel": to } }]);
        let answer = json!({ "hash": "h", "config": { "agents": of("value"), "bindings": bound("telegram") },
            "parsed": { "agents": of("${NAME}"), "bindings": bound("${CHANNEL}") } });
        let both = Configuration::parse(&answer).unwrap();
        let id = AgentId::parse("ops-team").unwrap();
        assert_eq!(both.entries[&id]["name"], "value");
        assert_eq!(both.written.entries[&id]["name"], "${NAME}");
        assert_eq!(both.written.list[0]["name"], "${NAME}");
        assert_eq!(both.written.bindings[0]["match"]["channel"], "${CHANNEL}");
        assert_eq!(both.spelling(&id), "Ops Team");

        let mut less = answer;
        less["parsed"] = json!({ "$include": "other.json" });
        let less = Configuration::parse(&less).unwrap();
        assert_eq!(
            (&less.written.list, &less.written.bindings),
            (&less.list, &less.bindings)
        );
    }

    #[test]
    fn what_is_odd_in_it_is_left_out_and_never_panics() {
        assert_eq!(Configuration::parse(&json!({ "config": {} })), None);
        assert_eq!(Configuration::parse(&json!([])), None);
        let odd = json!({ "hash": "h", "config": { "agents": { "entries": { "ok": 7 }, "list": [1, {"id": 2}] } } });
        assert!(Configuration::parse(&odd).unwrap().entries.is_empty());
    }
}
