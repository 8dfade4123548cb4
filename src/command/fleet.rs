//! Manifests as a cluster would hold them: checked against the schemas, defaults filled in, and a snapshot of each Agent as
//! a pass would take it. Where only a cluster could know (ids, tokens) there are placeholders that nobody takes for real.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::manifests::Manifest;
use crate::control_plane::kind::Kinds;
use crate::control_plane::{Object, kinds};
use crate::desired::agent::{Snapshot, Texts};
use crate::desired::document::Document;
use crate::desired::main_agent::main_agent;
use crate::fact::Fact;
use crate::gateway::Contract;
use crate::resource::agent::Role;
use crate::resource::names::SOULS_LABEL;
use crate::resource::{Agent, Board, Gateway, definitions};

/// The namespace of what names none.
const NAMESPACE: &str = "default";

/// By namespace and name.
type All<T> = BTreeMap<(String, String), Arc<T>>;

#[derive(Default)]
pub(crate) struct Fleet {
    gateways: All<Gateway>,
    boards: All<Board>,
    agents: All<Agent>,
    config_maps: BTreeMap<(String, String), ConfigMap>,
    /// Where each Agent is written; of a main agent its Gateway.
    origins: BTreeMap<(String, String), String>,
}

/// A fleet's objects. Documents are by namespace and name.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) boards: Vec<Board>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) texts: BTreeMap<(String, String), Document>,
    pub(crate) souls: BTreeMap<(String, String), Document>,
}

struct ConfigMap {
    document: Document,
    is_souls: bool,
}

/// An Agent, and where it is written.
pub(crate) struct Member<'a> {
    pub(crate) agent: &'a Arc<Agent>,
    pub(crate) namespace: &'a str,
    pub(crate) origin: &'a str,
}

impl Fleet {
    /// Err: what is wrong with the manifests, a line for each.
    pub(crate) fn of(manifests: &[Manifest]) -> anyhow::Result<Result<Self, Vec<String>>> {
        let kinds = kinds::served(&definitions()).context("cannot read our own definitions")?;
        let (mut fleet, mut wrong) = (Self::default(), Vec::new());
        for manifest in manifests {
            let said = |what: String| format!("{}: {}: {what}", manifest.origin, manifest.shown());
            if let Err(causes) = fleet.add(manifest, &kinds) {
                wrong.extend(causes.into_iter().map(said));
            }
        }
        fleet.add_main_agents(&mut wrong);
        Ok(if wrong.is_empty() { Ok(fleet) } else { Err(wrong) })
    }

    /// Taken apart, to be laid over what a cluster has.
    pub(crate) fn into_parts(self) -> Parts {
        let Self {
            gateways,
            boards,
            agents,
            config_maps,
            origins: _,
        } = self;
        let (souls, texts): (Vec<_>, Vec<_>) = config_maps
            .into_iter()
            .map(|(key, ConfigMap { document, is_souls })| (key, document, is_souls))
            .partition(|(_, _, is_souls)| *is_souls);
        let plain = |all: Vec<((String, String), Document, bool)>| {
            all.into_iter()
                .map(|(key, document, _)| (key, document))
                .collect()
        };
        Parts {
            gateways: gateways.into_values().map(Arc::unwrap_or_clone).collect(),
            boards: boards.into_values().map(Arc::unwrap_or_clone).collect(),
            agents: agents.into_values().map(Arc::unwrap_or_clone).collect(),
            texts: plain(texts),
            souls: plain(souls),
        }
    }

