//! What we answer about an Agent: what was found in the gateway, and what was begun. The second part is a promise to
//! ourselves: an effect that leaves no trace in a gateway (a wake, a session's reset, the seeding or overwriting of a
//! file) is done only after its intent is stored here, so that a crash between the two can neither forget nor double it.
//! Longer than most files, since each field carries its explanation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use super::condition::{self, Condition};
use super::format;

/// What is there, and what was begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Provisioned, FilesInSync, TokenCurrent, Woken and CheckedIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
    /// The value of annotation reconcile.fluxcd.io/requestedAt that was answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_reconcile_at: Option<String>,
    /// The value of annotation quartermaster.dev/reconcile-at that was answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    /// The agent's state in a word. Provisioning: not all of it is in the gateway yet. Ready: all of it is. Active, Idle,
    /// Offline: what its own reports say. Paused, Retired, Deleting: as asked for. Failed: somebody must act, see
    /// conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The agent's id in the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub agent_id: Option<String>,
    /// The session that its work runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub session_key: Option<String>,
    /// Its folder on the gateway's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub workspace: Option<String>,
    /// The Gateway that it lives in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub gateway: Option<String>,
    /// What this object stands for in which gateway. Stored before anything is done there, and never worked out again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// What it waits for, and since when. Absent while it waits for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Its entry in the gateway's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// "6/6": files in sync, of those that should be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub files_summary: Option<String>,
    /// How many files somebody else has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub drifted_files: Option<i32>,
    /// The files of its workspace that we know of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub files: Vec<FileStatus>,
    /// Where drift was found and left: what differs. Long differences are cut, secrets are masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub drift: Vec<Difference>,
    /// Its token, as far as it may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenStatus>,
    /// What it reported about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatStatus>,
    /// The last wake-up message, and the one that is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<Wake>,
    /// The last reset of its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_reset: Option<SessionReset>,
    /// The TemplateSyncs that were carried out here, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub syncs: Vec<SyncStatus>,
    /// When we last changed anything of it in the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub last_sync: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    Provisioning,
    Ready,
    Active,
    Idle,
    Offline,
    Paused,
    Retired,
    Deleting,
    Failed,
}

/// What an object stands for in a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The Gateway, by name and uid: another one of the same name is another gateway until proved otherwise.
    pub gateway: GatewayIdentity,
    /// The agent's id in that gateway.
    #[schemars(length(max = 64))]
    pub agent_id: String,
    /// The agent's folder on that gateway's host.
    #[schemars(length(max = 1024))]
    pub workspace: String,
    /// true for an agent that somebody else had made.
    #[serde(default)]
    pub adopted: bool,
}

/// Which Gateway it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayIdentity {
    /// Its metadata.name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its metadata.uid.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// What an agent waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The condition reason that says for what, such as CapacityExceeded. What waits for longer than five minutes for
    /// something that does not come is Stalled.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub since: Option<Time>,
}

/// An agent's entry in a gateway's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The settings of the entry that we wrote and may take out again, such as heartbeat.every. Widened before a write and
    /// narrowed after it, so that a key which you remove is removed there too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 256)))]
    pub owned_paths: Vec<String>,
    /// The bindings that we wrote and may take out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 192)))]
    pub owned_bindings: Vec<String>,
    /// SHA-256, in hexadecimal, of the settings that were wanted when the entry was found to be as wanted. While the same are
    /// wanted, what differs is somebody else's change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hash: Option<String>,
    /// Settings that this gateway's version does not know, and that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub left_out: Vec<String>,
    /// Bindings that another agent has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub binding_conflicts: Vec<BindingConflict>,
}

/// A binding that is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingConflict {
    /// The binding.
    #[schemars(length(max = 192))]
    pub binding: String,
    /// The id of the agent that has it.
    #[schemars(length(max = 64))]
    pub agent_id: String,
}

