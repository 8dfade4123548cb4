//! kubectl, as a person types it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command answered.
#[derive(Debug, Clone)]
pub struct Spoken {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

/// `home` is where kubectl keeps what it discovers: not in the user's, and not from one cluster to another.
pub fn run(program: &Path, kubeconfig: &Path, home: &Path, arguments: &[&str], input: &str) -> Spoken {
    let mut kubectl = Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = kubectl.stdin.take().expect("stdin was asked for");
    let input = input.as_bytes().to_vec();
    // Beside reading, or both sides wait for ever once a pipe is full.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = kubectl.wait_with_output().expect("kubectl ends");
    let _ended_without_reading = writer.join();
    Spoken {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
