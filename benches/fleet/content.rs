//! What the operator has written into the gateway, worked out anew from the objects in the cluster by its own `desired`, so
//! that whoever is measured beside it writes the same entries and the same bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use quartermaster::desired::agent::snapshot::{gateway_of, token_secret};
use quartermaster::desired::agent::{self, Snapshot, Texts, TokenSecret};
use quartermaster::desired::document::Document;
use quartermaster::fact::Fact;
use quartermaster::gateway::contract::V2026_9_6;
use quartermaster::gateway::names::AgentId;
use quartermaster::observed::agent::hash;
use quartermaster::resource::agent::{FileState, Role};
use quartermaster::resource::{Agent, Board, Gateway};
use serde_json::{Map, Value};

use crate::manifests;
use crate::stage::Stage;

#[derive(Clone)]
pub struct Content {
    pub id: AgentId,
    pub workspace: String,
    pub display_name: String,
    pub entry: Map<String, Value>,
    /// By name.
    pub files: BTreeMap<String, String>,
}

/// Of every Agent. Each file is checked against the status, which has the hash of what was written and read back.
pub fn of_all(stage: &Stage<'_>) -> Vec<Content> {
    stage.kubernetes.runtime.block_on(async {
        let all = ListParams::default();
        let agents = stage.api::<Agent>().list(&all).await.unwrap().items;
        let boards = stage.api::<Board>().list(&all).await.unwrap().items;
        let gateway = stage.api::<Gateway>().get("harbour").await.unwrap();
        let secrets = stage.api::<Secret>().list(&all).await.unwrap().items;
        let objects = Objects {
            agents: agents.into_iter().map(Arc::new).collect(),
            boards: boards.into_iter().map(Arc::new).collect(),
            gateway: Arc::new(gateway),
            secrets,
        };
        let content: Vec<Content> = objects
            .agents
            .iter()
            .map(|agent| objects.content(agent))
            .collect();
        assert_eq!(content.len(), manifests::size());
        content
    })
}

struct Objects {
    agents: Vec<Arc<Agent>>,
    boards: Vec<Arc<Board>>,
    gateway: Arc<Gateway>,
    secrets: Vec<Secret>,
}

impl Objects {
    fn content(&self, agent: &Arc<Agent>) -> Content {
        let desired = agent::of(&self.snapshot(agent));
        let (place, content) = (desired.place.unwrap(), desired.content.unwrap());
        let files: BTreeMap<String, String> = content
            .files
            .files
            .iter()
            .map(|(name, file)| (name.clone(), file.text.wanted(None).unwrap()))
            .collect();
        let told = &agent.status.as_ref().unwrap().files;
        let kept = told
            .iter()
            .filter(|file| file.state == FileState::InSync && file.carried_in.is_none());
        for file in kept {
            let ours = files.get(&file.name).map(|text| hash(text));
            assert_eq!(ours, file.hash, "{} of {}", file.name, agent.name_any());
        }
        Content {
            id: place.agent,
            workspace: place.workspace,
            display_name: agent.spec.display_name.clone().unwrap_or_default(),
            entry: content.entry.fields,
            files,
        }
    }

    fn snapshot(&self, agent: &Arc<Agent>) -> Snapshot {
        let board = agent.spec.board_ref.as_ref();
        let board = board.and_then(|wanted| self.boards.iter().find(|board| board.name_any() == wanted.name));
        let is_main = agent.spec.role == Role::Main;
        let team = self
            .agents
            .iter()
            .filter(|other| !is_main && other.spec.board_ref == agent.spec.board_ref);
        let secret = self
            .secrets
            .iter()
            .find(|secret| secret.name_any() == token_secret(agent));
        assert_eq!(
            gateway_of(agent, board.map(AsRef::as_ref)).as_deref(),
            Some("harbour")
        );
        Snapshot {
            agent: Arc::clone(agent),
            board: board.map_or(Fact::Absent, |board| Fact::Known(Arc::clone(board))),
            gateway: Fact::Known(Arc::clone(&self.gateway)),
            team: team.cloned().chain(is_main.then(|| Arc::clone(agent))).collect(),
            boards: if is_main { self.boards.clone() } else { Vec::new() },
            rivals: Vec::new(),
            workspace_rivals: Vec::new(),
            ahead: Vec::new(),
            token: Fact::Known(TokenSecret {
                annotations: secret.unwrap().annotations().clone(),
                document: Document {
                    version: String::new(),
                    data: secret.unwrap().data.clone().unwrap(),
                },
                is_ours: true,
            }),
            texts: Texts::default(),
            syncs: Vec::new(),
            contract: Some(&V2026_9_6),
            base_url: None,
            now: Timestamp::now(),
        }
    }
}
