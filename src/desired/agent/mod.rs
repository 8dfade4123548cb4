//! What an Agent asks for: its place in a gateway, its entry there, its files, its token, and the message that wakes it.

pub mod entry;
pub mod files;
pub mod obstacle;
pub mod place;
pub mod promises;
pub mod rotation;
pub mod snapshot;
pub mod token;

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::errand::{self, Errand};
use super::roster::{self, Waits, is_provisioned};
use crate::fact::Fact;
use crate::gateway::Contract;
use crate::gateway::contract::V2026_9_6;
use crate::resource::agent::{Lifecycle, Role};
use crate::resource::settings::{DeletionPolicy, Drift};
use crate::resource::{Agent, Gateway, condition, names};
pub use entry::WantedEntry;
pub use files::{File, Files, Text};
pub use obstacle::Obstacle;
pub use place::Place;
pub use promises::Promises;
pub use rotation::{Heard, WantedToken};
pub use snapshot::{Snapshot, Texts, TokenSecret};
pub use token::AgentToken;

/// An Agent's wish in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub wish: Wish,
    /// Err: it can be nowhere yet.
    pub place: Result<Place, Obstacle>,
    /// Err also where the place is.
    pub content: Result<Content, Obstacle>,
    pub token: WantedToken,
    /// Some: nothing is written, neither here nor there.
    pub hold: Option<Hold>,
    pub promises: Promises,
    pub drift: Drift,
    /// The TemplateSync that it carries out now.
    pub errand: Option<Errand>,
    /// Another Agent holds the same id by now: what is there is its own.
    pub taken_over: bool,
    /// The Gateway object is another one than the one that it was provisioned in.
    pub is_elsewhere: bool,
    /// The agents of others that have an empty heartbeat block by our hand, as the Gateway's status has it.
    pub preserved: BTreeSet<String>,
    /// Somebody wants everything read anew; the word that was asked with.
    pub ask: String,
    /// The workspace is the user's own word, and not ours.
    pub workspace_is_given: bool,
    pub name: String,
    pub uid: String,
    pub now: Timestamp,
}

/// What shall be in the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// `paused`: without heartbeat, and nothing is sent to it.
    Present { paused: bool },
    /// Not the entry; workspace and token stay.
    Retired,
    /// The object is being deleted.
    Gone(Departure),
}

/// How it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    pub policy: DeletionPolicy,
    pub with_workspace: bool,
    /// Let go also where the gateway does not answer.
    pub forced: bool,
    /// Agents that go first: workers before their lead, all before the main agent.
    pub after: Vec<String>,
    /// There is no such Gateway any more: nothing can be cleaned up.
    pub gateway_is_gone: bool,
    /// The Gateway says of itself that it is not ready.
    pub gateway_is_away: bool,
    /// Another Agent holds the same id by now: what is there is its own.
    pub taken_over: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub entry: WantedEntry,
    pub files: Files,
    /// The kind of gateway that the files are made for.
    pub contract: &'static Contract,
}

/// Who asked to hold everything still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Agent,
    Board,
    Gateway,
}

/// In the place of a token that is not there yet. Never written: a file is only written with a token that is known.
pub const NO_TOKEN: &str = "not-minted-yet";

pub fn of(snapshot: &Snapshot) -> Desired {
    let agent = snapshot.agent.as_ref();
    let promises = Promises::of(agent);
    let wish = wish(snapshot);
    let place = Place::of(snapshot);
    let errand = errand::of(agent, &snapshot.syncs);
    let (token, readable) = WantedToken::of(snapshot, errand.as_ref());
    let content = place
        .clone()
        .and_then(|place| readable.map(|()| place))
        .and_then(|place| admitted(snapshot, &place, &wish).map(|()| place))
        .and_then(|place| content(snapshot, &place, &wish, &token, &promises));
    let is_asked = errand.as_ref().is_some_and(|errand| !errand.dry_run);
    let desired = Desired {
        place,
        content,
        token,
        hold: hold(snapshot),
        promises,
        preserved: preserved(snapshot),
        ask: ask(snapshot, errand.as_ref()),
        drift: drift(snapshot),
        errand,
        taken_over: taken_over(snapshot),
        is_elsewhere: is_elsewhere(snapshot),
        workspace_is_given: agent.spec.workspace.is_some(),
        name: agent.name_any(),
        uid: agent.uid().unwrap_or_default(),
        now: snapshot.now,
        wish,
    };
    if is_asked {
        desired.brought_up_to_date()
    } else {
        desired
    }
}

