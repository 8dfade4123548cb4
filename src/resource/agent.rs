//! An Agent: one AI agent inside a gateway. The largest kind, and so in two files: here what users write, in
//! `agent_status` what we answer.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::format;
use super::reference::{ObjectRef, TemplateSource};
use super::settings::{
    AgentFile, DeletionPolicy, Drift, EntryConfig, Heartbeat, Identity, Soul, entry_config,
};

pub use super::agent_status::*;

/// Who the agent is, where it belongs and how it works.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "quartermaster.dev",
    version = "v1alpha1",
    kind = "Agent",
    plural = "agents",
    shortname = "ocagent",
    category = "openclaw",
    namespaced,
    status = "AgentStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "An AI agent inside an OpenClaw gateway.",
    validation = Rule::new("self.metadata.name.size() <= 63").message(
        "an Agent's metadata.name may have at most 63 characters, since it labels what belongs to it: choose a shorter one and set displayName"
    ),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role", description = "Worker, Lead or Main."),
    printcolumn(name = "Board", type_ = "string", json_path = ".spec.boardRef.name", description = "What it works on."),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".status.gateway", description = "Where it lives."),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "What it is doing, in a word."),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether all of it is in the gateway as wanted."
    ),
    printcolumn(name = "Files", type_ = "string", json_path = ".status.filesSummary", description = "Files in sync, of all."),
    printcolumn(name = "Drift", type_ = "integer", json_path = ".status.driftedFiles", description = "Files that somebody else changed."),
    printcolumn(
        name = "Last seen",
        type_ = "date",
        json_path = ".status.heartbeat.lastSeen",
        description = "How long ago it reported.",
        priority = 1
    ),
    printcolumn(name = "Agent id", type_ = "string", json_path = ".status.agentId", description = "Its id in the gateway.", priority = 1),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "Why it is ready, or is not.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.role == 'Main' || has(self.boardRef)")
        .message("a Worker or Lead belongs to a board: set spec.boardRef.name")
        .field_path(".boardRef")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("self.role == 'Main' || !has(self.gatewayRef)")
        .message("a Worker or Lead finds its gateway through its board: remove spec.gatewayRef")
        .field_path(".gatewayRef")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.role != 'Main' || has(self.gatewayRef)")
        .message("a Main agent belongs to a gateway: set spec.gatewayRef.name")
        .field_path(".gatewayRef")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("self.role != 'Main' || !has(self.boardRef)")
        .message("a Main agent belongs to no board: remove spec.boardRef")
        .field_path(".boardRef")
        .reason(Reason::FieldValueForbidden),
    // On the whole spec: a rule on an optional field is not asked when the field is added or removed, so that two
    // steps would get round it.
    validation = Rule::new("self.role == oldSelf.role")
        .message("role cannot change: delete this Agent and create one with the other role")
        .field_path(".role")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("oldSelf.role != 'Lead' || !has(oldSelf.boardRef) || (has(self.boardRef) && self.boardRef.name == oldSelf.boardRef.name)")
        .message("a Lead stays with its board: create a Lead on the other board and delete this one")
        .field_path(".boardRef")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.agentId) == has(oldSelf.agentId) && (!has(self.agentId) || self.agentId == oldSelf.agentId)")
        .message("agentId can be given only when the Agent is created: put it back, or delete this Agent with deletionPolicy Orphan and create it anew")
        .field_path(".agentId")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.workspace) == has(oldSelf.workspace) && (!has(self.workspace) || self.workspace == oldSelf.workspace)")
        .message("workspace can be given only when the Agent is created: put it back, or delete this Agent with deletionPolicy Orphan and create it anew")
        .field_path(".workspace")
        .reason(Reason::FieldValueForbidden)
)]
#[serde(rename_all = "camelCase")]
pub struct AgentSpec {
    /// Worker does a board's work. Lead shares it out; a board has one. Main looks after a whole gateway: its Gateway
    /// makes it, set spec.mainAgent there. Cannot change.
    #[serde(default)]
    pub role: Role,
    /// The Board of a Worker or Lead. A Worker may move to another board of the same gateway; a Lead stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_ref: Option<ObjectRef>,
    /// The Gateway of a Main agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ref: Option<ObjectRef>,
    /// The agent's name for people, such as "Incident Triage". Unset: metadata.name. Template variable agent_name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub display_name: Option<String>,
    /// Active works. Paused stays in the gateway, with its heartbeat off and nothing sent to it. Retired is taken out of
    /// the gateway, but keeps its workspace and token, so that Active brings it back.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Who the agent is. Templates see each field as identity_<name>.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// What SOUL.md says: its values and manner. Unset: the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soul: Option<Soul>,
    /// The template of IDENTITY.md. Unset: the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_template: Option<TemplateSource>,
    /// Further files of the agent's workspace, or other ones in the place of built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub files: Vec<AgentFile>,
    /// When the gateway wakes the agent by itself, and with what. A setting that this gateway's version does not know is
    /// left out, and listed in status.entry.leftOut.
    #[serde(default)]
    pub heartbeat: Heartbeat,
    /// Which conversations reach this agent: a channel, perhaps with an account, such as telegram:*. One that another
    /// agent has is reported, never taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "bindings")]
    pub bindings: Vec<String>,
    /// The model it thinks with, as the gateway names it. Unset: the gateway's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// Further settings of its entry in the gateway's configuration: tools, skills, sandbox and so on. We own only the
    /// keys written here; what others set beside them stays.
    #[serde(default, skip_serializing_if = "EntryConfig::is_empty")]
    #[schemars(schema_with = "entry_config")]
    pub config: EntryConfig,
    /// Only when the Agent is created: the id of an agent that already exists in the gateway, to take it over. Unset: made
    /// from this object's uid. Cannot be added, changed or removed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::agent_id")]
    pub agent_id: Option<String>,
    /// Only when the Agent is created: the folder of an existing workspace on the gateway's host. Unset:
    /// <workspaceRoot>/workspace-<agent id>. Cannot be added, changed or removed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::workspace")]
    pub workspace: Option<String>,
    /// The token by which the agent proves who it is to Quartermaster's HTTP API.
    #[serde(default)]
    pub token: TokenSettings,
    /// What happens to what somebody else changes in this agent: Correct, Report or Ignore. Unset: the Gateway's drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// true holds everything still: the agent is observed and reported, nothing is written. Its deletion waits too.
    #[serde(default)]
    pub suspend: bool,
    /// What deleting this object does in the gateway: Delete removes the agent, Orphan leaves it. Unset: Delete, but
    /// Orphan for an agent that was taken over by agentId or workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// With deletionPolicy Delete: true also deletes the agent's workspace, unless another agent uses it too.
    #[serde(default = "yes")]
    pub delete_workspace: bool,
}

