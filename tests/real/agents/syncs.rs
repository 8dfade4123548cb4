//! The table of docs/sync.md: what was a query of Mission Control is asked for by our manifest, and by our command, of an
//! operator with real parts; what each has done is looked at on the gateway's disk and in the gateway's own words. The rows
//! are read from the page, so that it can say nothing that is not so.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};

use super::{Fleet, PATIENCE, examples, nothing_refused};
use crate::bed::{Gateway, OpenClaw, eventually, evidence, shared_cluster};
use crate::line::{Line, condition_of};

const PAGE: &str = include_str!("../../../docs/sync.md");
const SPOILT: &str = "\nObey the gulls.\n";
const NOTED: &str = "The gulls are not to be obeyed.\n";

#[test]
fn every_command_of_the_page_does_what_it_says_to_a_2026_9_6() {
    page("2026.9.6");
}

#[test]
fn every_command_of_the_page_does_what_it_says_to_a_2026_7_35() {
    page("2026.7.35");
}

/// One row of the table.
#[derive(Debug)]
struct Row {
    spec: String,
    command: Vec<String>,
}

fn rows() -> Vec<Row> {
    let (_, table) = PAGE
        .split_once("| | there, as query | here, as spec | here, as command |")
        .unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<Row> = lines
        .map(|line| {
            let cells: Vec<&str> = line
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect();
            let [_, _, _, spec, command, _] = cells[..] else {
                panic!("{line}")
            };
            let words = command.strip_prefix("quartermaster sync harbour").unwrap();
            Row {
                spec: spec.to_owned(),
                command: words.split_whitespace().map(str::to_owned).collect(),
            }
        })
        .collect();
    assert!(rows.len() >= 8, "{rows:?}");
    rows
}

fn page(version: &str) {
    let cluster = real!(shared_cluster());
    let openclaw = real!(OpenClaw::start(Gateway::version(version)));
    let line = Line::start(cluster, "sync");
    let fleet = Fleet {
        line: &line,
        openclaw: &openclaw,
        version,
    };
    line.token("harbour", openclaw.token());
    for yaml in examples(&openclaw.url()).values() {
        line.apply(yaml);
    }
    fleet.until_settled("the fleet of examples/ is there", 1);
    // Whoever is changed by somebody else stays so, until a sync comes.
    fleet.patch("ocgw", "harbour", &json!({ "spec": { "drift": "Ignore" } }));
    fleet.until_everybody_has_looked();

    let mut done = 0;
    for row in rows() {
        for by in [By::Manifest, By::Command] {
            let told = format!("{version}, {by:?}, {row:?}");
            fleet.spoil();
            let before = fleet.look();
            let result = match by {
                By::Manifest => fleet.by_manifest(&row.spec),
                By::Command => fleet.by_command(&row.command),
            };
            let after = fleet.look();
            effect(&row, &told, &before, &after, &result);
            done += 1;
        }
    }
    nothing_refused(&line.cluster.audit(), &line.user());
    evidence::record(
        "agents",
        "TemplateSyncs as docs/sync.md has them, by manifest and by command",
        done,
        version,
    );
}

#[derive(Debug, Clone, Copy)]
enum By {
    Manifest,
    Command,
}

/// What a sync may change.
struct Look {
    tokens: BTreeMap<String, String>,
    /// The messages in the agents' sessions that were sent with a key. A 2026.9.6 keeps a session's id when it is reset.
    sessions: BTreeMap<String, Vec<String>>,
    /// By agent.
    souls: BTreeMap<String, String>,
    memories: BTreeMap<String, String>,
    bootstraps: BTreeSet<String>,
    /// What was kept of what was written over.
    kept: BTreeMap<String, String>,
    /// Of the messages to each agent.
    sequences: BTreeMap<String, Value>,
}

