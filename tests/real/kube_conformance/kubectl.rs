//! The same lines typed at both: what kubectl prints must be the same, line by line.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;

use super::ours::Embedded;
use crate::bed::{Scratch, evidence, shared_cluster};
use crate::schema;

const SCRIPT: &str = include_str!("kubectl/script.txt");

/// What cannot be the same in what is printed: pattern, shown as, why.
#[rustfmt::skip]
const PRINTED: &[(&str, &str, &str)] = &[
    (r"https://(127\.0\.0\.1|localhost):\d+", "<server>", "another port"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>", "random"),
    (r#"(resourceVersion"?: ?"?)\d+"#, "${1}<version>", "each server counts its own writes"),
    (r#"(Resource Version: +)\d+"#, "${1}<version>", "the same"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", "now"),
    (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w+ \d{4} [\d:]+ \+\d{4}", "<time>", "now"),
    (r"\b(\d+[smh])+( |$)", "<age>$2", "now"),
    (r"/tmp/[\w./-]+(\t.*)?", "<file>", "a folder of its own, and now"),
    (r" +", " ", "columns are as wide as their widest cell, an age among them"),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    PRINTED
        .iter()
        .map(|(pattern, shown, _)| (Regex::new(pattern).unwrap(), *shown))
        .collect()
});

/// One who types.
struct Typist {
    kubeconfig: PathBuf,
    folder: Scratch,
    path: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_prints_the_same() {
    let cluster = real!(shared_cluster());
    real!(cluster.controller_manager());
    schema::install(cluster);
    let embedded = Embedded::start().await;
    let kubectl = cluster.binaries().program("kubectl");
    let ours = Typist::new(embedded.kubeconfig(), &kubectl);
    let theirs = Typist::new(&cluster.kubeconfig(), &kubectl);
    let (ours, theirs) = (std::sync::Arc::new(ours), std::sync::Arc::new(theirs));
    let mut wrong = Vec::new();
    let mut lines = 0;
    let mut commands = 0;
    for line in SCRIPT
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let typed = |typist: &std::sync::Arc<Typist>| {
            let (typist, line) = (std::sync::Arc::clone(typist), line.to_owned());
            tokio::task::spawn_blocking(move || typist.types(&line))
        };
        let (one, other) = tokio::join!(typed(&ours), typed(&theirs));
        let (one, other) = (one.unwrap(), other.unwrap());
        commands += 1;
        lines += other.len();
        if one != other {
            wrong.push(format!("$ {line}\n{}", beside(&one, &other)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {commands} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let note = format!(
        "{lines} lines printed; 0 differences but {} declared",
        PRINTED.len()
    );
    evidence::say(&format!("{commands} kubectl commands, {note}"));
    evidence::record(
        "control plane",
        "kubectl commands as with kube-apiserver",
        commands,
        &note,
    );
}

/// The lines that only one has.
fn beside(ours: &[String], theirs: &[String]) -> String {
    let only = |one: &[String], other: &[String], mark: &str| -> Vec<String> {
        let lines = one.iter().filter(|line| !other.contains(line));
        lines.take(12).map(|line| format!("    {mark} {line}")).collect()
    };
    let mut lines = only(ours, theirs, "ours:  ");
    lines.extend(only(theirs, ours, "theirs:"));
    if lines.is_empty() {
        lines.push(format!("    another order: {ours:?} {theirs:?}"));
    }
    lines.join("\n")
}

impl Typist {
    /// With a kubeconfig that may be written to: the script chooses a namespace.
    fn new(kubeconfig: &Path, kubectl: &Path) -> Self {
        let folder = Scratch::new("kubectl");
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        let kubeconfig = folder.file("config", &text);
        let programs = kubectl.parent().unwrap().display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        Self {
            kubeconfig,
            folder,
            path,
        }
    }

    /// Every line printed, made comparable, and how it ended.
    fn types(&self, line: &str) -> Vec<String> {
        let output = Command::new("timeout")
            .args(["90", "bash", "-c", line])
            .current_dir(self.folder.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .env("PATH", &self.path)
            .env("NS", "typed")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut lines = Vec::new();
        for (name, bytes) in [("", &output.stdout), ("2> ", &output.stderr)] {
            for line in String::from_utf8_lossy(bytes).lines() {
                let mut line = line.to_owned();
                for (pattern, shown) in PATTERNS.iter() {
                    line = pattern.replace_all(&line, *shown).into_owned();
                }
                lines.push(format!("{name}{}", line.trim_end()));
            }
        }
        lines.push(format!("exit {}", output.status.code().unwrap_or(-1)));
        lines
    }
}
