//! A child process that cannot outlive us.
//!
//! Each runs in a process group of its own beside a watchdog, a few lines of bash that hold a pipe to us. The pipe
//! closes when we end, also by SIGKILL, and the watchdog then kills the group. In order it goes differently: SIGTERM
//! to the process by its pid, time to end, then SIGKILL to whatever is left of its group (an OpenClaw gateway has two
//! helper processes). `Drop` does that, so a panicking test leaves nothing behind either.

use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::wait::eventually;

pub struct Process {
    name: String,
    pid: u32,
    group: u32,
    log: PathBuf,
    grace: Duration,
    watchdog: Mutex<Child>,
    _held: ChildStdin,
}

/// What to start. `Launch::new("etcd", path).args([..]).env("K", "V").start(log)`
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    only_this_environment: bool,
    folder: Option<PathBuf>,
    grace: Duration,
}

impl Launch {
    pub fn new(name: &str, program: impl AsRef<Path>) -> Self {
        Self {
            name: name.to_owned(),
            command: vec![program.as_ref().display().to_string()],
            environment: Vec::new(),
            only_this_environment: false,
            folder: None,
            grace: Duration::from_secs(10),
        }
    }

    pub fn arg(mut self, argument: impl Display) -> Self {
        self.command.push(argument.to_string());
        self
    }

    pub fn args<A: Display>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command
            .extend(arguments.into_iter().map(|argument| argument.to_string()));
        self
    }

    pub fn env(mut self, name: &str, value: impl Display) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Nothing of our own environment is handed down.
    pub fn only_this_environment(mut self) -> Self {
        self.only_this_environment = true;
        self
    }

    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// How long the process may take to end after SIGTERM before it is killed. Ten seconds if not said.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Starts it; stdout and stderr are appended to `log`.
    pub fn start(self, log: &Path) -> Process {
        let Self {
            name,
            command,
            environment,
            only_this_environment,
            folder,
            grace,
        } = self;
        let mut bash = Command::new("bash");
        if only_this_environment {
            bash.env_clear();
        }
        if let Some(folder) = folder {
            bash.current_dir(folder);
        }
        let mut watchdog = bash
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(log)
            .args(&command)
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("bash, which starts {name}: {error}"));
        let held = watchdog.stdin.take().expect("stdin was asked for");
        let mut first_line = String::new();
        BufReader::new(watchdog.stdout.take().expect("stdout was asked for"))
            .read_line(&mut first_line)
            .unwrap();
        let pid = first_line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{name}: the watchdog gave no pid: {first_line:?}"));
        let group = watchdog.id();
        Process {
            name,
            pid,
            group,
            log: log.to_owned(),
            grace,
            watchdog: Mutex::new(watchdog),
            _held: held,
        }
    }
}

/// The process shares bash's group; the subshell that watches has its own, or it would kill itself half-way.
/// Bash ends with the process's own exit code (128 + n when signal n ended it).
const WATCHDOG: &str = r#"
exec 3<&0 </dev/null
log=$1; shift
"$@" 3<&- >>"$log" 2>&1 &
process=$!
set -m
( while read -r -u 3 _; do :; done; kill -KILL -- -$$ ) >/dev/null 2>&1 &
set +m
exec 3<&-
echo $process
exec >&-
wait $process
"#;

impl Process {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn is_alive(&self) -> bool {
        self.ended().is_none()
    }

    /// How it ended, if it has: its exit code, or 128 + n when signal n ended it.
    pub fn ended(&self) -> Option<i32> {
        self.watchdog
            .lock()
            .unwrap()
            .try_wait()
            .expect("our own child can be asked")
            .map(code)
    }

    /// `signal("STOP")`, `signal("CONT")`, `signal("TERM")`, `signal("KILL")`: to the process alone.
    pub fn signal(&self, signal: &str) {
        if self.is_alive() {
            send(signal, &self.pid.to_string());
        }
        // `kill` comes back when the signal is pending. Until the process has stopped, a SIGTERM that follows overtakes
        // the SIGSTOP (the lower number is delivered first) and ends it.
        if signal == "STOP" {
            eventually(&format!("{} has stopped", self.name), 20, || {
                (!self.is_alive() || state(self.pid) == Some('T')).then_some(())
            });
        }
    }

    /// Ends it in order and says how it ended and how long that took.
    pub fn end(&self) -> (i32, Duration) {
        let start = Instant::now();
        self.signal("TERM");
        while self.is_alive() && start.elapsed() < self.grace {
            std::thread::sleep(Duration::from_millis(20));
        }
        (self.kill(), start.elapsed())
    }

    /// SIGKILL to the process, then to everything else in its group; returns when it is gone.
    pub fn kill(&self) -> i32 {
        self.signal("KILL");
        let code = eventually(
            &format!("{} ({}) is gone after SIGKILL", self.name, self.pid),
            20,
            || self.ended(),
        );
        send("KILL", &format!("-{}", self.group));
        code
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The end of its log, for a panic's message.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(25);
        format!("{} wrote last:\n  | {}", self.name, lines[from..].join("\n  | "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a process of this pid runs. A zombie does not: it only waits for its parent to ask.
pub fn runs(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The letter that `ps` shows.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The shell's own `kill`: not every machine has one as a program.
pub(super) fn send(signal: &str, to: &str) {
    let _already_gone = Command::new("bash")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "kill", signal, to])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