impl Desired {
    /// As its TemplateSync asks for it. Whoever wants all to be brought up to date means what somebody else changed, too.
    #[must_use]
    pub fn brought_up_to_date(mut self) -> Self {
        let Some(errand) = &mut self.errand else {
            return self;
        };
        errand.dry_run = false;
        self.drift = Drift::Correct;
        for file in self
            .content
            .iter_mut()
            .flat_map(|content| content.files.files.values_mut())
        {
            file.drift = Drift::Correct;
        }
        self
    }
}

fn wish(snapshot: &Snapshot) -> Wish {
    let agent = snapshot.agent.as_ref();
    let spec = &agent.spec;
    if agent.metadata.deletion_timestamp.is_some() {
        let adopted = spec.agent_id.is_some() || spec.workspace.is_some();
        let by_default = if adopted {
            DeletionPolicy::Orphan
        } else {
            DeletionPolicy::Delete
        };
        return Wish::Gone(Departure {
            policy: spec.deletion_policy.unwrap_or(by_default),
            with_workspace: spec.delete_workspace,
            forced: annotation(agent, names::FORCE_DELETE) == Some("true"),
            after: snapshot.ahead.clone(),
            gateway_is_gone: matches!(snapshot.gateway, Fact::Absent) || is_elsewhere(snapshot),
            gateway_is_away: gateway_is_away(snapshot),
            taken_over: taken_over(snapshot),
        });
    }
    match spec.lifecycle {
        Lifecycle::Active => Wish::Present { paused: false },
        Lifecycle::Paused => Wish::Present { paused: true },
        Lifecycle::Retired => Wish::Retired,
    }
}

/// Whether it may be there: whether what it belongs to stays, has room, and gave its place to nobody else.
fn admitted(snapshot: &Snapshot, place: &Place, wish: &Wish) -> Result<(), Obstacle> {
    let agent = snapshot.agent.as_ref();
    let provisioned = is_provisioned(agent);
    if agent.spec.role != Role::Main {
        let board = place::board(snapshot)?;
        let leads_to = &board.spec.gateway_ref.name;
        if *leads_to != place.gateway {
            return Err(Obstacle::MoveNotSupported {
                from: place.gateway.clone(),
                to: leads_to.clone(),
            });
        }
    }
    let gateway = place::gateway(snapshot)?;
    if gateway.uid().as_deref() != Some(place.gateway_uid.as_str()) {
        return Err(Obstacle::GatewayReplaced {
            gateway: place.gateway.clone(),
        });
    }
    let gone = matches!(wish, Wish::Gone(_));
    if !provisioned && !gone && gateway.metadata.deletion_timestamp.is_some() {
        return Err(Obstacle::GatewayTerminating {
            gateway: place.gateway.clone(),
        });
    }
    if agent.spec.role != Role::Main {
        let board = place::board(snapshot)?;
        if !provisioned && !gone && board.metadata.deletion_timestamp.is_some() {
            return Err(Obstacle::BoardTerminating {
                board: board.name_any(),
            });
        }
        match roster::of(board, &snapshot.team).waiting.get(&agent.name_any()) {
            None => {}
            Some(Waits::LeadConflict { lead }) => {
                return Err(Obstacle::LeadConflict { lead: lead.clone() });
            }
            Some(Waits::CapacityExceeded { capacity }) => {
                return Err(Obstacle::CapacityExceeded {
                    board: board.name_any(),
                    capacity: *capacity,
                });
            }
        }
    }
    match snapshot.rivals.iter().find(|rival| ranks_before(rival, agent)) {
        Some(rival) => Err(Obstacle::AgentIdTaken {
            id: place.agent.to_string(),
            by: full_name(rival),
        }),
        None => Ok(()),
    }?;
    // Whoever is retired has nothing written there until it is back, and then comes last.
    let lives_there = |rival: &Agent| rival.spec.lifecycle != Lifecycle::Retired || is_provisioned(rival);
    let mut others = snapshot.workspace_rivals.iter();
    match others.find(|rival| lives_there(rival) && ranks_before(rival, agent)) {
        Some(rival) => Err(Obstacle::WorkspaceTaken {
            workspace: place.workspace.clone(),
            by: full_name(rival),
        }),
        None => Ok(()),
    }
}

fn full_name(agent: &Agent) -> String {
    format!("{}/{}", agent.namespace().unwrap_or_default(), agent.name_any())
}

/// By one that stays: of two that go, one must still clean up.
fn taken_over(snapshot: &Snapshot) -> bool {
    let stays = |rival: &&Arc<Agent>| rival.metadata.deletion_timestamp.is_none();
    snapshot
        .rivals
        .iter()
        .filter(stays)
        .any(|rival| is_provisioned(rival))
}

