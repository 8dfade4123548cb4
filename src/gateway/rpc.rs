//! The calls that provisioning needs, typed. An answer is read for what we use of it; everything else in it may change.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::configuration::Configuration;
use super::connection::{CallError, Connection};
use super::names::{AgentId, SessionKey};
use super::refusal::Meaning;

/// A file as the gateway gives it; its hash where the gateway tells one (2026.9.6).
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct File {
    pub content: String,
    pub hash: Option<String>,
}

/// Without the content: the agent's token is in one of them.
impl fmt::Debug for File {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { content, hash } = self;
        out.debug_struct("File")
            .field("bytes", &content.len())
            .field("hash", hash)
            .finish()
    }
}

/// An agent as the gateway lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    pub id: String,
    pub name: Option<String>,
    /// Not told by 2026.2.9.
    pub workspace: Option<String>,
}

/// A file as a gateway lists it: enough to see that it may be another by now, without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedFile {
    pub name: String,
    #[serde(default)]
    pub missing: bool,
    pub size: Option<u64>,
    pub updated_at_ms: Option<u64>,
}

/// What a deletion took along.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Deleted {
    pub removed_bindings: u64,
    pub removed: Vec<Removed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Removed {
    pub path: String,
    pub method: String,
}

/// What a written configuration came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Patched {
    /// There was nothing to change.
    pub noop: bool,
    pub hash: Option<String>,
}

/// Of what a deletion took along: workspace, sessions and the agent's folder, and room for more.
const MOST_REMOVED: usize = 20;
/// Reads are answered in 1 to 32 ms; the first one after a start has taken 0.6 s, and a gateway that wakes a fleet has
/// kept silent for 15 s.
pub(super) const READ: Duration = Duration::from_secs(30);
/// A write waits for those before it: 3.6 s each at 450 agents.
const WRITE: Duration = Duration::from_secs(60);
/// For each entry of a patch on top: 80 ms an agent were measured, growing with their number.
const WRITE_AN_ENTRY: Duration = Duration::from_millis(500);

impl Connection {
    pub async fn config_get(&self) -> Result<Configuration, CallError> {
        let answer = self.call("config.get", json!({}), READ).await?;
        Configuration::parse(&answer).ok_or_else(|| odd("config.get"))
    }

    /// Merges `raw` into the configuration if it is still the one with this hash. A list that loses items, at any depth, has
    /// to be among `replace_paths`; 2026.2.9 replaces every list and does not know the parameter.
    pub async fn config_patch(
        &self,
        raw: &Value,
        base_hash: &str,
        entries: usize,
        replace_paths: &[String],
    ) -> Result<Patched, CallError> {
        let mut params = json!({ "raw": raw.to_string(), "baseHash": base_hash });
        if let (false, Some(params)) = (replace_paths.is_empty(), params.as_object_mut()) {
            params.insert("replacePaths".to_owned(), json!(replace_paths));
        }
        let deadline = WRITE + WRITE_AN_ENTRY.saturating_mul(u32::try_from(entries).unwrap_or(u32::MAX));
        read("config.patch", self.call("config.patch", params, deadline).await?)
    }

    pub async fn agents_list(&self) -> Result<Vec<Listed>, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            agents: Vec<Listed>,
        }
        let answer: Answer = read("agents.list", self.call("agents.list", json!({}), READ).await?)?;
        let agents = answer.agents.into_iter();
        Ok(agents
            .map(|Listed { id, name, workspace }| Listed {
                id: self.tamed(&id),
                name: name.map(|name| self.tamed(&name)),
                workspace: workspace.map(|path| self.tamed(&path)),
            })
            .collect())
    }

    /// None: it was gone already.
    pub async fn agents_delete(
        &self,
        agent: &AgentId,
        with_files: bool,
    ) -> Result<Option<Deleted>, CallError> {
        let params = json!({ "agentId": agent.as_str(), "deleteFiles": with_files });
        match self.call("agents.delete", params, WRITE).await {
            Ok(answer) => {
                let Deleted {
                    removed_bindings,
                    removed,
                } = read("agents.delete", answer)?;
                let tamed = removed.into_iter().take(MOST_REMOVED);
                let tamed = tamed.map(|Removed { path, method }| Removed {
                    path: self.tamed(&path),
                    method: self.tamed(&method),
                });
                Ok(Some(Deleted {
                    removed_bindings,
                    removed: tamed.collect(),
                }))
            }
            Err(CallError::Refused(refusal)) if refusal.meaning() == Meaning::NoSuchAgent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files that the gateway speaks of; 2026.9.6 leaves IDENTITY.md out, and gives no hashes here.
    pub async fn files_list(&self, agent: &AgentId) -> Result<Vec<ListedFile>, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            files: Vec<ListedFile>,
        }
        let params = json!({ "agentId": agent.as_str() });
        let answer: Answer = read(
            "agents.files.list",
            self.call("agents.files.list", params, READ).await?,
        )?;
        Ok(answer.files)
    }

    /// What tells this gateway from every other, also at another address; None from one that has no such thing (2026.2.9).
    pub async fn gateway_identity(&self) -> Result<Option<String>, CallError> {
        match self.call("gateway.identity.get", json!({}), READ).await {
            Ok(answer) => {
                let id = answer.get("deviceId").and_then(Value::as_str);
                id.map(|id| Some(self.tamed(id)))
                    .ok_or_else(|| odd("gateway.identity.get"))
            }
            Err(CallError::Refused(refusal)) if refusal.meaning() == Meaning::UnknownMethod => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// None: the file is not there.
    pub async fn file_get(&self, agent: &AgentId, name: &str) -> Result<Option<File>, CallError> {
        let params = json!({ "agentId": agent.as_str(), "name": name });
        let answer = self.call("agents.files.get", params, READ).await?;
        let file = answer.get("file").ok_or_else(|| odd("agents.files.get"))?;
        if file.get("missing").and_then(Value::as_bool) == Some(true) {
            return Ok(None);
        }
        read("agents.files.get", file.clone()).map(Some)
    }

    /// Writes a file; `expected` is the hash that it must still have, and only a gateway that told one may be sent it.
    /// Gives the new hash where the gateway tells it.
    pub async fn file_set(
        &self,
        agent: &AgentId,
        name: &str,
        content: &str,
        expected: Option<&str>,
    ) -> Result<Option<String>, CallError> {
        let mut params = json!({ "agentId": agent.as_str(), "name": name, "content": content });
        if let (Some(expected), Some(params)) = (expected, params.as_object_mut()) {
            params.insert("expectedHash".to_owned(), json!(expected));
        }
        let answer = self.call("agents.files.set", params, WRITE).await?;
        Ok(answer
            .pointer("/file/hash")
            .and_then(Value::as_str)
            .map(str::to_owned))
    }

    pub async fn session_reset(&self, session: &SessionKey) -> Result<(), CallError> {
        self.call("sessions.reset", json!({ "key": session.as_str() }), WRITE)
            .await
            .map(|_| ())
    }
}

fn read<T: serde::de::DeserializeOwned>(method: &'static str, answer: Value) -> Result<T, CallError> {
    serde_json::from_value(answer).map_err(|_| odd(method))
}

pub(super) fn odd(method: &'static str) -> CallError {
    CallError::Odd { method }
}
