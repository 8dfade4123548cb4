//! What a pass over one Agent may know of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::desired::document::Document;
use crate::fact::Fact;
use crate::gateway::Contract;
use crate::resource::agent::Role;
use crate::resource::reference::ConfigMapKeyRef;
use crate::resource::{Agent, Board, Gateway, TemplateSync};

/// Everything, taken once.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub agent: Arc<Agent>,
    /// Absent also for a Main, which belongs to none.
    pub board: Fact<Arc<Board>>,
    pub gateway: Fact<Arc<Gateway>>,
    /// Every Agent of its board, itself among them, by name. Of a Main: itself alone.
    pub team: Vec<Arc<Agent>>,
    /// Of a Main: the Boards of its Gateway, by name.
    pub boards: Vec<Arc<Board>>,
    /// Other Agents at the same gateway that hold, or ask for, the agent id which this one would have.
    pub rivals: Vec<Arc<Agent>>,
    /// The same of the workspace: two in one would write over each other's files for ever.
    pub workspace_rivals: Vec<Arc<Agent>>,
    /// Agents that are being deleted and go before this one, by name: workers before their lead, all before the main agent.
    pub ahead: Vec<String>,
    /// The Secret `ocagent-<name>-token`.
    pub token: Fact<TokenSecret>,
    pub texts: Texts,
    /// The TemplateSyncs of its Gateway.
    pub syncs: Vec<Arc<TemplateSync>>,
    /// What kind of gateway it is, as last seen. None: never seen.
    pub contract: Option<&'static Contract>,
    /// The operator's own `--base-url`, for Gateways that give none.
    pub base_url: Option<String>,
    pub now: Timestamp,
}

/// The Secret that an agent's token is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSecret {
    pub document: Document,
    pub annotations: BTreeMap<String, String>,
    /// Whether its owner is this very Agent. Another's is never read nor written.
    pub is_ours: bool,
}

/// Templates and souls that the Agent and its Gateway refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// By name. What nobody refers to is not in it.
    pub config_maps: BTreeMap<String, Fact<Document>>,
    /// The ConfigMaps labelled as souls directories, by name. Unknown also where no soul is looked for.
    pub souls: Fact<BTreeMap<String, Document>>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            config_maps: BTreeMap::new(),
            souls: Fact::Unknown,
        }
    }
}

/// What only one Agent of a gateway may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    Id(String),
    Workspace(String),
}

/// What an Agent asks for by name, and what it holds.
pub fn claims(agent: &Agent) -> BTreeSet<Claim> {
    let binding = agent.status.as_ref().and_then(|status| status.binding.as_ref());
    let ids = agent
        .spec
        .agent_id
        .iter()
        .chain(binding.map(|binding| &binding.agent_id));
    let workspaces = agent
        .spec
        .workspace
        .iter()
        .chain(binding.map(|binding| &binding.workspace));
    ids.cloned()
        .map(Claim::Id)
        .chain(workspaces.cloned().map(Claim::Workspace))
        .collect()
}

/// The name of the Secret that holds this Agent's token.
pub fn token_secret(agent: &Agent) -> String {
    format!(
        "ocagent-{}-token",
        agent.metadata.name.as_deref().unwrap_or_default()
    )
}

/// The name of the Secret that holds what an Agent had made of its files before a TemplateSync wrote over them.
pub fn undo_secret(agent: &str) -> String {
    format!("ocagent-{agent}-undo")
}

/// The name of the Gateway that an Agent belongs to: the one that it is bound to, else the one that its board or its own
/// words lead to. None: only a board that is not there could say.
pub fn gateway_of(agent: &Agent, board: Option<&Board>) -> Option<String> {
    let binding = agent.status.as_ref().and_then(|status| status.binding.as_ref());
    if let Some(binding) = binding {
        return Some(binding.gateway.name.clone());
    }
    match agent.spec.role {
        Role::Main => agent.spec.gateway_ref.as_ref().map(|it| it.name.clone()),
        Role::Worker | Role::Lead => board.map(|board| board.spec.gateway_ref.name.clone()),
    }
}

/// The ConfigMaps whose text becomes a file of this Agent.
pub fn config_maps(agent: &Agent, gateway: Option<&Gateway>) -> BTreeSet<String> {
    let spec = &agent.spec;
    let soul = spec
        .soul
        .iter()
        .filter_map(|soul| soul.config_map_key_ref.as_ref());
    let identity = spec
        .identity_template
        .iter()
        .filter_map(|template| template.config_map_key_ref.as_ref());
    let files = spec
        .files
        .iter()
        .filter_map(|file| file.config_map_key_ref.as_ref());
    let templates = gateway
        .into_iter()
        .flat_map(|gateway| &gateway.spec.templates)
        .filter_map(|template| template.config_map_key_ref.as_ref());
    let all = soul.chain(identity).chain(files).chain(templates);
    all.map(|ConfigMapKeyRef { name, key: _ }| name.clone()).collect()
}

/// Whether a soul is looked for in the souls directory.
pub fn wants_a_soul(agent: &Agent) -> bool {
    agent
        .spec
        .soul
        .as_ref()
        .is_some_and(|soul| soul.role == Some(true))
}
