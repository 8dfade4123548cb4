//! What an Agent and a Gateway's main agent have in common: who the agent is, what it reads, when it wakes.
//! Longer than most files, since it is the vocabulary of two kinds and each word carries its explanation.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::format;
use super::reference::ConfigMapKeyRef;

/// What happens to a change that somebody else made to an agent's entry or files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Drift {
    /// Put right, and said in an Event.
    #[default]
    Correct,
    /// Left as it is, and shown in the status with a diff.
    Report,
    /// Left as it is, and not looked at.
    Ignore,
}

/// What becomes of an agent in the gateway when its object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    Delete,
    Orphan,
}

/// Who the agent is. Templates see each field as identity_<name>.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The agent's job in a few words, such as "DevOps Engineer". Template variable identity_role; `soul: {role: true}`
    /// looks for a soul by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub role: Option<String>,
    /// What the agent knows well, one skill an item. Template variable identity_expertise, joined with commas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 200)))]
    pub expertise: Vec<String>,
    /// How it sounds, such as "calm, factual". Template variable identity_tone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub tone: Option<String>,
    /// How it writes to people, such as "direct, concise, practical". Template variable identity_communication_style.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub communication_style: Option<String>,
    /// What it must not do, one rule an item. Template variable identity_constraints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 1000)))]
    pub constraints: Vec<String>,
    /// When it works, in words, such as "weekdays 08:00 to 18:00 Europe/Zurich". The agent reads this; to have the
    /// gateway keep to it, set heartbeat.activeHours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub working_hours: Option<String>,
    /// The sign that stands for the agent in chats, such as 🧭.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub emoji: Option<String>,
    /// Why the agent exists, in a sentence. Template variable identity_purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub purpose: Option<String>,
    /// Its character in a sentence or two. Template variable identity_personality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub personality: Option<String>,
    /// Anything else that the agent shall follow, as text. Template variable identity_custom_instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8000))]
    pub custom_instructions: Option<String>,
    /// Further words for your own templates: a key such as update_cadence becomes identity_update_cadence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "extra_identity")]
    pub extra: BTreeMap<String, String>,
}

/// What SOUL.md says. Exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.template), has(self.configMapKeyRef), has(self.role) && self.role].filter(given, given).size() == 1")
    .message("say where SOUL.md comes from in exactly one way: template, configMapKeyRef or role: true"))]
pub struct Soul {
    /// A Jinja template, written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub template: Option<String>,
    /// The ConfigMap key that holds a Jinja template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
    /// true takes the soul that fits identity.role best from the ConfigMaps labelled quartermaster.dev/souls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<bool>,
}

/// One file of an agent's workspace that you write yourself, or treat in another way than usual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.content) && has(self.configMapKeyRef))")
        .message("give a file's text either as content or by configMapKeyRef, not both"),
    validation = Rule::new("has(self.content) || has(self.configMapKeyRef) || has(self.policy) || has(self.drift)")
        .message("a file needs content or configMapKeyRef for its text, or a policy or drift to change how an existing one is treated")
)]
pub struct AgentFile {
    /// The file's name, such as RUNBOOK.md. The name of a built-in one, such as AGENTS.md, replaces that one. What the
    /// gateway does not accept as a file becomes a section of AGENTS.md.
    #[schemars(schema_with = "format::file_name")]
    pub name: String,
    /// The file's text, a Jinja template like the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub content: Option<String>,
    /// The ConfigMap key that holds the file's text, a Jinja template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
    /// Managed keeps the file as written here. SeedOnce writes it only where there is none, and leaves it to the agent.
    /// Ignored never writes it. Unset: SeedOnce for MEMORY.md and USER.md and for adopted agents, else Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<FilePolicy>,
    /// What happens to this file when somebody else edits it: Correct, Report or Ignore. Unset: the agent's drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FilePolicy {
    Managed,
    SeedOnce,
    Ignored,
}

