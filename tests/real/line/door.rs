//! What listens at the url is no gateway, or none that answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::Line;
use crate::bed::{Gateway, OpenClaw, evidence, shared_cluster};

#[test]
fn what_is_no_gateway_is_told_apart() {
    let cluster = real!(shared_cluster());
    let line = Line::start(cluster, "door");
    let web = listen(|mut stream| {
        read_request(&mut stream);
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok();
    });
    let upstream = listen(|mut stream| {
        read_request(&mut stream);
        stream
            .write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok();
    });
    let mail = listen(|mut stream| {
        stream.write_all(b"220 mail.example ESMTP\r\n").ok();
        read_request(&mut stream);
    });
    let mute = listen(|mut stream| {
        // Takes everything, says nothing, as a hung process does.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).ok();
    });
    let cases = [
        ("web", web, "NotAGateway", "HTTP 404"),
        ("upstream", upstream, "ProxyUnavailable", "HTTP 503"),
        ("mail", mail, "NotAGateway", "no OpenClaw gateway"),
        ("mute", mute, "NotAnswering", "does not answer"),
    ];
    for (name, address, ..) in &cases {
        line.token(name, "some-token");
        line.gateway(name, &format!("ws://{address}"), "");
    }
    for (name, _, reason, words) in &cases {
        let message = line.until(name, "Reachable", "False", reason);
        assert!(message.contains(words), "{message}");
        line.until(name, "Ready", "False", reason);
        assert_eq!(line.condition(name, "Authenticated").unwrap().0, "Unknown");
    }
    evidence::record(
        "thin line",
        "what is no gateway is told apart",
        cases.len() as u64,
        "",
    );
}

/// Frozen by SIGSTOP it takes connections and says nothing; the open one goes silent without an end.
#[test]
fn a_gateway_that_hangs_is_found_out() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "hang");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until_connected("harbour");
    gateway.signal("STOP");
    // Two ticks of 30 s without a word, then a connection that nobody answers.
    line.until("harbour", "Reachable", "False", "NotAnswering");
    gateway.signal("CONT");
    line.until_connected("harbour");
    evidence::record(
        "thin line",
        "a frozen gateway is found out and found again",
        1,
        "2026.9.6",
    );
}

/// A server for one purpose; it ends with the test program.
fn listen(serve: impl Fn(TcpStream) + Send + Copy + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn read_request(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    // How much does not matter: the client has said something.
    let _heard = stream.read(&mut buffer);
}
