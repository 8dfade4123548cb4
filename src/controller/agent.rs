//! The Agent controller. Woken by the Agent, by all that it refers to, by its team, by its gateway's link and by the answer
//! to what it has deposited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::World;
use crate::authenticator::Authenticator;
use crate::cluster::{self, Cluster, Scope, Touch};
use crate::deposits::Deposits;
use crate::desired::agent::snapshot::{Claim, claims, config_maps, gateway_of, token_secret, wants_a_soul};
use crate::desired::agent::{Desired, Snapshot, Texts};
pub use crate::execute::agent::hashes::COST as TOKEN_COST;
use crate::execute::agent::hashes::Hashes;
use crate::execute::agent::{Hands, Outcome};
use crate::fact::Fact;
use crate::gateway::{Address, Contract};
use crate::observed::agent::Observed;
use crate::observed::agent::contests::Contests;
use crate::observed::agent::look::{Eyes, look};
use crate::observed::agent::seen::Seen;
use crate::resource::agent::{AgentStatus, Role};
use crate::resource::{Agent, Gateway, names};
use crate::sessions::Line;
use crate::telemetry::AgentPass;
use crate::turns::Turns;
use crate::{desired, execute, plan, status};

/// What passes over agents share, beyond what all passes share. All of it may be lost.
pub struct Desk {
    pub deposits: Deposits,
    pub seen: Seen,
    pub contests: Contests,
    pub hashes: Hashes,
    pub turns: Turns,
    /// The Secrets that tokens are kept in.
    pub tokens: Store<Secret>,
    /// Whose token it is; follows these Secrets.
    pub authenticator: Authenticator,
}

impl Desk {
    /// `cost`: of bcrypt. The stream yields each Agent that has to look again.
    pub fn begin(
        cluster: &Cluster,
        scope: &Scope,
        cost: u32,
    ) -> (Self, impl Stream<Item = ObjectRef<Agent>> + Send + use<>) {
        let (deposits, answered) = Deposits::new();
        let (hashed, hashes_made) = mpsc::unbounded_channel();
        let hashes = Hashes::start(cost, move |agent| {
            // Nobody listens any more once the controllers have stopped.
            hashed.send(agent).ok();
        });
        let (tokens, touched) = cluster.tokens(scope);
        let authenticator = Authenticator::default();
        let (follows, all) = (authenticator.clone(), tokens.clone());
        let touched = touched.inspect(move |touch| follow(&follows, &all, touch));
        let owners = touched.filter_map(|touch| std::future::ready(owner(touch)));
        let again = futures::stream::select_all([
            received(answered).boxed(),
            received(hashes_made).boxed(),
            owners.boxed(),
        ]);
        let desk = Self {
            deposits,
            seen: Seen::default(),
            contests: Contests::default(),
            hashes,
            turns: Turns::default(),
            tokens,
            authenticator,
        };
        (desk, again)
    }
}

/// What a pass would find, of a snapshot: nothing is written.
pub async fn look_at(snapshot: &Snapshot, world: &World) -> (Desired, Observed) {
    let desired = desired::agent::of(snapshot);
    let (line, gateway) = (line(snapshot, world), gateway_key(snapshot));
    let eyes = Eyes {
        agent: &ObjectRef::from_obj(snapshot.agent.as_ref()),
        line: line.as_ref(),
        deposits: &world.desk.deposits,
        seen: &world.desk.seen,
        contests: &world.desk.contests,
        turns: &world.desk.turns,
        gateway: &gateway,
        resync: Duration::ZERO,
    };
    let observed = look(&desired, eyes, Fact::Unknown).await;
    (desired, observed)
}

