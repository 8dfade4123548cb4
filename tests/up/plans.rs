//! `plan`: what there is to do, while `up` runs; and that it does none of it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::desk::{Desk, eventually};
use crate::evidence;

/// All versions of what it might have written.
fn versions(desk: &Desk) -> Vec<(String, String)> {
    let kinds = ["ocgw", "ocboard", "ocagent", "secret", "cm"];
    let each = kinds.iter().flat_map(|kind| {
        let list: Value = serde_json::from_str(&desk.run(&["get", kind, "-o", "json"]).done()).unwrap();
        let items = list["items"].as_array().unwrap().clone();
        items.into_iter().map(move |item| {
            let of = |field: &str| item["metadata"][field].as_str().unwrap().to_owned();
            (format!("{kind}/{}", of("name")), of("resourceVersion"))
        })
    });
    each.collect()
}

/// One thread makes them, and each takes it a while.
fn all_hashed(desk: &Desk) -> bool {
    let list: Value = serde_json::from_str(&desk.run(&["get", "ocagent", "-o", "json"]).done()).unwrap();
    let mut agents = list["items"].as_array().unwrap().iter();
    agents.all(|agent| agent["status"]["token"]["hash"].is_string())
}

/// The folder of triage's files, as the demo says it.
fn workspace(said: &str) -> PathBuf {
    let (_, rest) = said.split_once("echo \"I was here\" >> ").unwrap();
    let (soul, _) = rest.split_once("    #").unwrap();
    PathBuf::from(soul).parent().unwrap().to_owned()
}

#[test]
fn it_says_what_would_change_and_changes_nothing() {
    let desk = Desk::new();
    let up = desk.up(&["--demo"]);
    up.until("Ctrl-C stops it");
    let workspace = workspace(&up.out());
    // The last wakes are sent when all is Ready already, and are told after that; the tokens' hashes come last of all.
    let settled = eventually("nothing is left to do", || {
        let before = versions(&desk);
        let plan = desk.run(&["plan"]);
        (plan.code == Some(0) && all_hashed(&desk) && versions(&desk) == before).then_some(plan)
    });
    settled.is(
        0,
        "Nothing to do: everything that could be looked at is as asked for.\n",
        "",
    );

    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/board-ops.yaml");
    let fleet = fs::read_to_string(examples).unwrap();
    let triage = fleet
        .split("---\n")
        .find(|one| one.contains("name: triage\n"))
        .unwrap();
    let changed = triage.replace("role: Site Reliability Engineer", "role: Harbour Pilot");
    assert_ne!(changed, triage);
    let file = desk.write("changed.yaml", &changed);
    let (before, identity) = (versions(&desk), fs::read_to_string(workspace.join("IDENTITY.md")));
    let identity = identity.unwrap();
    assert!(identity.contains("Site Reliability Engineer"), "{identity}");

    let planned = desk.run(&["plan", "-f", &file]);
    assert_eq!(
        (planned.code, planned.err.as_str()),
        (Some(2), ""),
        "{}",
        planned.out
    );
    let (_, of_triage) = planned.out.split_once("ocagent/triage\n").expect("it changes");
    let (_, diff) = of_triage.split_once("  ~ IDENTITY.md (+").expect("its identity");
    for (sign, role) in [('-', "Site Reliability Engineer"), ('+', "Harbour Pilot")] {
        let is_told = |line: &str| line.trim_start().starts_with(sign) && line.trim_end().ends_with(role);
        assert!(diff.lines().any(is_told), "{sign} {role}: {}", planned.out);
    }
    assert!(
        planned.out.ends_with(" Nothing was written.\n"),
        "{}",
        planned.out
    );
    let json = desk.run(&["plan", "-f", &file, "-o", "json"]);
    assert_eq!(json.code, Some(2));

    assert_eq!(versions(&desk), before);
    let after = fs::read_to_string(workspace.join("IDENTITY.md")).unwrap();
    assert_eq!(after, identity);

    let agents = fs::read_to_string(workspace.join("AGENTS.md")).unwrap();
    let (_, token) = agents.split_once("AUTH_TOKEN=\"").unwrap();
    let (token, _) = token.split_once('"').unwrap();
    assert!(token.len() >= 43);
    for said in [&planned.out, &json.out, &up.out()] {
        assert!(!said.contains(token), "a token was printed");
    }
    assert_eq!(up.interrupt().code, Some(0));
    evidence::record("up", "plan: a diff, an exit code, and no write", 1, "");
}

/// As the demo invites to.
#[test]
fn what_somebody_writes_into_a_file_is_put_right() {
    let desk = Desk::new();
    let up = desk.up(&["--demo"]);
    up.until("Ctrl-C stops it");
    let soul = workspace(&up.out()).join("SOUL.md");
    let good = fs::read_to_string(&soul).unwrap();
    fs::write(&soul, format!("{good}I was here\n")).unwrap();
    eventually("SOUL.md is as it was", || {
        (fs::read_to_string(&soul).unwrap() == good).then_some(())
    });
    assert_eq!(up.interrupt().code, Some(0));
    evidence::record("up", "drift of the demo put right", 1, "");
}

#[test]
fn a_cluster_that_does_not_answer_is_told() {
    let desk = Desk::new();
    desk.run(&["plan"]).fails_with("no cluster to talk to");
    let up = desk.up(&[]);
    let kubeconfig = desk.kubeconfig();
    assert_eq!(up.interrupt().code, Some(0));
    let kubeconfig = desk.write("kube", &kubeconfig);
    let plan = desk.run(&["plan", "--kubeconfig", &kubeconfig]);
    plan.fails_with(" does not answer: ");
    assert_eq!(plan.out, "");
}
