mod model;

use proptest::prelude::*;
use serde_json::json;

use super::super::blame::guilty;
use super::*;
use crate::gateway::binding::Binding;
use crate::gateway::contract::{V2026_2_9, V2026_7_35, V2026_9_6};
use crate::gateway::refusal::Issue;
use model::Gateway;

fn object(value: &Value) -> Entry {
    value.as_object().unwrap().clone()
}

fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

fn change(agent: &str, fields: &Value) -> EntryChange {
    EntryChange::new(id(agent), object(fields))
}

fn patch(contract: &Contract, now: &Configuration, changes: &[EntryChange]) -> Patch {
    patch_of(contract, now, changes, &BTreeSet::new(), Caution::Usual)
}

fn reading(contract: &'static Contract, agents: &[(&str, Value)]) -> Configuration {
    Gateway::new(contract, agents).read()
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
    let preserved = |contract: &'static Contract, agents: Value| {
        let document = json!({ "agents": agents });
        let mut gateway = Gateway { contract, document };
        let patch = patch(contract, &gateway.read(), std::slice::from_ref(&block));
        gateway.write(&patch).unwrap();
        let after = gateway.read();
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
    let named =
        |id: &str| json!({ "defaults": { "heartbeat": { "agentId": id } }, "entries": { "x": {}, "y": {} } });
    assert_eq!(preserved(&V2026_9_6, named("x")), ["x"]);
    let system =
        json!({ "defaults": { "systemAgent": { "agentId": "y" } }, "entries": { "x": {}, "y": {} } });
    assert_eq!(preserved(&V2026_9_6, system), ["y"]);
    let by_hand = |entries: Value| json!({ "ownership": "explicit", "entries": entries });
    assert_eq!(preserved(&V2026_9_6, by_hand(json!({ "alone": {} }))), ["alone"]);
    assert!(preserved(&V2026_9_6, by_hand(json!({ "main": {}, "x": {} }))).is_empty());
    let with_default =
        json!({ "entries": { "main": {}, "x": {} }, "defaults": { "heartbeat": { "every": "1h" } } });
    assert_eq!(preserved(&V2026_9_6, with_default), ["main", "x"]);
    let spelled = json!({ "Ops Team": { "heartbeat": { "every": "1h" } }, "main": {} });
    assert!(
        preserved(
            &V2026_9_6,
            json!({ "defaults": { "heartbeat": { "agentId": "main" } }, "entries": spelled })
        )
        .is_empty()
    );
    assert_eq!(preserved(&V2026_7_35, json!({})), ["main"]);
    assert_eq!(preserved(&V2026_7_35, json!({ "list": two })), ["first"]);
    let chosen = json!([{ "id": "first" }, { "id": "second", "default": true }]);
    assert_eq!(preserved(&V2026_7_35, json!({ "list": chosen })), ["second"]);
    for default in [json!({}), json!({ "every": "1h" }), json!({ "target": "last" })] {
        let all = json!({ "list": two, "defaults": { "heartbeat": default } });
        assert_eq!(
            preserved(&V2026_7_35, all.clone()),
            ["first", "second"],
            "{default}"
        );
        assert_eq!(preserved(&V2026_2_9, all), ["first"], "{default}");
    }
    let not_the_first =
        json!({ "list": [{ "id": "first" }, { "id": "second", "heartbeat": { "every": "1h" } }] });
    assert!(preserved(&V2026_7_35, not_the_first).is_empty());
}

/// An id in another spelling is the same agent: what is said of it is said under its own name.
#[test]
fn an_agent_is_written_as_it_is_spelled() {
    let wanted = change("ops-team", &json!({ "name": "B", "tools": { "deny": [] } }));
    for contract in CONTRACTS {
        let spelled = json!({ "name": "A", "tools": { "deny": ["exec"] } });
        let mut gateway = Gateway::new(contract, &[("main", json!({})), ("Ops Team", spelled)]);
        settle(&mut gateway, std::slice::from_ref(&wanted), &BTreeSet::new()).unwrap();
        let after = gateway.read();
        assert_eq!(after.entries.len(), 2, "{contract}");
        assert_eq!(after.entries[&id("ops-team")]["name"], "B", "{contract}");
        assert_eq!(after.spelling(&id("ops-team")), "Ops Team", "{contract}");
    }
}

