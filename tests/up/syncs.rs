//! `sync`: a TemplateSync that is created and followed, while `up` runs.

use rustix::process::Signal;
use serde_json::Value;

use crate::desk::{Desk, Ended, Running, eventually};
use crate::evidence;

/// Nothing listens there.
const PIER: &str = "{apiVersion: quartermaster.dev/v1alpha1, kind: Gateway, metadata: {name: pier}, \
                    spec: {url: 'ws://127.0.0.1:9', workspaceRoot: /w}}\n";

/// With a gateway that nobody answers for, and its main agent.
fn desk() -> (Desk, Running) {
    let desk = Desk::new();
    let up = desk.up(&[]);
    desk.run_with(&["apply", "-f", "-"], PIER).done();
    eventually("the main agent is made", || {
        (desk.run(&["get", "ocagent", "pier-main"]).code == Some(0)).then_some(())
    });
    (desk, up)
}

/// The name that it was given.
fn created(err: &str) -> &str {
    let (_, rest) = err.split_once("ocsync/").unwrap();
    rest.split_once(" created\n").unwrap().0
}

fn object(desk: &Desk, name: &str) -> Value {
    serde_json::from_str(&desk.run(&["get", "ocsync", name, "-o", "json"]).done()).unwrap()
}

fn code(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.out, ended.err);
}

#[test]
fn a_sync_is_created_followed_and_told() {
    let (desk, up) = desk();
    let nobody = desk.run(&["sync", "pier", "--no-main"]);
    code(&nobody, 0);
    let name = created(&nobody.err).to_owned();
    assert!(name.starts_with("pier-") && name.len() > "pier-".len(), "{name}");
    assert_eq!(
        nobody.err,
        format!("ocsync/{name} created\n"),
        "no terminal, no progress"
    );
    assert!(
        nobody.out.starts_with("nothing to do: Gateway pier has no agent"),
        "{}",
        nobody.out
    );

    let words = [
        "sync",
        "pier",
        "--timeout",
        "2s",
        "--overwrite",
        "--rotate-tokens",
        "-o",
        "json",
    ];
    let late = desk.run(&words);
    code(&late, 3);
    for said in [
        "--overwrite replaces MEMORY.md",
        "--rotate-tokens gives each agent a new token",
    ] {
        assert!(late.err.contains(said), "{}", late.err);
    }
    let told: Value = serde_json::from_str(&late.out).unwrap();
    assert_eq!(
        (
            &told["phase"],
            &told["totalSelected"],
            &told["totalSynced"],
            &told["totalErrors"]
        ),
        (&"Failed".into(), &1.into(), &0.into(), &1.into())
    );
    assert_eq!(told["synced"], Value::Array(Vec::new()));
    assert_eq!(told["errors"][0]["agentName"], "pier-main");
    let error = told["errors"][0]["error"].as_str().unwrap();
    assert!(error.starts_with("not done within 2 s: "), "{error}");
    let spec = &object(&desk, created(&late.err))["spec"];
    let asked = |field: &str| spec[field].as_bool().unwrap();
    assert!(asked("overwrite") && asked("rotateTokens") && asked("includeMain"));
    assert!(!asked("resetSessions") && !asked("leadOnly") && !asked("forceBootstrap") && !asked("dryRun"));
    assert_eq!(spec["activeDeadlineSeconds"], 2);

    let table = desk.run(&["sync", "pier", "--timeout", "1s", "--dry-run"]);
    code(&table, 3);
    let mut lines = table.out.lines();
    assert_eq!(lines.next(), Some("AGENT       STATUS   AGENT ID"));
    assert!(
        lines.next().unwrap().starts_with("pier-main   error"),
        "{}",
        table.out
    );
    assert!(
        lines.next().unwrap().starts_with("    not done within 1 s: "),
        "{}",
        table.out
    );
    assert!(
        table
            .out
            .ends_with("failed or were not done within 1 s: pier-main; status.errors says why\n"),
        "{}",
        table.out
    );
    assert!(
        !table.err.contains("--"),
        "a dry run warns of nothing: {}",
        table.err
    );
    assert_eq!(up.interrupt().code, Some(0));
    evidence::record(
        "up",
        "sync: created, followed, told as table and JSON, exit code by outcome",
        1,
        "",
    );
}

#[test]
fn who_stops_looking_stops_nothing() {
    let (desk, up) = desk();
    let sync = Running::start(desk.command(&["sync", "pier"]));
    let name = eventually("it is created", || {
        let err = sync.err();
        err.contains(" created\n").then(|| created(&err).to_owned())
    });
    eventually("it runs", || {
        (object(&desk, &name)["status"]["phase"] == "Running").then_some(())
    });
    sync.signal(Signal::INT);
    let ended = sync.end();
    code(&ended, 130);
    for said in [
        format!("ocsync/{name} goes on by itself"),
        format!("quartermaster get ocsync {name} -n default -o yaml"),
    ] {
        assert!(ended.err.contains(&said), "{}", ended.err);
    }
    assert_eq!(object(&desk, &name)["status"]["phase"], "Running");

    // Whoever deletes it ends it for those who follow it.
    let sync = Running::start(desk.command(&["sync", "pier"]));
    let name = eventually("it is created", || {
        let err = sync.err();
        err.contains(" created\n").then(|| created(&err).to_owned())
    });
    desk.run(&["delete", "ocsync", &name]).done();
    sync.end()
        .fails_with(&format!("ocsync/{name} was deleted before it had ended"));
    // Without its Gateway there is nothing that comes up, and so nothing to wait for.
    desk.run(&["delete", "ocgw", "pier"]).done();
    assert_eq!(up.interrupt().code, Some(0));

    // An errand that failed or goes on keeps nobody from coming up.
    let up = desk.up(&[]);
    up.until("Ctrl-C stops it");
    assert!(!up.out().contains("ocsync"), "{}", up.out());
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn what_cannot_be_is_told_before_anything_is_created() {
    let (desk, up) = desk();
    let other = PIER.replace("name: pier", "name: quay");
    let board = "---\n{apiVersion: quartermaster.dev/v1alpha1, kind: Board, metadata: {name: ops}, \
                 spec: {gatewayRef: {name: quay}}}\n";
    desk.run_with(&["apply", "-f", "-"], &format!("{other}{board}"))
        .done();
    desk.run(&["sync", "peer"]).fails_with(
        "there is no Gateway peer in namespace default: `quartermaster get ocgw -A` lists those there are",
    );
    desk.run(&["sync", "pier", "--board", "oops"])
        .fails_with("there is no Board oops in namespace default");
    desk.run(&["sync", "pier", "--board", "ops"])
        .fails_with("Board ops is one of Gateway quay, not of Gateway pier");
    for wrong in [
        &["sync"][..],
        &["sync", "pier", "--timeout", "25h"],
        &["sync", "pier", "--timeout", "0"],
    ] {
        code(&desk.run(wrong), 2);
    }
    let none = desk.run(&["get", "ocsync"]);
    assert_eq!((none.out.as_str(), none.code), ("", Some(0)));
    assert_eq!(up.interrupt().code, Some(0));
    desk.run(&["sync", "pier"]).fails_with(" does not answer: ");
}
