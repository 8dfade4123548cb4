//! Who must look when something has changed. One task hears of everything and names the objects that a pass is due for;
//! which pass needs what stands here, and nowhere else.
//!
//! Each object is woken by what itself says, at once. What others say of it is compared first with what they said before,
//! since a status is written far more often than what it says matters to anybody else; and what a whole team or a whole
//! fleet may cause together is gathered for half a second, or a thousand agents would wake each other a million times.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;

use super::World;
use super::gathered::Gathered;
use crate::cluster::{Stores, Touch, Touches};
use crate::desired;
use crate::desired::agent::snapshot::{Claim, claims};
use crate::resource::agent::{Lifecycle, Phase, Role};
use crate::resource::{Agent, Board, Gateway, TemplateSync, condition, names};
use crate::sessions::Said;

/// Whom a pass is due for.
pub struct Wakes {
    pub gateways: mpsc::UnboundedReceiver<ObjectRef<Gateway>>,
    pub boards: mpsc::UnboundedReceiver<ObjectRef<Board>>,
    pub agents: mpsc::UnboundedReceiver<ObjectRef<Agent>>,
    pub syncs: mpsc::UnboundedReceiver<ObjectRef<TemplateSync>>,
}

/// `deposits`: the Agents whose deposits were answered. Ends with the last of the wakes' receivers, or is dropped.
pub fn begin(
    world: Arc<World>,
    touches: Touches,
    said: Said,
    deposits: impl Stream<Item = ObjectRef<Agent>> + Send,
) -> (impl Future<Output = ()> + Send, Wakes) {
    let (gateways, gateway_wakes) = mpsc::unbounded_channel();
    let (boards, board_wakes) = mpsc::unbounded_channel();
    let (agents, agent_wakes) = mpsc::unbounded_channel();
    let (syncs, sync_wakes) = mpsc::unbounded_channel();
    let desk = Desk {
        stores: world.stores.clone(),
        world,
        has_begun: false,
        gateways,
        boards,
        agents,
        syncs,
        seen_gateways: HashMap::new(),
        seen_boards: HashMap::new(),
        seen_agents: HashMap::new(),
        seen_syncs: HashMap::new(),
        souls: HashSet::new(),
        later: Gathered::default(),
    };
    let wakes = Wakes {
        gateways: gateway_wakes,
        boards: board_wakes,
        agents: agent_wakes,
        syncs: sync_wakes,
    };
    (desk.run(touches, said, deposits), wakes)
}

struct Desk {
    world: Arc<World>,
    stores: Stores,
    /// Every kind was listed. Before that nobody looks: a Board that is still to come would pass for one that is not there.
    has_begun: bool,
    gateways: mpsc::UnboundedSender<ObjectRef<Gateway>>,
    boards: mpsc::UnboundedSender<ObjectRef<Board>>,
    agents: mpsc::UnboundedSender<ObjectRef<Agent>>,
    syncs: mpsc::UnboundedSender<ObjectRef<TemplateSync>>,
    seen_gateways: HashMap<ObjectRef<Gateway>, GatewayFace>,
    seen_boards: HashMap<ObjectRef<Board>, BoardFace>,
    seen_agents: HashMap<ObjectRef<Agent>, AgentFace>,
    seen_syncs: HashMap<ObjectRef<TemplateSync>, SyncFace>,
    /// The ConfigMaps that are souls directories, or were: taking the label away changes what is found, too.
    souls: HashSet<ObjectRef<PartialObjectMeta<ConfigMap>>>,
    later: Gathered<Who>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Gateway(ObjectRef<Gateway>),
    Board(ObjectRef<Board>),
    /// Whose team lists it.
    LeadsOf(ObjectRef<Board>),
    /// Who waits for a place, for another to be gone, or leads.
    WaitingOf(ObjectRef<Board>),
    MainOf(ObjectRef<Gateway>),
    AllOf(ObjectRef<Gateway>),
    Claiming(Claim),
    /// Its TemplateSyncs that have not ended.
    SyncsOf(ObjectRef<Gateway>),
}

