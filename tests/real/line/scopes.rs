//! Let in with less than we need. A gateway gives an approved device what it was approved for, or asks for approval
//! anew (see `network`); only a proxy on the way can take scopes from a connection, by a header of the upgrade.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::Line;
use crate::bed::{Gateway, OpenClaw, evidence, shared_cluster};

/// 2026.7.35 heeds the header from a trusted proxy alone.
#[test]
fn scopes_that_a_proxy_takes_are_named_and_noticed_when_granted() {
    let version = "2026.9.6";
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version(version)));
    let granted = Arc::new(Mutex::new("operator.read"));
    let port = proxy(gateway.port(), Arc::clone(&granted));
    let line = Line::start(cluster, "scopes");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &format!("ws://127.0.0.1:{port}"), "");
    let message = line.until("harbour", "Paired", "False", "ScopesMissing");
    assert!(message.contains("we have operator.read"), "{message}");
    assert!(message.contains("x-openclaw-scopes"), "{message}");
    line.until("harbour", "Ready", "False", "ScopesMissing");
    line.until("harbour", "Stalled", "True", "ScopesMissing");
    assert_eq!(line.condition("harbour", "Authenticated").unwrap().0, "True");
    *granted.lock().unwrap() = "operator.read,operator.write,operator.admin";
    // It is looked at once a minute.
    line.until_connected("harbour");
    assert_eq!(line.condition("harbour", "Stalled"), None);
    evidence::record(
        "thin line",
        "missing scopes are named, and noticed when granted",
        1,
        version,
    );
}

/// A proxy in front of this port; each upgrade gets the header as it is then. It ends with the test program.
fn proxy(target: u16, granted: Arc<Mutex<&'static str>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let scopes = *granted.lock().unwrap();
            std::thread::spawn(move || forward(client, target, scopes).ok());
        }
    });
    port
}

fn forward(mut client: TcpStream, target: u16, scopes: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    head.truncate(head.len() - 2);
    head.extend(format!("X-OpenClaw-Scopes: {scopes}\r\n\r\n").into_bytes());
    let mut server = TcpStream::connect(("127.0.0.1", target))?;
    server.write_all(&head)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        std::io::copy(&mut from_client, &mut to_server).ok();
        to_server.shutdown(std::net::Shutdown::Both).ok();
    });
    std::io::copy(&mut server, &mut client).ok();
    client.shutdown(std::net::Shutdown::Both)
}
