//! The fleet as its owner writes it: a Gateway, five Boards, a lead and ten workers on each. The main agent is nobody's to
//! write: the Gateway makes it.

use serde_json::{Value, json};

const BOARDS: usize = 5;

/// On each Board; `WORKERS=1` is for trying the bench.
fn workers() -> usize {
    std::env::var("WORKERS").map_or(10, |workers| workers.parse().expect("WORKERS is a number"))
}

/// 1 + 5 + 50.
pub fn size() -> usize {
    1 + BOARDS * (1 + workers())
}

/// As one file for `kubectl apply -f -`.
pub fn fleet(url: &str, token: &str) -> String {
    let boards = (1..=BOARDS).map(board);
    let leads = (1..=BOARDS).map(lead);
    let workers = (1..=BOARDS).flat_map(|board| (1..=workers()).map(move |number| worker(board, number)));
    let documents = [secret(token), gateway(url)]
        .into_iter()
        .chain(boards)
        .chain(leads)
        .chain(workers);
    // JSON is YAML, too.
    documents
        .map(|it| it.to_string())
        .collect::<Vec<_>>()
        .join("\n---\n")
}

fn secret(token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "harbour-token" },
        "stringData": { "token": token },
    })
}

fn gateway(url: &str) -> Value {
    ours(
        "Gateway",
        "harbour",
        &json!({
            "displayName": "Harbour",
            "url": url,
            "workspaceRoot": "~/.openclaw",
            "tokenSecretRef": { "name": "harbour-token" },
            "owner": {
                "name": "Ada Keller",
                "preferredName": "Ada",
                "timezone": "Europe/Zurich",
                "notes": "Wants the short answer first and the evidence below it.",
                "context": "Runs the booking platform of a small ferry company with two colleagues.",
            },
            "mainAgent": {
                "displayName": "Harbour Master",
                "heartbeat": heartbeat(),
                "identity": {
                    "role": "Gateway Agent",
                    "communicationStyle": "brief and friendly",
                    "purpose": "Knows which board a request belongs to and sees that it gets there.",
                },
            },
        }),
    )
}

fn board(number: usize) -> Value {
    ours(
        "Board",
        &format!("board-{number}"),
        &json!({
            "gatewayRef": { "name": "harbour" },
            "displayName": format!("Pier {number}"),
            "description": format!("Keeps pier {number} and its ferries going."),
            "objective": format!("No ferry leaves pier {number} late."),
            "successMetrics": { "departures on time": "99 of 100", "complaints": "none unanswered for a day" },
            "goalConfirmed": true,
            "rules": { "requireReviewBeforeDone": true, "onlyLeadCanChangeStatus": true },
            "maxAgents": workers(),
        }),
    )
}

fn lead(board: usize) -> Value {
    ours(
        "Agent",
        &format!("lead-{board}"),
        &json!({
            "role": "Lead",
            "boardRef": { "name": format!("board-{board}") },
            "displayName": format!("Lead of pier {board}"),
            "heartbeat": heartbeat(),
            "identity": {
                "role": "Board Lead",
                "communicationStyle": "decides, gives one reason, names the next step",
                "purpose": "Hands each task to the agent that knows most about it, and closes what is done.",
            },
        }),
    )
}

fn worker(board: usize, number: usize) -> Value {
    ours(
        "Agent",
        &format!("worker-{board}-{number}"),
        &json!({
            "boardRef": { "name": format!("board-{board}") },
            "displayName": format!("Deckhand {number} of pier {board}"),
            "heartbeat": heartbeat(),
            "identity": {
                "role": "Site Reliability Engineer",
                "expertise": ["Kubernetes", "PostgreSQL", "reading logs"],
                "tone": "calm",
                "communicationStyle": "finding, evidence, guess, in this order",
                "purpose": "Looks at an alert first and says what is broken and how bad it is.",
                "constraints": ["Reads only. Changes nothing in the cluster."],
            },
        }),
    )
}

/// Rare: these gateways have no model, and the turns that fail would be measured along.
fn heartbeat() -> Value {
    json!({ "every": "6h", "target": "last" })
}

fn ours(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "quartermaster.dev/v1alpha1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": spec,
    })
}
