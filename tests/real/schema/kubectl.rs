//! What a person sees: columns, categories, short names, and explanations.

use super::cluster::{asker, install};
use super::samples::whole_objects;
use crate::bed::{eventually, shared_cluster};

/// Other groups have Gateways and Agents too. This is how much of the Gateway API it takes to get in our way.
const ANOTHER_GATEWAY: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gateways.gateway.networking.k8s.io
  annotations: {api-approved.kubernetes.io: 'unapproved, a stand-in in a test'}
spec:
  group: gateway.networking.k8s.io
  scope: Namespaced
  names: {kind: Gateway, plural: gateways, singular: gateway, shortNames: [gtw], categories: [gateway-api]}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";
const ANOTHER_AGENT: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: agents.agents.example.org}
spec:
  group: agents.example.org
  scope: Namespaced
  names: {kind: Agent, plural: agents, singular: agent}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

#[tokio::test]
async fn kubectl_shows_our_kinds_well_beside_others_of_the_same_name() {
    let cluster = real!(shared_cluster());
    for other in [ANOTHER_GATEWAY, ANOTHER_AGENT] {
        let applied = cluster.kubectl_with_input(&["apply", "--server-side", "-f", "-"], other);
        assert!(applied.ok, "{}", applied.stderr);
    }
    install(cluster);
    let namespace = cluster.namespace("kubectl");
    let asker = asker(cluster, &namespace).await;
    for object in whole_objects() {
        let mut created = asker.create(&object).await.unwrap();
        if object["status"].is_object() {
            created["status"] = object["status"].clone();
            asker.replace_status(&created).await.unwrap();
        }
    }
    let say = |arguments: &[&str]| {
        let spoken = cluster.kubectl(&[&["-n", namespace.name()], arguments].concat());
        assert!(spoken.ok, "kubectl {}: {}", arguments.join(" "), spoken.stderr);
        spoken.stdout
    };

    for (short, full) in [
        ("ocgw", "gateway.quartermaster.dev/whole-gateway"),
        ("ocboard", "board.quartermaster.dev/whole-board"),
        ("ocagent", "agent.quartermaster.dev/whole-worker"),
        ("ocsync", "templatesync.quartermaster.dev/whole-sync"),
    ] {
        assert!(
            say(&["get", short, "-o", "name"])
                .lines()
                .any(|line| line == full),
            "{short} is not ours"
        );
        assert!(
            say(&["get", "openclaw", "-o", "name"])
                .lines()
                .any(|line| line == full),
            "openclaw lists no {short}"
        );
    }

    assert_columns(
        &say(&["get", "ocagent"]),
        &[
            "NAME", "ROLE", "BOARD", "GATEWAY", "PHASE", "READY", "FILES", "DRIFT", "AGE",
        ],
        &[
            "whole-worker",
            "Worker",
            "ops",
            "harbour",
            "Provisioning",
            "Unknown",
            "5/6",
            "1",
        ],
    );
    assert_columns(
        &say(&["get", "ocgw"]),
        &["NAME", "URL", "READY", "VERSION", "AGENTS", "AGE"],
        &[
            "whole-gateway",
            "wss://gateway.example.org:18789/ws",
            "False",
            "2026.9.6",
            "1/2",
        ],
    );
    assert_columns(
        &say(&["get", "ocboard"]),
        &[
            "NAME", "GATEWAY", "TYPE", "LEAD", "WORKERS", "CAPACITY", "READY", "AGE",
        ],
        &["whole-board", "harbour", "goal", "ops-lead", "3", "5", "True"],
    );
    assert_columns(
        &say(&["get", "ocsync"]),
        &["NAME", "GATEWAY", "BOARD", "PHASE", "SYNCED", "ERRORS", "AGE"],
        &["whole-sync", "harbour", "ops", "Complete", "1", "1"],
    );
    assert!(say(&["get", "ocagent", "-o", "wide"]).contains("ops-triage"));

    // The API server publishes a new definition's explanations a moment after it serves it.
    let explained = eventually("kubectl explains ocagent", 30, || {
        let spoken = cluster.kubectl(&["explain", "ocagent.spec.heartbeat"]);
        spoken.ok.then_some(spoken.stdout)
    });
    let words: String = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("GROUP: quartermaster.dev KIND: Agent VERSION: v1alpha1"),
        "{explained}"
    );
    assert!(
        words.contains("When the gateway wakes the agent by itself, and with what."),
        "{explained}"
    );
    assert!(
        words.contains(
            "every <string> Time between two heartbeats: a whole number with s, m or h, such as 10m."
        )
    );
    assert!(
        words.contains("directPolicy <string> enum: allow, block"),
        "{explained}"
    );

    let described = say(&["describe", "ocagent", "whole-worker"]);
    assert!(
        described.contains("Files Summary:") && described.contains("5/6"),
        "{described}"
    );
}

fn assert_columns(printed: &str, heads: &[&str], row: &[&str]) {
    let mut lines = printed.lines();
    let first: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(first, heads, "{printed}");
    let found = lines.any(|line| line.split_whitespace().collect::<Vec<_>>().starts_with(row));
    assert!(found, "no row {row:?} in\n{printed}");
}
