//! What happens to the objects and in the gateway, and what goes wrong with looking meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use quartermaster::resource::agent::Lifecycle;
use quartermaster::resource::settings::{AgentFile, DeletionPolicy, Drift, FilePolicy};
use quartermaster::resource::{Agent, names};
use serde_json::json;

use crate::model::{Model, rival};

#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Identity(usize),
    Objective(usize),
    Heartbeat(usize),
    Config(usize),
    Model(usize),
    File(usize),
    Pause,
    Retire,
    Activate,
    Suspend,
    Resume,
    SomebodyEditsFile(usize),
    SomebodyDeletesFile(usize),
    SomebodyEditsEntry,
    AgentReadsBootstrap,
    SecretIsLost,
    /// A new word of spec.token.rotation, or one that was there before.
    Rotate(usize),
    /// A TemplateSync that selects it, with what it asks for.
    Sync {
        rotate: bool,
        overwrite: bool,
        bootstrap: bool,
        reset: bool,
        dry_run: bool,
    },
    Drift(usize),
    /// Another Agent names the same agent: whether it was there first, and whether it holds it already.
    RivalComes {
        first: bool,
        holds: bool,
    },
    RivalGoes,
    Delete,
    /// What is in the gateway stays.
    Orphan,
    /// The gateway does not come back.
    ForceAway,
}

/// What cannot be seen for so many passes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blind {
    Configuration(u8),
    /// The n-th, of those that are wanted.
    File(usize, u8),
    History(u8),
    Secret(u8),
    /// Nothing at all: the gateway is away.
    Gateway(u8),
}

