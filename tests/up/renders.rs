//! `render --live`: the files of what is in the cluster, with its ids and without its tokens.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::desk::Desk;

#[test]
fn the_clusters_own_ids_are_filled_in_and_tokens_are_masked() {
    let desk = Desk::new();
    let up = desk.up(&[]);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let examples = examples.display().to_string();
    assert_eq!(desk.run(&["apply", "-f", &examples]).code, Some(0));

    let got = desk.run(&["get", "ocagent", "triage", "-o", "json"]);
    let triage: Value = serde_json::from_str(&got.out).unwrap();
    let uid = triage["metadata"]["uid"].as_str().unwrap();
    let rendered = desk.run(&["render", "--live", "-o", "json"]);
    assert_eq!(rendered.code, Some(0), "{}", rendered.err);
    let all: Value = serde_json::from_str(&rendered.out).unwrap();
    let agents = all["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 8);
    let triage = agents.iter().find(|agent| agent["name"] == "triage").unwrap();
    assert_eq!(triage["agentId"], format!("mc-{uid}"));
    let text = triage["files"]["AGENTS.md"]["content"].as_str().unwrap();
    assert!(text.contains(&format!("AGENT_ID=\"{uid}\"")), "{text}");
    assert!(text.contains("AUTH_TOKEN=\"MASKED\""), "{text}");

    // What is not in this namespace is said to be missing there.
    let lost = "{apiVersion: quartermaster.dev/v1alpha1, kind: Agent, metadata: {name: lost}, spec: {boardRef: {name: none}}}";
    desk.run_with(&["apply", "-f", "-"], lost);
    let rendered = desk.run(&["render", "--live"]);
    assert_eq!(rendered.code, Some(1));
    let said = "namespace default: Agent lost: there is no Board none in this namespace\n";
    assert!(rendered.err.starts_with(said), "{}", rendered.err);

    assert_eq!(desk.run(&["render", "--live", "-f", &examples]).code, Some(2));
    up.signal(Signal::INT);
    assert_eq!(up.end().code, Some(0));
}
