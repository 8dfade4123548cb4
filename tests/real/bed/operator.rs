//! Quartermaster itself, as its users run it: the built program as a process of its own.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::process::{Launch, Process};
use super::scratch::Scratch;

pub struct Operator {
    process: Process,
    _folder: Scratch,
}

impl Operator {
    /// `Operator::start(&["run", "--kubeconfig", ...])`
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    pub fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = Scratch::new("operator");
        let mut launch = Launch::new("quartermaster", env!("CARGO_BIN_EXE_quartermaster"))
            .args(arguments)
            .grace(Duration::from_secs(60));
        for (name, value) in environment {
            launch = launch.env(name, value);
        }
        let process = launch.start(&folder.join("output.log"));
        Self {
            process,
            _folder: folder,
        }
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it in order: its exit code (128 + n if signal n ended it) and how long it took.
    pub fn stop_with_term(&self) -> (i32, Duration) {
        self.process.end()
    }

    /// SIGKILL: the crash that it must survive.
    pub fn kill(&self) {
        self.process.kill();
    }
}

/// The metrics at `127.0.0.1:PORT`, each series as it is written (`name{label="x"}`) with its value.
pub fn metrics(address: &str) -> Result<BTreeMap<String, f64>, String> {
    let (status, body) = get(address, "/metrics")?;
    if status != 200 {
        return Err(format!("/metrics answered {status}: {body}"));
    }
    let series = body.lines().filter(|line| !line.starts_with('#'));
    Ok(series
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect())
}

/// `get("127.0.0.1:8080", "/readyz")`: the status and the body.
pub fn get(address: &str, path: &str) -> Result<(u16, String), String> {
    ask(address, "GET", path, "")
}

pub fn post(address: &str, path: &str, body: &str) -> Result<(u16, String), String> {
    ask(address, "POST", path, body)
}

fn ask(address: &str, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
    let said = |error: std::io::Error| format!("http://{address}{path}: {error}");
    let mut connection = TcpStream::connect(address).map_err(said)?;
    connection
        .set_read_timeout(Some(Duration::from_secs(30)))
        .map_err(said)?;
    // HTTP/1.0: the body ends with the connection, and is never sent in chunks. One write: a server that answers a
    // first piece and closes resets the connection at the second.
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n{length}\r\n{body}");
    connection.write_all(request.as_bytes()).map_err(said)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).map_err(said)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no HTTP answer: {answer:?}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((
        status.ok_or_else(|| format!("no HTTP status: {head:?}"))?,
        body.to_owned(),
    ))
}