impl Model {
    pub(crate) fn happen(&mut self, deed: &Deed) {
        let Some(agent) = &mut self.agent else { return };
        let last_word = agent.spec.token.rotation.clone();
        let mut edit = |change: &dyn Fn(&mut Agent)| {
            let before = agent.spec.clone();
            change(agent);
            if agent.spec != before {
                *agent.metadata.generation.get_or_insert(1) += 1;
            }
        };
        let nth =
            |files: &BTreeMap<String, String>, n: usize| files.keys().nth(n % files.len().max(1)).cloned();
        match deed {
            Deed::Identity(n) => edit(&|agent| {
                let role = ["Engineer", "Writer", "Cook", ""][*n];
                agent.spec.identity = serde_json::from_value(json!({ "role": role })).unwrap();
            }),
            Deed::Objective(n) => {
                self.board.spec.objective = Some(format!("objective {n}"));
            }
            Deed::Heartbeat(n) => edit(&|agent| {
                agent.spec.heartbeat = serde_json::from_value(
                    [
                        json!({}),
                        json!({ "every": "5m", "includeReasoning": true }),
                        json!({ "enabled": false, "lightContext": true }),
                    ][*n]
                        .clone(),
                )
                .unwrap();
            }),
            Deed::Config(n) => edit(&|agent| {
                agent.spec.config = serde_json::from_value(
                    [
                        json!({}),
                        json!({ "tools": { "allow": ["read"] } }),
                        json!({ "tools": { "deny": ["exec"], "profile": "minimal" }, "sandbox": { "mode": "off" } }),
                        json!({ "tools": "none" }),
                    ][*n]
                        .clone(),
                )
                .unwrap();
            }),
            Deed::Model(n) => edit(&|agent| agent.spec.model = [None, Some("a/b".to_owned())][*n].clone()),
            Deed::File(n) => edit(&|agent| {
                let file = |name: &str, content: Option<&str>, policy| AgentFile {
                    name: name.to_owned(),
                    content: content.map(str::to_owned),
                    policy,
                    ..AgentFile::default()
                };
                agent.spec.files = [
                    vec![],
                    vec![file("RUNBOOK.md", Some("# Runbook\n"), None)],
                    vec![
                        file("SOUL.md", None, Some(FilePolicy::Ignored)),
                        file("USER.md", Some("somebody\n"), Some(FilePolicy::Managed)),
                    ],
                ][*n]
                    .clone();
            }),
            Deed::Pause => edit(&|agent| agent.spec.lifecycle = Lifecycle::Paused),
            Deed::Retire => edit(&|agent| agent.spec.lifecycle = Lifecycle::Retired),
            Deed::Activate => edit(&|agent| agent.spec.lifecycle = Lifecycle::Active),
            Deed::Suspend => edit(&|agent| agent.spec.suspend = true),
            Deed::Resume => edit(&|agent| agent.spec.suspend = false),
            Deed::SomebodyEditsFile(n) => {
                if let Some(name) = nth(&self.outside.files, *n) {
                    // More than a status may hold of it, half of the time.
                    let lines = [1, 1000][n / 4 % 2];
                    let text: String = (0..lines).map(|line| format!("I was here {line}\n")).collect();
                    self.outside.files.entry(name).or_default().push_str(&text);
                }
            }
            Deed::SomebodyDeletesFile(n) => {
                if let Some(name) = nth(&self.outside.files, *n) {
                    self.outside.files.remove(&name);
                    self.strangers.remove(&name);
                }
            }
            Deed::SomebodyEditsEntry => {
                if let Some(entry) = &mut self.outside.entry {
                    entry.insert("name".to_owned(), json!("Somebody else"));
                    entry.insert("foreign".to_owned(), json!(1));
                }
            }
            Deed::AgentReadsBootstrap => {
                let status = agent.status.as_ref();
                if status.is_some_and(|status| status.wake.is_some()) {
                    self.outside.files.remove("BOOTSTRAP.md");
                }
            }
            Deed::Drift(n) => edit(&|agent| {
                agent.spec.drift = [
                    None,
                    Some(Drift::Correct),
                    Some(Drift::Report),
                    Some(Drift::Ignore),
                ][*n];
            }),
            Deed::RivalComes { first, holds } => {
                self.rival = Some(rival(self.outside.contract, *first, *holds));
            }
            Deed::RivalGoes => self.rival = None,
            Deed::Orphan => {
                edit(&|agent| agent.spec.deletion_policy = Some(DeletionPolicy::Orphan));
                self.happen(&Deed::Delete);
            }
            Deed::ForceAway => {
                let annotations = agent.metadata.annotations.get_or_insert_default();
                annotations.insert(names::FORCE_DELETE.to_owned(), "true".to_owned());
                self.is_away_for_ever = true;
                self.happen(&Deed::Delete);
            }
            Deed::SecretIsLost => self.secret = None,
            Deed::Rotate(n) => {
                let word = [None, Some("first"), Some("second")][*n].map(str::to_owned);
                self.tokens_asked += usize::from(word.is_some() && last_word != word);
                edit(&|agent| {
                    agent.spec.token.rotation = word.clone();
                    agent.spec.token.overlap = Some("2m".to_owned());
                });
            }
            Deed::Sync {
                rotate,
                overwrite,
                bootstrap,
                reset,
                dry_run,
            } => {
                let number = self.syncs.len() + 1;
                self.tokens_asked += usize::from(*rotate && !dry_run);
                let sync = json!({
                    "apiVersion": "quartermaster.dev/v1alpha1", "kind": "TemplateSync",
                    "metadata": { "name": format!("sync-{number}"), "namespace": "team", "uid": format!("s{number}"),
                        "creationTimestamp": self.now },
                    "spec": { "gatewayRef": { "name": "harbour" }, "rotateTokens": rotate, "overwrite": overwrite,
                        "forceBootstrap": bootstrap, "resetSessions": reset, "dryRun": dry_run },
                });
                self.syncs.push(Arc::new(serde_json::from_value(sync).unwrap()));
            }
            Deed::Delete => {
                agent.spec.suspend = false;
                if agent.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
                    self.agent = None;
                    self.secret = None;
                } else {
                    agent.metadata.deletion_timestamp = Some(Time(self.now));
                }
            }
        }
    }
}
