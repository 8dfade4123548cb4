//! Agents, whole, on real parts: `examples/` applied with kubectl to a real API server, by the operator as a process with
//! the rights of `deploy/`, into a real gateway; looked at on the gateway's disk and in its own words; changed, spoilt by
//! hand, and deleted.

pub mod disk;
mod syncs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::bed::{AuditEvent, Gateway, OpenClaw, eventually, evidence, shared_cluster};
use crate::line::{Line, condition_of};
use disk::{Disk, changed, is_kept, showing};

/// Minutes where seconds would do: this only decides how long a failing test takes.
const PATIENCE: u64 = 400;

#[test]
fn a_fleet_lives_in_a_2026_9_6() {
    fleet("2026.9.6");
}

#[test]
fn a_fleet_lives_in_a_2026_7_35() {
    fleet("2026.7.35");
}

#[test]
fn a_fleet_lives_in_a_2026_2_9() {
    fleet("2026.2.9");
}

struct Fleet<'a> {
    line: &'a Line<'a>,
    openclaw: &'a OpenClaw,
    version: &'a str,
}

fn fleet(version: &str) {
    let cluster = real!(shared_cluster());
    // Who removes what belongs to an object that is gone: the tokens' Secrets.
    real!(cluster.controller_manager());
    let openclaw = real!(OpenClaw::start(Gateway::version(version)));
    let before = written_by_itself(&openclaw);
    let line = Line::start(cluster, "fleet");
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
    let agents = fleet.agents();
    assert_eq!(
        agents.len(),
        8,
        "seven, and the main agent that nobody wrote: {:?}",
        agents.keys()
    );

    fleet.files_are_what_is_told();
    fleet.files_are_what_is_rendered();
    fleet.each_token_is_in_one_file_and_in_its_secret();
    fleet.counted();
    fleet.messages(&BTreeMap::new());

    fleet.a_change_is_made_in_the_files_that_show_it();
    fleet.an_edit_on_the_disk_is_put_right();
    fleet.deleted(&before);
    nothing_refused(&line.cluster.audit(), &line.user());
    evidence::record(
        "agents",
        "examples/ applied, changed, spoilt, deleted: real gateway, real API server",
        agents.len() as u64,
        version,
    );
}

/// Every request of this user was one that it may make.
pub fn nothing_refused(audit: &[AuditEvent], user: &str) {
    let of_user: Vec<&AuditEvent> = audit.iter().filter(|event| event.user == user).collect();
    assert!(of_user.len() > 20, "{} requests of {user}", of_user.len());
    let refused: BTreeSet<String> = of_user
        .iter()
        .filter(|event| event.code == 401 || event.code == 403)
        .map(|event| format!("{} {} {}", event.verb, event.resource, event.subresource))
        .collect();
    assert_eq!(refused, BTreeSet::new(), "refused to {user}");
}

/// `examples/` as a person edits them: their own gateway's address, and no token in a file.
pub fn examples(url: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files: BTreeMap<String, String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .filter(|(name, _)| name != "harbour-token.yaml")
        .collect();
    let gateway = files.get_mut("gateway.yaml").unwrap();
    let example = "url: ws://gateway.local:18789\n";
    assert!(gateway.contains(example));
    *gateway = gateway.replace(example, &format!("url: {url}\n  resyncInterval: 15s\n"));
    files
}

/// At the first write of anybody a 2026.2.9 spells its own defaults out in its file. So somebody writes before, what it
/// spells out anyway.
fn written_by_itself(openclaw: &OpenClaw) -> Value {
    if openclaw.version() == "2026.2.9" {
        let found = openclaw.rpc("config.get", &json!({}));
        let patch = json!({ "logging": { "redactSensitive": "tools" } }).to_string();
        openclaw.rpc(
            "config.patch",
            &json!({ "raw": patch, "baseHash": found["hash"] }),
        );
    }
    configuration(openclaw)
}

pub fn configuration(openclaw: &OpenClaw) -> Value {
    serde_json::from_str(&std::fs::read_to_string(openclaw.config_file()).unwrap()).unwrap()
}

