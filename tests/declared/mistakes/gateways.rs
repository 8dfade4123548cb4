//! Gateways that cannot be reached, do not let us in, or are deleted while somebody uses them. Their agents say so in the
//! Gateway's own words.

use serde_json::{Value, json};

use super::mistake::{
    Healed, Mistake, Step, agent, board, config_map, delete, edit, gateway, made, ready, secret,
};

pub fn mistakes() -> Vec<Mistake> {
    [the_way(), the_door(), the_rest()].concat()
}

fn the_way() -> Vec<Mistake> {
    let astray = |name: &'static str, url: &str, reason: &'static str| {
        Mistake::of_gateway(name, vec![gateway(name, json!({ "url": url }))], reason).mend(back(name))
    };
    vec![
        astray("typo", "ws://gatway.invalid:18789", "HostNotFound")
            .says(&["gatway.invalid", "check the host in spec.url"]),
        astray("no-port", "ws://127.0.0.1:99999", "InvalidSpec").says(&["spec.url", "port", "such as ws://"]),
        // The agents of a Gateway say what it says.
        Mistake::on(
            ("Agent", "adrift-main"),
            "adrift",
            vec![gateway("adrift", json!({ "url": "ws://gatway.invalid:18789" }))],
            "GatewayNotReady",
        )
        .says(&["waiting for gateway adrift", "gatway.invalid"])
        .mend(back("adrift")),
    ]
}

fn back(name: &'static str) -> Vec<Step> {
    vec![edit("Gateway", name, json!({ "url": "URL" }))]
}

fn the_door() -> Vec<Mistake> {
    let by = |name: &'static str, spec: Value, reason: &'static str| {
        Mistake::of_gateway(name, vec![gateway(name, spec)], reason)
    };
    let by_secret = |name: &'static str, reason: &'static str| {
        by(name, json!({ "tokenSecretRef": { "name": name } }), reason)
    };
    let after = |mut mistake: Mistake, step: Step| {
        mistake.steps.insert(0, step);
        mistake
    };
    let mended = |name: &'static str| vec![secret(name, json!({ "token": "TOKEN" }))];
    vec![
        by_secret("secretless", "SecretNotFound")
            .says(&[
                "Secret NAMESPACE/secretless does not exist",
                "create it with key token",
            ])
            .mend(mended("secretless")),
        after(
            by_secret("wrong-key", "SecretKeyNotFound"),
            secret("wrong-key", json!({ "tokn": "x" })),
        )
        .says(&["has no key token", "it has tokn", "add the key"])
        .mend(mended("wrong-key")),
        after(
            by_secret("empty-token", "TokenInvalid"),
            secret("empty-token", json!({ "token": "" })),
        )
        .says(&["empty-token", "put the gateway's token there"])
        .mend(mended("empty-token")),
        after(
            by_secret("control-token", "TokenInvalid"),
            secret("control-token", json!({ "token": "a\u{7}b" })),
        )
        .says(&["control-token", "put the gateway's token there"])
        .mend(mended("control-token")),
        after(
            by_secret("wrong-token", "TokenRefused"),
            secret("wrong-token", json!({ "token": "not-that-one" })),
        )
        .says(&["wrong-token", "key token", "10 minutes"])
        .mend(mended("wrong-token"))
        .real(),
        by("tokenless", json!({ "tokenSecretRef": null }), "TokenMissing")
            .says(&["spec.tokenSecretRef"])
            .mend(vec![edit(
                "Gateway",
                "tokenless",
                json!({ "tokenSecretRef": { "name": "harbour-token" } }),
            )])
            .real(),
        after(
            by("bad-device", json!({}), "DeviceKeyInvalid"),
            secret("ocgw-bad-device-device", json!({ "ed25519": "no key" })),
        )
        .says(&["ocgw-bad-device-device", "delete the Secret"])
        .mend(vec![delete("Secret", "ocgw-bad-device-device")]),
        by(
            "no-ca",
            json!({ "caBundleRef": { "name": "no-ca" } }),
            "CaBundleNotFound",
        )
        .says(&[
            "ConfigMap NAMESPACE/no-ca does not exist",
            "create it with key ca.crt",
        ])
        .mend(vec![edit("Gateway", "no-ca", json!({ "caBundleRef": null }))]),
        after(
            by(
                "bad-ca",
                json!({ "caBundleRef": { "name": "bad-ca" } }),
                "CaBundleInvalid",
            ),
            config_map("bad-ca", json!({ "ca.crt": "no certificate" })),
        )
        .says(&["bad-ca", "key ca.crt", "put the certificate"])
        .mend(vec![edit("Gateway", "bad-ca", json!({ "caBundleRef": null }))]),
        by(
            "too-old",
            json!({ "minimumVersion": "2027.1.1" }),
            "VersionTooOld",
        )
        .says(&["2026.9.6", "2027.1.1", "spec.minimumVersion"])
        .mend(vec![edit(
            "Gateway",
            "too-old",
            json!({ "minimumVersion": "2026.2.9" }),
        )])
        .real(),
        by(
            "no-device",
            json!({ "disableDevicePairing": true }),
            "DisableDevicePairingRetired",
        )
        .says(&["remove spec.disableDevicePairing"])
        .mend(vec![edit(
            "Gateway",
            "no-device",
            json!({ "disableDevicePairing": false }),
        )])
        .real(),
        by("far", json!({ "url": "FAR" }), "PairingRequired")
            .says(&["openclaw devices approve"])
            .mend(vec![edit("Gateway", "far", json!({ "url": "URL" }))]),
    ]
}

