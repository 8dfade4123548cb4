//! Our kinds in memory, fed by one watch for each, and the questions that passes ask of them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

use super::index::{Index, Key};
use super::{Cluster, Scope, Touch};
use crate::desired::agent::snapshot::{Claim, claims, config_maps, wants_a_soul};
use crate::fact::Fact;
use crate::resource::{Agent, Board, Gateway, TemplateSync};

/// Every Gateway, Board, Agent and TemplateSync of a scope. A clone looks at the same ones.
#[derive(Clone)]
pub struct Stores {
    pub gateways: Store<Gateway>,
    pub boards: Store<Board>,
    pub agents: Store<Agent>,
    pub syncs: Store<TemplateSync>,
    gateway_index: Shared<GatewayWord>,
    board_index: Shared<BoardWord>,
    agent_index: Shared<AgentWord>,
    sync_index: Shared<SyncWord>,
}

type Shared<Word> = Arc<RwLock<Index<Word>>>;

/// What changes in the cluster, for whoever decides who must look. When one of these is heard the stores know of it.
pub struct Touches {
    pub gateways: BoxStream<'static, Touch<Gateway>>,
    pub boards: BoxStream<'static, Touch<Board>>,
    pub agents: BoxStream<'static, Touch<Agent>>,
    pub syncs: BoxStream<'static, Touch<TemplateSync>>,
    pub secrets: BoxStream<'static, Touch<PartialObjectMeta<Secret>>>,
    pub config_maps: BoxStream<'static, Touch<PartialObjectMeta<ConfigMap>>>,
}

