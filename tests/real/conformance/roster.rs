//! Agents in the configuration: the roster that config.patch writes. `agents.entries` by id on 2026.9.6,
//! `agents.list` of objects with ids before.

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::seen::Seen;
use super::subject::{Contract, Subject, V2026_2_9, V2026_7_35, V2026_9_6};

/// What config.patch answers, as far as the operator reads it.
pub const PATCHED: [&str; 4] = [
    "/ok",
    "/noop",
    "/changedPaths",
    "/sentinel/payload/stats/requiresRestart",
];

/// A patch of these entries, in the words of this contract.
pub fn patch_of(contract: Contract, entries: &[(&str, Value)]) -> Value {
    match contract {
        V2026_9_6 => {
            let entries: serde_json::Map<String, Value> = entries
                .iter()
                .map(|(id, entry)| ((*id).to_owned(), entry.clone()))
                .collect();
            json!({ "agents": { "ownership": "explicit", "entries": entries } })
        }
        V2026_7_35 | V2026_2_9 => {
            let list: Vec<Value> = entries
                .iter()
                .map(|(id, entry)| {
                    let mut entry = entry.clone();
                    entry["id"] = json!(id);
                    entry
                })
                .collect();
            json!({ "agents": { "list": list } })
        }
    }
}

/// The config's entries by id, whatever they are kept in.
pub async fn entries(s: &Subject, client: &mut Client) -> Value {
    let (config, _) = s.config(client).await;
    let Some(list) = config["agents"]["list"].as_array() else {
        return config["agents"]["entries"].clone();
    };
    list.iter()
        .map(|entry| (entry["id"].as_str().unwrap_or_default().to_owned(), entry.clone()))
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

pub async fn ids(s: &Subject, client: &mut Client) -> String {
    let entries = entries(s, client).await;
    let ids: Vec<String> = entries
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys().cloned())
        .collect();
    ids.join(" ")
}

/// A connection of its own for each write: its own write budget, three a minute before 2026.8.
pub async fn patch(s: &Subject, patch: &Value, more: &Value) -> Answer {
    let mut client = s.client().await;
    s.patch_with(&mut client, patch, more).await
}

/// Run first: a roster without `agents.ownership` is refused while there is none.
pub async fn a_first_entry_needs_ownership(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    seen.line("entries of a new gateway", entries(s, &mut client).await);
    let entry = json!({ "agents": { "entries": { "first": { "workspace": s.workspace("first") } } } });
    let answer = patch(s, &entry, &json!({})).await;
    seen.answer("entries alone", &answer, &PATCHED);
    seen
}

pub async fn the_other_container_is_refused(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let other = match s.contract {
        V2026_9_6 => V2026_7_35,
        V2026_7_35 | V2026_2_9 => V2026_9_6,
    };
    let raw = patch_of(other, &[("other", json!({ "workspace": s.workspace("other") }))]);
    seen.answer(
        "the other versions' words",
        &patch(s, &raw, &json!({})).await,
        &PATCHED,
    );
    seen
}