async fn reconcile(agent: Arc<Agent>, world: Arc<World>) -> Result<Action, cluster::Error> {
    let snapshot = snapshot(world.cluster.with_our_last_word(agent), &world).await;
    let desired = desired::agent::of(&snapshot);
    let line = line(&snapshot, &world);
    let key = ObjectRef::from_obj(snapshot.agent.as_ref());
    let resync = resync(&snapshot);
    let gateway = gateway_key(&snapshot);
    let desk = &world.desk;
    let eyes = Eyes {
        agent: &key,
        line: line.as_ref(),
        deposits: &desk.deposits,
        seen: &desk.seen,
        contests: &desk.contests,
        turns: &desk.turns,
        gateway: &gateway,
        resync,
    };
    let token_hash = match &desired.token.found {
        Fact::Known(token) => desk.hashes.of(token),
        Fact::Absent | Fact::Unknown => Fact::Unknown,
    };
    let observed = look(&desired, eyes, token_hash).await;
    let plan = plan::agent::between(&desired, &observed);
    let hands = Hands {
        agent: &snapshot.agent,
        line: line.as_ref(),
        cluster: &world.cluster,
        sessions: &world.sessions,
        deposits: &desk.deposits,
        seen: &desk.seen,
        hashes: &desk.hashes,
        turns: &desk.turns,
        gateway: &gateway,
        ask: &desired.ask,
        now: snapshot.now,
    };
    let outcome = execute::agent::run(plan, hands).await;
    let report = status::agent::of(&snapshot, &desired, &observed, &outcome);
    world.metrics.agent(&pass(&snapshot, &outcome, &report.status));
    // Who has been let go has nobody left to read it.
    if !outcome.has_let_go() {
        world
            .cluster
            .report(snapshot.agent.as_ref(), &report.status)
            .await?;
    }
    desk.remember(&key, &outcome);
    if outcome.leaves_something_behind() {
        world.metrics.left_behind("Agent", 1);
        tracing::warn!(agent = %key, "let go, and what it has in its gateway may still be there");
    }
    world.cluster.tell(snapshot.agent.as_ref(), report.news).await;
    if let Some(token) = &report.status.token
        && let (Some(_), Some(fingerprint)) = (&token.hash, &token.fingerprint)
    {
        desk.hashes.forget(fingerprint);
    }
    let due = observed.look_again.unwrap_or(resync);
    let when = report.look_again.map_or(due, |again| again.min(due));
    Ok(Action::requeue(when))
}

impl Desk {
    /// What the status holds by now, and what was put right.
    fn remember(&self, agent: &ObjectRef<Agent>, outcome: &Outcome) {
        for subject in outcome.corrected() {
            self.contests.corrected(agent, subject);
        }
        for promise in outcome.promised() {
            if let plan::agent::Promise::Wake(wake) = promise
                && let Some(id) = &wake.id
            {
                self.seen.promised(agent, id.clone());
            }
        }
    }

    pub fn forget(&self, agent: &ObjectRef<Agent>) {
        self.deposits.forget(agent);
        self.seen.forget(agent);
        self.contests.forget(agent);
    }
}

/// Everything the pass may know of the cluster: from memory, and what is not kept there read once.
pub async fn snapshot(agent: Arc<Agent>, world: &World) -> Snapshot {
    let namespace = agent.namespace().unwrap_or_default();
    let stores = &world.stores;
    let board_name = agent.spec.board_ref.as_ref().map(|board| board.name.as_str());
    let board = board_name.map_or(Fact::Absent, |name| stores.board(&namespace, name));
    let known_board = match &board {
        Fact::Known(board) => Some(board.as_ref()),
        Fact::Absent | Fact::Unknown => None,
    };
    let gateway = match gateway_of(&agent, known_board) {
        Some(name) => stores.gateway(&namespace, &name),
        None => Fact::Absent,
    };
    let known_gateway = match &gateway {
        Fact::Known(gateway) => Some(Arc::clone(gateway)),
        Fact::Absent | Fact::Unknown => None,
    };
    let team = match board_name {
        Some(board) => stores.team(&namespace, board),
        None => vec![Arc::clone(&agent)],
    };
    let gateway_name = known_gateway
        .as_ref()
        .map(|gateway| gateway.name_any())
        .unwrap_or_default();
    let boards = match agent.spec.role {
        Role::Main => stores.boards_of(&namespace, &gateway_name),
        Role::Worker | Role::Lead => Vec::new(),
    };
    let texts = texts(&agent, known_gateway.as_deref(), world).await;
    let token = world
        .cluster
        .token(&world.desk.tokens, &agent, &token_secret(&agent))
        .await;
    let contract = known_gateway
        .as_ref()
        .and_then(|gateway| contract(gateway, world));
    Snapshot {
        rivals: rivals(&agent, known_gateway.as_deref(), world),
        workspace_rivals: workspace_rivals(&agent, known_gateway.as_deref(), world),
        ahead: ahead(&agent, &team, &gateway_name, world),
        board,
        gateway,
        team,
        boards,
        token,
        texts,
        syncs: stores.syncs_of(&namespace, &gateway_name),
        contract,
        base_url: world.base_url.clone(),
        now: (world.clock)(),
        agent,
    }
}

