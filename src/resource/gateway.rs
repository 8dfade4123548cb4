//! A Gateway: an OpenClaw gateway that exists and that we connect to. Longer than most files, since what users write
//! and what we answer are one kind, and each field carries its explanation.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use super::condition::{self, Condition};
use super::format;
use super::reference::{CaBundleRef, ConfigMapKeyRef, SecretKeyRef, TemplateSource};
use super::settings::{
    AgentFile, DeletionPolicy, Drift, EntryConfig, Heartbeat, Identity, Soul, entry_config,
};

/// What you know about the gateway: where it is, how to get in, and what its agents have in common.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "quartermaster.dev",
    version = "v1alpha1",
    kind = "Gateway",
    plural = "gateways",
    shortname = "ocgw",
    category = "openclaw",
    namespaced,
    status = "GatewayStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "An existing OpenClaw gateway, in which Quartermaster keeps agents.",
    validation = Rule::new("self.metadata.name.size() <= 58").message(
        "a Gateway's metadata.name may have at most 58 characters, since its main agent is named <name>-main: choose a shorter one"
    ),
    printcolumn(
        name = "Url",
        type_ = "string",
        json_path = ".spec.url",
        description = "Where it listens."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether agents can be provisioned in it."
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        description = "What it calls itself."
    ),
    printcolumn(
        name = "Agents",
        type_ = "string",
        json_path = ".status.agents.summary",
        description = "Agents of this Gateway that are ready, of all."
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "Why it is ready, or is not.",
        priority = 1
    ),
    printcolumn(
        name = "Device",
        type_ = "string",
        json_path = ".status.device.id",
        description = "The id by which it knows us.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Where the gateway listens: ws:// or wss://, a host and perhaps a port, such as ws://gateway.local:18789. No
    /// credentials here: the token belongs into a Secret.
    #[schemars(schema_with = "format::gateway_url")]
    pub url: String,
    /// A name for people. Unset: metadata.name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub display_name: Option<String>,
    /// The folder on the gateway's host in which agents get their workspaces, such as ~/.openclaw: an agent's workspace
    /// is <workspaceRoot>/workspace-<agent id>.
    #[schemars(schema_with = "format::workspace_root")]
    pub workspace_root: String,
    /// The Secret with the gateway's shared token. Unset: a gateway that asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyRef>,
    /// true accepts any certificate at a wss:// url. For development only: whoever sits between can read the token. The
    /// condition TlsVerified says so.
    #[serde(default)]
    pub allow_insecure_tls: bool,
    /// The certificate authority that signed the gateway's certificate, if it is not a public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_ref: Option<CaBundleRef>,
    /// true connects as a control page without a device of its own, so that nobody needs to approve one. For gateways up
    /// to 2026.7 that allow it; newer ones always ask for a device.
    #[serde(default)]
    pub disable_device_pairing: bool,
    /// The oldest gateway version that is accepted, such as 2026.2.9.
    #[serde(default = "oldest_version")]
    #[schemars(schema_with = "format::gateway_version")]
    pub minimum_version: String,
    /// Where agents of this gateway reach Quartermaster's HTTP API: template variable base_url. Unset: the --base-url of
    /// the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::http_url")]
    pub base_url: Option<String>,
    /// The person whom the agents work for. Feeds USER.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Templates that replace built-in ones for every agent of this gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 11), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub templates: Vec<NamedTemplate>,
    /// Settings of the gateway's main agent, which Quartermaster keeps as an Agent named <gateway>-main.
    #[serde(default)]
    pub main_agent: MainAgent,
    /// What happens to what somebody else changes in this gateway's agents: Correct puts it right, Report shows it in the
    /// status, Ignore does neither. An Agent or a file may say otherwise.
    #[serde(default)]
    pub drift: Drift,
    /// How often everything is read back from the gateway and compared: a whole number with s, m or h, at least 10s.
    /// Edits on the gateway's disk are found only this way.
    #[serde(default = "one_minute")]
    #[schemars(schema_with = "format::duration")]
    pub resync_interval: String,
    /// true holds everything still: the gateway and its agents are observed and reported, nothing is written.
    #[serde(default)]
    pub suspend: bool,
    /// What deleting this Gateway leaves behind. Unset: its main agent is removed, the device key stays in Secret
    /// ocgw-<name>-device, so that a Gateway of the same name needs no new approval. Delete: the key goes too. Orphan: the
    /// main agent stays as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

impl Default for GatewaySpec {
    fn default() -> Self {
        Self {
            url: String::new(),
            display_name: None,
            workspace_root: String::new(),
            token_secret_ref: None,
            allow_insecure_tls: false,
            ca_bundle_ref: None,
            disable_device_pairing: false,
            minimum_version: oldest_version(),
            base_url: None,
            owner: None,
            templates: Vec::new(),
            main_agent: MainAgent::default(),
            drift: Drift::default(),
            resync_interval: one_minute(),
            suspend: false,
            deletion_policy: None,
        }
    }
}

/// The person whom the agents work for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Full name. Template variable user_name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub name: Option<String>,
    /// What to call them. Unset: the first word of name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub preferred_name: Option<String>,
    /// Such as she/her.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub pronouns: Option<String>,
    /// Their time zone, such as Europe/Zurich. Template variable user_timezone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::time_zone")]
    pub timezone: Option<String>,
    /// What agents should know about them. Only the first 4,000 characters of USER.md reach a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub notes: Option<String>,
    /// What they are working on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub context: Option<String>,
}