/// There are few Gateways: they are looked through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum GatewayWord {}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum BoardWord {
    Gateway(Key),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum AgentWord {
    Board(Key),
    /// Without a board between: a Main's, or where the agent was provisioned.
    Gateway(Key),
    /// In whichever namespace: the same real gateway may be meant.
    Claim(Claim),
    ConfigMap(Key),
    /// Looks through the souls directories of this namespace.
    Souls(String),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum SyncWord {
    Gateway(Key),
    Board(Key),
}

impl Cluster {
    /// Begins to watch. Nothing comes unless the touches are listened to.
    pub fn look(&self, scope: &Scope) -> (Stores, Touches) {
        let (gateways, gateway_touches) = self.reflect::<Gateway>(scope);
        let (boards, board_touches) = self.reflect::<Board>(scope);
        let (agents, agent_touches) = self.reflect::<Agent>(scope);
        let (syncs, sync_touches) = self.reflect::<TemplateSync>(scope);
        let stores = Stores {
            gateways,
            boards,
            agents,
            syncs,
            gateway_index: Shared::default(),
            board_index: Shared::default(),
            agent_index: Shared::default(),
            sync_index: Shared::default(),
        };
        let Stores {
            gateways,
            boards,
            agents,
            syncs,
            gateway_index,
            board_index,
            agent_index,
            sync_index,
        } = stores.clone();
        let touches = Touches {
            gateways: indexed(gateway_touches, gateways, gateway_index, |_| BTreeSet::new()).boxed(),
            boards: indexed(board_touches, boards, board_index, board_words).boxed(),
            agents: indexed(agent_touches, agents, agent_index, agent_words).boxed(),
            syncs: indexed(sync_touches, syncs, sync_index, sync_words).boxed(),
            secrets: self.watch(scope, "Secret").boxed(),
            config_maps: self.watch(scope, "ConfigMap").boxed(),
        };
        (stores, touches)
    }
}

impl Stores {
    /// Of these objects, which nobody watches.
    pub fn holding(
        gateways: Vec<Gateway>,
        boards: Vec<Board>,
        agents: Vec<Agent>,
        syncs: Vec<TemplateSync>,
    ) -> Self {
        Self {
            gateway_index: index_of(&gateways, |_| BTreeSet::new()),
            board_index: index_of(&boards, board_words),
            agent_index: index_of(&agents, agent_words),
            sync_index: index_of(&syncs, sync_words),
            gateways: store_of(gateways),
            boards: store_of(boards),
            agents: store_of(agents),
            syncs: store_of(syncs),
        }
    }

    /// Unknown until the kind was listed once.
    pub fn gateway(&self, namespace: &str, name: &str) -> Fact<Arc<Gateway>> {
        one(&self.gateways, &self.gateway_index, namespace, name)
    }

    pub fn board(&self, namespace: &str, name: &str) -> Fact<Arc<Board>> {
        one(&self.boards, &self.board_index, namespace, name)
    }

    pub fn agent(&self, namespace: &str, name: &str) -> Fact<Arc<Agent>> {
        one(&self.agents, &self.agent_index, namespace, name)
    }

    /// Every kind was listed: what is not found is not there.
    pub fn are_whole(&self) -> bool {
        is_whole(&self.gateway_index)
            && is_whole(&self.board_index)
            && is_whole(&self.agent_index)
            && is_whole(&self.sync_index)
    }

    /// The Agents whose boardRef names this Board, by name.
    pub fn team(&self, namespace: &str, board: &str) -> Vec<Arc<Agent>> {
        many(
            &self.agents,
            &self.agent_index,
            &AgentWord::Board(key(namespace, board)),
        )
    }

    /// The Boards whose gatewayRef names this Gateway, by name.
    pub fn boards_of(&self, namespace: &str, gateway: &str) -> Vec<Arc<Board>> {
        many(
            &self.boards,
            &self.board_index,
            &BoardWord::Gateway(key(namespace, gateway)),
        )
    }

    /// The Agents that belong to this Gateway, by name: through their Board, by gatewayRef, or because they were
    /// provisioned in it.
    pub fn agents_of(&self, namespace: &str, gateway: &str) -> Vec<Arc<Agent>> {
        let through_boards = self
            .boards_of(namespace, gateway)
            .into_iter()
            .flat_map(|board| self.team(namespace, &board.name_any()));
        let mut all = self.directly_of(namespace, gateway);
        all.extend(through_boards);
        all.sort_by_key(|agent| agent.name_any());
        all.dedup_by_key(|agent| agent.name_any());
        all
    }

    /// Those of them that need no Board for it.
    pub fn directly_of(&self, namespace: &str, gateway: &str) -> Vec<Arc<Agent>> {
        many(
            &self.agents,
            &self.agent_index,
            &AgentWord::Gateway(key(namespace, gateway)),
        )
    }

    /// The TemplateSyncs of this Gateway, finished ones among them, by name.
    pub fn syncs_of(&self, namespace: &str, gateway: &str) -> Vec<Arc<TemplateSync>> {
        many(
            &self.syncs,
            &self.sync_index,
            &SyncWord::Gateway(key(namespace, gateway)),
        )
    }

    /// Those that are limited to this Board.
    pub fn syncs_for_board(&self, namespace: &str, board: &str) -> Vec<Arc<TemplateSync>> {
        many(
            &self.syncs,
            &self.sync_index,
            &SyncWord::Board(key(namespace, board)),
        )
    }

    /// The Agents that ask for it, or hold it, in all namespaces that are looked at; by namespace and name.
    pub fn claiming(&self, claim: &Claim) -> Vec<Arc<Agent>> {
        many(&self.agents, &self.agent_index, &AgentWord::Claim(claim.clone()))
    }

    /// The Agents that refer to this ConfigMap themselves.
    pub fn reading(&self, namespace: &str, config_map: &str) -> Vec<Arc<Agent>> {
        many(
            &self.agents,
            &self.agent_index,
            &AgentWord::ConfigMap(key(namespace, config_map)),
        )
    }

    /// The Agents whose soul is looked for in the souls directories.
    pub fn looking_for_souls(&self, namespace: &str) -> Vec<Arc<Agent>> {
        many(
            &self.agents,
            &self.agent_index,
            &AgentWord::Souls(namespace.to_owned()),
        )
    }
}

fn index_of<K, Word>(objects: &[K], words: impl Fn(&K) -> BTreeSet<Word>) -> Shared<Word>
where
    K: Resource<DynamicType = ()>,
    Word: Clone + Eq + std::hash::Hash + Ord,
{
    let mut index = Index::default();
    index.replace(objects.iter().map(|object| (key_of(object), words(object))));
    Arc::new(RwLock::new(index))
}

fn store_of<K>(objects: Vec<K>) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    for object in objects {
        writer.apply_watcher_event(&Event::InitApply(object));
    }
    writer.apply_watcher_event(&Event::InitDone);
    store
}

