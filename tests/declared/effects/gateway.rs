//! The fields of a Gateway. Those of `spec.mainAgent` are an Agent's, and do to the main agent what an Agent's do to `triage`.

use serde_json::{Value, json};

use super::row::{Effect, Row, row};

pub fn rows() -> Vec<Row> {
    let harbour = |field: &str, edit: Value| row(&format!("Gateway.{field}"), "harbour", edit);
    // The one agent whose USER.md is kept: of all others it is their own once it is there.
    let owner = |field: &str, value: &str, words: &str| {
        let edit = json!({ "owner": { field: value } });
        harbour(&format!("owner.{field}"), edit).shows("lookout", "USER.md", words)
    };
    let mut base_url = harbour("baseUrl", json!({ "baseUrl": "http://qm.example:8472/" }));
    for agent in ["boss", "triage", "lookout", "harbour-main"] {
        base_url = base_url.shows(agent, "AGENTS.md", "BASE_URL=\"http://qm.example:8472\"");
    }
    // ROLES.md is a lead's alone.
    let template = |field: &str, edit: Value, words: &str| {
        harbour(&format!("templates[].{field}"), json!({ "templates": [edit] })).shows(
            "boss",
            "AGENTS.md",
            words,
        )
    };
    let kept = |document: &str, key: &str| json!({ "name": document, "configMapKeyRef": { "name": "others", "key": key } });
    vec![
        base_url,
        harbour("displayName", json!({ "displayName": "Old Harbour" }))
            .shows(
                "harbour-main",
                "AGENTS.md",
                "You look after the gateway Old Harbour as a whole.",
            )
            .shows("harbour-main", "IDENTITY.md", "- Name: Old Harbour Main")
            .shows(
                "harbour-main",
                "SOUL.md",
                "This is one of texts, Old Harbour Main.",
            )
            .entry("harbour-main", "/name", json!("Old Harbour Main")),
        owner("name", "Grace Tower", "- Name: Grace Tower"),
        owner("preferredName", "Gracie", "- Call them: Gracie"),
        owner("pronouns", "she/her", "- Pronouns: she/her"),
        owner("timezone", "Asia/Tokyo", "- Time zone: Asia/Tokyo"),
        owner("notes", "Sleeps by day.", "## Good to know Sleeps by day."),
        owner(
            "context",
            "A new pier.",
            "## What they are working on A new pier.",
        ),
        template(
            "inline",
            json!({ "name": "ROLES.md", "inline": "Everybody rows." }),
            "<!-- quartermaster: ROLES.md --> Everybody rows.",
        )
        .round(4),
        template(
            "configMapKeyRef.name",
            kept("ROLES.md", "one"),
            "<!-- quartermaster: ROLES.md --> This is one of others,",
        )
        .round(5),
        template(
            "configMapKeyRef.key",
            kept("ROLES.md", "two"),
            "<!-- quartermaster: ROLES.md --> This is two of others,",
        )
        .round(6),
        template(
            "name",
            kept("APPROVALS.md", "two"),
            "<!-- quartermaster: APPROVALS.md --> This is two of others,",
        )
        .lacks(
            "boss",
            "AGENTS.md",
            "<!-- quartermaster: ROLES.md --> This is two of others,",
        )
        .round(7),
        harbour("mainAgent.boards", json!({ "mainAgent": { "boards": ["quay"] } }))
            .idle("boards of other Gateways that the main agent may act on, by the HTTP API"),
    ]
}

/// Every row of an Agent once more for the main agent, where its Gateway has the field.
pub fn of_the_main_agent(of_agents: &[Row]) -> Vec<Row> {
    let schema = super::schema::fields();
    of_agents
        .iter()
        .filter_map(|row| {
            let field = row.field.replacen("Agent.", "Gateway.mainAgent.", 1);
            schema.contains(&field).then(|| lifted(row, field))
        })
        .collect()
}

fn lifted(row: &Row, field: String) -> Row {
    let mut effects = row.effects.clone();
    // It is on nobody's team.
    effects.retain_mut(|effect: &mut Effect| match effect.agent_mut() {
        Some(agent) if agent == "triage" => {
            "harbour-main".clone_into(agent);
            true
        }
        Some(_) => false,
        None => true,
    });
    Row {
        field,
        on: ("Gateway", "harbour".to_owned()),
        edit: json!({ "mainAgent": row.edit }),
        effects,
        round: row.round,
        idle: row.idle,
    }
}