/// For the metrics.
fn pass<'a>(snapshot: &'a Snapshot, outcome: &Outcome, status: &'a AgentStatus) -> AgentPass<'a> {
    let done = |corrected: bool| {
        let is_write = |action: &&plan::agent::Action| matches!(action, plan::agent::Action::Write(it) if it.corrects || !corrected);
        outcome.done().filter(is_write).count()
    };
    AgentPass {
        agent: &snapshot.agent,
        status,
        planned: outcome.plan.actions().count(),
        written: done(false),
        corrected: done(true),
        now: snapshot.now,
    }
}

/// As the session finds it; until it has, as it was seen last.
fn contract(gateway: &Gateway, world: &World) -> Option<&'static Contract> {
    let line = world.sessions.line(&ObjectRef::from_obj(gateway));
    let now = line.and_then(|line| line.online).map(|online| online.contract);
    now.or_else(|| {
        let status = gateway.status.as_ref()?;
        Contract::named(status.contract.as_deref()?)
    })
}

/// Of two objects that mean one agent only one may have it: those that name its id, at the same url.
fn rivals(agent: &Agent, gateway: Option<&Gateway>, world: &World) -> Vec<Arc<Agent>> {
    let mut ids = claims(agent).into_iter().filter(|claim| match claim {
        Claim::Id(_) => true,
        Claim::Workspace(_) => false,
    });
    let derived = match agent.spec.role {
        Role::Worker => agent.uid().map(|uid| Claim::Id(format!("mc-{uid}"))),
        // Leads of one board are ranked among themselves.
        Role::Lead | Role::Main => None,
    };
    // One that is bound names its own, and no other.
    let id = ids.next_back().or(derived);
    claiming(id, agent, gateway, world)
}

/// Nor may two have one workspace.
fn workspace_rivals(agent: &Agent, gateway: Option<&Gateway>, world: &World) -> Vec<Arc<Agent>> {
    let mut workspaces = claims(agent).into_iter().filter(|claim| match claim {
        Claim::Id(_) => false,
        Claim::Workspace(_) => true,
    });
    claiming(workspaces.next_back(), agent, gateway, world)
}

/// Others that claim it at the same url.
fn claiming(
    claim: Option<Claim>,
    agent: &Agent,
    gateway: Option<&Gateway>,
    world: &World,
) -> Vec<Arc<Agent>> {
    let (Some(claim), Some(gateway)) = (claim, gateway) else {
        return Vec::new();
    };
    let claiming = world.stores.claiming(&claim).into_iter();
    let others = claiming.filter(|other| other.uid() != agent.uid());
    others
        .filter(|other| {
            let namespace = other.namespace().unwrap_or_default();
            let board = other.spec.board_ref.as_ref();
            let board = board.map_or(Fact::Absent, |board| world.stores.board(&namespace, &board.name));
            let board = match &board {
                Fact::Known(board) => Some(board.as_ref()),
                Fact::Absent | Fact::Unknown => None,
            };
            let theirs = gateway_of(other, board).map(|name| world.stores.gateway(&namespace, &name));
            let Some(Fact::Known(theirs)) = theirs else {
                return false;
            };
            let at = |gateway: &Gateway| Address::parse(&gateway.spec.url);
            match (at(&theirs), at(gateway)) {
                (Ok(theirs), Ok(ours)) => theirs == ours,
                (Ok(_) | Err(_), Ok(_) | Err(_)) => theirs.spec.url == gateway.spec.url,
            }
        })
        .collect()
}

/// Who goes before it, among those that are going.
fn ahead(agent: &Agent, team: &[Arc<Agent>], gateway: &str, world: &World) -> Vec<String> {
    if agent.metadata.deletion_timestamp.is_none() {
        return Vec::new();
    }
    let namespace = agent.namespace().unwrap_or_default();
    let candidates = match agent.spec.role {
        Role::Worker => Vec::new(),
        Role::Lead => team.to_vec(),
        Role::Main => world.stores.agents_of(&namespace, gateway),
    };
    let going = candidates.iter().filter(|other| {
        let is_lower = other.spec.role < agent.spec.role;
        let is_held = cluster::finalizer::is_held(other.as_ref());
        is_lower && is_held && other.metadata.deletion_timestamp.is_some()
    });
    going.map(|other| other.name_any()).collect()
}

