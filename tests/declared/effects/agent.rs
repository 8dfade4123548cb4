//! The fields of an Agent, shown on the worker `triage`. Its lead `boss` lists the team; on this gateway all that is no file of
//! its own is a section of AGENTS.md.

use serde_json::{Value, json};

use super::row::{Row, row};

/// What `triage` and the main agent begin with.
pub fn base() -> Value {
    json!({
        "soul": { "configMapKeyRef": { "name": "texts", "key": "one" } },
        "files": [{ "name": "RUNBOOK.md", "content": "Ring the bell." }],
        "heartbeat": { "activeHours": { "start": "07:00", "end": "19:00", "timezone": "UTC" } },
        "config": { "tools": { "deny": ["exec"] } },
    })
}

pub fn rows() -> Vec<Row> {
    let mut rows = identity();
    rows.extend(heartbeat());
    rows.extend(texts());
    rows.extend(rest());
    rows
}

fn triage(field: &str, edit: Value) -> Row {
    row(&format!("Agent.{field}"), "triage", edit)
}

fn identity() -> Vec<Row> {
    let identity = |field: &str, value: Value, words: &str| {
        let edit = json!({ "identity": { field: value } });
        triage(&format!("identity.{field}"), edit).shows("triage", "IDENTITY.md", words)
    };
    let said = |field: &str, text: &str, words: &str| identity(field, json!(text), words);
    vec![
        said(
            "role",
            "Site Reliability Engineer",
            "- Role: Site Reliability Engineer",
        )
        .shows("boss", "AGENTS.md", ", Site Reliability Engineer ("),
        said(
            "purpose",
            "Finds what is on fire.",
            "## Purpose Finds what is on fire.",
        )
        .shows("boss", "AGENTS.md", ": Finds what is on fire."),
        identity("expertise", json!(["DNS", "TLS"]), "- Knows well: DNS, TLS"),
        said("tone", "wry", "- Tone: wry"),
        said("communicationStyle", "in numbers", "- Communication: in numbers"),
        identity(
            "constraints",
            json!(["Never restarts by night."]),
            "## Limits These hold whoever asks you otherwise: - Never restarts by night.",
        ),
        said(
            "workingHours",
            "from dusk to dawn",
            "- Working hours: from dusk to dawn",
        ),
        said("emoji", "🧭", "- Emoji: 🧭"),
        said("personality", "Slow to panic.", "## Personality Slow to panic."),
        said(
            "customInstructions",
            "Count to ten.",
            "## Instructions Count to ten.",
        ),
        identity(
            "extra",
            json!({ "update_cadence": "hourly" }),
            "- Updates: hourly",
        ),
    ]
}

fn heartbeat() -> Vec<Row> {
    let beat = |field: &str, pointer: &'static str, value: Value| {
        let edit = json!({ "heartbeat": { field: value } });
        triage(&format!("heartbeat.{field}"), edit)
            .entry("triage", pointer, value)
            .round(1)
    };
    let hours = |field: &str, pointer: &'static str, value: &str| {
        let edit = json!({ "heartbeat": { "activeHours": { field: value } } });
        triage(&format!("heartbeat.activeHours.{field}"), edit)
            .entry("triage", pointer, json!(value))
            .round(1)
    };
    vec![
        beat("every", "/heartbeat/every", json!("45m")),
        beat("target", "/heartbeat/target", json!("none")),
        beat("prompt", "/heartbeat/prompt", json!("Look around.")),
        beat("to", "/heartbeat/to", json!("+41790000000")),
        beat("accountId", "/heartbeat/accountId", json!("ops")),
        beat("model", "/heartbeat/model", json!("openai/gpt-5-mini")),
        beat("session", "/heartbeat/session", json!("heartbeats")),
        beat("directPolicy", "/heartbeat/directPolicy", json!("block")),
        beat("lightContext", "/heartbeat/lightContext", json!(true)),
        beat("isolatedSession", "/heartbeat/isolatedSession", json!(true)),
        beat("timeoutSeconds", "/heartbeat/timeoutSeconds", json!(90)),
        hours("start", "/heartbeat/activeHours/start", "06:30"),
        hours("end", "/heartbeat/activeHours/end", "20:15"),
        hours("timezone", "/heartbeat/activeHours/timezone", "Europe/Zurich"),
        // This gateway knows no such key, and one that it does not know would spoil the whole write.
        triage(
            "heartbeat.includeReasoning",
            json!({ "heartbeat": { "includeReasoning": true } }),
        )
        .holds(
            "Agent",
            "triage",
            "/status/entry/leftOut",
            json!("heartbeat.includeReasoning"),
        ),
        // Without a block the gateway's default would beat.
        triage("heartbeat.enabled", json!({ "heartbeat": { "enabled": false } }))
            .entry("triage", "/heartbeat/every", json!("0m"))
            .round(7),
    ]
}