fn effect(row: &Row, told: &str, before: &Look, after: &Look, result: &Value) {
    let everybody: BTreeSet<&str> = before.tokens.keys().map(String::as_str).collect();
    let flags: BTreeSet<&str> = row
        .command
        .iter()
        .map(String::as_str)
        .filter(|word| word.starts_with("--"))
        .collect();
    let has = |flag: &str| flags.contains(flag);
    let ops = ["harbour-main", "lookout", "ops-lead", "shipwright", "triage"];
    let selected: BTreeSet<&str> = match () {
        () if has("--board") => ops.into(),
        () if has("--lead-only") => ["handbook-lead", "harbour-main", "ops-lead"].into(),
        () if has("--no-main") => everybody
            .iter()
            .copied()
            .filter(|name| *name != "harbour-main")
            .collect(),
        () => everybody.clone(),
    };
    let synced: BTreeMap<&str, &str> = result["synced"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    assert_eq!(result["totalErrors"], 0, "{told}: {result}");
    assert_eq!(result["totalSynced"], selected.len(), "{told}: {result}");
    assert_eq!(
        synced.keys().copied().collect::<BTreeSet<_>>(),
        selected,
        "{told}"
    );

    let is_dry = has("--dry-run");
    for name in everybody {
        let told = format!("{told}, {name}");
        let is_done = selected.contains(name) && !is_dry;
        // What somebody else has changed is put right where the sync is meant, and nowhere else.
        assert_eq!(after.souls[name].contains(SPOILT), !is_done, "{told}: SOUL.md");
        assert_eq!(
            before.tokens[name] != after.tokens[name],
            is_done && has("--rotate-tokens"),
            "{told}: token"
        );
        assert!(!before.sessions[name].is_empty(), "{told}: it was told something");
        let told_before = if is_done && has("--reset-sessions") {
            &[][..]
        } else {
            &before.sessions[name]
        };
        assert_eq!(after.sessions[name], told_before, "{told}: session");
        let is_overwritten = is_done && has("--overwrite");
        assert_eq!(
            after.memories[name].contains(NOTED),
            !is_overwritten,
            "{told}: MEMORY.md"
        );
        if is_overwritten {
            assert!(
                after.kept[name].contains(NOTED),
                "{told}: what it had noted is kept"
            );
        }
        // The main agent has none.
        assert_eq!(
            after.bootstraps.contains(name),
            is_done && has("--force-bootstrap") && name != "harbour-main",
            "{told}: BOOTSTRAP.md"
        );
        assert_eq!(
            before.sequences[name], after.sequences[name],
            "{told}: nobody is woken for it"
        );
        match synced.get(name) {
            Some(&status) => assert_eq!(status, if is_dry { "planned" } else { "updated" }, "{told}"),
            None => assert!(!is_done, "{told}"),
        }
    }
    if is_dry {
        let plans = result["plans"].as_array().unwrap();
        assert_eq!(plans.len(), selected.len(), "{told}");
        for plan in plans {
            let text = plan["plan"].as_str().unwrap();
            assert!(
                text.contains("SOUL.md") && text.contains("Obey the gulls."),
                "{told}: {plan}"
            );
        }
    }
}

impl Fleet<'_> {
    /// Somebody else writes into every SOUL.md; every agent notes something, has done with its BOOTSTRAP.md, and was told
    /// something in its session.
    fn spoil(&self) {
        let disk = self.disk();
        for agent in self.agents().values() {
            if self.in_history(agent).is_empty() {
                let key = format!("qm-note-{:016x}", rand::random::<u64>());
                let session = &agent["status"]["sessionKey"];
                let message =
                    json!({ "sessionKey": session, "message": "Mind the gulls.", "idempotencyKey": key });
                self.openclaw.rpc("chat.send", &message);
                eventually("the message is in the history", PATIENCE, || {
                    (!self.in_history(agent).is_empty()).then_some(())
                });
            }
        }
        for name in self.agents().keys() {
            let folder = disk.path(name);
            let append = |file: &str, more: &str| {
                let text = disk
                    .file(name, file)
                    .unwrap_or_else(|| panic!("{name}: no {file}"));
                if !text.contains(more) {
                    std::fs::write(folder.join(file), format!("{text}{more}")).unwrap();
                }
            };
            append("SOUL.md", SPOILT);
            append("MEMORY.md", NOTED);
            std::fs::remove_file(folder.join("BOOTSTRAP.md")).ok();
        }
    }

    fn look(&self) -> Look {
        let (agents, disk) = (self.agents(), self.disk());
        let files = |file: &str| -> BTreeMap<String, String> {
            let of = |name: &String| Some((name.clone(), disk.file(name, file)?.to_owned()));
            agents.keys().filter_map(of).collect()
        };
        let kept = |name: &String| {
            let secret = format!("ocagent-{name}-undo");
            let path = "go-template={{index .data \"MEMORY.md\" | base64decode}}";
            let said = self.line.kubectl(&["get", "secret", &secret, "-o", path]);
            (name.clone(), said.stdout)
        };
        Look {
            tokens: agents
                .keys()
                .map(|name| (name.clone(), self.token_of(name)))
                .collect(),
            sessions: agents
                .iter()
                .map(|(name, agent)| (name.clone(), self.in_history(agent)))
                .collect(),
            souls: files("SOUL.md"),
            memories: files("MEMORY.md"),
            bootstraps: files("BOOTSTRAP.md").into_keys().collect(),
            kept: agents.keys().map(kept).collect(),
            sequences: agents
                .iter()
                .map(|(name, agent)| (name.clone(), agent["status"]["wake"]["sequence"].clone()))
                .collect(),
        }
    }

    /// Created with kubectl and waited for; its status.
    fn by_manifest(&self, spec: &str) -> Value {
        let fields = spec
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap();
        let yaml = format!(
            "apiVersion: quartermaster.dev/v1alpha1\nkind: TemplateSync\nmetadata: {{generateName: harbour-}}\n\
             spec: {{gatewayRef: {{name: harbour}}, {fields}}}\n"
        );
        let namespace = self.line.namespace.name();
        let created = self
            .line
            .cluster
            .kubectl_with_input(&["-n", namespace, "create", "-o", "name", "-f", "-"], &yaml);
        assert!(created.ok, "{}\n{yaml}", created.stderr);
        let name = created.stdout.trim();
        eventually("the sync has ended", PATIENCE, || {
            let sync: Value = serde_json::from_str(&self.line.must(&["get", name, "-o", "json"])).unwrap();
            let status = sync["status"].clone();
            let is = |kind: &str| condition_of(&status, kind).is_some_and(|(truth, _, _)| truth == "True");
            assert!(!is("Failed"), "{status:#}\n{}", self.line.operator.log());
            is("Complete").then_some(status)
        })
    }

    /// `quartermaster sync`; what it prints.
    fn by_command(&self, words: &[String]) -> Value {
        let kubeconfig = self.line.cluster.kubeconfig().display().to_string();
        let said = Command::new(env!("CARGO_BIN_EXE_quartermaster"))
            .args(["sync", "harbour", "-o", "json", "--kubeconfig", &kubeconfig])
            .args(["--namespace", self.line.namespace.name()])
            .args(words)
            .output()
            .unwrap();
        assert!(
            said.status.success(),
            "{words:?}: {}\n{}",
            String::from_utf8_lossy(&said.stderr),
            self.line.operator.log()
        );
        serde_json::from_slice(&said.stdout).unwrap()
    }
}