/// When the gateway wakes the agent by itself, and with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// false switches the heartbeat off: the agent works only when it is spoken to.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Time between two heartbeats: a whole number with s, m or h, such as 10m. Each one is a paid model turn.
    /// 0m is off.
    #[serde(default = "ten_minutes")]
    #[schemars(schema_with = "format::heartbeat_interval")]
    pub every: String,
    /// Where what the agent has to say goes: last (the conversation used last), none, or a channel such as telegram.
    #[serde(default = "last")]
    #[schemars(length(min = 1, max = 128))]
    pub target: String,
    /// The text that the heartbeat sends to the agent. Unset: the gateway's own, which tells it to read HEARTBEAT.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    pub prompt: Option<String>,
    /// true also delivers the model's reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_reasoning: Option<bool>,
    /// Heartbeats only within these hours of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_hours: Option<ActiveHours>,
    /// The recipient within the target channel, such as a chat's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub to: Option<String>,
    /// Which of the channel's accounts sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub account_id: Option<String>,
    /// A model for heartbeats only, such as a cheaper one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub model: Option<String>,
    /// The session that heartbeats run in. Unset: the agent's main session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub session: Option<String>,
    /// Whether heartbeats may be delivered to direct chats: allow or block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_policy: Option<DirectPolicy>,
    /// true gives heartbeats only HEARTBEAT.md as context, which costs less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light_context: Option<bool>,
    /// true runs every heartbeat in a session of its own, without the conversation so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated_session: Option<bool>,
    /// A heartbeat's turn is cut off after this many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<i32>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            enabled: yes(),
            every: ten_minutes(),
            target: last(),
            prompt: None,
            include_reasoning: None,
            active_hours: None,
            to: None,
            account_id: None,
            model: None,
            session: None,
            direct_policy: None,
            light_context: None,
            isolated_session: None,
            timeout_seconds: None,
        }
    }
}

/// The hours of the day in which heartbeats run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveHours {
    /// From this time of day on, such as 08:00.
    #[schemars(schema_with = "format::time_of_day")]
    pub start: String,
    /// Until this time of day, such as 18:00; 24:00 is the end of the day. Before start, it means the next day.
    #[schemars(schema_with = "format::time_of_day")]
    pub end: String,
    /// The time zone of both, such as Europe/Zurich. Unset: the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::time_zone")]
    pub timezone: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DirectPolicy {
    Allow,
    Block,
}

/// Further settings of a gateway's agent entry, as the gateway's own configuration has them.
pub type EntryConfig = Map<String, Value>;

/// An object of any keys, but for those that have a field of their own. A schema of any keys cannot be asked for its
/// size in CEL, and can be asked only for keys that it declares, so exactly the refused ones are declared.
pub(super) fn entry_config(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "name": {"type": "string", "maxLength": 1024, "description": "Refused: set displayName."},
            "workspace": {"type": "string", "maxLength": 1024, "description": "Refused: follows from the Gateway's workspaceRoot."},
            "model": {"type": "string", "maxLength": 1024, "description": "Refused: set model beside config."},
            "heartbeat": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "Refused: set heartbeat beside config."},
            "identity": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "Refused: set identity beside config."},
            "agentDir": {"type": "string", "maxLength": 1024, "description": "Refused: the gateway's own."},
        },
        "x-kubernetes-validations": [
            {"rule": "!has(self.name)", "fieldPath": ".name", "reason": "FieldValueForbidden",
             "message": "config cannot hold name: set displayName instead"},
            {"rule": "!has(self.workspace)", "fieldPath": ".workspace", "reason": "FieldValueForbidden",
             "message": "config cannot hold workspace: it follows from the Gateway's spec.workspaceRoot; to adopt an \
                         existing one, give spec.workspace when the Agent is created"},
            {"rule": "!has(self.model)", "fieldPath": ".model", "reason": "FieldValueForbidden",
             "message": "config cannot hold model: set model beside config instead"},
            {"rule": "!has(self.heartbeat)", "fieldPath": ".heartbeat", "reason": "FieldValueForbidden",
             "message": "config cannot hold heartbeat: set heartbeat beside config instead"},
            {"rule": "!has(self.identity)", "fieldPath": ".identity", "reason": "FieldValueForbidden",
             "message": "config cannot hold identity: set identity beside config instead"},
            {"rule": "!has(self.agentDir)", "fieldPath": ".agentDir", "reason": "FieldValueForbidden",
             "message": "config cannot hold agentDir: the gateway chooses that folder itself; remove it"},
        ],
    })
}

fn extra_identity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 2000},
        "x-kubernetes-validations": [
            {
                "rule": "self.all(key, key.matches('^[a-z][a-z0-9_]{0,62}$'))",
                "message": "keys of extra become template variables: lower-case letters, digits and '_', such as update_cadence",
            },
            {
                "rule": "!['role', 'expertise', 'tone', 'communication_style', 'constraints', 'working_hours', 'emoji', \
                         'purpose', 'personality', 'custom_instructions'].exists(key, key in self)",
                "message": "extra must not repeat a field of identity: set identity.role, identity.communicationStyle and \
                            so on instead",
            },
        ],
    })
}

fn yes() -> bool {
    true
}

fn ten_minutes() -> String {
    "10m".to_owned()
}

fn last() -> String {
    "last".to_owned()
}