/// One of the same name is another gateway until proved otherwise.
fn is_elsewhere(snapshot: &Snapshot) -> bool {
    let status = snapshot.agent.status.as_ref();
    let bound = status.and_then(|status| status.binding.as_ref());
    match (&snapshot.gateway, bound) {
        (Fact::Known(gateway), Some(binding)) => gateway.uid().as_ref() != Some(&binding.gateway.uid),
        (Fact::Known(_), None) | (Fact::Absent | Fact::Unknown, _) => false,
    }
}

fn gateway_is_away(snapshot: &Snapshot) -> bool {
    let Fact::Known(gateway) = &snapshot.gateway else {
        return false;
    };
    let conditions = gateway.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|it| it.type_ == condition::READY);
    ready.any(|it| it.status == "False")
}

/// Who holds an id keeps it; else who was first to ask.
fn ranks_before(one: &Agent, other: &Agent) -> bool {
    let rank = |agent: &Agent| {
        let since = agent.creation_timestamp().map(|time| time.0);
        (!is_provisioned(agent), since, agent.uid())
    };
    rank(one) < rank(other)
}

fn content(
    snapshot: &Snapshot,
    place: &Place,
    wish: &Wish,
    token: &WantedToken,
    promises: &Promises,
) -> Result<Content, Obstacle> {
    let agent = snapshot.agent.as_ref();
    // What was never seen is taken for the newest: only to find out early whether the templates are right.
    let contract = snapshot.contract.unwrap_or(&V2026_9_6);
    let token = token.to_write().map_or(NO_TOKEN, AgentToken::reveal);
    let files = files::of(files::Rendering {
        snapshot,
        place,
        contract,
        token,
    })?;
    let paused = match wish {
        Wish::Present { paused } => *paused,
        Wish::Retired | Wish::Gone(_) => false,
    };
    let entry = WantedEntry::of(
        &agent.name_any(),
        &agent.spec,
        place,
        files.heartbeat_prompt.as_deref(),
        paused,
        promises,
    )?;
    Ok(Content {
        entry,
        files,
        contract,
    })
}

fn hold(snapshot: &Snapshot) -> Option<Hold> {
    let board = matches!(&snapshot.board, Fact::Known(board) if board.spec.suspend);
    let gateway = matches!(&snapshot.gateway, Fact::Known(gateway) if gateway.spec.suspend);
    if snapshot.agent.spec.suspend {
        Some(Hold::Agent)
    } else if board {
        Some(Hold::Board)
    } else {
        gateway.then_some(Hold::Gateway)
    }
}

/// The Agent's own word, else its Gateway's.
fn drift(snapshot: &Snapshot) -> Drift {
    let of_gateway = match &snapshot.gateway {
        Fact::Known(gateway) => gateway.spec.drift,
        Fact::Absent | Fact::Unknown => Drift::default(),
    };
    snapshot.agent.spec.drift.unwrap_or(of_gateway)
}

fn preserved(snapshot: &Snapshot) -> BTreeSet<String> {
    match &snapshot.gateway {
        Fact::Known(gateway) => {
            let status = gateway.status.as_ref();
            let named = status.map(|status| status.preserved_heartbeats.as_slice());
            named.unwrap_or_default().iter().cloned().collect()
        }
        Fact::Absent | Fact::Unknown => BTreeSet::new(),
    }
}

/// The requests of the Agent and of its Gateway as one word: a new value of any is a new request. So is a TemplateSync; when
/// it is done nothing new is asked.
fn ask(snapshot: &Snapshot, errand: Option<&Errand>) -> String {
    let agent = snapshot.agent.as_ref();
    let gateway: Option<&Gateway> = match &snapshot.gateway {
        Fact::Known(gateway) => Some(gateway),
        Fact::Absent | Fact::Unknown => None,
    };
    let of_gateway = |name| gateway.and_then(|gateway| annotation(gateway, name));
    let done = agent.status.iter().flat_map(|status| &status.syncs).next_back();
    let words = [
        errand
            .map(|errand| errand.uid.as_str())
            .or(done.map(|done| done.uid.as_str())),
        annotation(agent, names::RECONCILE_AT),
        annotation(agent, names::FLUX_REQUESTED_AT),
        of_gateway(names::RECONCILE_AT),
        of_gateway(names::FLUX_REQUESTED_AT),
    ];
    words.map(Option::unwrap_or_default).join("\n")
}

fn annotation<'a>(object: &'a impl kube::Resource, name: &str) -> Option<&'a str> {
    object.meta().annotations.as_ref()?.get(name).map(String::as_str)
}