/// What others read of a Gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GatewayFace {
    uid: Option<String>,
    generation: Option<i64>,
    is_deleted: bool,
    annotations: u64,
    contract: Option<String>,
    /// Ready and Compatible, as status and reason.
    conditions: Vec<(String, String)>,
    /// What an entry may be written after.
    preserved: Vec<String>,
}

/// What others read of a Board.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BoardFace {
    uid: Option<String>,
    generation: Option<i64>,
    is_deleted: bool,
    annotations: u64,
    gateway: String,
}

/// What others read of an Agent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AgentFace {
    uid: Option<String>,
    generation: Option<i64>,
    board: Option<String>,
    /// By name, without those that only its Board names.
    gateways: BTreeSet<String>,
    claims: BTreeSet<Claim>,
    /// Hash over what a lead tells of it.
    listed: u64,
    /// What decides who else has a place.
    place: (bool, bool, bool),
    counted: (bool, Option<Phase>),
    /// Hash over what it tells TemplateSyncs.
    syncs: u64,
}

/// What others read of a TemplateSync.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SyncFace {
    uid: Option<String>,
    is_deleted: bool,
    has_ended: bool,
}

impl Desk {
    async fn run(
        mut self,
        touches: Touches,
        said: Said,
        deposits: impl Stream<Item = ObjectRef<Agent>> + Send,
    ) {
        let Touches {
            mut gateways,
            mut boards,
            mut agents,
            mut syncs,
            mut secrets,
            mut config_maps,
        } = touches;
        let Said {
            mut links,
            mut configurations,
            mut preserved,
        } = said;
        let mut deposits = std::pin::pin!(deposits);
        loop {
            tokio::select! {
                Some(touch) = gateways.next() => self.gateway(touch),
                Some(touch) = boards.next() => self.board(touch),
                Some(touch) = agents.next() => self.agent(touch),
                Some(touch) = syncs.next() => self.sync(touch),
                Some(touch) = secrets.next() => self.secret(touch),
                Some(touch) = config_maps.next() => self.config_map(touch),
                Some(gateway) = links.recv() => {
                    self.wake_agents_of(&gateway);
                    self.gateways.send(gateway).ok();
                }
                // Gathered: a write of ours is told, too, and may be one of a hundred.
                Some(gateway) = configurations.recv() => self.later.name([Who::AllOf(gateway)]),
                // Agents may wait for it.
                Some(gateway) = preserved.recv() => { self.gateways.send(gateway).ok(); }
                Some(agent) = deposits.next() => { self.agents.send(agent).ok(); }
                () = self.later.due() => self.tell_later(),
            }
            let nobody_listens = self.gateways.is_closed()
                && self.boards.is_closed()
                && self.agents.is_closed()
                && self.syncs.is_closed();
            if nobody_listens {
                return;
            }
        }
    }

    fn gateway(&mut self, touch: Touch<Gateway>) {
        match touch {
            Touch::Listed(_) => {}
            Touch::One(gateway) => {
                let (key, face) = (ObjectRef::from_obj(&gateway), GatewayFace::of(&gateway));
                let before = self.seen_gateways.insert(key.clone(), face.clone());
                self.wake_gateway(key.clone());
                if before.as_ref() != Some(&face) {
                    self.gateway_changed(&key);
                }
            }
            Touch::Gone(gateway) => {
                let key = ObjectRef::from_obj(&gateway);
                self.world.cluster.forget(&gateway);
                self.seen_gateways.remove(&key);
                self.close_sessions();
                self.gateway_changed(&key);
            }
            Touch::All => {
                self.seen_gateways = faces(&self.stores.gateways.state(), GatewayFace::of);
                self.close_sessions();
                self.wake_everybody();
            }
        }
    }

    fn gateway_changed(&mut self, key: &ObjectRef<Gateway>) {
        self.wake_agents_of(key);
        for board in self.stores.boards_of(namespace(key), &key.name) {
            self.wake_board(ObjectRef::from_obj(board.as_ref()));
        }
        self.later.name([Who::SyncsOf(key.clone())]);
    }

    /// A Gateway that is gone takes its session along. Checked against the store and not by the event: a deletion during
    /// an outage of the watch has none.
    fn close_sessions(&self) {
        let known = &self.stores.gateways;
        for gone in self.world.sessions.retain(|key| known.get(key).is_some()) {
            self.world.metrics.forget_gateway(&gone);
        }
    }

