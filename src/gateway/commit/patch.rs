//! PURE. The patch that turns a configuration into the wanted one: nothing in it that is already so, nothing of anybody
//! else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::EntryChange;
use crate::gateway::configuration::{Configuration, Entry, REDACTED};
use crate::gateway::contract::{Contract, Roster};
use crate::gateway::names::AgentId;
use crate::gateway::refusal::Issue;

pub(super) struct Patch {
    /// None: everything is as wanted.
    pub(super) raw: Option<Value>,
    /// How many entries it touches.
    pub(super) entries: usize,
    pub(super) left_out: Vec<LeftOut>,
    /// Agents of others that beat by default, and that were given an empty block so that they go on.
    pub(super) preserved: Vec<AgentId>,
}

/// A setting that the gateway does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub agent: AgentId,
    pub setting: String,
}

pub(super) fn patch_of(contract: &Contract, now: &Configuration, changes: &[EntryChange]) -> Patch {
    let mut left_out = Vec::new();
    let mut differences: BTreeMap<AgentId, Entry> = BTreeMap::new();
    let nothing = Entry::new();
    for EntryChange { agent, fields } in changes {
        let fields = known_to(contract, agent, fields, &mut left_out);
        let there = now.entries.get(agent);
        let difference = difference(there.unwrap_or(&nothing), &fields);
        if there.is_none() || !difference.is_empty() {
            differences.insert(agent.clone(), difference);
        }
    }
    let entries = differences.len();
    let mut preserved = Vec::new();
    if is_first_heartbeat(now, &differences) {
        for agent in beating_by_default(contract, now) {
            let fields = differences.entry(agent.clone()).or_default();
            if !fields.contains_key(HEARTBEAT) {
                fields.insert(HEARTBEAT.to_owned(), json!({}));
                preserved.push(agent);
            }
        }
    }
    let raw = (entries > 0).then(|| match contract.roster {
        Roster::Entries => entries_patch(now, &differences),
        Roster::MergedList => merged_list_patch(now, &differences),
        Roster::ReplacedList => replaced_list_patch(now, &differences),
    });
    Patch {
        raw,
        entries,
        left_out,
        preserved,
    }
}

const HEARTBEAT: &str = "heartbeat";
const MAIN: &str = "main";

fn has_block(entry: &Entry) -> bool {
    entry.get(HEARTBEAT).is_some_and(Value::is_object)
}

