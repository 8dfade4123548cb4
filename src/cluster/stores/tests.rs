//! The stores as the watches feed them: what is found follows edits, deletions, and lists read anew.

use futures::FutureExt;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;

use super::*;
use crate::resource::agent::{AgentStatus, Binding, GatewayIdentity};
use crate::resource::reference::{ConfigMapKeyRef, ObjectRef as Named, TemplateSource};
use crate::resource::settings::Soul;
use crate::resource::{AgentSpec, BoardSpec};

struct Fed {
    stores: Stores,
    boards: Writer<Board>,
    agents: Writer<Agent>,
}

impl Fed {
    fn new() -> Self {
        let ((boards, board_writer), (agents, agent_writer)) = (reflector::store(), reflector::store());
        let stores = Stores {
            gateways: reflector::store().0,
            boards,
            agents,
            syncs: reflector::store().0,
            gateway_index: Shared::default(),
            board_index: Shared::default(),
            agent_index: Shared::default(),
            sync_index: Shared::default(),
        };
        Self {
            stores,
            boards: board_writer,
            agents: agent_writer,
        }
    }

    fn boards(&mut self, all: Vec<Board>) {
        let (store, index) = (self.stores.boards.clone(), Arc::clone(&self.stores.board_index));
        list(&mut self.boards, all, store, index, board_words);
    }

    fn agents(&mut self, all: Vec<Agent>) {
        let (store, index) = (self.stores.agents.clone(), Arc::clone(&self.stores.agent_index));
        list(&mut self.agents, all, store, index, agent_words);
    }

    fn agent(&mut self, agent: Agent) {
        self.agents.apply_watcher_event(&Event::Apply(agent.clone()));
        self.hear(Touch::One(agent));
    }

    fn gone(&mut self, agent: Agent) {
        self.agents.apply_watcher_event(&Event::Delete(agent.clone()));
        self.hear(Touch::Gone(agent));
    }

    fn hear(&self, touch: Touch<Agent>) {
        let (store, index) = (self.stores.agents.clone(), Arc::clone(&self.stores.agent_index));
        hear(touch, store, index, agent_words);
    }
}

/// As the watch reads a list: piece by piece, and what it holds counts from its end.
fn list<K, Word>(
    writer: &mut Writer<K>,
    all: Vec<K>,
    store: Store<K>,
    index: Shared<Word>,
    words: fn(&K) -> BTreeSet<Word>,
) where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    Word: Clone + Eq + std::hash::Hash + Ord + Send + Sync,
{
    writer.apply_watcher_event(&Event::Init);
    for object in all {
        writer.apply_watcher_event(&Event::InitApply(object.clone()));
        hear(Touch::Listed(object), store.clone(), Arc::clone(&index), words);
    }
    writer.apply_watcher_event(&Event::InitDone);
    hear(Touch::All, store, index, words);
}

fn hear<K, Word>(touch: Touch<K>, store: Store<K>, index: Shared<Word>, words: fn(&K) -> BTreeSet<Word>)
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    Word: Clone + Eq + std::hash::Hash + Ord + Send + Sync,
{
    let heard = indexed(futures::stream::iter([touch]), store, index, words);
    assert_eq!(heard.count().now_or_never(), Some(1));
}

fn board(name: &str, gateway: &str) -> Board {
    let gateway_ref = Named { name: gateway.into() };
    let mut board = Board::new(
        name,
        BoardSpec {
            gateway_ref,
            ..BoardSpec::default()
        },
    );
    board.metadata.namespace = Some("quay".into());
    board
}

fn agent(name: &str, change: impl FnOnce(&mut Agent)) -> Agent {
    let mut agent = Agent::new(name, AgentSpec::default());
    agent.metadata.namespace = Some("quay".into());
    change(&mut agent);
    agent
}

fn on(board: &str) -> impl FnOnce(&mut Agent) {
    let name = board.to_owned();
    move |agent| agent.spec.board_ref = Some(Named { name })
}

fn bound(gateway: &str, id: &str) -> impl FnOnce(&mut Agent) {
    let (name, agent_id) = (gateway.to_owned(), id.to_owned());
    move |agent| {
        agent.status = Some(AgentStatus {
            binding: Some(Binding {
                gateway: GatewayIdentity {
                    name,
                    ..GatewayIdentity::default()
                },
                agent_id,
                ..Binding::default()
            }),
            ..AgentStatus::default()
        });
    }
}

fn names(agents: &[Arc<Agent>]) -> Vec<String> {
    agents.iter().map(|agent| agent.name_any()).collect()
}