    fn board(&mut self, touch: Touch<Board>) {
        match touch {
            Touch::Listed(_) => {}
            Touch::One(board) => {
                let (key, face) = (ObjectRef::from_obj(&board), BoardFace::of(&board));
                let before = self.seen_boards.insert(key.clone(), face.clone());
                self.wake_board(key.clone());
                if before.as_ref() != Some(&face) {
                    self.board_changed(&key, before.iter().chain([&face]));
                }
            }
            Touch::Gone(board) => {
                let (key, face) = (ObjectRef::from_obj(&board), BoardFace::of(&board));
                self.world.cluster.forget(&board);
                let before = self.seen_boards.remove(&key);
                self.board_changed(&key, before.iter().chain([&face]));
            }
            Touch::All => {
                self.seen_boards = faces(&self.stores.boards.state(), BoardFace::of);
                self.wake_everybody();
            }
        }
    }

    fn board_changed<'a>(&mut self, key: &ObjectRef<Board>, faces: impl Iterator<Item = &'a BoardFace>) {
        for agent in self.stores.team(namespace(key), &key.name) {
            self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
        }
        // A Main knows the Boards of its Gateway, and those that it may act on besides.
        let gateways = self.stores.gateways.state();
        let acting = gateways
            .iter()
            .filter(|gateway| gateway.namespace() == key.namespace)
            .filter(|gateway| gateway.spec.main_agent.boards.contains(&key.name))
            .map(|gateway| gateway.name_any());
        let own = faces.map(|face| face.gateway.clone());
        for name in own.chain(acting).collect::<BTreeSet<_>>() {
            let gateway = ObjectRef::new(&name).within(namespace(key));
            self.later
                .name([Who::Gateway(gateway.clone()), Who::MainOf(gateway)]);
        }
        // One that waits for this Board may be of another Gateway than the Board is.
        for sync in self.stores.syncs_for_board(namespace(key), &key.name) {
            self.wake_sync(&sync);
        }
    }

    fn agent(&mut self, touch: Touch<Agent>) {
        match touch {
            Touch::Listed(_) => {}
            Touch::One(agent) => {
                let (key, face) = (ObjectRef::from_obj(&agent), AgentFace::of(&agent));
                let before = self.seen_agents.insert(key.clone(), face.clone());
                self.wake_agent(key.clone());
                self.agent_changed(&key, before.as_ref(), Some(&face));
            }
            Touch::Gone(agent) => {
                let key = ObjectRef::from_obj(&agent);
                self.world.cluster.forget(&agent);
                let before = self
                    .seen_agents
                    .remove(&key)
                    .unwrap_or_else(|| AgentFace::of(&agent));
                self.agent_changed(&key, Some(&before), None);
            }
            Touch::All => {
                self.seen_agents = faces(&self.stores.agents.state(), AgentFace::of);
                self.wake_everybody();
            }
        }
    }

    fn agent_changed(&mut self, key: &ObjectRef<Agent>, before: Option<&AgentFace>, now: Option<&AgentFace>) {
        if before == now {
            return;
        }
        let both = || before.into_iter().chain(now);
        let within = namespace(key).to_owned();
        let boards: BTreeSet<&String> = both().filter_map(|face| face.board.as_ref()).collect();
        let direct = both().flat_map(|face| face.gateways.iter().cloned());
        let through = boards
            .iter()
            .filter_map(|board| match self.stores.board(&within, board) {
                crate::fact::Fact::Known(board) => Some(board.spec.gateway_ref.name.clone()),
                crate::fact::Fact::Absent | crate::fact::Fact::Unknown => None,
            });
        let gateways: BTreeSet<String> = direct.chain(through).collect();
        let differs = |part: fn(&AgentFace) -> u64| before.map(part) != now.map(part);
        let belongs = |face: &AgentFace| (face.uid.clone(), face.board.clone(), face.gateways.clone());
        let moved = before.map(belongs) != now.map(belongs);
        let listed = moved || differs(|face| face.listed);
        let place = moved || before.map(|face| face.place) != now.map(|face| face.place);
        let counted = place || before.map(|face| face.counted) != now.map(|face| face.counted);

        for name in boards {
            let board = ObjectRef::new(name).within(&within);
            self.later.name(counted.then(|| Who::Board(board.clone())));
            self.later.name(listed.then(|| Who::LeadsOf(board.clone())));
            self.later.name(place.then_some(Who::WaitingOf(board)));
        }
        for name in &gateways {
            let gateway = ObjectRef::new(name).within(&within);
            self.later.name(counted.then(|| Who::Gateway(gateway.clone())));
            let told = place || differs(|face| face.syncs);
            self.later.name(told.then(|| Who::SyncsOf(gateway.clone())));
            // It goes after all others.
            self.later.name(now.is_none().then_some(Who::MainOf(gateway)));
        }
        // Also one that belongs elsewhere: it may have the name that a Gateway wants for its main agent.
        let main_of = key.name.strip_suffix("-main");
        let main_of = main_of.map(|gateway| ObjectRef::new(gateway).within(&within));
        self.later.name(main_of.map(Who::Gateway));
        let claims = |face: Option<&AgentFace>| face.map(|face| face.claims.clone()).unwrap_or_default();
        let (had, has) = (claims(before), claims(now));
        let let_go = had.difference(&has).cloned();
        // Who asked later than this one may have asked before it was seen; mostly nobody else asks at all.
        let stores = &self.stores;
        let taken = has
            .difference(&had)
            .filter(|claim| stores.claiming(claim).len() > 1)
            .cloned();
        self.later.name(let_go.chain(taken).map(Who::Claiming));
    }

    fn sync(&mut self, touch: Touch<TemplateSync>) {
        match touch {
            Touch::Listed(_) => {}
            Touch::One(sync) => {
                let face = SyncFace::of(&sync);
                let before = self.seen_syncs.insert(ObjectRef::from_obj(&sync), face.clone());
                self.wake_sync(&sync);
                if before.as_ref() != Some(&face) {
                    self.sync_changed(&sync);
                }
            }
            Touch::Gone(sync) => {
                self.world.cluster.forget(&sync);
                self.seen_syncs.remove(&ObjectRef::from_obj(&sync));
                self.sync_changed(&sync);
            }
            Touch::All => {
                self.seen_syncs = faces(&self.stores.syncs.state(), SyncFace::of);
                self.wake_everybody();
            }
        }
    }

    /// It begins or ends: for whom it is meant looks, and with its end the turn of another may have come.
    fn sync_changed(&mut self, sync: &TemplateSync) {
        let within = sync.namespace().unwrap_or_default();
        let gateway = &sync.spec.gateway_ref.name;
        let syncs = desired::errand::in_turn(&self.stores.syncs_of(&within, gateway));
        for agent in self.stores.agents_of(&within, gateway) {
            let is_meant = desired::errand::selects(sync, &agent);
            if is_meant || desired::errand::of(&agent, &syncs).is_some() {
                self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
            }
        }
        let gateway = ObjectRef::new(gateway).within(&within);
        self.later.name([Who::SyncsOf(gateway)]);
    }

    fn secret(&mut self, touch: Touch<PartialObjectMeta<Secret>>) {
        let secret = match touch {
            Touch::Listed(_) => return,
            Touch::One(secret) | Touch::Gone(secret) => secret,
            Touch::All => return self.wake_everybody(),
        };
        let (within, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        for gateway in self.referring(&within, |gateway| {
            desired::gateway::secrets(gateway).any(|secret| secret == name)
        }) {
            self.wake_gateway(gateway);
        }
        let agent = name
            .strip_prefix("ocagent-")
            .and_then(|rest| rest.strip_suffix("-token"));
        if let Some(agent) = agent {
            let key = ObjectRef::new(agent).within(&within);
            if self.stores.agents.get(&key).is_some() {
                self.wake_agent(key);
            }
        }
    }

    fn config_map(&mut self, touch: Touch<PartialObjectMeta<ConfigMap>>) {
        let (is_directory, config_map) = match touch {
            Touch::Listed(config_map) => {
                if is_souls_directory(&config_map) {
                    self.souls.insert(ObjectRef::from_obj(&config_map));
                }
                return;
            }
            Touch::One(config_map) => (is_souls_directory(&config_map), config_map),
            Touch::Gone(config_map) => (false, config_map),
            Touch::All => return self.wake_everybody(),
        };
        let (within, name) = (config_map.namespace().unwrap_or_default(), config_map.name_any());
        for gateway in self.referring(&within, |gateway| {
            desired::gateway::config_maps(gateway).any(|config_map| config_map == name)
        }) {
            self.wake_gateway(gateway);
        }
        for agent in self.stores.reading(&within, &name) {
            self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
        }
        for gateway in self.referring(&within, |gateway| is_a_template_of(gateway, &name)) {
            self.wake_agents_of(&gateway);
        }
        let key = ObjectRef::from_obj(&config_map);
        let was_directory = if is_directory {
            !self.souls.insert(key)
        } else {
            self.souls.remove(&key)
        };
        if was_directory || is_directory {
            for agent in self.stores.looking_for_souls(&within) {
                self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
            }
        }
    }

    /// There are few Gateways in a namespace: looking at each is cheaper than an index that could be wrong.
    fn referring(&self, within: &str, refers: impl Fn(&Gateway) -> bool) -> Vec<ObjectRef<Gateway>> {
        self.stores
            .gateways
            .state()
            .iter()
            .filter(|gateway| gateway.namespace().as_deref() == Some(within) && refers(gateway))
            .map(|gateway| ObjectRef::from_obj(gateway.as_ref()))
            .collect()
    }

    fn tell_later(&mut self) {
        for who in self.later.take() {
            match who {
                // Of one that is not there the controller makes nothing.
                Who::Gateway(gateway) => self.wake_gateway(gateway),
                Who::Board(board) => self.wake_board(board),
                Who::LeadsOf(board) => self.wake_team(&board, |agent| agent.spec.role == Role::Lead),
                Who::WaitingOf(board) => self.wake_team(&board, |agent| {
                    agent.spec.role == Role::Lead
                        || agent.metadata.deletion_timestamp.is_some()
                        || !desired::roster::is_provisioned(agent)
                }),
                Who::MainOf(gateway) => {
                    for agent in self.stores.directly_of(namespace(&gateway), &gateway.name) {
                        if agent.spec.role == Role::Main {
                            self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
                        }
                    }
                }
                Who::AllOf(gateway) => self.wake_agents_of(&gateway),
                Who::SyncsOf(gateway) => {
                    for sync in self.stores.syncs_of(namespace(&gateway), &gateway.name) {
                        if !desired::errand::has_ended(&sync) {
                            self.wake_sync(&sync);
                        }
                    }
                }
                Who::Claiming(claim) => {
                    for agent in self.stores.claiming(&claim) {
                        self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
                    }
                }
            }
        }
    }

    fn wake_team(&self, board: &ObjectRef<Board>, who: impl Fn(&Agent) -> bool) {
        for agent in self.stores.team(namespace(board), &board.name) {
            if who(&agent) {
                self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
            }
        }
    }

    fn wake_agents_of(&self, gateway: &ObjectRef<Gateway>) {
        for agent in self.stores.agents_of(namespace(gateway), &gateway.name) {
            self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
        }
    }

    /// A list was read anew: what happened meanwhile is not known.
    fn wake_everybody(&mut self) {
        self.has_begun = self.stores.are_whole();
        for gateway in self.stores.gateways.state() {
            self.wake_gateway(ObjectRef::from_obj(gateway.as_ref()));
        }
        for board in self.stores.boards.state() {
            self.wake_board(ObjectRef::from_obj(board.as_ref()));
        }
        for agent in self.stores.agents.state() {
            self.wake_agent(ObjectRef::from_obj(agent.as_ref()));
        }
        for sync in self.stores.syncs.state() {
            self.wake_sync(&sync);
        }
    }

    // Nobody listens any more once a controller has stopped.

    fn wake_gateway(&self, gateway: ObjectRef<Gateway>) {
        if self.has_begun {
            self.gateways.send(gateway).ok();
        }
    }

    fn wake_board(&self, board: ObjectRef<Board>) {
        if self.has_begun {
            self.boards.send(board).ok();
        }
    }

    fn wake_agent(&self, agent: ObjectRef<Agent>) {
        if self.has_begun {
            self.agents.send(agent).ok();
        }
    }

    fn wake_sync(&self, sync: &TemplateSync) {
        if self.has_begun {
            self.syncs.send(ObjectRef::from_obj(sync)).ok();
        }
    }
}