impl Fleet<'_> {
    fn list(&self, kind: &str) -> BTreeMap<String, Value> {
        let list: Value = serde_json::from_str(&self.line.must(&["get", kind, "-o", "json"])).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                (
                    item["metadata"]["name"].as_str().unwrap().to_owned(),
                    item.clone(),
                )
            })
            .collect()
    }

    fn agents(&self) -> BTreeMap<String, Value> {
        self.list("ocagent")
    }

    fn disk(&self) -> Disk {
        Disk::read(
            &self.openclaw.state_folder().with_file_name("home"),
            &self.agents(),
        )
    }

    /// Everything is Ready for what it asks for by now, and everybody has been told.
    fn until_settled(&self, what: &str, boards_with: usize) {
        let mut last = String::new();
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, PATIENCE, || {
                let agents = self.agents();
                let objects = ["ocgw", "ocboard"].map(|kind| self.list(kind));
                let mut waiting: Vec<String> = Vec::new();
                for (name, object) in agents.iter().chain(objects.iter().flatten()) {
                    if !is_ready(object) {
                        waiting.push(format!("{name}: {:?}", condition_of(&object["status"], "Ready")));
                    }
                }
                let untold = agents.iter().filter(|(_, agent)| {
                    let wake = &agent["status"]["wake"];
                    wake["state"] != "Sent" || !wake["dueSince"].is_null()
                });
                waiting.extend(untold.map(|(name, agent)| format!("{name}: {}", agent["status"]["wake"])));
                last = waiting.join("\n");
                (waiting.is_empty() && agents.len() > boards_with).then_some(())
            });
        }));
        assert!(
            waited.is_ok(),
            "{what}: not so\n{last}\n{}",
            self.line.operator.log()
        );
    }

    /// What is on the gateway's disk is what the status says: each file by its hash, and none is missing.
    fn files_are_what_is_told(&self) {
        let (disk, agents) = (self.disk(), self.agents());
        let mut compared = 0;
        for (name, agent) in &agents {
            let files = agent["status"]["files"].as_array().unwrap();
            for file in files.iter().filter(|file| is_kept(file)) {
                let file_name = file["name"].as_str().unwrap();
                let found = disk.file(name, file_name);
                let found = found.unwrap_or_else(|| panic!("{name}: {file_name} is not on the disk"));
                assert_eq!(file["hash"], disk::sha256(found), "{name}: {file_name}");
                compared += 1;
            }
            let summary = agent["status"]["filesSummary"].as_str().unwrap_or_default();
            let (so, all) = summary.split_once('/').unwrap_or_default();
            assert!(so == all && !so.is_empty(), "{name}: {summary}");
        }
        assert!(compared >= 3 * agents.len(), "{compared}");
        let note = format!("{} agents, {}", agents.len(), self.version);
        evidence::record(
            "agents",
            "files on a gateway's disk with the hash of the status",
            compared as u64,
            &note,
        );
    }

    /// What is on the gateway's disk is what `quartermaster render` says for a gateway of this version; the token is masked
    /// there.
    fn files_are_what_is_rendered(&self) {
        let kubeconfig = self.line.cluster.kubeconfig().display().to_string();
        let said = Command::new(env!("CARGO_BIN_EXE_quartermaster"))
            .args(["render", "--live", "--contract", self.version, "-o", "json"])
            .args(["--kubeconfig", &kubeconfig, "--namespace"])
            .arg(self.line.namespace.name())
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let rendered: Value = serde_json::from_slice(&said.stdout).unwrap();
        let disk = self.disk();
        let mut compared: u64 = 0;
        let rendered = rendered["agents"].as_array().unwrap();
        assert_eq!(rendered.len(), self.agents().len(), "{rendered:?}");
        for agent in rendered {
            let name = agent["name"].as_str().unwrap();
            let token = self.token_of(name);
            assert_eq!(agent["contract"], self.version, "{name}");
            for (file, wanted) in agent["files"].as_object().unwrap() {
                // One that is consumed at the first turn may be gone by now.
                let found = disk.file(name, file).map(|text| text.replace(&token, "MASKED"));
                if found.is_none() && wanted["isConsumed"] == true {
                    continue;
                }
                assert_eq!(found.as_deref(), wanted["content"].as_str(), "{name}: {file}");
                compared += 1;
            }
        }
        let at_least = 3 * u64::try_from(rendered.len()).unwrap();
        assert!(compared >= at_least, "{compared}");
        evidence::record(
            "agents",
            "files on a gateway's disk as `render` says for it",
            compared,
            self.version,
        );
    }

    fn token_of(&self, agent: &str) -> String {
        let secret = format!("ocagent-{agent}-token");
        let token = self.line.must(&[
            "get",
            "secret",
            &secret,
            "-o",
            "go-template={{.data.token | base64decode}}",
        ]);
        assert!(token.len() >= 32, "{secret} holds a token");
        token
    }

    fn each_token_is_in_one_file_and_in_its_secret(&self) {
        let disk = self.disk();
        for (name, agent) in self.agents() {
            let token = self.token_of(&name);
            let holding = disk.holding(&token);
            let [(holder, file)] = &holding[..] else {
                panic!("{name}: its token is in {holding:?}");
            };
            assert_eq!(holder, &name);
            let line = format!("AUTH_TOKEN=\"{token}\"");
            let text = disk.file(&name, file).unwrap();
            assert_eq!(text.matches(&line).count(), 1, "{name}: {file}");
            let told = agent.to_string();
            assert!(!told.contains(&token), "{name}: the token is in the object");
            assert!(
                !self.line.operator.log().contains(&token),
                "{name}: the token is in the log"
            );
        }
    }

    fn counted(&self) {
        let namespace = self.line.namespace.name();
        let series = |metric: &str, more: &str| {
            format!("{metric}{{{more}}}")
                .replace("PLACE", &format!("gateway=\"harbour\",namespace=\"{namespace}\""))
        };
        let phase = |phase: &str| {
            self.line.metric(&series(
                "quartermaster_agents",
                &format!("PLACE,phase=\"{phase}\""),
            ))
        };
        assert_eq!(
            (phase("Ready"), phase("Failed")),
            (8.0, 0.0),
            "{:#?}",
            self.line.metrics()
        );
        let ready = self
            .line
            .metric(&series("quartermaster_agent_ready_seconds_count", "PLACE"));
        assert!(ready >= 8.0, "each was seen to become Ready: {ready}");
        let written = self
            .line
            .metric(&series("quartermaster_files_written_total", "PLACE"));
        assert!(written >= 24.0, "{written} files written");
        assert!(self.line.metric("quartermaster_commit_changes_count") >= 1.0);
        assert!(self.line.metric("quartermaster_commit_changes_sum") >= 8.0);
        for name in self.agents().keys() {
            let named = self
                .line
                .metrics()
                .keys()
                .any(|series| series.contains(&format!("\"{name}\"")));
            assert!(!named, "{name} is a label");
        }
    }

    /// How many messages of ours each agent has got: one each, and more for those who are named.
    fn messages(&self, more: &BTreeMap<&str, usize>) {
        for (name, agent) in self.agents() {
            let wanted = 1 + more.get(name.as_str()).copied().unwrap_or_default();
            let wake = &agent["status"]["wake"];
            if self.keeps_failed_turns() {
                let ours = self.in_history(&agent);
                assert_eq!(ours.len(), wanted, "{name}: {ours:?}");
                let id = format!("{}:user", wake["id"].as_str().unwrap());
                assert!(ours.contains(&id), "{name}: {id} in {ours:?}");
            } else {
                assert_eq!(self.turns(&agent), wanted, "{name}: turns");
            }
            assert_eq!(wake["sequence"], json!(wanted), "{name}");
        }
    }

    /// Without a model every turn fails, and of those a 2026.2.9 keeps nothing in its history.
    fn keeps_failed_turns(&self) -> bool {
        self.version != "2026.2.9"
    }

    fn in_history(&self, agent: &Value) -> Vec<String> {
        let params = json!({ "sessionKey": agent["status"]["sessionKey"], "limit": 1000 });
        let history = self.openclaw.rpc("chat.history", &params);
        let messages = history["messages"].as_array().into_iter().flatten();
        messages.filter_map(marked).map(str::to_owned).collect()
    }

    /// How often a turn of its session has failed for want of a model: the gateway's log has a line for each.
    fn turns(&self, agent: &Value) -> usize {
        let lane = format!(
            "lane=session:{} ",
            agent["status"]["sessionKey"].as_str().unwrap()
        );
        self.openclaw.log().matches(&lane).count()
    }

    fn a_change_is_made_in_the_files_that_show_it(&self) {
        // One agent shows its gateway's owner in a file that is not its own to keep.
        let file =
            json!({ "spec": { "files": [{ "name": "PHONE.md", "content": "Call {{ user_name }}.\n" }] } });
        self.patch("ocagent", "lookout", &file);
        self.until_settled("a file more", 1);

        let identity = json!({ "spec": { "identity": { "purpose": "Writes what the kittiwake saw." } } });
        let gone = "Turns closed incidents into pages that somebody in a hurry can follow.";
        let shown = self.change(
            "ocagent",
            "scribe",
            &identity,
            gone,
            "Writes what the kittiwake saw.",
        );
        assert!(
            shown.contains(&("scribe".to_owned(), "IDENTITY.md".to_owned())),
            "{shown:?}"
        );

        let objective = json!({ "spec": { "objective": "No ferry leaves without a kittiwake." } });
        let gone = "Every alert on the booking platform has an owner and a first finding before Ada sees it.";
        let shown = self.change(
            "ocboard",
            "ops",
            &objective,
            gone,
            "No ferry leaves without a kittiwake.",
        );
        let members: BTreeSet<&str> = shown.iter().map(|(agent, _)| agent.as_str()).collect();
        for agent in ["lookout", "ops-lead", "shipwright", "triage"] {
            assert!(members.contains(agent), "{agent} is on the board: {shown:?}");
        }

        // For who they are, and for what their rules say of the board. Not for a file of one's own, nor for what a team list
        // says of others, nor for BOARD.md, in which a lead reads what its board is for.
        self.messages(&BTreeMap::from([
            ("lookout", 1),
            ("scribe", 1),
            ("shipwright", 1),
            ("triage", 1),
        ]));

        let before = self.agents();
        let owner = json!({ "spec": { "owner": { "name": "Kitty Wake" } } });
        let shown = self.change("ocgw", "harbour", &owner, "Ada Keller", "Kitty Wake");
        let agents: BTreeSet<&str> = shown.iter().map(|(agent, _)| agent.as_str()).collect();
        assert_eq!(
            agents,
            BTreeSet::from(["lookout"]),
            "USER.md is the agent's own once it is there"
        );
        for (name, agent) in self.agents() {
            if name != "lookout" {
                assert_eq!(
                    agent["status"]["lastSync"], before[&name]["status"]["lastSync"],
                    "{name} was written to"
                );
            }
        }
    }

    /// Makes a change and waits until it is all done; exactly the files that showed the old words or show the new ones are
    /// others by then. Gives them, each with its agent.
    fn change(
        &self,
        kind: &str,
        name: &str,
        patch: &Value,
        old: &str,
        new: &str,
    ) -> BTreeSet<(String, String)> {
        let before = self.disk();
        let was_shown = showing(&before, &self.agents(), old);
        self.patch(kind, name, patch);
        eventually("the change is on the disk", PATIENCE, || {
            let shown = showing(&self.disk(), &self.agents(), new);
            (!shown.is_empty()).then_some(())
        });
        self.until_settled(&format!("{kind}/{name} is changed"), 1);
        // Everybody looks again once more, and still nobody else was touched.
        self.until_everybody_has_looked();
        let after = self.disk();
        let agents = self.agents();
        let shows: BTreeSet<_> = was_shown.union(&showing(&after, &agents, new)).cloned().collect();
        assert_eq!(changed(&before, &after, &agents), shows, "{kind}/{name}");
        assert_eq!(
            showing(&after, &agents, old),
            BTreeSet::new(),
            "{kind}/{name}: the old words are gone"
        );
        self.files_are_what_is_told();
        shows
    }

    fn until_everybody_has_looked(&self) {
        let word = format!("{:016x}", rand::random::<u64>());
        self.line
            .annotate("harbour", &format!("quartermaster.dev/reconcile-at={word}"));
        eventually("reconcile-at is answered", PATIENCE, || {
            (self.line.status("harbour")["lastHandledRequest"] == word.as_str()).then_some(())
        });
        for name in self.agents().keys() {
            self.line.must(&[
                "annotate",
                "--overwrite",
                "ocagent",
                name,
                &format!("quartermaster.dev/reconcile-at={word}"),
            ]);
        }
        eventually("every Agent has looked again", PATIENCE, || {
            let agents = self.agents();
            agents
                .values()
                .all(|agent| agent["status"]["lastHandledRequest"] == word.as_str() && is_ready(agent))
                .then_some(())
        });
    }

    fn patch(&self, kind: &str, name: &str, patch: &Value) {
        self.line
            .must(&["patch", kind, name, "--type=merge", "-p", &patch.to_string()]);
    }

    /// Nothing tells us of it: it is found by looking, every resyncInterval.
    fn an_edit_on_the_disk_is_put_right(&self) {
        let (agents, disk) = (self.agents(), self.disk());
        let sequence =
            |agents: &BTreeMap<String, Value>| agents["triage"]["status"]["wake"]["sequence"].clone();
        let wakes = sequence(&agents);
        let series = format!(
            "quartermaster_files_drifted_total{{gateway=\"harbour\",namespace=\"{}\"}}",
            self.line.namespace.name()
        );
        let drifted = self.line.metric(&series);
        let soul = disk.file("triage", "SOUL.md").unwrap().to_owned();
        let path = disk.path("triage").join("SOUL.md");
        std::fs::write(&path, format!("{soul}\nObey the gulls.\n")).unwrap();
        eventually("the edit is put right", PATIENCE, || {
            (std::fs::read_to_string(&path).unwrap_or_default() == soul).then_some(())
        });
        let told = eventually("it is told", PATIENCE, || {
            let told = self.line.events("triage");
            told.contains(&"DriftCorrected".to_owned()).then_some(told)
        });
        self.until_settled("after the edit", 1);
        assert_eq!(
            sequence(&self.agents()),
            wakes,
            "nobody is woken for it: {told:?}"
        );
        assert_eq!(self.line.metric(&series), drifted + 1.0);
    }

    /// Everything is deleted at once, by `kubectl delete -f`; the main agent, which nobody wrote, goes with its Gateway. The gateway's configuration is what it was, but for what a
    /// gateway writes of itself once its agents are listed.
    fn deleted(&self, before: &Value) {
        let paths: Vec<_> = {
            let disk = self.disk();
            self.agents().keys().map(|name| disk.path(name)).collect()
        };
        assert!(paths.iter().all(|path| path.is_dir()));
        let all: Vec<String> = examples("ws://127.0.0.1:1").into_values().collect();
        let namespace = self.line.namespace.name();
        let delete = ["-n", namespace, "delete", "--wait=false", "-f", "-"];
        let said = self
            .line
            .cluster
            .kubectl_with_input(&delete, &all.join("\n---\n"));
        assert!(said.ok, "{}", said.stderr);
        let mut last = String::new();
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("all of it is gone", PATIENCE, || {
                last = self.line.must(&[
                    "get",
                    "ocgw,ocboard,ocagent",
                    "--no-headers",
                    "--ignore-not-found",
                ]);
                last.trim().is_empty().then_some(())
            });
        }));
        assert!(waited.is_ok(), "left:\n{last}\n{}", self.line.operator.log());
        for path in paths {
            let mut left = Vec::new();
            let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                eventually("the workspace is gone", 60, || {
                    let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                    left = entries.map(|entry| entry.file_name()).collect();
                    (!path.exists()).then_some(())
                });
            }));
            assert!(waited.is_ok(), "{} is still there, with {left:?}", path.display());
        }
        let after = configuration(self.openclaw);
        assert_eq!(
            as_ours_to_keep(&after),
            as_ours_to_keep(before),
            "{}",
            self.version
        );
        eventually("the tokens' Secrets are collected", PATIENCE, || {
            let left = self.line.must(&["get", "secrets", "-o", "name"]);
            (!left.contains("ocagent-")).then_some(())
        });
    }
}

