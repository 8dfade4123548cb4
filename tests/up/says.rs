//! What `up` says where nobody sits in front of it, line by line.

use crate::desk::{Desk, answers, mode, normal, word};
use crate::evidence;

const DEMO: &str = "\
Quartermaster is up: Kubernetes API on https://127.0.0.1:N, state in DESK/home/.local/share/quartermaster
For kubectl, in another terminal: export KUBECONFIG=DESK/home/.local/share/quartermaster/kubeconfig
Demo: simulated OpenClaw gateway \"harbour\" on ws://127.0.0.1:N, fleet from examples/
ocgw/harbour is Ready: connected to OpenClaw 2026.9.6
1 Gateway Ready after N s.
Kept, and not acted on by this version yet: 2 Boards, 7 Agents.

Try, in another terminal (KUBECONFIG as above):
  kubectl get openclaw
  kubectl describe ocgw harbour
  kubectl explain ocagent.spec
Without kubectl: PROGRAM get openclaw
Ctrl-C stops it; everything is still there next time.
Stopped. Everything is kept in DESK/home/.local/share/quartermaster.
";

#[test]
fn the_demo_comes_up_is_told_in_plain_lines_and_ends_in_order() {
    let desk = Desk::new();
    let up = desk.up(&["--demo"]);
    up.until("Ctrl-C stops it");
    let data = desk.data();
    for (name, expected) in [
        ("", 0o700),
        ("kubeconfig", 0o600),
        ("identity.json", 0o600),
        ("state.redb", 0o600),
    ] {
        assert_eq!(mode(&data.join(name)), expected, "{name}");
    }
    let kubeconfig = desk.kubeconfig();
    let server = word(&kubeconfig, "server").to_owned();
    assert!(server.starts_with("https://127.0.0.1:"), "{server}");
    assert!(answers(&server));

    let ended = up.interrupt();
    assert_eq!(normal(&ended.out, &desk), DEMO);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let token = word(&kubeconfig, "token");
    assert!(token.len() >= 43, "32 bytes of chance");
    assert!(!ended.out.contains(token));
    assert!(!answers(&server), "the API is closed");
    evidence::record("up", "demo Ready, told in plain lines, ended in order", 1, "");
}

#[test]
fn without_anything_declared_it_says_so() {
    let desk = Desk::new();
    let up = desk.up(&["--data", "my data", "--kubeconfig-out", "kube"]);
    up.until("Ctrl-C stops it");
    assert_eq!(mode(&desk.path("kube")), 0o600);
    let ended = up.interrupt();
    let out = normal(&ended.done(), &desk);
    let begin = "\
Quartermaster is up: Kubernetes API on https://127.0.0.1:N, state in DESK/my data
For kubectl, in another terminal: export KUBECONFIG=DESK/kube
Nothing is declared yet.
";
    assert!(out.starts_with(begin), "{out}");
    // What stands there was written by itself, and is written again.
    let up = desk.up(&["--data", "my data", "--kubeconfig-out", "kube"]);
    assert_eq!(up.interrupt().code, Some(0));
}

/// A relative folder and a space: what is printed is typed in another terminal.
#[test]
fn what_is_printed_to_be_typed_can_be_typed() {
    let desk = Desk::new();
    let up = desk.up(&["--data", "it's mine"]);
    let line = up.out();
    let (_, export) = line.split_once("terminal: ").unwrap();
    let export = export.lines().next().unwrap();
    let shell = std::process::Command::new("sh")
        .args(["-c", &format!("{export}; cat \"$KUBECONFIG\"")])
        .current_dir("/")
        .output()
        .unwrap();
    let read = String::from_utf8(shell.stdout).unwrap();
    assert!(word(&read, "server").starts_with("https://127.0.0.1:"), "{read}");
    assert_eq!(up.interrupt().code, Some(0));
}