impl SyncFace {
    /// Its spec never changes.
    fn of(sync: &TemplateSync) -> Self {
        Self {
            uid: sync.uid(),
            is_deleted: sync.metadata.deletion_timestamp.is_some(),
            has_ended: desired::errand::has_ended(sync),
        }
    }
}

impl GatewayFace {
    fn of(gateway: &Gateway) -> Self {
        let status = gateway.status.as_ref();
        let conditions = status
            .map(|status| status.conditions.as_slice())
            .unwrap_or_default();
        Self {
            uid: gateway.uid(),
            generation: gateway.metadata.generation,
            is_deleted: gateway.metadata.deletion_timestamp.is_some(),
            annotations: hash(&gateway.metadata.annotations),
            contract: status.and_then(|status| status.contract.clone()),
            conditions: conditions
                .iter()
                .filter(|found| [condition::READY, condition::COMPATIBLE].contains(&found.type_.as_str()))
                .map(|found| (found.status.clone(), found.reason.clone()))
                .collect(),
            preserved: status
                .map(|status| status.preserved_heartbeats.clone())
                .unwrap_or_default(),
        }
    }
}

impl BoardFace {
    fn of(board: &Board) -> Self {
        Self {
            uid: board.uid(),
            generation: board.metadata.generation,
            is_deleted: board.metadata.deletion_timestamp.is_some(),
            annotations: hash(&board.metadata.annotations),
            gateway: board.spec.gateway_ref.name.clone(),
        }
    }
}

