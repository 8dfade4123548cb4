//! A fleet as people have one: an agent for the gateway, one for each of five teams, fifty workers; each with an entry, a
//! workspace and five documents. The kill test and the bench provision the same one.

#![allow(
    dead_code,
    reason = "the kill test and the bench each use a part of what is here"
)]

pub mod provision;
pub mod seat;

use quartermaster::gateway::commit::EntryChange;
use quartermaster::gateway::names::AgentId;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub struct Agent {
    pub id: AgentId,
    pub entry: Map<String, Value>,
    pub documents: Vec<Document>,
}

pub struct Document {
    pub name: &'static str,
    pub content: String,
}

/// Every gateway takes these, and no turn of an agent consumes one.
const DOCUMENTS: [(&str, usize); 5] = [
    ("AGENTS.md", 9_000),
    ("IDENTITY.md", 500),
    ("MEMORY.md", 800),
    ("SOUL.md", 2_500),
    ("USER.md", 1_000),
];

/// 1 + 5 + 50, with workspaces in this folder.
pub fn of_56(workspaces: &str) -> Vec<Agent> {
    fleet(workspaces, 5, 10)
}

/// One for the gateway, then teams of a lead and some workers.
pub fn fleet(workspaces: &str, teams: usize, workers: usize) -> Vec<Agent> {
    let leads = (1..=teams).map(|team| format!("lead-{team}"));
    let workers = (1..=teams).flat_map(|team| (1..=workers).map(move |n| format!("mc-{team}-{n}")));
    std::iter::once("mc-gateway".to_owned())
        .chain(leads)
        .chain(workers)
        .map(|id| Agent::new(&id, workspaces))
        .collect()
}

impl Agent {
    fn new(id: &str, workspaces: &str) -> Self {
        let entry = json!({
            "name": format!("Agent {id}"),
            "workspace": format!("{workspaces}/workspace-{id}"),
            "heartbeat": { "every": "6h", "target": "last" },
        });
        let Value::Object(entry) = entry else {
            unreachable!()
        };
        Self {
            id: AgentId::parse(id).unwrap(),
            entry,
            documents: DOCUMENTS.map(|(name, size)| Document::new(id, name, size)).into(),
        }
    }

    pub fn change(&self) -> EntryChange {
        EntryChange::new(self.id.clone(), self.entry.clone())
    }

    pub fn workspace(&self) -> &str {
        self.entry["workspace"].as_str().unwrap()
    }

    /// Under which its wake message is sent, however often. A key that is used up without a message needs another one.
    pub fn wake_key(&self, attempt: u32) -> String {
        format!("{}{attempt}", self.wake_keys())
    }

    /// What all of its keys begin with.
    pub fn wake_keys(&self) -> String {
        format!("wake-{}-", self.id)
    }
}

impl Document {
    fn new(agent: &str, name: &'static str, size: usize) -> Self {
        let line = format!("- {agent} keeps to what {name} says, and asks where it says nothing.\n");
        let content = format!("# {name} of {agent}\n\n{}", line.repeat(size / line.len()));
        Self { name, content }
    }

    /// As a gateway tells it.
    pub fn hash(&self) -> String {
        Sha256::digest(&self.content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