/// `${NAME}` is as good as the variable's value, and what others have written stays as they have written it.
#[test]
fn variables_stay_variables() {
    for contract in CONTRACTS {
        let ours = json!({ "name": "${NAME}", "workspace": "${PLACE}" });
        let theirs = json!({ "tools": { "key": "${KEY}" } });
        let mut gateway = Gateway::new(contract, &[("foreign", theirs), ("mine", ours)]);
        gateway.document["bindings"] =
            json!([{ "agentId": "foreign", "match": { "channel": "${CHANNEL}" } }]);
        let same = change(
            "mine",
            &json!({ "name": "${NAME}", "workspace": "value of PLACE" }),
        );
        let (writes, _) = settle(&mut gateway, &[same], &BTreeSet::new()).unwrap();
        assert_eq!(writes, 0, "{contract}");
        let other = EntryChange {
            bindings: Some(BTreeSet::from([Binding::parse("slack").unwrap()])),
            ..change("mine", &json!({ "name": "B" }))
        };
        let before = gateway.document.to_string();
        settle(&mut gateway, &[other], &BTreeSet::new()).unwrap();
        let after = gateway.document.to_string();
        for variable in ["${PLACE}", "${KEY}", "${CHANNEL}"] {
            assert!(
                before.contains(variable) && after.contains(variable),
                "{contract}: {after}"
            );
        }
    }
}

#[test]
fn the_first_list_brings_main_along_in_front() {
    for contract in [&V2026_2_9, &V2026_7_35] {
        let now = reading(contract, &[]);
        for fields in [json!({ "name": "A" }), json!({ "heartbeat": { "every": "5m" } })] {
            let raw = patch(contract, &now, &[change("a", &fields)]).raw.unwrap();
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
        let mut gateway = Gateway::new(contract, &[("foreign", foreign.clone())]);
        let now = gateway.read();
        let wanted = change("mine", &json!({ "name": "Mine", "heartbeat": { "every": "5m" } }));
        let first = patch(contract, &now, std::slice::from_ref(&wanted));
        gateway.write(&first).unwrap();
        let after = gateway.read();
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
            patch(contract, &after, &[wanted]).raw.is_none(),
            "{contract}: once is enough"
        );
    }
}

#[test]
fn ownership_is_said_where_it_is_not_yet() {
    let now = Configuration::parse(&json!({ "hash": "h", "config": {} })).unwrap();
    let raw = patch(&V2026_9_6, &now, &[change("a", &json!({ "name": "A" }))])
        .raw
        .unwrap();
    assert_eq!(raw["agents"]["ownership"], "explicit");
    let raw = patch(&V2026_7_35, &now, &[change("a", &json!({ "name": "A" }))])
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
    let left = patch(&V2026_9_6, &now, std::slice::from_ref(&wanted));
    assert_eq!(
        left.raw.unwrap()["agents"]["entries"]["a"]["heartbeat"],
        json!({ "every": "5m" })
    );
    assert_eq!(
        left.left_out,
        [LeftOut {
            agent: id("a"),
            setting: "heartbeat.includeReasoning".into()
        }]
    );
    assert!(
        patch(&V2026_7_35, &reading(&V2026_7_35, &[]), &[wanted])
            .left_out
            .is_empty()
    );
}