impl AgentFace {
    fn of(agent: &Agent) -> Self {
        let spec = &agent.spec;
        let status = agent.status.as_ref();
        let binding = status.and_then(|status| status.binding.as_ref());
        let asked = spec.gateway_ref.iter().map(|gateway| gateway.name.clone());
        let bound = binding.iter().map(|binding| binding.gateway.name.clone());
        let held = binding.map(|binding| binding.agent_id.clone());
        let identity = serde_json::to_string(&spec.identity).unwrap_or_default();
        let syncs = status.map(|status| serde_json::to_string(&status.syncs).unwrap_or_default());
        Self {
            uid: agent.uid(),
            generation: agent.metadata.generation,
            board: spec.board_ref.as_ref().map(|board| board.name.clone()),
            gateways: asked.chain(bound).collect(),
            listed: hash(&(spec.role, &spec.display_name, identity, &held)),
            place: (
                agent.metadata.deletion_timestamp.is_some(),
                spec.lifecycle == Lifecycle::Retired,
                desired::roster::is_provisioned(agent),
            ),
            counted: (
                desired::roster::is_ready(agent),
                status.and_then(|status| status.phase),
            ),
            claims: claims(agent),
            syncs: hash(&syncs.unwrap_or_default()),
        }
    }
}

fn faces<K: Resource<DynamicType = ()>, Face>(
    all: &[Arc<K>],
    face: impl Fn(&K) -> Face,
) -> HashMap<ObjectRef<K>, Face> {
    let each = all.iter().map(AsRef::as_ref);
    each.map(|object: &K| (ObjectRef::from_obj(object), face(object)))
        .collect()
}

fn is_souls_directory(config_map: &PartialObjectMeta<ConfigMap>) -> bool {
    config_map.labels().contains_key(names::SOULS_LABEL)
}

fn is_a_template_of(gateway: &Gateway, config_map: &str) -> bool {
    let templates = gateway.spec.templates.iter();
    templates
        .filter_map(|template| template.config_map_key_ref.as_ref())
        .any(|reference| reference.name == config_map)
}

fn namespace<K: Resource<DynamicType = ()>>(key: &ObjectRef<K>) -> &str {
    key.namespace.as_deref().unwrap_or_default()
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