/// Passes the touches on once the index knows of them; the store has been told before.
fn indexed<K, Word>(
    touches: impl Stream<Item = Touch<K>> + Send,
    store: Store<K>,
    index: Shared<Word>,
    words: impl Fn(&K) -> BTreeSet<Word> + Send,
) -> impl Stream<Item = Touch<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    Word: Clone + Eq + std::hash::Hash + Ord + Send + Sync,
{
    touches.inspect(move |touch| {
        let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
        match touch {
            Touch::One(object) => index.put(key_of(object), words(object)),
            Touch::Gone(object) => index.take(&key_of(object)),
            // Its end says All: until then the store holds what was there before.
            Touch::Listed(_) => {}
            Touch::All => {
                let all = store.state();
                index.replace(all.iter().map(|object| (key_of(object.as_ref()), words(object))));
            }
        }
    })
}

fn one<K, Word>(store: &Store<K>, index: &Shared<Word>, namespace: &str, name: &str) -> Fact<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone,
    Word: Clone + Eq + std::hash::Hash + Ord,
{
    if !is_whole(index) {
        return Fact::Unknown;
    }
    match store.get(&ObjectRef::new(name).within(namespace)) {
        Some(object) => Fact::Known(object),
        None => Fact::Absent,
    }
}

fn many<K, Word>(store: &Store<K>, index: &Shared<Word>, word: &Word) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone,
    Word: Clone + Eq + std::hash::Hash + Ord,
{
    let found = index.read().unwrap_or_else(PoisonError::into_inner).find(word);
    found
        .into_iter()
        .filter_map(|(namespace, name)| store.get(&ObjectRef::new(&name).within(&namespace)))
        .collect()
}

fn is_whole<Word: Clone + Eq + std::hash::Hash + Ord>(index: &Shared<Word>) -> bool {
    index.read().unwrap_or_else(PoisonError::into_inner).is_whole()
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

fn key_of(object: &impl Resource) -> Key {
    (
        object.meta().namespace.clone().unwrap_or_default(),
        object.meta().name.clone().unwrap_or_default(),
    )
}

fn board_words(board: &Board) -> BTreeSet<BoardWord> {
    let namespace = board.namespace().unwrap_or_default();
    BTreeSet::from([BoardWord::Gateway((
        namespace,
        board.spec.gateway_ref.name.clone(),
    ))])
}

fn agent_words(agent: &Agent) -> BTreeSet<AgentWord> {
    let namespace = agent.namespace().unwrap_or_default();
    let here = |name: &str| key(&namespace, name);
    let spec = &agent.spec;
    let binding = agent.status.as_ref().and_then(|status| status.binding.as_ref());
    let board = spec
        .board_ref
        .iter()
        .map(|board| AgentWord::Board(here(&board.name)));
    let asked = spec.gateway_ref.iter().map(|gateway| &gateway.name);
    let bound = binding.iter().map(|binding| &binding.gateway.name);
    let gateways = asked.chain(bound).map(|name| AgentWord::Gateway(here(name)));
    let claims = claims(agent).into_iter().map(AgentWord::Claim);
    let texts = config_maps(agent, None)
        .into_iter()
        .map(|name| AgentWord::ConfigMap(here(&name)));
    let souls = wants_a_soul(agent).then(|| AgentWord::Souls(namespace.clone()));
    board
        .chain(gateways)
        .chain(claims)
        .chain(texts)
        .chain(souls)
        .collect()
}

fn sync_words(sync: &TemplateSync) -> BTreeSet<SyncWord> {
    let namespace = sync.namespace().unwrap_or_default();
    let gateway = SyncWord::Gateway(key(&namespace, &sync.spec.gateway_ref.name));
    let board = sync.spec.board_ref.iter();
    let board = board.map(|board| SyncWord::Board(key(&namespace, &board.name)));
    board.chain([gateway]).collect()
}

#[cfg(test)]
mod tests;