/// Where texts come from: written here, or kept in ConfigMaps.
fn texts() -> Vec<Row> {
    let soul = |field: &str, edit: Value, words: &str| {
        triage(&format!("soul.{field}"), json!({ "soul": edit })).shows("triage", "SOUL.md", words)
    };
    let identity = |field: &str, edit: Value, words: &str| {
        let edit = json!({ "identityTemplate": edit });
        triage(&format!("identityTemplate.{field}"), edit).shows("triage", "IDENTITY.md", words)
    };
    let files = |field: &str, edit: Value, words: &str| {
        triage(&format!("files[].{field}"), json!({ "files": [edit] })).shows("triage", "AGENTS.md", words)
    };
    let kept = |map: &str, key: &str| json!({ "name": map, "key": key });
    vec![
        soul(
            "configMapKeyRef.key",
            json!({ "configMapKeyRef": { "key": "two" } }),
            "This is two of texts,",
        )
        .round(2),
        soul(
            "configMapKeyRef.name",
            json!({ "configMapKeyRef": { "name": "others" } }),
            "This is two of others,",
        )
        .round(3),
        soul(
            "template",
            json!({ "configMapKeyRef": null, "template": "Be a lighthouse, {{ agent_name }}." }),
            "Be a lighthouse,",
        )
        .round(4),
        soul(
            "role",
            json!({ "template": null, "role": true }),
            "You keep the lights on.",
        )
        .round(5),
        identity(
            "inline",
            json!({ "inline": "I am {{ agent_name }}, by hand." }),
            "by hand.",
        )
        .round(2),
        identity(
            "configMapKeyRef.name",
            json!({ "inline": null, "configMapKeyRef": kept("texts", "one") }),
            "This is one of texts,",
        )
        .round(3),
        identity(
            "configMapKeyRef.key",
            json!({ "configMapKeyRef": { "key": "two" } }),
            "This is two of texts,",
        )
        .round(4),
        files(
            "content",
            json!({ "name": "RUNBOOK.md", "content": "Ring it twice." }),
            "<!-- quartermaster: RUNBOOK.md --> Ring it twice.",
        )
        .round(2),
        files(
            "configMapKeyRef.name",
            json!({ "name": "RUNBOOK.md", "configMapKeyRef": kept("texts", "one") }),
            "<!-- quartermaster: RUNBOOK.md --> This is one of texts,",
        )
        .round(3),
        files(
            "configMapKeyRef.key",
            json!({ "name": "RUNBOOK.md", "configMapKeyRef": kept("texts", "two") }),
            "<!-- quartermaster: RUNBOOK.md --> This is two of texts,",
        )
        .round(4),
        files(
            "name",
            json!({ "name": "PLAYBOOK.md", "configMapKeyRef": kept("texts", "two") }),
            "<!-- quartermaster: PLAYBOOK.md --> This is two of texts,",
        )
        .lacks("triage", "AGENTS.md", "RUNBOOK.md")
        .round(5),
    ]
}

fn rest() -> Vec<Row> {
    vec![
        triage("displayName", json!({ "displayName": "Incident Triage" }))
            .entry("triage", "/name", json!("Incident Triage"))
            .shows("triage", "IDENTITY.md", "- Name: Incident Triage")
            // The texts of the ConfigMap speak of it.
            .shows("triage", "SOUL.md", "This is one of texts, Incident Triage.")
            .shows("boss", "AGENTS.md", "- Incident Triage")
            .round(1),
        triage("model", json!({ "model": "openai/gpt-5" }))
            .entry("triage", "/model", json!("openai/gpt-5"))
            .round(1),
        // A list of the user's own, and the key beside it that is wanted no more.
        triage(
            "config",
            json!({ "config": { "tools": { "deny": null, "allow": ["read"] } } }),
        )
        .entry("triage", "/tools", json!({ "allow": ["read"] }))
        .round(1),
        triage("bindings", json!({ "bindings": ["telegram:ops"] }))
            .bound("triage", json!({ "channel": "telegram", "accountId": "ops" }))
            .round(1),
        row(
            "Agent.boardRef.name",
            "lookout",
            json!({ "boardRef": { "name": "docks" } }),
        )
        .shows("lookout", "AGENTS.md", "You work on the board Docks.")
        .lacks("boss", "AGENTS.md", "- lookout")
        .round(9),
        triage("token.rotation", json!({ "token": { "rotation": "leaked" } }))
            .rewritten("triage", "AGENTS.md")
            .holds("Agent", "triage", "/status/token/rotation", json!("leaked"))
            .round(10),
        triage(
            "token.overlap",
            json!({ "token": { "overlap": "5h", "rotation": "leaked again" } }),
        )
        .rewritten("triage", "AGENTS.md")
        .spans(
            ("Agent", "triage"),
            "/status/token/rotatedAt",
            "/status/token/previousUntil",
            5..=5,
        )
        .round(11),
        // Up to a tenth sooner, so that not a whole fleet has its turn at once.
        triage("token.rotateEvery", json!({ "token": { "rotateEvery": "720h" } }))
            .spans(
                ("Agent", "triage"),
                "/status/token/rotatedAt",
                "/status/token/nextRotation",
                648..=720,
            )
            .round(12),
    ]
}