async fn texts(agent: &Agent, gateway: Option<&Gateway>, world: &World) -> Texts {
    let namespace = agent.namespace().unwrap_or_default();
    let read = config_maps(agent, gateway).into_iter().map(|name| {
        let (cluster, namespace) = (&world.cluster, namespace.as_str());
        async move {
            let found = cluster.config_map(namespace, &name).await;
            (name, found)
        }
    });
    let config_maps: BTreeMap<_, _> = join_all(read).await.into_iter().collect();
    let souls = if wants_a_soul(agent) {
        world.cluster.souls(&namespace).await
    } else {
        Fact::Unknown
    };
    Texts { config_maps, souls }
}

/// Of an Agent that leads to none, one that is not there.
fn gateway_key(snapshot: &Snapshot) -> ObjectRef<Gateway> {
    match &snapshot.gateway {
        Fact::Known(gateway) => ObjectRef::from_obj(gateway.as_ref()),
        Fact::Absent | Fact::Unknown => ObjectRef::new(""),
    }
}

fn line(snapshot: &Snapshot, world: &World) -> Option<Line> {
    match &snapshot.gateway {
        Fact::Known(gateway) => world.sessions.line(&ObjectRef::from_obj(gateway.as_ref())),
        Fact::Absent | Fact::Unknown => None,
    }
}

/// The Gateway's interval, up to a fifth later: different for each agent and always the same for one.
fn resync(snapshot: &Snapshot) -> Duration {
    let of_gateway = match &snapshot.gateway {
        Fact::Known(gateway) => desired::duration(&gateway.spec.resync_interval),
        Fact::Absent | Fact::Unknown => None,
    };
    let interval = of_gateway
        .unwrap_or(Duration::from_secs(60))
        .max(Duration::from_secs(10));
    let uid = snapshot.agent.metadata.uid.iter();
    let salt: u32 = uid.flat_map(|uid| uid.bytes()).map(u32::from).sum();
    interval + interval / 5 * (salt % 100) / 100
}

/// Runs until `stop`: passes under way are finished first.
pub(super) async fn run(
    world: Arc<World>,
    wakes: mpsc::UnboundedReceiver<ObjectRef<Agent>>,
    concurrency: u16,
    stop: CancellationToken,
) {
    let metrics = world.metrics.clone();
    let pass = move |agent: Arc<Agent>, world: Arc<World>| {
        let metrics = metrics.clone();
        // Boxed: all of a pass would otherwise lie in every slot of the controller.
        async move {
            let pass = Box::pin(reconcile(Arc::clone(&agent), Arc::clone(&world)));
            let result = metrics.timed("agent", pass).await;
            // Gone while the pass was under way, or without one: nobody comes back for what is remembered of it.
            let key = ObjectRef::from_obj(agent.as_ref());
            if world.stores.agents.get(&key).is_none() {
                world.desk.forget(&key);
                world.cluster.forget(agent.as_ref());
            }
            result
        }
    };
    let agents = world.stores.agents.clone();
    super::drive(agents, wakes, world, pass, failed, concurrency, stop).await;
}

/// Only a report that could not be written fails a pass. All that it wanted to say is found again by the next one.
#[expect(clippy::needless_pass_by_value, reason = "kube's Controller hands it over so")]
fn failed(agent: Arc<Agent>, error: &cluster::Error, world: Arc<World>) -> Action {
    let pause = world.cluster.back_off(agent.as_ref());
    tracing::warn!(agent = %ObjectRef::from_obj(agent.as_ref()), %error, ?pause, "the status could not be written");
    Action::requeue(pause)
}

fn follow(authenticator: &Authenticator, tokens: &Store<Secret>, touch: &Touch<Secret>) {
    match touch {
        Touch::One(secret) => authenticator.put(secret),
        Touch::Gone(secret) => authenticator.take(secret),
        // Its end says All.
        Touch::Listed(_) => {}
        Touch::All => {
            let all = tokens.state();
            authenticator.replace(all.iter().map(AsRef::as_ref));
        }
    }
}

/// The Agent that a token's Secret belongs to.
fn owner(touch: Touch<Secret>) -> Option<ObjectRef<Agent>> {
    let secret = match touch {
        Touch::One(secret) | Touch::Gone(secret) => secret,
        // After a list everybody looks anyway.
        Touch::Listed(_) | Touch::All => return None,
    };
    let name = secret.labels().get(names::AGENT_LABEL)?;
    Some(ObjectRef::new(name).within(&secret.namespace()?))
}

fn received<T: Send>(receiver: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> + Send {
    futures::stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    })
}
