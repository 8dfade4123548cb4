//! Agents that refer to what is not there, want what another one has, or what their gateway does not take.

use serde_json::{Value, json};

use super::mistake::{
    Healed, Mistake, Step, agent, board, config_map, delete, edit, gateway, gone, made, ready, secret,
};

pub fn mistakes() -> Vec<Mistake> {
    [references(), places(), settings(), tokens()].concat()
}

fn references() -> Vec<Mistake> {
    let on = |name: &'static str, board: &str| agent(name, json!({ "boardRef": { "name": board } }));
    let kept = |map: &str, key: &str| json!({ "name": map, "key": key });
    let soul = |map: &str| json!({ "soul": { "configMapKeyRef": kept(map, "soul") } });
    vec![
        Mistake::of_agent("boardless", vec![on("boardless", "no-board")], "BoardNotFound")
            .says(&["spec.boardRef", "no-board", "create it, or correct the name"])
            .mend(vec![board("no-board", "harbour")]),
        Mistake::of_agent(
            "far-off",
            vec![board("far-off", "no-gateway"), on("far-off", "far-off")],
            "GatewayNotFound",
        )
        .says(&["no-gateway", "create it, or correct the name"])
        .mend(vec![edit("Board", "far-off", json!({ "gatewayRef": { "name": "harbour" } }))]),
        Mistake::on(
            ("Board", "lost-board"),
            "lost-board",
            vec![board("lost-board", "no-gateway")],
            "GatewayNotFound",
        )
        .says(&["no-gateway", "create it, or change spec.gatewayRef.name"])
        .mend(vec![edit("Board", "lost-board", json!({ "gatewayRef": { "name": "harbour" } }))]),
        Mistake::of_agent("mapless", vec![agent("mapless", soul("no-map"))], "ConfigMapNotFound")
            .says(&["spec.soul.configMapKeyRef", "no-map", "create it, or correct the name"])
            .mend(vec![config_map("no-map", json!({ "soul": "Be there." }))]),
        Mistake::of_agent(
            "keyless",
            vec![
                config_map("keyless", json!({ "ghost": "x", "sole": "x" })),
                agent("keyless", soul("keyless")),
            ],
            "ConfigMapKeyNotFound",
        )
        .says(&["spec.soul.configMapKeyRef", "no key soul", "ghost, sole", "add the key"])
        .mend(vec![config_map("keyless", json!({ "soul": "Be there." }))]),
        Mistake::of_agent(
            "soulless",
            vec![agent(
                "soulless",
                json!({ "identity": { "role": "Lamp Keeper" }, "soul": { "role": true } }),
            )],
            "SoulNotFound",
        )
        .says(&["Lamp Keeper", "quartermaster.dev/souls", "add one"])
        .mend(vec![Step::Apply(
            "ConfigMap",
            "lamps".to_owned(),
            json!({ "metadata": { "labels": { "quartermaster.dev/souls": "true" } }, "data": { "lamp-keeper": "Keep it lit." } }),
        )]),
        Mistake::of_agent(
            "nobodys-soul",
            vec![agent("nobodys-soul", json!({ "soul": { "role": true } }))],
            "SoulNotFound",
        )
        .says(&["spec.identity.role"])
        .mend(vec![edit("Agent", "nobodys-soul", json!({ "soul": { "role": null, "template": "Be." } }))]),
    ]
}