fn is_ready(object: &Value) -> bool {
    let status = &object["status"];
    let so = condition_of(status, "Ready").is_some_and(|(truth, ..)| truth == "True");
    so && status["observedGeneration"] == object["metadata"]["generation"]
}

/// The mark that a message of ours bears in the history, wherever this gateway keeps it.
pub fn marked(message: &Value) -> Option<&str> {
    match message {
        Value::String(text) => (text.starts_with("qm-") && text.ends_with(":user")).then_some(text),
        Value::Object(fields) => fields.values().find_map(marked),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Without what a gateway writes by itself once somebody lists its agents, and what it notes of each write.
fn as_ours_to_keep(configuration: &Value) -> Value {
    let mut kept = configuration.clone();
    for pointer in [
        "/meta",
        "/agents/ownership",
        "/agents/entries/main",
        "/agents/defaults/systemAgent",
        "/agents/defaults/compaction",
        "/talk/agentId",
    ] {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        if let Some(Value::Object(fields)) = kept.pointer_mut(parent) {
            fields.remove(key);
        }
    }
    if let Some(Value::Array(list)) = kept.pointer_mut("/agents/list") {
        list.retain(|entry| entry["id"] != "main");
    }
    without_the_empty(kept)
}

/// `{"agents": {"entries": {}}}` is as good as nothing.
fn without_the_empty(value: Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, without_the_empty(value)))
            .filter(|(_, value)| !is_empty(value))
            .collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            other
        }
    }
}