fn the_rest() -> Vec<Mistake> {
    let on = |name: &str, board: &str| agent(name, json!({ "boardRef": { "name": board } }));
    vec![
        Mistake::on(
            ("Gateway", "crowded"),
            "crowded",
            vec![
                made(
                    "Agent",
                    "crowded-main",
                    json!({ "boardRef": { "name": "common" } }),
                ),
                gateway("crowded", json!({})),
            ],
            "MainNameTaken",
        )
        .at("MainAgent", "False")
        .says(&["crowded-main", "give that one another name"])
        .mend(vec![delete("Agent", "crowded-main")])
        .healed(Healed::Condition("MainAgent")),
        Mistake::of_gateway(
            "wanted-still",
            vec![
                gateway("wanted-still", json!({})),
                board("wants-it", "wanted-still"),
                on("lives-there", "wants-it"),
                ready("Agent", "lives-there"),
                delete("Gateway", "wanted-still"),
            ],
            "InUse",
        )
        .says(&["Board wants-it", "Agent lives-there"])
        .mend(vec![delete("Agent", "lives-there"), delete("Board", "wants-it")])
        .healed(Healed::Gone),
        Mistake::of_agent(
            "comes-late",
            vec![
                gateway("ebbing", json!({})),
                board("ebbing", "ebbing"),
                ready("Agent", "ebbing-main"),
                delete("Gateway", "ebbing"),
                on("comes-late", "ebbing"),
            ],
            "GatewayTerminating",
        )
        .says(&["Gateway ebbing is being deleted", "spec.boardRef"])
        .mend(vec![edit("Agent", "comes-late", json!({ "boardRef": { "name": "common" } }))]),
        Mistake::on(
            ("Agent", "unread-main"),
            "unread",
            vec![gateway(
                "unread",
                json!({ "templates": [{ "name": "SOUL.md", "configMapKeyRef": { "name": "unread", "key": "soul" } }] }),
            )],
            "ConfigMapNotFound",
        )
        .says(&["Gateway unread, spec.templates[SOUL.md].configMapKeyRef", "ConfigMap unread", "create it"])
        .mend(vec![config_map("unread", json!({ "soul": "Be read." }))]),
        Mistake::on(
            ("Agent", "misspelt-main"),
            "misspelt",
            vec![gateway(
                "misspelt",
                json!({ "mainAgent": { "identityTemplate": { "inline": "{{ user_nmae }}" } } }),
            )],
            "TemplateError",
        )
        .says(&["IDENTITY.md line 1", "user_nmae", "Gateway misspelt, spec.mainAgent.identityTemplate"])
        .mend(vec![edit(
            "Gateway",
            "misspelt",
            json!({ "mainAgent": { "identityTemplate": { "inline": "{{ user_name }}" } } }),
        )]),
    ]
}