fn places() -> Vec<Mistake> {
    let lead =
        |name: &str, board: &str| agent(name, json!({ "role": "Lead", "boardRef": { "name": board } }));
    let on = |name: &str, board: &str| agent(name, json!({ "boardRef": { "name": board } }));
    vec![
        Mistake::of_agent(
            "second-lead",
            vec![
                board("two-leads", "harbour"),
                lead("first-lead", "two-leads"),
                ready("Agent", "first-lead"),
                lead("second-lead", "two-leads"),
            ],
            "LeadConflict",
        )
        .says(&["first-lead", "delete one of the two, or make this one a Worker"])
        .mend(vec![delete("Agent", "first-lead")]),
        Mistake::of_agent(
            "no-room",
            vec![
                made(
                    "Board",
                    "full",
                    json!({ "gatewayRef": { "name": "harbour" }, "maxAgents": 1 }),
                ),
                on("has-room", "full"),
                ready("Agent", "has-room"),
                on("no-room", "full"),
            ],
            "CapacityExceeded",
        )
        .says(&["Board full", "room for 1 worker", "raise spec.maxAgents"])
        .mend(vec![edit("Board", "full", json!({ "maxAgents": 2 }))]),
        Mistake::of_agent(
            "claims-too",
            vec![
                agent("claims", json!({ "agentId": "claimed" })),
                ready("Agent", "claims"),
                agent("claims-too", json!({ "agentId": "claimed" })),
            ],
            "AgentIdTaken",
        )
        .says(&["claimed", "/claims", "delete"])
        .mend(vec![delete("Agent", "claims")])
        .real(),
        Mistake::of_agent(
            "takes-a-workers",
            vec![
                agent("is-taken", json!({})),
                ready("Agent", "is-taken"),
                agent("takes-a-workers", json!({ "agentId": "mc-UID(is-taken)" })),
            ],
            "AgentIdTaken",
        )
        .says(&["/is-taken"])
        .mend(vec![delete("Agent", "is-taken")]),
        Mistake::of_agent(
            "moves-in",
            vec![
                agent("tenant", json!({ "workspace": "/w/desk" })),
                ready("Agent", "tenant"),
                agent("moves-in", json!({ "workspace": "/w/desk" })),
            ],
            "WorkspaceTaken",
        )
        .says(&["/w/desk", "/tenant", "another spec.workspace"])
        .mend(vec![delete("Agent", "tenant")]),
        Mistake::of_agent(
            "moves-away",
            vec![
                gateway("other-side", json!({})),
                board("abroad", "other-side"),
                agent("moves-away", json!({})),
                ready("Agent", "moves-away"),
                edit("Agent", "moves-away", json!({ "boardRef": { "name": "abroad" } })),
            ],
            "MoveNotSupported",
        )
        .says(&["harbour", "other-side", "put boardRef back"])
        .mend(vec![edit(
            "Agent",
            "moves-away",
            json!({ "boardRef": { "name": "common" } }),
        )]),
        Mistake::of_agent(
            "is-moved",
            vec![
                gateway("next-pier", json!({})),
                board("moves", "harbour"),
                on("is-moved", "moves"),
                ready("Agent", "is-moved"),
                edit("Board", "moves", json!({ "gatewayRef": { "name": "next-pier" } })),
            ],
            "MoveNotSupported",
        )
        .says(&["harbour", "next-pier"])
        .mend(vec![edit(
            "Board",
            "moves",
            json!({ "gatewayRef": { "name": "harbour" } }),
        )]),
        Mistake::of_agent(
            "too-late",
            vec![
                board("closing", "harbour"),
                on("was-in-time", "closing"),
                ready("Agent", "was-in-time"),
                delete("Board", "closing"),
                on("too-late", "closing"),
            ],
            "BoardTerminating",
        )
        .says(&["Board closing", "is being deleted", "spec.boardRef"])
        .mend(vec![edit(
            "Agent",
            "too-late",
            json!({ "boardRef": { "name": "common" } }),
        )]),
        Mistake::on(
            ("Board", "in-use"),
            "in-use",
            vec![
                board("in-use", "harbour"),
                on("uses-it", "in-use"),
                ready("Agent", "uses-it"),
                delete("Board", "in-use"),
            ],
            "InUse",
        )
        .says(&["Agent uses-it"])
        .mend(vec![delete("Agent", "uses-it")])
        .healed(Healed::Gone),
        Mistake::of_agent(
            "was-there-before",
            vec![
                gateway("rebuilt", json!({})),
                board("rebuilt", "rebuilt"),
                on("was-there-before", "rebuilt"),
                ready("Agent", "was-there-before"),
                Step::Patch(
                    "Gateway",
                    "rebuilt".to_owned(),
                    json!({ "metadata": { "annotations": { "quartermaster.dev/force-delete": "true" } } }),
                ),
                delete("Gateway", "rebuilt"),
                gone("Gateway", "rebuilt"),
                gateway("rebuilt", json!({})),
            ],
            "GatewayReplaced",
        )
        .says(&["Gateway rebuilt", "delete this Agent and create it anew"])
        .mend(vec![
            delete("Agent", "was-there-before"),
            gone("Agent", "was-there-before"),
            on("was-there-before", "rebuilt"),
        ]),
    ]
}