#[test]
fn nothing_is_known_to_be_missing_before_the_first_list() {
    let mut fed = Fed::new();
    assert_eq!(fed.stores.board("quay", "ops"), Fact::Unknown);
    fed.boards(vec![]);
    assert_eq!(fed.stores.board("quay", "ops"), Fact::Absent);
    fed.boards(vec![board("ops", "harbour")]);
    assert!(matches!(fed.stores.board("quay", "ops"), Fact::Known(_)));
    assert_eq!(fed.stores.board("elsewhere", "ops"), Fact::Absent);
    assert!(!fed.stores.are_whole());
}

#[test]
fn an_agent_that_moves_is_found_where_it_is_and_only_there() {
    let mut fed = Fed::new();
    fed.boards(vec![board("ops", "harbour"), board("night", "marina")]);
    fed.agents(vec![agent("b", on("ops")), agent("a", on("ops"))]);
    assert_eq!(names(&fed.stores.team("quay", "ops")), ["a", "b"]);
    assert_eq!(names(&fed.stores.agents_of("quay", "harbour")), ["a", "b"]);
    fed.agent(agent("b", on("night")));
    assert_eq!(names(&fed.stores.team("quay", "ops")), ["a"]);
    assert_eq!(names(&fed.stores.agents_of("quay", "marina")), ["b"]);
    // Another gateway holds something of it still.
    fed.agent(agent("b", |agent| {
        on("night")(agent);
        bound("harbour", "mc-1")(agent);
    }));
    assert_eq!(names(&fed.stores.agents_of("quay", "harbour")), ["a", "b"]);
    assert_eq!(names(&fed.stores.agents_of("quay", "marina")), ["b"]);
    fed.gone(agent("b", on("night")));
    assert!(fed.stores.agents_of("quay", "marina").is_empty());
    assert_eq!(names(&fed.stores.agents_of("quay", "harbour")), ["a"]);
}

#[test]
fn who_asks_for_an_id_and_who_holds_it_are_found_in_every_namespace() {
    let mut fed = Fed::new();
    fed.agents(vec![
        agent("holds", bound("harbour", "triage")),
        agent("asks", |agent| {
            agent.metadata.namespace = Some("elsewhere".into());
            agent.spec.agent_id = Some("triage".into());
        }),
        agent("neither", bound("harbour", "mc-1")),
    ]);
    let triage = Claim::Id("triage".to_owned());
    assert_eq!(names(&fed.stores.claiming(&triage)), ["asks", "holds"]);
    fed.agent(agent("holds", |_| {}));
    assert_eq!(names(&fed.stores.claiming(&triage)), ["asks"]);
}

#[test]
fn who_asks_for_a_workspace_and_who_holds_it_are_found() {
    let mut fed = Fed::new();
    fed.agents(vec![
        agent("holds", |agent| {
            bound("harbour", "mc-1")(agent);
            if let Some(binding) = agent.status.as_mut().and_then(|status| status.binding.as_mut()) {
                binding.workspace = "/w/desk".into();
            }
        }),
        agent("asks", |agent| agent.spec.workspace = Some("/w/desk".into())),
        agent("neither", |agent| agent.spec.workspace = Some("/w/desk-2".into())),
    ]);
    let desk = Claim::Workspace("/w/desk".to_owned());
    assert_eq!(names(&fed.stores.claiming(&desk)), ["asks", "holds"]);
}

#[test]
fn what_was_deleted_while_nobody_looked_is_not_found_any_more() {
    let mut fed = Fed::new();
    fed.boards(vec![board("ops", "harbour")]);
    fed.agents(vec![agent("a", on("ops")), agent("b", on("ops"))]);
    fed.agents(vec![agent("b", on("night")), agent("c", on("ops"))]);
    assert_eq!(names(&fed.stores.team("quay", "ops")), ["c"]);
    assert_eq!(names(&fed.stores.team("quay", "night")), ["b"]);
}

#[test]
fn who_reads_a_config_map_or_looks_for_a_soul_is_found() {
    let mut fed = Fed::new();
    let reference = ConfigMapKeyRef {
        name: "texts".into(),
        key: "identity".into(),
    };
    fed.agents(vec![
        agent("reads", |agent| {
            agent.spec.identity_template = Some(TemplateSource {
                config_map_key_ref: Some(reference),
                ..TemplateSource::default()
            });
        }),
        agent("looks", |agent| {
            agent.spec.soul = Some(Soul {
                role: Some(true),
                ..Soul::default()
            });
        }),
    ]);
    assert_eq!(names(&fed.stores.reading("quay", "texts")), ["reads"]);
    assert_eq!(names(&fed.stores.looking_for_souls("quay")), ["looks"]);
    assert!(fed.stores.reading("elsewhere", "texts").is_empty());
    fed.agent(agent("reads", |_| {}));
    assert!(fed.stores.reading("quay", "texts").is_empty());
}