    /// In the order of namespace and name.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.agents.iter().map(|(key, agent)| Member {
            agent,
            namespace: &key.0,
            origin: self.origins.get(key).map_or("", String::as_str),
        })
    }

    fn add(&mut self, manifest: &Manifest, kinds: &Kinds) -> Result<(), Vec<String>> {
        let namespace = manifest
            .object
            .namespace()
            .unwrap_or_else(|| NAMESPACE.to_owned());
        let key = (namespace, manifest.object.name_any());
        let types = manifest.object.types.clone().unwrap_or_default();
        let value = serde_json::to_value(&manifest.object).map_err(|error| vec![error.to_string()])?;
        let is_ours = types
            .api_version
            .starts_with(&format!("{}/", crate::resource::names::GROUP));
        if !is_ours {
            return match (types.api_version.as_str(), types.kind.as_str()) {
                ("v1", "ConfigMap") => {
                    self.config_maps.insert(key, config_map(&value)?);
                    Ok(())
                }
                // Secrets and the rest say nothing of files.
                _ => Ok(()),
            };
        }
        let Some(kind) = kinds.by_kind(&types.api_version, &types.kind) else {
            return Err(vec![format!(
                "there is no kind {} in {}: Gateway, Board, Agent and TemplateSync are, in quartermaster.dev/v1alpha1",
                types.kind, types.api_version
            )]);
        };
        let Some(mut object) = Object::of(value) else {
            return Err(vec!["is no object".to_owned()]);
        };
        let unknown = kind.schema.prune(&mut object);
        let mut wrong: Vec<String> = unknown
            .iter()
            .map(|path| format!("unknown field {}", path.dotted()))
            .collect();
        kind.schema.default(&mut object);
        wrong.extend(kind.schema.validate(&object, None).into_iter().map(|cause| {
            let path = cause.field;
            format!("{path}: {}", cause.message)
        }));
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let value = object.into_value();
        let same = |inserted: bool| {
            if inserted {
                Ok(())
            } else {
                Err(vec!["is given twice".to_owned()])
            }
        };
        match types.kind.as_str() {
            "Gateway" => same(insert(&mut self.gateways, key, &value, "Gateway")?),
            "Board" => same(insert(&mut self.boards, key, &value, "Board")?),
            "Agent" => {
                self.origins.insert(key.clone(), manifest.origin.clone());
                same(insert(&mut self.agents, key, &value, "Agent")?)
            }
            _ => Ok(()),
        }
    }

    /// Each Gateway's controller makes one. What comes from a cluster has it already.
    fn add_main_agents(&mut self, wrong: &mut Vec<String>) {
        for ((namespace, gateway), found) in &self.gateways {
            let name = format!("{gateway}-main");
            let key = (namespace.clone(), name.clone());
            if let Some(there) = self.agents.get(&key) {
                if !is_owned_by(there, gateway) {
                    let origin = self.origins.get(&key).map_or("", String::as_str);
                    wrong.push(format!(
                        "{origin}: Agent {name}: Gateway {gateway} makes an Agent of this name: choose another name, and set \
                         spec.mainAgent there"
                    ));
                }
                continue;
            }
            let mut agent = Agent::new(&name, main_agent(found));
            agent.metadata.namespace = Some(namespace.clone());
            agent.metadata.uid = Some(placeholder("Agent", &name));
            self.origins
                .insert(key.clone(), format!("Gateway {gateway}, spec.mainAgent"));
            self.agents.insert(key, Arc::new(agent));
        }
    }

    /// What an Agent's Gateway was last seen to be.
    pub(crate) fn contract(&self, member: &Member<'_>) -> Option<&str> {
        let gateway = self.gateway_of(member)?;
        gateway.status.as_ref()?.contract.as_deref()
    }

    fn gateway_of(&self, member: &Member<'_>) -> Option<&Arc<Gateway>> {
        let at = |name: &str| (member.namespace.to_owned(), name.to_owned());
        let spec = &member.agent.spec;
        let board = spec.board_ref.as_ref();
        let board = board.and_then(|board| self.boards.get(&at(&board.name)));
        let gateway = board.map(|board| &board.spec.gateway_ref);
        let gateway = gateway.or(spec.gateway_ref.as_ref())?;
        self.gateways.get(&at(&gateway.name))
    }

    /// As a pass would take it, of these manifests alone: what is not among them is Absent.
    pub(crate) fn snapshot(
        &self,
        member: &Member<'_>,
        contract: &'static Contract,
        base_url: Option<String>,
    ) -> Snapshot {
        let Member {
            agent,
            namespace,
            origin: _,
        } = member;
        let at = |name: &str| ((*namespace).to_owned(), name.to_owned());
        let spec = &agent.spec;
        let board = spec
            .board_ref
            .as_ref()
            .and_then(|board| self.boards.get(&at(&board.name)));
        let gateway = self.gateway_of(member);
        let here = |(place, _): &(&(String, String), &Arc<Agent>)| place.0 == **namespace;
        let team = match &spec.board_ref {
            Some(board) => self
                .agents
                .iter()
                .filter(here)
                .filter(|(_, other)| other.spec.board_ref.as_ref() == Some(board))
                .map(|(_, other)| other.clone())
                .collect(),
            None => vec![(*agent).clone()],
        };
        let boards = match spec.role {
            Role::Worker | Role::Lead => Vec::new(),
            Role::Main => self
                .boards
                .iter()
                .filter(|(place, board)| {
                    place.0 == **namespace && Some(&board.spec.gateway_ref) == spec.gateway_ref.as_ref()
                })
                .map(|(_, board)| board.clone())
                .collect(),
        };
        Snapshot {
            agent: (*agent).clone(),
            board: known(board),
            gateway: known(gateway),
            team,
            boards,
            rivals: Vec::new(),
            workspace_rivals: Vec::new(),
            ahead: Vec::new(),
            token: Fact::Absent,
            texts: self.texts(namespace, agent, gateway.map(|gateway| &**gateway)),
            syncs: Vec::new(),
            contract: Some(contract),
            base_url,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn texts(&self, namespace: &str, agent: &Agent, gateway: Option<&Gateway>) -> Texts {
        let names = crate::desired::agent::snapshot::config_maps(agent, gateway);
        let config_maps = names.into_iter().map(|name| {
            let found = self.config_maps.get(&(namespace.to_owned(), name.clone()));
            let document = found.map_or(Fact::Absent, |found| Fact::Known(found.document.clone()));
            (name, document)
        });
        let souls = self
            .config_maps
            .iter()
            .filter(|(key, found)| key.0 == namespace && found.is_souls);
        Texts {
            config_maps: config_maps.collect(),
            souls: Fact::Known(
                souls
                    .map(|((_, name), found)| (name.clone(), found.document.clone()))
                    .collect(),
            ),
        }
    }
}

fn is_owned_by(agent: &Agent, gateway: &str) -> bool {
    let mut owners = agent.owner_references().iter();
    owners.any(|owner| owner.kind == "Gateway" && owner.name == gateway)
}

fn known<T>(found: Option<&Arc<T>>) -> Fact<Arc<T>> {
    found.map_or(Fact::Absent, |found| Fact::Known(found.clone()))
}

/// Whether it was new.
fn insert<T>(all: &mut All<T>, key: (String, String), value: &Value, kind: &str) -> Result<bool, Vec<String>>
where
    T: DeserializeOwned + ResourceExt,
{
    let mut object: T = serde_json::from_value(value.clone()).map_err(|error| vec![error.to_string()])?;
    let uid = placeholder(kind, &key.1);
    // What was exported from a cluster has one.
    object.meta_mut().uid.get_or_insert(uid);
    Ok(all.insert(key, Arc::new(object)).is_none())
}

/// In the place of a uid. It goes into agents' ids, so it may have only what these may have, and no more than fits.
fn placeholder(kind: &str, name: &str) -> String {
    let name: String = name.replace('.', "-").chars().take(36).collect();
    format!("uid-of-{}-{name}", kind.to_lowercase())
}

fn config_map(value: &Value) -> Result<ConfigMap, Vec<String>> {
    let found: k8s_openapi::api::core::v1::ConfigMap =
        serde_json::from_value(value.clone()).map_err(|error| vec![error.to_string()])?;
    let is_souls = found
        .labels()
        .get(SOULS_LABEL)
        .is_some_and(|label| label == "true");
    let texts = found.data.unwrap_or_default().into_iter();
    let texts = texts.map(|(key, text)| (key, ByteString(text.into_bytes())));
    Ok(ConfigMap {
        document: Document {
            version: String::new(),
            data: texts.chain(found.binary_data.unwrap_or_default()).collect(),
        },
        is_souls,
    })
}