/// What becomes of `main`, which is in no entry of a new gateway, when the first entry is written without it.
pub async fn the_first_entry_and_main(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    seen.line("entries before", ids(s, &mut client).await);
    let entry = json!({ "name": "First", "workspace": s.workspace("first") });
    let answer = patch(s, &patch_of(s.contract, &[("first", entry)]), &json!({})).await;
    seen.answer("config.patch with first alone", &answer, &PATCHED);
    let mut client = s.client().await;
    seen.line("entries after", entries(s, &mut client).await);
    let list = client.call("agents.list", &json!({})).await.must();
    let listed: Vec<&str> = list["agents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|agent| agent["id"].as_str())
        .collect();
    seen.line("agents.list", listed.join(" "));
    seen.answer(
        "agents.list says",
        &Answer::Ok(list),
        &["/defaultId", "/ownership", "/mainKey"],
    );
    let answer = client
        .call("agents.files.list", &json!({ "agentId": "main" }))
        .await;
    seen.answer("files of main", &answer, &["/workspace"]);
    let answer = client
        .call("agents.files.list", &json!({ "agentId": "first" }))
        .await;
    seen.answer("files of first", &answer, &["/workspace"]);
    let (config, _) = s.config(&mut client).await;
    seen.line(
        "agents.defaults.heartbeat",
        &config["agents"]["defaults"]["heartbeat"],
    );
    seen.line(
        "agents.defaults.systemAgent",
        &config["agents"]["defaults"]["systemAgent"],
    );
    seen.line("bindings", &config["bindings"]);
    seen
}

/// Visible when the answer is there; the workspace is made by the first file.
pub async fn a_patched_agent_is_there_at_once(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let main = json!({ "workspace": s.workspace("main") });
    let entry = json!({ "name": "By Patch", "workspace": s.workspace("by-patch"),
        "model": "anthropic/claude-sonnet-5" });
    // 2026.2.9 replaces the list: main comes along.
    let with_main = [("main", main), ("by-patch", entry.clone())];
    let only = [("by-patch", entry)];
    let agents = if s.contract == V2026_2_9 {
        &with_main[..]
    } else {
        &only[..]
    };
    let answer = s.patch(&mut client, &patch_of(s.contract, agents)).await;
    seen.answer("config.patch", &answer, &PATCHED);
    let answer = client
        .call("agents.files.list", &json!({ "agentId": "by-patch" }))
        .await;
    seen.answer(
        "its files at once",
        &answer,
        &["/agentId", "/files/0/name", "/files/0/missing"],
    );
    seen.line(
        "its workspace is made",
        std::path::Path::new(&s.workspace("by-patch")).exists(),
    );
    let file = json!({ "agentId": "by-patch", "name": "SOUL.md", "content": "x" });
    seen.answer("a file", &client.call("agents.files.set", &file).await, &["/ok"]);
    seen.line(
        "its workspace is made",
        std::path::Path::new(&s.workspace("by-patch")).exists(),
    );
    seen.line("its entry", &entries(s, &mut client).await["by-patch"]);
    seen
}

pub async fn objects_are_merged_and_null_deletes(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    // On 2026.2.9 a list is replaced, not merged: see `a_shorter_list`.
    let tools = json!({ "tools": { "profile": "minimal", "deny": ["exec"] } });
    let answer = patch(s, &patch_of(s.contract, &[("by-patch", tools)]), &json!({})).await;
    seen.answer("tools", &answer, &PATCHED);
    let mut client = s.client().await;
    seen.line("the entry", &entries(s, &mut client).await["by-patch"]);
    let answer = patch(
        s,
        &patch_of(
            s.contract,
            &[("by-patch", json!({ "tools": { "deny": null }, "model": null }))],
        ),
        &json!({}),
    )
    .await;
    seen.answer("tools.deny and model null", &answer, &PATCHED);
    seen.line("the entry", &entries(s, &mut client).await["by-patch"]);
    seen
}

/// A plain list inside an entry: longer, other, shorter.
pub async fn lists_inside_an_entry(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let path = match s.contract {
        V2026_9_6 => "agents.entries.by-patch.tools.allow",
        V2026_7_35 | V2026_2_9 => "agents.list[].tools.allow",
    };
    let steps = [
        ("two", json!(["read", "write"]), json!({})),
        ("one of them", json!(["read"]), json!({})),
        (
            "one of them, replacePaths",
            json!(["read"]),
            json!({ "replacePaths": [path] }),
        ),
        ("another", json!(["exec", "read"]), json!({})),
    ];
    for (what, list, more) in steps {
        let raw = patch_of(s.contract, &[("by-patch", json!({ "tools": { "allow": list } }))]);
        seen.answer(what, &patch(s, &raw, &more).await, &PATCHED);
        let mut client = s.client().await;
        seen.line(
            "  allow",
            &entries(s, &mut client).await["by-patch"]["tools"]["allow"],
        );
    }
    seen
}

/// A list of entries that lacks some: merged by id on 2026.7.35, replaced on 2026.2.9, where it takes away every
/// agent that it does not name.
pub async fn a_shorter_list(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    seen.line("before", ids(s, &mut client).await);
    let raw = patch_of(s.contract, &[("by-patch", json!({ "name": "Alone" }))]);
    let answer = patch(s, &raw, &json!({})).await;
    seen.answer("config.patch with by-patch alone", &answer, &PATCHED);
    let mut client = s.client().await;
    seen.line("after", ids(s, &mut client).await);
    seen.line("its entry", &entries(s, &mut client).await["by-patch"]);
    seen
}

pub async fn an_entry_cannot_be_taken_out_by_config(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (config, hash) = s.config(&mut client).await;
    if s.contract == V2026_9_6 {
        for id in ["first", "by-patch"] {
            let raw = json!({ "agents": { "entries": { id: null } } });
            seen.answer(
                &format!("config.patch with {id} null"),
                &patch(s, &raw, &json!({})).await,
                &PATCHED,
            );
        }
        let mut without = config;
        without["agents"]["entries"]
            .as_object_mut()
            .expect("entries")
            .remove("by-patch");
        for method in ["config.set", "config.apply"] {
            let params = json!({ "raw": without.to_string(), "baseHash": hash });
            seen.answer(method, &client.call(method, &params).await, &["/ok"]);
        }
    } else {
        let list = config["agents"]["list"].as_array().expect("a list").clone();
        let shorter: Vec<Value> = list
            .into_iter()
            .filter(|entry| entry["id"] != "by-patch")
            .collect();
        let raw = json!({ "agents": { "list": shorter } });
        seen.answer(
            "config.patch without it",
            &patch(s, &raw, &json!({})).await,
            &PATCHED,
        );
    }
    let mut client = s.client().await;
    let still = entries(s, &mut client).await["by-patch"].is_object();
    seen.line("by-patch is still there", still);
    seen
}

/// One bad entry among good ones: nothing is applied, and the path names it.
pub async fn one_bad_entry_spoils_the_patch(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let before = ids(s, &mut client).await;
    let entry = |key: &str| json!({ "workspace": s.workspace("bulk"), key: { "every": "5m" } });
    let agents = [
        ("good-1", entry("heartbeat")),
        ("bad", entry("colour")),
        ("good-2", entry("heartbeat")),
    ];
    let answer = patch(s, &patch_of(s.contract, &agents), &json!({})).await;
    seen.answer("one unknown key", &answer, &PATCHED);
    let twice = [
        ("bad-1", entry("colour")),
        ("good", entry("heartbeat")),
        ("bad-2", json!({ "workspace": 7 })),
    ];
    let answer = patch(s, &patch_of(s.contract, &twice), &json!({})).await;
    seen.answer("two bad entries", &answer, &PATCHED);
    seen.line("nothing is applied", ids(s, &mut client).await == before);
    seen
}

/// Many new agents in one patch, as the operator makes them.
pub async fn twenty_in_one_patch(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let ids: Vec<String> = (1..=20).map(|n| format!("bulk-{n}")).collect();
    let mut agents: Vec<(&str, Value)> = ids
        .iter()
        .map(|id| (id.as_str(), json!({ "name": id, "workspace": s.workspace(id) })))
        .collect();
    let there = entries(s, &mut client).await;
    let there: Vec<(String, Value)> = there.as_object().expect("entries").clone().into_iter().collect();
    if s.contract == V2026_2_9 {
        agents.extend(there.iter().map(|(id, entry)| (id.as_str(), entry.clone())));
    }
    let answer = s.patch(&mut client, &patch_of(s.contract, &agents)).await;
    seen.answer("config.patch", &answer, &["/ok"]);
    let mut there_at_once = 0;
    for id in &ids {
        let answer = client.call("agents.files.list", &json!({ "agentId": id })).await;
        there_at_once += u32::from(answer.is_ok());
    }
    seen.line("of 20 there at once", there_at_once);
    seen
}

pub async fn a_heartbeat_key_that_there_is_not(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let blocks = [
        json!({ "enabled": true }),
        json!({ "intervalSeconds": 600 }),
        json!({ "every": "banana" }),
        json!({ "every": 600 }),
        json!({ "every": "10m", "colour": "red" }),
        json!({ "includeReasoning": "yes" }),
    ];
    for block in blocks {
        let raw = patch_of(
            s.contract,
            &[(
                "heart",
                json!({ "workspace": s.workspace("heart"), "heartbeat": block }),
            )],
        );
        // It must not be applied: a base hash that is no more would do, but then nothing would be checked.
        let answer = patch(s, &raw, &json!({})).await;
        seen.answer(&block.to_string(), &answer, &PATCHED);
    }
    seen
}

/// Whether the issues name the colour alone, and not this key.
fn known(answer: &Answer, key: &str) -> String {
    let Answer::Refused { error, .. } = answer else {
        return format!("not refused: {answer:?}");
    };
    let issues = error["details"]["issues"].to_string();
    let named = issues.contains(&format!("\\\"{key}\\\"")) || issues.contains(&format!(".{key}"));
    match (issues.contains("colour"), named) {
        (true, false) => "known".to_owned(),
        (_, true) | (false, false) => format!("refused: {issues}"),
    }
}

/// Each heartbeat key alone, beside one that is refused for sure: the issues tell whether it is known.
pub async fn heartbeat_keys_of_this_version(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let keys = [
        ("every", json!("10m")),
        (
            "activeHours",
            json!({ "start": "08:00", "end": "20:00", "timezone": "UTC" }),
        ),
        ("model", json!("anthropic/claude-sonnet-5")),
        ("session", json!("main")),
        ("target", json!("last")),
        ("to", json!("+1")),
        ("accountId", json!("a")),
        ("prompt", json!("p")),
        ("ackMaxChars", json!(30)),
        ("includeReasoning", json!(true)),
        ("suppressToolErrorWarnings", json!(true)),
        ("directPolicy", json!("allow")),
        ("lightContext", json!(true)),
        ("isolatedSession", json!(true)),
        ("timeoutSeconds", json!(60)),
        ("skipWhenBusy", json!(true)),
    ];
    for (key, value) in keys {
        let block = json!({ key: value, "colour": "red" });
        let entry = json!({ "workspace": s.workspace("heart"), "heartbeat": block });
        let answer = patch(s, &patch_of(s.contract, &[("heart", entry)]), &json!({})).await;
        seen.line(key, known(&answer, key));
    }
    seen
}

/// Entry settings that the operator passes on, by the same trick.
pub async fn entry_keys_of_this_version(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let keys = [
        ("name", json!("N")),
        ("model", json!("anthropic/claude-sonnet-5")),
        ("identity", json!({ "name": "N", "emoji": "🦊", "theme": "t" })),
        ("tools", json!({ "profile": "minimal" })),
        ("skills", json!(["a"])),
        ("sandbox", json!({ "mode": "off" })),
        ("subagents", json!({ "allowAgents": ["*"] })),
        ("groupChat", json!({ "mentionPatterns": ["x"] })),
        ("thinkingDefault", json!("low")),
        ("utilityModel", json!("anthropic/claude-sonnet-5")),
        ("default", json!(false)),
        ("memorySearch", json!({ "enabled": false })),
        ("params", json!({ "temperature": 1 })),
        ("contextLimits", json!({})),
        ("runtime", json!({ "type": "embedded" })),
    ];
    for (key, value) in keys {
        let entry = json!({ "workspace": s.workspace("heart"), key: value, "colour": "red" });
        let answer = patch(s, &patch_of(s.contract, &[("heart", entry)]), &json!({})).await;
        seen.line(key, known(&answer, key));
    }
    seen
}

pub async fn bindings_are_a_list(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let one = json!({ "agentId": "by-patch", "match": { "channel": "telegram", "accountId": "a1" } });
    let two = json!({ "agentId": "by-patch", "match": { "channel": "discord" } });
    let replace = json!({ "replacePaths": ["bindings"] });
    let steps = [
        ("two", json!([one, two]), json!({})),
        ("one of them", json!([one]), json!({})),
        ("one of them, replacePaths", json!([one]), replace.clone()),
        (
            "to nobody",
            json!([{ "agentId": "nobody", "match": { "channel": "telegram" } }]),
            replace.clone(),
        ),
        (
            "without a match",
            json!([{ "agentId": "by-patch" }]),
            replace.clone(),
        ),
        ("none, replacePaths", json!([]), replace),
    ];
    // Each one restarts 2026.2.9, which replaces every list and knows no replacePaths.
    let steps = if s.contract == V2026_2_9 {
        &steps[..3]
    } else {
        &steps[..]
    };
    for (what, list, more) in steps {
        seen.answer(
            what,
            &patch(s, &json!({ "bindings": list }), more).await,
            &PATCHED,
        );
        let mut client = s.client().await;
        let (config, _) = s.config(&mut client).await;
        seen.line("  bindings", &config["bindings"]);
    }
    seen
}

/// The entry, its bindings and its place in agents.list go together.
pub async fn deleting_takes_the_bindings_along(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    s.create(&mut client, "bound").await.must();
    let raw = json!({ "bindings": [{ "agentId": "bound", "match": { "channel": "telegram" } }] });
    let replace = if s.contract == V2026_2_9 {
        json!({})
    } else {
        json!({ "replacePaths": ["bindings"] })
    };
    seen.answer("a binding", &patch(s, &raw, &replace).await, &["/ok"]);
    let mut client = s.client().await;
    let answer = s.delete(&mut client, "bound").await;
    seen.answer("agents.delete", &answer, &["/ok", "/removedBindings"]);
    let (config, _) = s.config(&mut client).await;
    seen.line("bindings", &config["bindings"]);
    seen.line(
        "its entry",
        entries(s, &mut client).await.get("by-patch").is_some(),
    );
    seen
}

/// A write that leaves less than half of the file is taken for an accident, also when it is agents.delete's.
pub async fn a_write_that_halves_the_file(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let mut agents = vec![(
        "whale".to_owned(),
        json!({ "name": "w".repeat(20_000), "workspace": s.workspace("whale") }),
    )];
    if s.contract == V2026_2_9 {
        let there = entries(s, &mut client).await;
        agents.extend(there.as_object().expect("entries").clone());
    }
    let agents: Vec<(&str, Value)> = agents
        .iter()
        .map(|(id, entry)| (id.as_str(), entry.clone()))
        .collect();
    let answer = patch(s, &patch_of(s.contract, &agents), &json!({})).await;
    seen.answer("a name of 20,000 letters", &answer, &["/ok"]);
    let mut client = s.client().await;
    let answer = s.delete(&mut client, "whale").await;
    match &answer {
        Answer::Refused { error, .. } => {
            // The sizes and the name of the rejected copy are this run's.
            let words = answer.message().split(':').take(2).collect::<Vec<_>>().join(":");
            seen.line("agents.delete", format!("{} {words}", error["code"]));
            seen.line("  because of its size", answer.message().contains("size-drop:"));
        }
        Answer::Ok(_) | Answer::Closed(..) | Answer::Silent => {
            seen.answer("agents.delete", &answer, &["/ok"]);
        }
    }
    seen.line(
        "still there",
        entries(s, &mut client).await.get("whale").is_some(),
    );
    seen
}
