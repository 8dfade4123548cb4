//! It is stopped, at any moment and by any means, and started again.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::Signal;

use crate::desk::{Desk, Running, normal, word};
use crate::evidence;

#[test]
fn a_second_up_goes_on_where_the_first_one_was() {
    let desk = Desk::new();
    let up = desk.up(&["--demo"]);
    up.until("Ready after");
    let first = desk.kubeconfig();
    // Somebody makes the fleet their own.
    let note = desk.write(
        "note.yaml",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: note}}",
    );
    desk.run(&["apply", "-f", &note]).done();
    let board = "{apiVersion: quartermaster.dev/v1alpha1, kind: Board, metadata: {name: ops}, spec: {displayName: Ours}}";
    let taken = desk.run_with(&["apply", "-f", "-", "--force-conflicts"], board);
    assert_eq!(taken.done(), "ocboard/ops changed\n");
    desk.run(&["delete", "ocagent", "triage"]).done();
    let uid = |desk: &Desk| {
        let json = desk.run(&["get", "ocgw", "harbour", "-o", "json"]).done();
        let (_, rest) = json.split_once("\"uid\": ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    let gateway = uid(&desk);
    up.signal(Signal::TERM);
    assert_eq!(up.end().code, Some(0));

    let up = desk.up(&["--demo"]);
    up.until("ocgw/harbour is Ready: connected to OpenClaw 2026.9.6\n");
    up.until("1 Gateway, 2 Boards, 7 Agents Ready after");
    let second = desk.kubeconfig();
    for name in ["certificate-authority-data", "token"] {
        assert_eq!(word(&first, name), word(&second, name), "{name}");
    }
    assert_eq!(uid(&desk), gateway);
    assert_eq!(desk.run(&["get", "cm", "note", "-o", "name"]).done(), "cm/note\n");
    assert!(
        desk.run(&["get", "ocboard", "ops", "-o", "yaml"])
            .done()
            .contains("displayName: Ours")
    );
    desk.run(&["get", "ocagent", "triage"])
        .fails_with("\"triage\" not found");
    assert_eq!(up.interrupt().code, Some(0));
    evidence::record("up", "objects, authority and token outlive a restart", 1, "");
}

/// What the first process called Ready is gone with it.
#[test]
fn what_was_ready_yesterday_is_looked_at_today() {
    let desk = Desk::new();
    let up = desk.up(&["--demo"]);
    up.until("1 Gateway, 2 Boards, 8 Agents Ready after");
    assert_eq!(up.interrupt().code, Some(0));

    let up = desk.up(&[]);
    up.until("ocgw/harbour is not Ready: ConnectionRefused: ");
    let out = normal(&up.out(), &desk);
    assert!(out.contains("\nocgw/harbour is the demo's: what it connects to is there with --demo only.\n"));
    assert!(
        !out.contains("ocgw/harbour is Ready:") && !out.contains("Ready after"),
        "{out}"
    );
    // A Board needs no more than its Gateway's object.
    let agent_is_ready = |line: &str| line.starts_with("ocagent/") && line.contains(" is Ready:");
    assert!(!out.lines().any(agent_is_ready), "{out}");
    // In the middle: it still waits for the gateway.
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn ctrl_c_at_the_first_word_ends_in_order_too() {
    let desk = Desk::new();
    let ended = desk.up(&["--demo"]).interrupt();
    assert!(ended.out.ends_with(&format!(
        "Stopped. Everything is kept in {}.\n",
        desk.data().display()
    )));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let up = desk.up(&["--demo"]);
    up.until("ocgw/harbour is Ready");
    assert_eq!(up.interrupt().code, Some(0));
}

/// `quartermaster up | head -1`: its work is not to be read.
#[test]
fn it_works_on_where_nobody_reads() {
    let desk = Desk::new();
    let mut command = desk.command(&["up", "--demo", "--listen", "127.0.0.1:0"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("Quartermaster is up: "), "{line}");
    drop(out);
    let up = Running::of(child, crate::desk::Heard::default());
    // The kubeconfig is there before the first line.
    let gateway = crate::desk::eventually("the demo's Gateway is Ready", || {
        let table = desk.run(&["get", "ocgw"]);
        table.out.contains("True").then_some(table)
    });
    assert!(gateway.out.contains("2026.9.6"));
    assert_eq!(up.interrupt().code, Some(0));
}

/// The demo takes nothing that somebody else has put there.
#[test]
fn the_demo_leaves_a_real_gateway_alone() {
    let desk = Desk::new();
    let up = desk.up(&[]);
    let gateway = "{apiVersion: quartermaster.dev/v1alpha1, kind: Gateway, metadata: {name: harbour}, \
                   spec: {url: 'ws://127.0.0.1:9', workspaceRoot: /w}}";
    desk.run_with(&["apply", "-f", "-"], gateway).done();
    assert_eq!(up.interrupt().code, Some(0));
    let words = ["up", "--demo", "--listen", "127.0.0.1:0"];
    desk.run(&words)
        .fails_with("Gateway harbour is there already, with an address that the demo did not give it");
    let up = desk.up(&[]);
    assert!(desk.run(&["get", "ocgw"]).done().contains("ws://127.0.0.1:9 "));
    assert_eq!(up.interrupt().code, Some(0));
}