/// One file of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileStatus {
    /// The file's name.
    #[schemars(length(max = 64))]
    pub name: String,
    /// SHA-256 of the content that is wanted, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hash: Option<String>,
    /// Pending: not written or not checked yet. InSync: read back, as wanted. Drifted: somebody else changed it. Seeded:
    /// written once, now the agent's own. Ignored: left alone as asked for. Unsupported: this gateway takes no such file.
    pub state: FileState,
    /// Since when it is in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub since: Option<Time>,
    /// The file that carries it as a section, where this gateway does not take it as one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub carried_in: Option<String>,
    /// What is about to be done to it and would leave no trace. Absent once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<FileIntent>,
    /// The uid of the TemplateSync that wrote over it last, or wrote it again. What the agent made of it since is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub overwritten_by: Option<String>,
    /// SHA-256, in hexadecimal, of the agent's own content that was replaced last. The content itself is in Secret
    /// `ocagent-<name>-undo`, under the file's name or that with the first eight signs of this, if it was not too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub replaced: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FileState {
    Pending,
    InSync,
    Drifted,
    Seeded,
    Ignored,
    Unsupported,
}

/// An effect on a file that could not be told from the agent's own work afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileIntent {
    /// Seed writes it where there is none. Overwrite replaces what the agent has.
    pub action: FileAction,
    /// SHA-256 of the content to write, in hexadecimal.
    #[schemars(length(max = 64))]
    pub hash: String,
    /// SHA-256 of the content that Overwrite replaces, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub replaces: Option<String>,
    /// The uid of the TemplateSync that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub sync: Option<String>,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FileAction {
    Seed,
    Overwrite,
}

/// One difference between what is wanted and what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// A file's name, or a setting of the entry such as entry.heartbeat.every.
    #[schemars(length(max = 256))]
    pub subject: String,
    /// What differs, as lines with - (wanted) and + (found).
    #[schemars(length(max = 4096))]
    pub diff: String,
}

/// The agent's token. Neither hash reveals anything of it: it is 256 random bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenStatus {
    /// bcrypt hash of the token in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub hash: Option<String>,
    /// SHA-256 of the token in force, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub fingerprint: Option<String>,
    /// SHA-256 of the token that is on its way into the agent's files, and accepted already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub next_fingerprint: Option<String>,
    /// SHA-256 of the token before, and until when it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub previous_fingerprint: Option<String>,
    /// Until when the token before is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub previous_until: Option<Time>,
    /// The word of spec.token.rotation that was heard last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub rotation: Option<String>,
    /// When it came into force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub rotated_at: Option<Time>,
    /// When it will be replaced, with spec.token.rotateEvery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub next_rotation: Option<Time>,
}

/// What the agent reported about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatStatus {
    /// When it reported last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub last_seen: Option<Time>,
    /// The state that it reported, in its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub status: Option<String>,
    /// What it said it is working on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub current_task: Option<String>,
}

/// A wake-up message: a paid turn of a model, so it is sent at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wake {
    /// The how manieth wake of this agent, from 1.
    #[schemars(range(min = 0))]
    pub sequence: i64,
    /// The how manieth try of it, from 1. A new one only when it is certain that the one before did not arrive.
    #[schemars(range(min = 0))]
    pub attempt: i32,
    /// The message's idempotency key, made of this object's uid, sequence and attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// Intended: stored, perhaps sent. Sent: the gateway took it. Unknown: no answer, and no way to find out; not
    /// repeated. Failed: the gateway refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<WakeState>,
    /// When it came into this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub at: Option<Time>,
    /// SHA-256 over what the agent was told of by it: identity, soul, rules and heartbeat, without team, token and user.
    /// Another value means that a wake is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub content: Option<String>,
    /// A wake is due since then, and waits for changes that may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub due_since: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WakeState {
    Intended,
    Sent,
    Unknown,
    Failed,
}

/// A reset of the agent's session, as a TemplateSync with resetSessions asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionReset {
    /// The uid of the TemplateSync that asked for it.
    #[schemars(length(max = 64))]
    pub sync: String,
    /// true once the gateway has answered. false: decided, perhaps done.
    #[serde(default)]
    pub done: bool,
    /// When it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub at: Option<Time>,
}

/// What a TemplateSync came to in this agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// The TemplateSync's metadata.uid.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The TemplateSync's metadata.name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Running: part of it is done. Updated: all of it. Unchanged: all was as wanted already. Planned: a dry run, nothing
    /// was done. Failed: see error.
    pub state: SyncState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub error: Option<String>,
    /// With dryRun: what would have been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub plan: Option<String>,
    /// When it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncState {
    Running,
    Updated,
    Unchanged,
    Planned,
    Failed,
}