/// The first block that anyone writes switches off all who beat by default.
fn is_first_heartbeat(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> bool {
    differences.values().any(has_block) && !now.entries.values().any(has_block)
}

/// Whom the gateway wakes while nobody has a block. An empty block is one that follows the default: it keeps such an
/// agent alive, and gives one to an agent that had none (so: no more than these).
fn beating_by_default(contract: &Contract, now: &Configuration) -> Vec<AgentId> {
    let default = now.default_heartbeat.as_ref();
    let named = |key: &str| {
        default
            .and_then(|default| default.get(key))
            .and_then(Value::as_str)
    };
    let main = || AgentId::parse(MAIN).into_iter();
    let ids = || {
        now.list
            .iter()
            .filter_map(|item| AgentId::parse(item.get("id")?.as_str()?).ok())
    };
    match contract.roster {
        Roster::Entries => AgentId::parse(named("agentId").unwrap_or(MAIN))
            .into_iter()
            .collect(),
        // Before 2026.8 a default with an interval wakes everybody, one without only the default agent.
        Roster::MergedList | Roster::ReplacedList if now.list.is_empty() => main().collect(),
        Roster::MergedList | Roster::ReplacedList if named("every").is_some() => ids().collect(),
        Roster::MergedList | Roster::ReplacedList => {
            let is_default = |item: &&Value| item.get("default").and_then(Value::as_bool) == Some(true);
            let default = now.list.iter().find(is_default).or(now.list.first());
            default
                .and_then(|item| AgentId::parse(item.get("id")?.as_str()?).ok())
                .into_iter()
                .collect()
        }
    }
}

/// The changes whose part of the patch the gateway complains of; None where it complains of something else.
pub(super) fn guilty(
    now: &Configuration,
    changes: &[EntryChange],
    raw: &Value,
    issues: &[Issue],
) -> Option<Vec<(AgentId, Vec<Issue>)>> {
    let mut guilty: BTreeMap<AgentId, Vec<Issue>> = BTreeMap::new();
    for issue in issues {
        let agent = agent_of(now, changes, raw, &issue.path)?;
        guilty.entry(agent).or_default().push(issue.clone());
    }
    // Refused without a path, and only one can be meant.
    if let ([], [only]) = (issues, changes) {
        guilty.insert(only.agent.clone(), Vec::new());
    }
    (!guilty.is_empty()).then(|| guilty.into_iter().collect())
}

/// `agents.entries.<id>...` or `agents.list.<index>...`, where the index is that of the list after the patch.
fn agent_of(now: &Configuration, changes: &[EntryChange], raw: &Value, path: &str) -> Option<AgentId> {
    let ours = |id: &str| {
        changes
            .iter()
            .map(|change| &change.agent)
            .find(|agent| agent.as_str() == id)
            .cloned()
    };
    if let Some(rest) = path.strip_prefix("agents.entries.") {
        return ours(rest.split('.').next()?);
    }
    let index: usize = path
        .strip_prefix("agents.list.")?
        .split('.')
        .next()?
        .parse()
        .ok()?;
    let of = |item: &Value| Some(item.get("id")?.as_str()?.to_owned());
    let sent: Vec<String> = raw
        .pointer("/agents/list")?
        .as_array()?
        .iter()
        .filter_map(of)
        .collect();
    // Merged by id, the items that are there keep their place and the new ones follow; replaced, the sent list is all.
    let there: Vec<String> = now.list.iter().filter_map(of).collect();
    let new = sent.iter().filter(|id| !there.contains(id));
    let after: Vec<&String> = there.iter().chain(new).collect();
    after.get(index).and_then(|id| ours(id))
}

/// Without the heartbeat settings that this gateway does not know: one of them would refuse the whole patch.
fn known_to(contract: &Contract, agent: &AgentId, fields: &Entry, left_out: &mut Vec<LeftOut>) -> Entry {
    let mut fields = fields.clone();
    if let Some(Value::Object(heartbeat)) = fields.get_mut("heartbeat") {
        heartbeat.retain(|key, _| {
            let known = contract.heartbeat_keys.contains(&key.as_str());
            if !known {
                left_out.push(LeftOut {
                    agent: agent.clone(),
                    setting: format!("heartbeat.{key}"),
                });
            }
            known
        });
    }
    fields
}

/// What a merge patch must say so that `there` holds `wanted`: null removes, objects merge, all else replaces.
fn difference(there: &Entry, wanted: &Entry) -> Entry {
    let mut patch = Map::new();
    for (key, wanted) in wanted {
        match (there.get(key), wanted) {
            (None, Value::Null) => {}
            (Some(there), wanted) if there == wanted => {}
            // Read back as a placeholder: what is stored cannot be compared, and writing it each time would never end.
            (Some(Value::String(there)), _) if there == REDACTED => {}
            (Some(Value::Object(there)), Value::Object(wanted)) => {
                let inner = difference(there, wanted);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Some(_) | None, wanted) => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    patch
}

fn entries_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let entries: Map<String, Value> = differences
        .iter()
        .map(|(agent, fields)| (agent.to_string(), Value::Object(fields.clone())))
        .collect();
    let mut agents = json!({ "entries": entries });
    if now.ownership.as_deref() != Some("explicit")
        && let Some(agents) = agents.as_object_mut()
    {
        // "multi-agent rosters require agents.ownership" otherwise.
        agents.insert("ownership".to_owned(), json!("explicit"));
    }
    json!({ "agents": agents })
}

fn merged_list_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let mut list: Vec<Value> = pinned_main(now, differences).into_iter().collect();
    list.extend(differences.iter().map(|(agent, fields)| with_id(agent, fields)));
    list.sort_by_key(|item| item.get("id").and_then(Value::as_str) != Some(MAIN));
    json!({ "agents": { "list": list } })
}

/// `main` is in no list of a new gateway, and the first entry of a list takes its place: files of `main` are then "unknown
/// agent id". So the first list brings it along, in front.
fn pinned_main(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Option<Value> {
    let named = differences.keys().any(|agent| agent.as_str() == MAIN);
    (now.list.is_empty() && !named).then(|| json!({ "id": MAIN }))
}

/// The whole list, everybody else's items as they are.
fn replaced_list_patch(now: &Configuration, differences: &BTreeMap<AgentId, Entry>) -> Value {
    let mut rest = differences.clone();
    let mut list: Vec<Value> = now
        .list
        .iter()
        .map(|item| {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
            let changed = AgentId::parse(id).ok().and_then(|agent| rest.remove(&agent));
            match (changed, item) {
                (Some(fields), Value::Object(item)) => Value::Object(merged(item, &fields)),
                (Some(_) | None, item) => item.clone(),
            }
        })
        .collect();
    list.extend(pinned_main(now, differences));
    list.extend(rest.iter().map(|(agent, fields)| {
        let Value::Object(item) = with_id(agent, &Map::new()) else {
            return Value::Null;
        };
        Value::Object(merged(&item, fields))
    }));
    if now.list.is_empty() {
        list.sort_by_key(|item| item.get("id").and_then(Value::as_str) != Some(MAIN));
    }
    json!({ "agents": { "list": list } })
}

fn with_id(agent: &AgentId, fields: &Entry) -> Value {
    let mut item = Map::from_iter([("id".to_owned(), json!(agent.as_str()))]);
    item.extend(fields.clone());
    Value::Object(item)
}

/// A merge patch, applied.
fn merged(there: &Entry, patch: &Entry) -> Entry {
    let mut result = there.clone();
    for (key, value) in patch {
        match (result.get(key), value) {
            (_, Value::Null) => {
                result.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(patch)) => {
                let inner = merged(inner, patch);
                result.insert(key.clone(), Value::Object(inner));
            }
            (Some(_) | None, Value::Object(patch)) => {
                // Nulls inside a new object say "remove": there is nothing to remove.
                result.insert(key.clone(), Value::Object(merged(&Map::new(), patch)));
            }
            (Some(_) | None, value) => {
                result.insert(key.clone(), value.clone());
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::contract::{V2026_2_9, V2026_7_35, V2026_9_6};

    fn object(value: &Value) -> Entry {
        value.as_object().unwrap().clone()
    }

    fn id(text: &str) -> AgentId {
        AgentId::parse(text).unwrap()
    }

    fn change(agent: &str, fields: &Value) -> EntryChange {
        EntryChange {
            agent: id(agent),
            fields: object(fields),
        }
    }

    fn reading(contract: &Contract, agents: &[(&str, Value)]) -> Configuration {
        let agents = match contract.roster {
            Roster::Entries => {
                json!({ "ownership": "explicit", "entries": Map::from_iter(agents.iter().map(|(id, e)| ((*id).to_owned(), e.clone()))) })
            }
            Roster::MergedList | Roster::ReplacedList => {
                json!({ "list": agents.iter().map(|(agent, e)| with_id(&id(agent), &object(e))).collect::<Vec<_>>() })
            }
        };
        Configuration::parse(&json!({ "hash": "h", "config": { "agents": agents } })).unwrap()
    }

    /// What a gateway of this contract makes of a patch.
    fn applied(contract: &Contract, now: &Configuration, raw: &Value) -> Configuration {
        let mut entries: BTreeMap<String, Value> = now
            .entries
            .iter()
            .map(|(agent, e)| (agent.to_string(), Value::Object(e.clone())))
            .collect();
        match contract.roster {
            Roster::Entries => {
                for (agent, fields) in raw["agents"]["entries"].as_object().unwrap() {
                    let there = entries.get(agent).cloned().unwrap_or_else(|| json!({}));
                    entries.insert(
                        agent.clone(),
                        Value::Object(merged(&object(&there), &object(fields))),
                    );
                }
            }
            Roster::MergedList => {
                for item in raw["agents"]["list"].as_array().unwrap() {
                    let agent = item["id"].as_str().unwrap();
                    let there = entries.get(agent).cloned().unwrap_or_else(|| json!({}));
                    entries.insert(
                        agent.to_owned(),
                        Value::Object(merged(&object(&there), &object(item))),
                    );
                }
            }
            Roster::ReplacedList => {
                let list = raw["agents"]["list"].as_array().unwrap();
                entries = list
                    .iter()
                    .map(|item| (item["id"].as_str().unwrap().to_owned(), item.clone()))
                    .collect();
            }
        }
        let agents: Vec<(&str, Value)> = entries
            .iter()
            .map(|(agent, e)| (agent.as_str(), e.clone()))
            .collect();
        reading(contract, &agents)
    }

    fn without_heartbeat(reading: &Configuration, agent: &str) -> Entry {
        let mut entry = reading.entries[&id(agent)].clone();
        entry.remove(HEARTBEAT);
        entry
    }

    /// Measured: an empty block keeps alive who beat by default, and gives a heartbeat to who had none.
    #[test]
    fn the_first_heartbeat_block_silences_nobody() {
        let block = change("mine", &json!({ "heartbeat": { "every": "5m" } }));
        let preserved = |contract: &Contract, agents: Value| {
            let now = Configuration::parse(&json!({ "hash": "h", "config": { "agents": agents } })).unwrap();
            let patch = patch_of(contract, &now, std::slice::from_ref(&block));
            let after = applied(contract, &now, &patch.raw.unwrap());
            assert!(
                patch
                    .preserved
                    .iter()
                    .all(|agent| after.entries[agent][HEARTBEAT] == json!({}))
            );
            patch
                .preserved
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let two = json!([{ "id": "first" }, { "id": "second" }]);
        assert_eq!(preserved(&V2026_9_6, json!({})), ["main"]);
        assert_eq!(
            preserved(
                &V2026_9_6,
                json!({ "defaults": { "heartbeat": { "agentId": "x" } } })
            ),
            ["x"]
        );
        assert_eq!(preserved(&V2026_7_35, json!({})), ["main"]);
        assert_eq!(preserved(&V2026_7_35, json!({ "list": two })), ["first"]);
        let chosen = json!([{ "id": "first" }, { "id": "second", "default": true }]);
        assert_eq!(preserved(&V2026_7_35, json!({ "list": chosen })), ["second"]);
        let all = json!({ "list": two, "defaults": { "heartbeat": { "every": "1h" } } });
        assert_eq!(preserved(&V2026_7_35, all), ["first", "second"]);
        let not_the_first =
            json!({ "list": [{ "id": "first" }, { "id": "second", "heartbeat": { "every": "1h" } }] });
        assert!(preserved(&V2026_7_35, not_the_first).is_empty());
    }

    #[test]
    fn the_first_list_brings_main_along_in_front() {
        for contract in [&V2026_2_9, &V2026_7_35] {
            let now = reading(contract, &[]);
            for fields in [json!({ "name": "A" }), json!({ "heartbeat": { "every": "5m" } })] {
                let raw = patch_of(contract, &now, &[change("a", &fields)]).raw.unwrap();
                let ids: Vec<&str> = raw["agents"]["list"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|i| i["id"].as_str())
                    .collect();
                assert_eq!(ids, ["main", "a"], "{contract}");
            }
        }
    }

    const CONTRACTS: [&Contract; 3] = [&V2026_2_9, &V2026_7_35, &V2026_9_6];

    #[test]
    fn a_new_agent_among_others_touches_nobody_else() {
        let foreign = json!({ "name": "Foreign", "tools": { "deny": ["exec"] } });
        for contract in CONTRACTS {
            let now = reading(contract, &[("foreign", foreign.clone())]);
            let wanted = change("mine", &json!({ "name": "Mine", "heartbeat": { "every": "5m" } }));
            let patch = patch_of(contract, &now, std::slice::from_ref(&wanted));
            assert_eq!(patch.entries, 1, "{contract}");
            let after = applied(contract, &now, &patch.raw.unwrap());
            assert_eq!(
                without_heartbeat(&after, "foreign"),
                now.entries[&id("foreign")],
                "{contract}"
            );
            assert_eq!(
                after.entries[&id("mine")]["heartbeat"]["every"],
                "5m",
                "{contract}"
            );
            assert!(
                patch_of(contract, &after, &[wanted]).raw.is_none(),
                "{contract}: once is enough"
            );
        }
    }

    #[test]
    fn ownership_is_said_where_it_is_not_yet() {
        let now = Configuration::parse(&json!({ "hash": "h", "config": {} })).unwrap();
        let raw = patch_of(&V2026_9_6, &now, &[change("a", &json!({ "name": "A" }))])
            .raw
            .unwrap();
        assert_eq!(raw["agents"]["ownership"], "explicit");
        let raw = patch_of(&V2026_7_35, &now, &[change("a", &json!({ "name": "A" }))])
            .raw
            .unwrap();
        assert!(raw["agents"].get("ownership").is_none());
    }

    #[test]
    fn settings_that_a_gateway_does_not_know_are_left_out_and_said() {
        let wanted = change(
            "a",
            &json!({ "heartbeat": { "every": "5m", "includeReasoning": true } }),
        );
        let now = reading(&V2026_9_6, &[]);
        let patch = patch_of(&V2026_9_6, &now, std::slice::from_ref(&wanted));
        assert_eq!(
            patch.raw.unwrap()["agents"]["entries"]["a"]["heartbeat"],
            json!({ "every": "5m" })
        );
        assert_eq!(
            patch.left_out,
            [LeftOut {
                agent: id("a"),
                setting: "heartbeat.includeReasoning".into()
            }]
        );
        assert!(
            patch_of(&V2026_7_35, &reading(&V2026_7_35, &[]), &[wanted])
                .left_out
                .is_empty()
        );
    }

    #[test]
    fn a_secret_that_is_read_back_hidden_is_not_written_for_ever() {
        let now = reading(&V2026_9_6, &[("a", json!({ "tools": { "key": REDACTED } }))]);
        assert!(
            patch_of(
                &V2026_9_6,
                &now,
                &[change("a", &json!({ "tools": { "key": "secret" } }))]
            )
            .raw
            .is_none()
        );
    }

    #[test]
    fn the_guilty_are_found_by_path() {
        let issue = |path: &str| Issue {
            path: path.into(),
            message: "bad".into(),
        };
        let changes = [change("a", &json!({ "x": 1 })), change("b", &json!({ "x": 2 }))];
        let now = reading(&V2026_9_6, &[]);
        let raw = patch_of(&V2026_9_6, &now, &changes).raw.unwrap();
        let found = guilty(&now, &changes, &raw, &[issue("agents.entries.b.x")]).unwrap();
        assert_eq!(found, [(id("b"), vec![issue("agents.entries.b.x")])]);
        assert_eq!(guilty(&now, &changes, &raw, &[issue("gateway.port")]), None);
        assert_eq!(guilty(&now, &changes, &raw, &[]), None, "it could be either");

        let now = reading(&V2026_7_35, &[("foreign", json!({})), ("b", json!({}))]);
        let raw = patch_of(&V2026_7_35, &now, &changes).raw.unwrap();
        let found = |path: &str| guilty(&now, &changes, &raw, &[issue(path)]).map(|found| found[0].0.clone());
        assert_eq!(
            found("agents.list.2.x"),
            Some(id("a")),
            "new items follow those that are there"
        );
        assert_eq!(found("agents.list.1.x"), Some(id("b")));
        assert_eq!(found("agents.list.0.x"), None, "somebody else's");
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3i64).prop_map(Value::from),
            "[ab]".prop_map(Value::from),
            Just(json!(["x"])),
        ];
        let value = leaf.prop_recursive(3, 12, 3, |inner| {
            proptest::collection::btree_map("[a-d]", inner, 0..3).prop_map(|map| json!(map))
        });
        proptest::collection::btree_map("[a-d]|name|workspace", value, 0..4)
            .prop_map(|map| map.into_iter().collect())
    }

    /// An entry as it can stand in a configuration: a null in a patch removes, so none is ever stored.
    fn stored(entry: &Entry) -> Value {
        Value::Object(merged(&Map::new(), entry))
    }

    proptest! {
        #[test]
        fn applied_once_there_is_nothing_left_and_nobody_else_has_changed(
            mine in any_entry(), there in any_entry(), other in any_entry(), known in any::<bool>(), which in 0..3usize,
        ) {
            let contract = CONTRACTS[which];
            let mut agents = vec![("foreign", stored(&other))];
            if known {
                agents.push(("mine", stored(&there)));
            }
            let now = reading(contract, &agents);
            let changes = [EntryChange { agent: id("mine"), fields: mine }];
            if let Some(raw) = patch_of(contract, &now, &changes).raw {
                let after = applied(contract, &now, &raw);
                prop_assert!(patch_of(contract, &after, &changes).raw.is_none(), "{:?}", after.entries);
                let theirs = |reading: &Configuration| without_heartbeat(reading, "foreign");
                prop_assert_eq!(theirs(&after), theirs(&now));
                let (before, after) = (&now.entries[&id("foreign")], &after.entries[&id("foreign")]);
                let kept = before.get(HEARTBEAT) == after.get(HEARTBEAT) || after[HEARTBEAT] == json!({});
                prop_assert!(kept, "another heartbeat: {:?}", after.get(HEARTBEAT));
            }
        }
    }
}
