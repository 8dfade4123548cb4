//! `up` in a terminal: a table that redraws itself.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::desk::{Desk, Heard, Running, eventually, normal};
use crate::evidence;

/// The command in a terminal of that size.
fn in_terminal(mut command: Command, columns: u16, rows: u16) -> Running {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs: OwnedFd = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name)
        .unwrap()
        .into();
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).unwrap();
    let side = || Stdio::from(theirs.try_clone().unwrap());
    let child = command
        .env("TERM", "xterm-256color")
        .stdin(side())
        .stdout(side())
        .stderr(side())
        .spawn()
        .unwrap();
    // The command holds its side of the terminal as well: with it open, ours would never end.
    drop((command, theirs));
    Running::of(child, Heard::listen(File::from(ours)))
}

/// What somebody sees in the end: what was painted over is gone.
fn seen(said: &str) -> Vec<String> {
    let said = said.replace("\r\n", "\n");
    let mut lines = vec![String::new()];
    let mut rest = said.as_str();
    while let Some(next) = rest.chars().next() {
        if let Some(order) = rest.strip_prefix("\x1b[") {
            let end = order.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            let (number, letter) = (&order[..end], &order[end..=end]);
            match letter {
                "A" => lines.truncate(lines.len() - number.parse::<usize>().unwrap()),
                "J" => lines.last_mut().unwrap().clear(),
                other => panic!("an order that nobody expects: {other}"),
            }
            rest = &order[end + 1..];
            continue;
        }
        match next {
            '\n' => lines.push(String::new()),
            '\r' => {}
            other => lines.last_mut().unwrap().push(other),
        }
        rest = &rest[next.len_utf8()..];
    }
    lines
}

#[test]
fn the_demo_shows_a_table_and_what_to_type() {
    let desk = Desk::new();
    let up = in_terminal(desk.command(&["up", "--demo", "--listen", "127.0.0.1:0"]), 80, 24);
    up.until("Ctrl-C stops it");
    let said = up.interrupt();
    assert_eq!(said.code, Some(0));
    let seen = normal(&seen(&said.out).join("\n"), &desk);
    let expected = "
  OBJECT                  READY   STATUS
  ocagent/handbook-lead   True    its entry and every file are in the gateway...
  ocagent/harbour-main    True    its entry and every file are in the gateway...
  ocagent/lookout         True    its entry and every file are in the gateway...
  ocagent/ops-lead        True    its entry and every file are in the gateway...
  ocagent/proofreader     True    its entry and every file are in the gateway...
  ocagent/scribe          True    its entry and every file are in the gateway...
  ocagent/shipwright      True    its entry and every file are in the gateway...
  ocagent/triage          True    its entry and every file are in the gateway...
  ocboard/handbook        True    its Gateway is there
  ocboard/ops             True    its Gateway is there
  ocgw/harbour            True    connected to OpenClaw 2026.9.6
1 Gateway, 2 Boards, 8 Agents Ready after N s.

Try, in another terminal (KUBECONFIG as above):
  kubectl get openclaw
  kubectl edit ocagent triage
  echo \"I was here\" >> ";
    assert!(seen.contains(expected), "{seen}");
    assert!(
        seen.trim_end()
            .ends_with("Stopped. Everything is kept in DESK/home/.local/share/quartermaster.")
    );
}

/// A gateway that nobody serves, then one that is there: the table is painted over, in a narrow terminal.
#[test]
fn the_table_is_painted_over_when_something_changes() {
    let desk = Desk::new();
    let gateway = |name: &str, url: &str| {
        format!(
            "{{apiVersion: quartermaster.dev/v1alpha1, kind: Gateway, metadata: {{name: {name}}}, spec: {{url: '{url}', \
             workspaceRoot: /w, tokenSecretRef: {{name: t}}}}}}\n"
        )
    };
    let up = desk.up(&[]);
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: t}, stringData: {token: sesame}}";
    desk.run_with(&["apply", "-f", "-"], secret).done();
    desk.run_with(&["apply", "-f", "-"], &gateway("pier", "ws://127.0.0.1:9"))
        .done();
    assert_eq!(up.interrupt().code, Some(0));

    let up = in_terminal(desk.command(&["up", "--listen", "127.0.0.1:0"]), 40, 24);
    up.until("  ocgw/pier           False ");
    let mut command = desk.command(&["simulate-gateway"]);
    command.env("OPENCLAW_GATEWAY_TOKEN", "sesame");
    let simulated = Running::start(command);
    simulated.until("\n");
    let url = simulated.out().trim().to_owned();
    desk.run_with(&["apply", "-f", "-"], &gateway("pier", &url))
        .done();
    up.until("Ctrl-C stops it");
    let said = up.interrupt();
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("\x1b["), "{}", said.out);
    let seen = seen(&said.out);
    let table: Vec<&String> = seen
        .iter()
        .filter(|line| line.starts_with("  o") || line.starts_with("  O"))
        .collect();
    let expected = [
        "  OBJECT              READY   STATUS",
        "  ocagent/pier-main   True    its ent...",
        "  ocgw/pier           True    connect...",
    ];
    assert_eq!(table, expected, "{}", seen.join("\n"));
    evidence::record("up", "table painted over in a terminal of 40 columns", 1, "");
}

/// How far it is stands in one line, which is gone when there is more to say.
#[test]
fn a_sync_paints_its_progress_over() {
    let desk = Desk::new();
    let up = desk.up(&[]);
    let pier = "{apiVersion: quartermaster.dev/v1alpha1, kind: Gateway, metadata: {name: pier}, \
                spec: {url: 'ws://127.0.0.1:9', workspaceRoot: /w}}\n";
    desk.run_with(&["apply", "-f", "-"], pier).done();
    eventually("the main agent is made", || {
        (desk.run(&["get", "ocagent", "pier-main"]).code == Some(0)).then_some(())
    });
    let ended = in_terminal(desk.command(&["sync", "pier", "--timeout", "2s"]), 60, 24).end();
    assert_eq!(ended.code, Some(3), "{}", ended.out);
    let (before, after) = ended.out.rsplit_once("\x1b[2K").unwrap();
    assert!(before.contains(": 0 of 1 agents are done; "), "{before}");
    assert!(after.starts_with("AGENT       STATUS   AGENT ID\r\n"), "{after}");
    let drawn = before.split("\r\x1b[2K").skip(1);
    for line in drawn {
        assert!(line.trim_end().chars().count() < 60, "{line:?}");
    }
    assert_eq!(up.interrupt().code, Some(0));
}

/// Some terminals cannot move their cursor.
#[test]
fn a_dumb_terminal_gets_lines() {
    let desk = Desk::new();
    let mut command = desk.command(&["-c", "TERM=dumb exec \"$0\" up --demo --listen 127.0.0.1:0"]);
    // `in_terminal` says which terminal it is; a shell says another.
    let program = command.get_program().to_owned();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(command.get_args())
        .arg(program)
        .env_clear()
        .env("HOME", desk.path("home"));
    command = shell;
    let up = in_terminal(command, 80, 24);
    up.until("Ctrl-C stops it");
    let said = up.interrupt();
    assert_eq!(said.code, Some(0));
    assert!(!said.out.contains('\x1b'), "{}", said.out);
    assert!(
        said.out
            .contains("\nocgw/harbour is Ready: connected to OpenClaw 2026.9.6\r\n")
    );
}