impl Default for AgentSpec {
    fn default() -> Self {
        Self {
            role: Role::default(),
            board_ref: None,
            gateway_ref: None,
            display_name: None,
            lifecycle: Lifecycle::default(),
            identity: None,
            soul: None,
            identity_template: None,
            files: Vec::new(),
            heartbeat: Heartbeat::default(),
            bindings: Vec::new(),
            model: None,
            config: EntryConfig::default(),
            agent_id: None,
            workspace: None,
            token: TokenSettings::default(),
            drift: None,
            suspend: false,
            deletion_policy: None,
            delete_workspace: yes(),
        }
    }
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Role {
    #[default]
    Worker,
    Lead,
    Main,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Lifecycle {
    #[default]
    Active,
    Paused,
    Retired,
}

/// When the agent's token changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.rotateEvery) || !has(self.overlap) || duration(self.rotateEvery) > duration(self.overlap)")
    .message("rotateEvery must be longer than overlap: a token must not be replaced twice while the one before it still counts")
    .field_path(".rotateEvery"))]
pub struct TokenSettings {
    /// Change this to any new word to get a new token now, such as the date or "leaked-in-chat".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub rotation: Option<String>,
    /// A new token after every such time: a whole number with s, m or h, such as 720h. Unset: only when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::duration")]
    pub rotate_every: Option<String>,
    /// How long the token before is accepted after a change, such as 1h. Unset: 30m or three heartbeats, whichever is
    /// longer, so that an agent that has not read the new one yet is not locked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::duration")]
    pub overlap: Option<String>,
}

fn bindings(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "set",
        "items": format::binding(generator),
    })
}

fn yes() -> bool {
    true
}