/// A template in the place of a built-in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.inline) != has(self.configMapKeyRef)")
    .message("give the template either as inline text or by configMapKeyRef: exactly one of the two"))]
pub struct NamedTemplate {
    /// The document whose template this is.
    #[schemars(schema_with = "format::document_name")]
    pub name: String,
    /// The template's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub inline: Option<String>,
    /// The ConfigMap key that holds the template's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
}

/// The gateway's main agent: the one that looks after the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MainAgent {
    /// Its name for people. Unset: the Gateway's, with "Main".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub display_name: Option<String>,
    /// Who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// When it wakes by itself.
    #[serde(default)]
    pub heartbeat: Heartbeat,
    /// What its SOUL.md says. Unset: the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soul: Option<Soul>,
    /// The template of its IDENTITY.md. Unset: the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_template: Option<TemplateSource>,
    /// Further files of its workspace, or other ones in the place of built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub files: Vec<AgentFile>,
    /// The model it thinks with, as the gateway names it. Unset: the gateway's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// Further settings of its entry in the gateway's configuration: tools, skills, sandbox and so on.
    #[serde(default, skip_serializing_if = "EntryConfig::is_empty")]
    #[schemars(schema_with = "entry_config")]
    pub config: EntryConfig,
    /// Names of Boards that it may act on beyond those of its own Gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub boards: Vec<String>,
}

/// What we found at the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Reachable, Authenticated, Paired, Compatible, TlsVerified and MainAgent.
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
    /// What the gateway says its version is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// The protocol version that we speak with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub protocol: Option<i32>,
    /// What this gateway can do, as the name of the profile that it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub contract: Option<String>,
    /// Changes whenever the gateway's process was started anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub boot_id: Option<String>,
    /// The name of the Agent that stands for the gateway's main agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub main_agent: Option<String>,
    /// Agents of this Gateway, counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<AgentCounts>,
    /// How the gateway knows us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// The credential that the gateway refused, so that a restart of ours does not try it again at once: ten refused tries
    /// lock an address out for five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_credential: Option<RefusedCredential>,
    /// Agents that are not ours and had no heartbeat settings: they were given the gateway's default as their own, since
    /// the first such settings in a gateway would have stopped their heartbeat. Taken out with our last agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub preserved_heartbeats: Vec<String>,
}

/// The agents of a Gateway by the phase they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentCounts {
    /// "7/8": agents whose condition Ready is True, of all.
    #[schemars(length(max = 32))]
    pub summary: String,
    /// All of them.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Those whose condition Ready is True, in whatever phase.
    #[schemars(range(min = 0))]
    pub ready: i32,
    /// Those in each phase that has any, such as {"Active": 6, "Failed": 1}.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(schema_with = "counts")]
    pub phases: std::collections::BTreeMap<String, i32>,
}

/// Our identity at the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// The id that the gateway lists us under.
    #[schemars(length(max = 128))]
    pub id: String,
    /// An approval that somebody has to give on the gateway's host. Absent once it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PairingRequest>,
}

/// A pairing request that waits for somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairingRequest {
    /// The request's id in the gateway.
    #[schemars(length(max = 128))]
    pub request_id: String,
    /// The command that approves it, to be run on the gateway's host.
    #[schemars(length(max = 512))]
    pub approve: String,
    /// When we saw it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub since: Option<Time>,
}

/// What was refused, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedCredential {
    /// The url, and which writing of the Secret. Nothing of the token itself: of a weak one even a hash says too much.
    #[schemars(length(max = 1024))]
    pub credential: String,
    /// When the gateway refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::moment")]
    pub at: Option<Time>,
}

fn counts(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "integer", "format": "int32", "minimum": 0},
    })
}

fn oldest_version() -> String {
    "2026.2.9".to_owned()
}

fn one_minute() -> String {
    "1m".to_owned()
}
