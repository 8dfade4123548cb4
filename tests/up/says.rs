//! What `up` says where nobody sits in front of it, line by line.

use std::fs;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quartermaster::control_plane::identity::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::desk::{Desk, Running, answers, mode, normal, word};
use crate::evidence;

const DEMO: &str = "\
Quartermaster is up: Kubernetes API on https://127.0.0.1:N, state in DESK/home/.local/share/quartermaster
For kubectl, in another terminal: export KUBECONFIG=DESK/home/.local/share/quartermaster/kubeconfig
Demo: simulated OpenClaw gateway \"harbour\" on ws://127.0.0.1:N, fleet from examples/
ocagent/handbook-lead is Ready: its entry and every file are in the gateway as wanted
ocagent/harbour-main is Ready: its entry and every file are in the gateway as wanted
ocagent/lookout is Ready: its entry and every file are in the gateway as wanted
ocagent/ops-lead is Ready: its entry and every file are in the gateway as wanted
ocagent/proofreader is Ready: its entry and every file are in the gateway as wanted
ocagent/scribe is Ready: its entry and every file are in the gateway as wanted
ocagent/shipwright is Ready: its entry and every file are in the gateway as wanted
ocagent/triage is Ready: its entry and every file are in the gateway as wanted
ocboard/handbook is Ready: its Gateway is there
ocboard/ops is Ready: its Gateway is there
ocgw/harbour is Ready: connected to OpenClaw 2026.9.6
1 Gateway, 2 Boards, 8 Agents Ready after N s.

Try, in another terminal (KUBECONFIG as above):
  kubectl get openclaw
  kubectl edit ocagent triage
  echo \"I was here\" >> DESK/home/.local/share/quartermaster/demo/workspaces/home/.openclaw/workspace-mc-UID/SOUL.md    \
# put right in about a minute
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
    assert_eq!(in_order(&normal(&ended.out, &desk)), DEMO);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let token = word(&kubeconfig, "token");
    assert!(token.len() >= 43, "32 bytes of chance");
    assert!(!ended.out.contains(token));
    assert!(!answers(&server), "the API is closed");
    evidence::record("up", "demo Ready, told in plain lines, ended in order", 1, "");
}

/// What becomes Ready first is a matter of chance.
fn in_order(said: &str) -> String {
    let mut lines: Vec<&str> = said.lines().collect();
    let is_news = |line: &&str| line.starts_with("oc");
    let first = lines.iter().position(is_news).unwrap();
    let count = lines.iter().filter(|line| is_news(line)).count();
    lines[first..first + count].sort_unstable();
    lines.join("\n") + "\n"
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

/// Who holds the kubeconfig of before finds another server, so it is said; at the first start there is no before.
#[test]
fn a_new_identity_beside_an_old_store_is_told() {
    let desk = Desk::new();
    let ended = desk.up(&[]).interrupt();
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
    let before = desk.kubeconfig();
    fs::remove_file(desk.data().join("identity.json")).unwrap();
    let ended = desk.up(&[]).interrupt();
    assert_eq!(
        normal(&ended.err, &desk),
        "DESK/home/.local/share/quartermaster/identity.json is not there, and is made anew: kubeconfigs and tokens from before \
         are void.\n"
    );
    assert_ne!(word(&desk.kubeconfig(), "token"), word(&before, "token"));
}

#[test]
fn the_end_of_the_certificate_authority_is_told_in_time() {
    const DAY: i64 = 24 * 3600;
    let desk = Desk::new();
    assert_eq!(desk.up(&[]).interrupt().code, Some(0));
    let now = jiff::Timestamp::now().as_second();
    for (age, said) in [
        (9 * 365 * DAY, None),
        (3652 * DAY - 80 * DAY, Some(" ends in ")),
        (3652 * DAY + 80 * DAY, Some(" has ended, ")),
    ] {
        let made = jiff::Timestamp::from_second(now - age).unwrap();
        let identity = Identity::new(made).unwrap();
        let file = desk.data().join("identity.json");
        fs::write(&file, identity.written().expose_secret()).unwrap();
        let err = normal(&desk.up(&[]).interrupt().err, &desk);
        match said {
            None => assert_eq!(err, ""),
            Some(said) => {
                assert!(
                    err.starts_with(&format!("The certificate authority of this folder{said}")),
                    "{err}"
                );
                let remedy =
                    "stop, remove DESK/home/.local/share/quartermaster/identity.json, and start again.";
                assert!(err.contains(remedy), "{err}");
            }
        }
    }
}

/// Under each name that is said, the server is believed; and what the kubeconfig needs for it is said.
#[tokio::test]
async fn other_machines_have_names_for_it() {
    let desk = Desk::new();
    let words = [
        "up",
        "--listen",
        "0.0.0.0:0",
        "--name",
        "pier.example",
        "--name",
        "192.0.2.7,pier",
    ];
    let up = Running::start(desk.command(&words));
    up.until("Ctrl-C stops it");
    let out = up.out();
    let line = out
        .lines()
        .find(|line| line.starts_with("It can be reached from other machines"))
        .unwrap();
    let kubeconfig = desk.kubeconfig();
    let port = word(&kubeconfig, "server").rsplit(':').next().unwrap().to_owned();
    let node = rustix::system::uname();
    let mut names = vec!["pier.example", "192.0.2.7", "pier"];
    names.extend(
        node.nodename()
            .to_str()
            .ok()
            .filter(|name| ServerName::try_from(*name).is_ok()),
    );
    for name in &names {
        assert!(line.contains(&format!("https://{name}:{port}")), "{name}: {line}");
    }
    assert!(!line.contains("0.0.0.0"), "{line}");
    assert!(line.contains("needs another `server`"), "{line}");

    let parsed: Value = serde_saphyr::from_str(&kubeconfig).unwrap();
    let pem = parsed["clusters"][0]["cluster"]["certificate-authority-data"]
        .as_str()
        .unwrap();
    let pem = STANDARD.decode(pem).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let is_believed = async |name: &str| {
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        connector.connect(name, stream).await.is_ok()
    };
    names.extend(["localhost", "127.0.0.1", "::1"]);
    for name in names {
        assert!(is_believed(name).await, "{name}");
    }
    assert!(!is_believed("elsewhere.example").await);
    assert_eq!(up.interrupt().code, Some(0));
}
