//! A TemplateSync: an errand that runs once, like a Job. It does nothing itself: the agents it selects take it into their
//! own next pass, and its status gathers what they say.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use super::condition::{self, Condition};
use super::format;
use super::reference::ObjectRef;

#[expect(clippy::duplicated_attributes, reason = "two columns may both be strings")]
/// Which agents to bring up to date, and what to do beyond that. None of it can change: a new errand is a new object.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "quartermaster.dev",
    version = "v1alpha1",
    kind = "TemplateSync",
    plural = "templatesyncs",
    shortname = "ocsync",
    category = "openclaw",
    namespaced,
    status = "TemplateSyncStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "An errand that runs once: brings agents' files up to date and, where asked, resets sessions or changes tokens. Use kubectl create, not apply.",
    printcolumn(
        name = "Gateway",
        type_ = "string",
        json_path = ".spec.gatewayRef.name",
        description = "Whose agents."
    ),
    printcolumn(
        name = "Board",
        type_ = "string",
        json_path = ".spec.boardRef.name",
        description = "Only those of this board."
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "How far it is."
    ),
    printcolumn(
        name = "Synced",
        type_ = "integer",
        json_path = ".status.totalSynced",
        description = "Agents that are done."
    ),
    printcolumn(
        name = "Errors",
        type_ = "integer",
        json_path = ".status.totalErrors",
        description = "Agents that failed."
    ),
    printcolumn(
        name = "Dry run",
        type_ = "boolean",
        json_path = ".spec.dryRun",
        description = "Whether it only plans.",
        priority = 1
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "What it came to.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("a TemplateSync cannot be changed once it is created: create another one, with kubectl create and metadata.generateName")
    .reason(Reason::FieldValueForbidden))]
#[serde(rename_all = "camelCase")]
pub struct TemplateSyncSpec {
    /// The Gateway whose agents are brought up to date: those that are there when the TemplateSync is created.
    pub gateway_ref: ObjectRef,
    /// Only the agents of this Board, beside the gateway's main agent. Unset: of all boards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_ref: Option<ObjectRef>,
    /// false leaves the gateway's main agent out.
    #[serde(default = "yes")]
    pub include_main: bool,
    /// true takes only Leads of the boards, no Workers.
    #[serde(default)]
    pub lead_only: bool,
    /// true also resets each agent's session: it begins its next turn without the conversation so far.
    #[serde(default)]
    pub reset_sessions: bool,
    /// true also gives each agent a new token; the one before is accepted for its overlap.
    #[serde(default)]
    pub rotate_tokens: bool,
    /// true also writes BOOTSTRAP.md again, which each agent reads and deletes at its next turn.
    #[serde(default)]
    pub force_bootstrap: bool,
    /// true also replaces what belongs to the agents once it exists: MEMORY.md, USER.md and every file with policy
    /// SeedOnce. What the agents wrote there is lost.
    #[serde(default)]
    pub overwrite: bool,
    /// true only plans: the status says what would change in each agent, and nothing is written.
    #[serde(default)]
    pub dry_run: bool,
    /// Seconds after its start at which it ends. An agent that was not done by then, for example because its gateway did not answer or
    /// it was suspended, counts as an error.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 1, max = 86400))]
    pub active_deadline_seconds: i32,
    /// Seconds after its end at which the object is deleted. Unset: kept. A GitOps tool would create a deleted one again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i32>,
}

impl Default for TemplateSyncSpec {
    fn default() -> Self {
        Self {
            gateway_ref: ObjectRef::default(),
            board_ref: None,
            include_main: yes(),
            lead_only: false,
            reset_sessions: false,
            rotate_tokens: false,
            force_bootstrap: false,
            overwrite: false,
            dry_run: false,
            active_deadline_seconds: ten_minutes(),
            ttl_seconds_after_finished: None,
        }
    }
}

/// How far it is, and what it came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSyncStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled; and, as with a Job, Complete or Failed at its end.
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
    /// Pending, Running, then Complete (every agent done) or Failed (some were not; see errors).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<SyncPhase>,
    /// When its turn came: activeDeadlineSeconds are counted from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub finished_at: Option<Time>,
    /// How many agents it selected when it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_selected: Option<i32>,
    /// How many are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_synced: Option<i32>,
    /// How many failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_errors: Option<i32>,
    /// The agents that are done, the first 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub synced: Vec<SyncedAgent>,
    /// The agents that failed, the first 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub errors: Vec<SyncError>,
    /// With dryRun: what would be done to each agent, the first 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub plans: Vec<AgentPlan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncPhase {
    Pending,
    Running,
    Complete,
    Failed,
}

/// An agent that is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncedAgent {
    /// Its id in the gateway.
    #[schemars(length(max = 64))]
    pub agent_id: String,
    /// The Agent's metadata.name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// What was done: updated, unchanged or planned.
    #[schemars(length(max = 64))]
    pub status: String,
}

/// An agent that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncError {
    /// Its id in the gateway, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub agent_id: Option<String>,
    /// The Agent's metadata.name.
    #[schemars(length(max = 253))]
    pub agent_name: String,
    /// What went wrong, and what to do.
    #[schemars(length(max = 1024))]
    pub error: String,
}

/// What a dry run would do to an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentPlan {
    /// Its id in the gateway, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub agent_id: Option<String>,
    /// The Agent's metadata.name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The actions and, for files, what would change. Long ones are cut, secrets are masked.
    #[schemars(length(max = 2048))]
    pub plan: String,
}

fn ten_minutes() -> i32 {
    600
}

fn yes() -> bool {
    true
}
