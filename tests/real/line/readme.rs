//! The README's walk, typed as it stands there by somebody who has never been here.

use std::path::Path;

use crate::bed::{Cluster, Gateway, Launch, OpenClaw, Scratch, eventually, evidence, free_port};

#[test]
fn the_walk_in_the_readme_leads_there() {
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let cluster = real!(Cluster::start());
    // The program is built already, and the gateway is not where the README has it.
    let walk = with(
        &block_below("## With a cluster and a gateway"),
        "cargo build\n",
        "",
    );
    let walk = with(&walk, "cargo run --", env!("CARGO_BIN_EXE_quartermaster"));
    let walk = with(&walk, "ws://127.0.0.1:18789", &gateway.url());

    let kubectl = cluster.binaries().program("kubectl");
    let path = std::env::var("PATH").unwrap_or_default();
    let newcomer = Scratch::new("newcomer");
    let shell = Launch::new("the README's walk", "bash")
        .args(["-euc", &walk])
        .env("PATH", format!("{}:{path}", kubectl.parent().unwrap().display()))
        .env("KUBECONFIG", cluster.kubeconfig().display())
        .env("HOME", newcomer.path().display())
        .env("OPENCLAW_GATEWAY_TOKEN", gateway.token())
        // The default port may be taken by an operator that somebody runs here.
        .env("QUARTERMASTER_OPS_LISTEN", format!("127.0.0.1:{}", free_port()))
        .folder(Path::new(env!("CARGO_MANIFEST_DIR")))
        .start(&newcomer.join("output.log"));
    // What runs in its background ends with the shell's group, when `shell` is dropped.
    let code = eventually("the walk ends", 120, || shell.ended());
    let said = shell.log();
    assert_eq!(code, 0, "{said}");
    for line in [
        "customresourcedefinition.apiextensions.k8s.io/gateways.quartermaster.dev condition met",
        "secret/harbour-token created",
        "gateway.quartermaster.dev/harbour created",
        "gateway.quartermaster.dev/harbour condition met",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "{line:?} is not in\n{said}"
        );
    }
    let row = said
        .lines()
        .rfind(|line| line.starts_with("gateway.quartermaster.dev/harbour "));
    let row = row.unwrap_or_default();
    for word in ["harbour", &gateway.url(), "True", "2026.9.6"] {
        assert!(row.contains(word), "{word} is not in the row {row:?} of\n{said}");
    }
    assert!(!said.contains(gateway.token()), "the token was shown");

    let applied = cluster.kubectl(&["apply", "-o", "name", "-f", &in_checkout("examples")]);
    assert!(applied.ok, "{}", applied.stderr);
    let ours = |name: &&str| name.contains(".quartermaster.dev/");
    let mut applied: Vec<&str> = applied.stdout.lines().filter(ours).collect();
    let listed = cluster.kubectl(&["get", "openclaw", "-o", "name"]).stdout;
    let mut listed: Vec<&str> = listed.lines().collect();
    // Its controller makes this one, sooner or later.
    listed.retain(|name| *name != "agent.quartermaster.dev/harbour-main");
    applied.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, applied, "kubectl get openclaw lists all of examples/");
    assert!(listed.len() >= 10, "{listed:?}");
    evidence::record(
        "thin line",
        "the README's walk, typed as it stands",
        1,
        "2026.9.6",
    );
}

/// The first block of commands below a heading of the README.
fn block_below(heading: &str) -> String {
    let readme = std::fs::read_to_string(in_checkout("README.md")).unwrap();
    let (_, section) = readme.split_once(heading).expect("the README has that heading");
    let block = section.split("```").nth(1).expect("a block of commands below it");
    block.trim_start().to_owned()
}

/// Exactly one thing is put in another's place: more would no longer be the README's walk, none not ours.
fn with(walk: &str, stands: &str, instead: &str) -> String {
    assert_eq!(walk.matches(stands).count(), 1, "{stands:?} once in\n{walk}");
    walk.replace(stands, instead)
}

fn in_checkout(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(name)
        .display()
        .to_string()
}
