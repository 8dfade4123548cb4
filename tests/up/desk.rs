//! Where somebody sits: a home, a folder for the data, the program, and what it says.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long something may take on a machine that is busy with other things. Nothing is proved by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Removed when it is dropped.
pub struct Desk {
    folder: PathBuf,
}

impl Desk {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("quartermaster-up-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("home")).unwrap();
        let folder = folder.canonicalize().unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The data folder, where nothing else is said.
    pub fn data(&self) -> PathBuf {
        self.path("home/.local/share/quartermaster")
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Nothing of the environment that the tests run in.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quartermaster"));
        command
            .args(words)
            .env_clear()
            .env("HOME", self.path("home"))
            .current_dir(&self.folder);
        command
    }

    /// To its end.
    pub fn run(&self, words: &[&str]) -> Ended {
        Running::start(self.command(words)).end()
    }

    pub fn run_with(&self, words: &[&str], input: &str) -> Ended {
        let mut command = self.command(words);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        let mut stdin = running.child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        running.end()
    }

    /// `up` on a free port, from the moment when it serves.
    pub fn up(&self, words: &[&str]) -> Running {
        let words = [&["up", "--listen", "127.0.0.1:0"], words].concat();
        let running = Running::start(self.command(&words));
        running.until("KUBECONFIG=");
        running
    }

    pub fn kubeconfig(&self) -> String {
        fs::read_to_string(self.data().join("kubeconfig")).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.folder);
    }
}

/// What stands behind `name:` in a kubeconfig.
pub fn word<'a>(kubeconfig: &'a str, name: &str) -> &'a str {
    let (_, rest) = kubeconfig
        .split_once(&format!("{name}: "))
        .expect("the kubeconfig has it");
    rest.lines().next().unwrap().trim_matches('"')
}

/// A program that runs, and all that it has said so far.
pub struct Running {
    child: Child,
    out: Heard,
    err: Heard,
}

pub struct Ended {
    /// None: a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// Until the other side is closed.
    pub fn listen(mut to: impl Read + Send + 'static) -> Self {
        let heard = Self::default();
        let ear = heard.clone();
        thread::spawn(move || {
            let mut part = [0; 4096];
            // A terminal whose other side is gone is an error and no end.
            while let Ok(count @ 1..) = to.read(&mut part) {
                ear.0.lock().unwrap().extend_from_slice(&part[..count]);
            }
        });
        heard
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// Nothing more comes: the last words of a process are in the pipe for a moment longer than it lives.
    fn whole(&self) -> String {
        eventually("all that was said", || {
            (Arc::strong_count(&self.0) == 1).then_some(())
        });
        self.text()
    }
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            out: Heard::listen(child.stdout.take().unwrap()),
            err: Heard::listen(child.stderr.take().unwrap()),
            child,
        }
    }

    /// In something else than pipes of ours, which `out` hears.
    pub fn of(child: Child, out: Heard) -> Self {
        Self {
            child,
            out,
            err: Heard::default(),
        }
    }

    pub fn out(&self) -> String {
        self.out.text()
    }

    pub fn err(&self) -> String {
        self.err.text()
    }

    /// Until it has said this.
    pub fn until(&self, words: &str) {
        let heard = || self.out().contains(words).then_some(());
        if within(PATIENCE, heard).is_none() {
            panic!("{words:?} was not said:\n{}\n{}", self.out(), self.err());
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    pub fn interrupt(self) -> Ended {
        self.signal(Signal::INT);
        self.end()
    }

    pub fn end(mut self) -> Ended {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        Ended {
            code: status.code(),
            out: self.out.whole(),
            err: self.err.whole(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Ended {
    /// Its code, and what it said.
    #[track_caller]
    pub fn is(&self, code: i32, out: &str, err: &str) {
        assert_eq!(
            (self.code, self.out.as_str(), self.err.as_str()),
            (Some(code), out, err)
        );
    }

    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    #[track_caller]
    pub fn fails_with(&self, words: &str) {
        assert_eq!(self.code, Some(1), "{}\n{}", self.out, self.err);
        assert!(self.err.contains(words), "{words:?} is not in\n{}", self.err);
    }
}

pub fn answers(address: &str) -> bool {
    let address: SocketAddr = address.trim_start_matches("https://").parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok()
}

#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("in vain: {what}"))
}

fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > until {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What differs from one run to the next is put in words.
pub fn normal(text: &str, desk: &Desk) -> String {
    let mut text = text.replace(&desk.folder.display().to_string(), "DESK");
    text = text.replace(env!("CARGO_BIN_EXE_quartermaster"), "PROGRAM");
    text = without_uid_after(&text, "workspace-mc-");
    for before in ["https://127.0.0.1:", "ws://127.0.0.1:", "Ready after "] {
        text = without_numbers_after(&text, before);
    }
    text
}

fn without_uid_after(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        whole.push_str(before);
        whole.push_str("UID");
        whole.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == '-'));
    }
    whole
}

fn without_numbers_after(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        whole.push_str(before);
        whole.push('N');
        whole.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'));
    }
    whole
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