#[test]
fn a_secret_that_is_read_back_hidden_is_not_written_for_ever() {
    let now = reading(&V2026_9_6, &[("a", json!({ "tools": { "key": REDACTED } }))]);
    let patch = patch(
        &V2026_9_6,
        &now,
        &[change("a", &json!({ "tools": { "key": "secret" } }))],
    );
    assert!(patch.raw.is_none());
    let setting = "tools.key".to_owned();
    assert_eq!(
        patch.hidden,
        [Hidden {
            agent: id("a"),
            setting
        }]
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
    let raw = patch(&V2026_9_6, &now, &changes).raw.unwrap();
    let found = guilty(&now, &changes, &raw, &[issue("agents.entries.b.x")]).unwrap();
    assert_eq!(found, [(id("b"), vec![issue("agents.entries.b.x")])]);
    assert_eq!(guilty(&now, &changes, &raw, &[issue("gateway.port")]), None);
    assert_eq!(guilty(&now, &changes, &raw, &[]), None, "it could be either");

    let now = reading(&V2026_7_35, &[("foreign", json!({})), ("b", json!({}))]);
    let raw = patch(&V2026_7_35, &now, &changes).raw.unwrap();
    let found = |path: &str| guilty(&now, &changes, &raw, &[issue(path)]).map(|found| found[0].0.clone());
    assert_eq!(
        found("agents.list.2.x"),
        Some(id("a")),
        "new items follow those that are there"
    );
    assert_eq!(found("agents.list.1.x"), Some(id("b")));
    assert_eq!(found("agents.list.0.x"), None, "somebody else's");
}

#[test]
fn lists_that_get_shorter_are_confirmed_by_the_gateways_paths() {
    let there = json!({ "tools": { "deny": ["exec", "write"], "allow": ["read"] }, "skills": ["a"], "sandbox": { "docker": { "dns": ["1.1.1.1"] } } });
    let wanted = change(
        "mine",
        &json!({ "tools": { "deny": ["write"], "allow": ["read", "x"] }, "skills": null, "sandbox": null }),
    );
    for (contract, at) in [
        (&V2026_9_6, "agents.entries.mine"),
        (&V2026_7_35, "agents.list[]"),
    ] {
        let mut gateway = Gateway::new(contract, &[("main", json!({})), ("mine", there.clone())]);
        let patch = patch(contract, &gateway.read(), std::slice::from_ref(&wanted));
        let expected = ["sandbox.docker.dns", "skills", "tools.deny"].map(|path| format!("{at}.{path}"));
        assert_eq!(patch.replace_paths, expected);
        gateway.write(&patch).unwrap();
        assert_eq!(
            gateway.read().entries[&id("mine")]["tools"],
            json!({ "deny": ["write"], "allow": ["read", "x"] })
        );
    }
    let now = reading(&V2026_2_9, &[("mine", there)]);
    assert!(
        patch(&V2026_2_9, &now, &[wanted]).replace_paths.is_empty(),
        "the parameter is refused there"
    );
}

/// A patch may confirm 256 lists.
#[test]
fn more_lists_than_a_patch_may_confirm_take_several() {
    let lists = |text: &str| Map::from_iter((0..6).map(|n| (format!("list{n}"), json!([text]))));
    let ids: Vec<String> = (0..90).map(|n| format!("mc-{n}")).collect();
    let agents: Vec<(&str, Value)> = ids
        .iter()
        .map(|id| (id.as_str(), Value::Object(lists("old"))))
        .collect();
    let changes: Vec<EntryChange> = ids
        .iter()
        .map(|id| change(id, &Value::Object(lists("new"))))
        .collect();
    let mut gateway = Gateway::new(&V2026_9_6, &agents);
    assert_eq!(settle(&mut gateway, &changes, &BTreeSet::new()).unwrap().0, 3);
}

#[test]
fn a_binding_goes_along_with_its_agent_and_the_guilty_is_found_by_its_place() {
    let bound = |agent: &str, words: &str| EntryChange {
        bindings: Some(BTreeSet::from([Binding::parse(words).unwrap()])),
        ..change(agent, &json!({ "name": agent }))
    };
    for contract in CONTRACTS {
        let mut gateway = Gateway::new(contract, &[("foreign", json!({}))]);
        gateway.document["bindings"] = json!([{ "agentId": "foreign", "match": { "channel": "slack" } }]);
        let changes = [
            bound("a", "telegram:*"),
            bound("b", "slack"),
            bound("c", "nochannel"),
        ];
        let now = gateway.read();
        let patch = patch(contract, &now, &changes);
        let issue = Issue {
            path: "bindings.2.match.channel".into(),
            message: "unknown".into(),
        };
        let found = guilty(
            &now,
            &changes,
            patch.raw.as_ref().unwrap(),
            std::slice::from_ref(&issue),
        )
        .unwrap();
        assert_eq!(found, [(id("c"), vec![issue])], "{contract}");
        gateway.write(&patch).unwrap();
        assert_eq!(gateway.read().bindings.len(), 3, "{contract}");
        assert_eq!(patch.conflicts.len(), 1, "{contract}");
        assert_eq!(patch.conflicts[0].held_by, "foreign", "{contract}");
    }
}

/// Our blocks come and go; who was kept alive meanwhile is as it was in the end.
#[test]
fn the_last_of_ours_takes_the_empty_blocks_along() {
    let block = |agent: &str| change(agent, &json!({ "heartbeat": { "every": "5m" } }));
    for contract in CONTRACTS {
        let mut gateway = Gateway::new(
            contract,
            &[("main", json!({})), ("foreign", json!({ "name": "F" }))],
        );
        let before = gateway.read().entries;
        let (_, known) = settle(&mut gateway, &[block("a"), block("b")], &BTreeSet::new()).unwrap();
        assert_eq!(known, BTreeSet::from([id("main")]), "{contract}");

        let known = part(&mut gateway, "a", &known).unwrap();
        assert_eq!(
            gateway.read().entries[&id("main")][HEARTBEAT],
            json!({}),
            "{contract}: b still beats"
        );
        let known = part(&mut gateway, "b", &known).unwrap();
        assert_eq!(
            (gateway.read().entries, known),
            (before, BTreeSet::new()),
            "{contract}"
        );
    }
}

#[test]
fn an_empty_block_stays_while_it_is_needed_or_is_no_longer_ours() {
    let known = BTreeSet::from([id("main")]);
    let mine = ("mine", json!({ "heartbeat": { "every": "5m" } }));
    for contract in CONTRACTS {
        // Somebody else's block would silence it.
        let theirs = ("theirs", json!({ "heartbeat": { "every": "1h" } }));
        let mut gateway = Gateway::new(
            contract,
            &[("main", json!({ "heartbeat": {} })), theirs, mine.clone()],
        );
        assert_eq!(part(&mut gateway, "mine", &known).unwrap(), known, "{contract}");
        assert_eq!(
            gateway.read().entries[&id("main")][HEARTBEAT],
            json!({}),
            "{contract}"
        );

        // Somebody has made it theirs.
        let changed = ("main", json!({ "heartbeat": { "every": "2h" } }));
        let mut gateway = Gateway::new(contract, &[changed, mine.clone()]);
        assert_eq!(
            part(&mut gateway, "mine", &known).unwrap(),
            BTreeSet::new(),
            "{contract}"
        );
        assert_eq!(
            gateway.read().entries[&id("main")][HEARTBEAT],
            json!({ "every": "2h" }),
            "{contract}"
        );
    }
}

/// An agent of ours that stops beating but stays is the last one just the same.
#[test]
fn who_only_stops_beating_takes_them_along_too() {
    for contract in CONTRACTS {
        let agents = [
            ("main", json!({ "heartbeat": {} })),
            ("mine", json!({ "heartbeat": { "every": "5m" } })),
        ];
        let mut gateway = Gateway::new(contract, &agents);
        let wanted = change("mine", &json!({ "heartbeat": null }));
        let (_, known) = settle(&mut gateway, &[wanted], &BTreeSet::from([id("main")])).unwrap();
        assert!(known.is_empty(), "{contract}");
        assert!(
            !gateway.read().entries[&id("main")].contains_key(HEARTBEAT),
            "{contract}"
        );
    }
}

/// Writes until nothing is left to write: how many writes it took, and who is preserved then.
fn settle(
    gateway: &mut Gateway,
    changes: &[EntryChange],
    known: &BTreeSet<AgentId>,
) -> Result<(usize, BTreeSet<AgentId>), String> {
    let mut known = known.clone();
    let before = gateway.beating();
    let ours: BTreeSet<AgentId> = changes.iter().map(|change| change.agent.clone()).collect();
    for writes in 0..24 {
        let patch = patch_of(gateway.contract, &gateway.read(), changes, &known, Caution::Usual);
        if patch.raw.is_none() {
            return if patch.more {
                Err("stuck".to_owned())
            } else {
                Ok((writes, patch.preserved))
            };
        }
        gateway.write(&patch)?;
        still(&before, gateway, &ours)?;
        known.extend(patch.preserved);
    }
    Err("never settled".to_owned())
}

/// Whoever beat and is not ours still does, and nobody has begun to but whom the gateway has chosen.
fn still(before: &BTreeSet<AgentId>, gateway: &Gateway, ours: &BTreeSet<AgentId>) -> Result<(), String> {
    let after = gateway.beating();
    let chosen = gateway.chosen();
    let lost = &(before - ours) - &after;
    let new = &(&(&after - before) - &chosen) - ours;
    if lost.is_empty() && new.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{lost:?} beat and do not now, {new:?} did not and do now"
        ))
    }
}