/// What the gateway does not take. These come at the same moment as those who are to be Ready, and leave with them.
fn settings() -> Vec<Mistake> {
    let config = |name: &'static str, config: Value| {
        let mend = json!({ "config": null });
        Mistake::of_agent(
            name,
            vec![agent(name, json!({ "config": config }))],
            "ConfigRejected",
        )
        .says(&["agents.entries.", "correct spec.config"])
        .mend(vec![edit("Agent", name, mend)])
        .real()
    };
    let heartbeat = |name: &'static str, heartbeat: Value, says: &[&'static str]| {
        let mend = vec![edit("Agent", name, json!({ "heartbeat": null }))];
        Mistake::of_agent(
            name,
            vec![agent(name, json!({ "heartbeat": heartbeat }))],
            "EntryInPlace",
        )
        .at("Provisioned", "True")
        .says(says)
        .mend(mend)
        .real()
    };
    vec![
        config("unknown-setting", json!({ "colour": "blue" })),
        config("wrong-kind", json!({ "tools": { "deny": "exec" } })),
        config(
            "unknown-inside",
            json!({ "sandbox": { "mode": "all", "moat": true } }),
        ),
        // Not known to this kind of gateway: left out and told, and the agent is there.
        heartbeat(
            "left-out",
            json!({ "includeReasoning": true }),
            &["heartbeat.includeReasoning", "does not know"],
        ),
        Mistake::of_agent(
            "wants-a-binding",
            vec![
                agent("has-the-binding", json!({ "bindings": ["telegram:quay"] })),
                ready("Agent", "has-the-binding"),
                agent("wants-a-binding", json!({ "bindings": ["telegram:quay"] })),
            ],
            "EntryInPlace",
        )
        .at("Provisioned", "True")
        .says(&[
            "telegram:quay",
            "mc-UID(has-the-binding)",
            "remove it from one of the two",
        ])
        .mend(vec![edit("Agent", "wants-a-binding", json!({ "bindings": [] }))])
        .real(),
    ]
}

fn tokens() -> Vec<Mistake> {
    vec![
        Mistake::of_agent(
            "not-its-secret",
            vec![
                secret("ocagent-not-its-secret-token", json!({ "token": "somebody's" })),
                agent("not-its-secret", json!({})),
            ],
            "SecretConflict",
        )
        .says(&["ocagent-not-its-secret-token", "somebody else's", "rename or delete it"])
        .mend(vec![delete("Secret", "ocagent-not-its-secret-token")]),
        Mistake::of_agent(
            "no-token",
            vec![
                agent("no-token", json!({})),
                ready("Agent", "no-token"),
                secret("ocagent-no-token-token", json!({ "token": "short" })),
            ],
            "TokenInvalid",
        )
        .says(&["ocagent-no-token-token", "key token", "put the right one back"])
        // Then it is read back from the agent's own file.
        .mend(vec![delete("Secret", "ocagent-no-token-token")]),
        Mistake::of_agent(
            "lost-token",
            vec![
                agent("lost-token", json!({})),
                ready("Agent", "lost-token"),
                edit("Agent", "lost-token", json!({ "suspend": true })),
                Step::Spoil("lost-token".to_owned(), "AGENTS.md", "Who are you?\n"),
                delete("Secret", "ocagent-lost-token-token"),
                // Until somebody asks it to read all anew, it would know the token from what it has read.
                Step::Patch(
                    "Agent",
                    "lost-token".to_owned(),
                    json!({ "metadata": { "annotations": { "quartermaster.dev/reconcile-at": "now" } }, "spec": { "suspend": false } }),
                ),
            ],
            "TokenLost",
        )
        .says(&["lost-token", "ocagent-lost-token-token is gone", "restore the Secret"])
        .mend(vec![Step::Apply(
            "Secret",
            "ocagent-lost-token-token".to_owned(),
            json!({
                "metadata": {
                    "labels": { "app.kubernetes.io/managed-by": "quartermaster", "quartermaster.dev/agent": "lost-token" },
                    "ownerReferences": [{ "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent", "name": "lost-token",
                        "uid": "UID(lost-token)" }],
                },
                "stringData": { "token": "Y".repeat(43) },
            }),
        )]),
    ]
}
