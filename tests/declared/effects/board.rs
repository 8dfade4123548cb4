//! The fields of a Board, shown in what its lead `boss` and its workers `triage` and `lookout` read. The gateway's main agent
//! lists boards by name and description.

use serde_json::{Value, json};

use super::row::{Row, row};

pub fn rows() -> Vec<Row> {
    let ops = |field: &str, edit: Value| row(&format!("Board.{field}"), "ops", edit);
    let everybody = |row: Row, words: &str| {
        let row = row.shows("boss", "AGENTS.md", words);
        row.shows("triage", "AGENTS.md", words)
            .shows("lookout", "AGENTS.md", words)
    };
    let rule = |field: &str, value: bool, words: &str| {
        let edit = json!({ "rules": { field: value } });
        everybody(ops(&format!("rules.{field}"), edit), words)
    };
    vec![
        ops("displayName", json!({ "displayName": "Night watch" }))
            .shows("boss", "AGENTS.md", "# Board: Night watch")
            .shows("triage", "AGENTS.md", "You work on the board Night watch.")
            .shows("lookout", "AGENTS.md", "You work on the board Night watch.")
            .shows("harbour-main", "AGENTS.md", "- Night watch"),
        everybody(
            ops("description", json!({ "description": "Who is awake." })),
            "Who is awake.",
        )
        .shows("harbour-main", "AGENTS.md", ": Who is awake. (lead:"),
        everybody(
            ops("objective", json!({ "objective": "No alert waits." })),
            "No alert waits.",
        ),
        everybody(
            ops(
                "successMetrics",
                json!({ "successMetrics": { "first reply": "5 minutes" } }),
            ),
            "- first reply: 5 minutes",
        ),
        ops("targetDate", json!({ "targetDate": "2027-01-31" }))
            .shows("boss", "AGENTS.md", "2027-01-31")
            .shows("triage", "AGENTS.md", "By 2027-01-31.")
            .shows("lookout", "AGENTS.md", "By 2027-01-31."),
        ops("goalConfirmed", json!({ "goalConfirmed": true }))
            .shows("boss", "AGENTS.md", "Your human has agreed to the goal.")
            .lacks("triage", "AGENTS.md", "The goal is not confirmed.")
            .lacks("lookout", "AGENTS.md", "The goal is not confirmed.")
            .round(1),
        rule(
            "requireApprovalForDone",
            false,
            "- It may be done without anybody's approval.",
        ),
        rule(
            "requireReviewBeforeDone",
            true,
            "- It is done only after it was in review.",
        ),
        rule(
            "commentRequiredForReview",
            true,
            "- Who puts it into review says what was done",
        ),
        rule(
            "blockStatusChangesWithPendingApproval",
            true,
            "- While an approval is asked for and not given, it stays",
        ),
        rule(
            "onlyLeadCanChangeStatus",
            true,
            "- Only the lead moves it from one state to another",
        ),
        // Of its kind only the lead is told, once the goal is confirmed.
        ops("type", json!({ "type": "upkeep" }))
            .shows("boss", "AGENTS.md", "This is a board of the kind upkeep")
            .round(2),
        ops("maxAgents", json!({ "maxAgents": 7 }))
            .shows("boss", "AGENTS.md", "The board has room for 7 workers")
            .holds("Board", "ops", "/status/capacity", json!(7))
            .round(3),
        row(
            "Board.gatewayRef.name",
            "quay",
            json!({ "gatewayRef": { "name": "elsewhere" } }),
        )
        .condition(("Board", "quay"), "Ready", "False", "GatewayNotFound")
        .lacks("harbour-main", "AGENTS.md", "- Quay")
        .round(1),
        ops("group", json!({ "group": "sea" })).idle("a word for people, to look at several boards together"),
    ]
}