/// Lets an agent go; who is preserved then.
fn part(gateway: &mut Gateway, agent: &str, known: &BTreeSet<AgentId>) -> Result<BTreeSet<AgentId>, String> {
    let (before, leaving) = (gateway.beating(), BTreeSet::from([id(agent)]));
    for _ in 0..24 {
        let patch = farewell_of(
            gateway.contract,
            &gateway.read(),
            &id(agent),
            known,
            Caution::Usual,
        );
        if patch.raw.is_none() {
            assert!(!patch.more, "stuck");
            gateway.delete(agent)?;
            still(&before, gateway, &leaving)?;
            return Ok(patch.preserved);
        }
        gateway.write(&patch)?;
        still(&before, gateway, &leaving)?;
    }
    Err("never settled".to_owned())
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3i64).prop_map(Value::from),
        "[ab]".prop_map(Value::from),
        Just(json!("${VARIABLE}")),
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

/// With texts and lists that make up most of a file.
fn any_large_entry() -> impl Strategy<Value = Entry> {
    let leaf = prop_oneof![
        Just(Value::Null),
        (0..6000usize).prop_map(|length| json!("ä".repeat(length / 2))),
        (0..60usize).prop_map(|length| json!((0..length).map(|n| format!("item {n}")).collect::<Vec<_>>())),
        any::<i8>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(2, 8, 4, |inner| {
        proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| json!(map))
    });
    proptest::collection::btree_map("[a-d]|name|workspace", value, 0..4)
        .prop_map(|map| map.into_iter().collect())
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
        let mut gateway = Gateway::new(contract, &agents);
        let now = gateway.read();
        let changes = [EntryChange::new(id("mine"), mine)];
        let (writes, _) = settle(&mut gateway, &changes, &BTreeSet::new()).unwrap();
        prop_assert!(writes <= 2, "{writes} writes for entries this small");
        let after = gateway.read();
        let theirs = |reading: &Configuration| without_heartbeat(reading, "foreign");
        prop_assert_eq!(theirs(&after), theirs(&now));
        let (before, after) = (&now.entries[&id("foreign")], &after.entries[&id("foreign")]);
        let kept = before.get(HEARTBEAT) == after.get(HEARTBEAT) || after[HEARTBEAT] == json!({});
        prop_assert!(kept, "another heartbeat: {:?}", after.get(HEARTBEAT));
    }

    /// No write leaves less than half, and all get there.
    #[test]
    fn however_much_smaller_it_gets_by_steps_that_the_gateway_takes(
        mine in any_large_entry(), there in any_large_entry(), other in any_entry(), which in 0..3usize,
    ) {
        let contract = CONTRACTS[which];
        let mut gateway = Gateway::new(contract, &[("foreign", stored(&other)), ("mine", stored(&there))]);
        let before = gateway.read().entries[&id("foreign")].clone();
        let changes = [EntryChange::new(id("mine"), mine.clone())];
        let settled = settle(&mut gateway, &changes, &BTreeSet::new());
        prop_assert!(settled.is_ok(), "{settled:?}");
        let expected = merged(&object(&stored(&there)), &mine);
        let mut after = gateway.read().entries;
        let mut mine = after.remove(&id("mine")).unwrap();
        mine.remove("id");
        prop_assert_eq!(mine, expected);
        prop_assert_eq!(&after[&id("foreign")], &before);
    }

    #[test]
    fn however_large_it_is_an_agent_can_go(
        there in any_large_entry(), other in any_entry(), beats in any::<bool>(), which in 0..3usize,
    ) {
        let contract = CONTRACTS[which];
        let mut mine = stored(&there);
        // It stays until the end: the gateway has to find the files.
        mine["workspace"] = json!("/w/mine");
        if beats {
            mine[HEARTBEAT] = json!({ "every": "5m", "prompt": "p".repeat(3000) });
        }
        let mut gateway = Gateway::new(contract, &[("foreign", stored(&other)), ("mine", mine)]);
        let before = gateway.read().entries[&id("foreign")].clone();
        let parted = part(&mut gateway, "mine", &BTreeSet::new());
        prop_assert!(parted.is_ok(), "{parted:?}");
        let after = gateway.read().entries;
        prop_assert_eq!(after.keys().map(AgentId::as_str).collect::<Vec<_>>(), ["foreign"]);
        prop_assert_eq!(&after[&id("foreign")], &before);
    }

    /// At every write, however large the blocks are that come and go.
    #[test]
    fn whoever_beats_goes_on_beating(
        there in proptest::collection::vec(any_block(), 2),
        wanted in proptest::collection::vec(any_block(), 2),
        foreign in any_block(), main in any::<bool>(), which in 0..3usize, first_goes in any::<bool>(),
        default in prop_oneof![Just(None), Just(Some(json!({}))), Just(Some(json!({ "every": "1h" })))],
    ) {
        let contract = CONTRACTS[which];
        let mut gateway = Gateway::new(contract, &[]);
        if let Some(default) = default {
            gateway.document["agents"]["defaults"] = json!({ "heartbeat": default });
        }
        let of = |block: &Value| json!({ "workspace": "/w", "heartbeat": block });
        let write = |gateway: &mut Gateway, agent: &str, block: &Value, known: &BTreeSet<AgentId>| {
            let wanted = change(agent, &of(block));
            settle(gateway, &[wanted], known)
        };
        let mut known = BTreeSet::new();
        if main {
            known = write(&mut gateway, "main", &Value::Null, &known).unwrap().1;
        }
        if foreign.is_object() {
            known = write(&mut gateway, "foreign", &foreign, &known).unwrap().1;
        }
        for blocks in [&there, &wanted] {
            for (agent, block) in ["a", "b"].iter().zip(blocks) {
                let written = write(&mut gateway, agent, block, &known);
                prop_assert!(written.is_ok(), "{written:?}");
                known = written.unwrap().1;
            }
        }
        let going = if first_goes { ["a", "b"] } else { ["b", "a"] };
        for agent in going {
            let parted = part(&mut gateway, agent, &known);
            prop_assert!(parted.is_ok(), "{parted:?}");
            known = parted.unwrap();
        }
        prop_assert!(known.is_empty() || foreign.is_object(), "{known:?} for nobody's sake");
    }
}

/// A heartbeat block, often most of the file, or none.
fn any_block() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        1 => Just(json!({ "every": "5m" })),
        2 => (500..9000usize).prop_map(|length| json!({ "every": "5m", "prompt": "p".repeat(length) })),
    ]
}
