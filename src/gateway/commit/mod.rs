//! Group commit: however many agents want their entry changed, one write carries them all.
//!
//! A gateway has one configuration, one write lock, a write budget, and on 2026.9.6 each write costs a second whatever it
//! holds: 56 entries in one patch take 4.6 s, in four patches 7. So changes that arrive within moments of one another, or
//! while a commit is in flight, leave together. Each depositor gets its own result. A change is never applied on a guess: the
//! patch is the difference to a reading, it names that reading's hash, and after a lost answer the configuration is read
//! again before anything else is said or done.
//!
//! What to write is worked out by pure parts: [`patch`] (what differs), [`bindings`], [`heartbeat`] (blocks of others that
//! come and go with ours), [`write`] (as much as goes at once; [`size`]), [`roster`] (how it is said), [`blame`] (who is at
//! fault), [`queue`] (what goes together). [`check`] asks the gateway's schema, [`committer`] does it.

mod bindings;
mod blame;
mod budget;
mod check;
mod committer;
mod heartbeat;
mod patch;
mod queue;
mod roster;
mod size;
mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::address::Address;
use super::binding::Binding;
use super::configuration::{Configuration, Entry};
use super::contract::Contract;
use super::names::AgentId;
use super::reading::Readings;
use super::refusal::Issue;
use super::rpc::Deleted;
use super::session::{Online, Wanted};
pub use bindings::Conflict;
use committer::Committer;
pub use patch::{Hidden, LeftOut};

/// Told of every commit that wrote something, when it is done: how many changes left together. For metrics.
pub type CommitMeter = Arc<dyn Fn(usize) + Send + Sync>;

/// What an agent's entry shall hold. A field that is null is removed; a field not named is left as it is.
#[derive(Clone, PartialEq)]
pub struct EntryChange {
    pub agent: AgentId,
    pub fields: Entry,
    /// The channels, and accounts of channels, that shall be the agent's; others of its bindings are taken out, as far as
    /// our words could have made them. None: its bindings are left as they are.
    pub bindings: Option<BTreeSet<Binding>>,
    /// What earlier writes came to: [`Committed::preserved`].
    pub preserved: BTreeSet<AgentId>,
}

impl EntryChange {
    /// Of the entry alone.
    pub fn new(agent: AgentId, fields: Entry) -> Self {
        Self {
            agent,
            fields,
            bindings: None,
            preserved: BTreeSet::new(),
        }
    }
}

/// Without the values: a setting may hold a secret.
impl fmt::Debug for EntryChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            agent,
            fields,
            bindings,
            preserved,
        } = self;
        out.debug_struct("EntryChange")
            .field("agent", agent)
            .field("fields", &fields.keys())
            .field("bindings", bindings)
            .field("preserved", preserved)
            .finish()
    }
}

/// The entry holds what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// Settings that this gateway does not know, and that were therefore not sent.
    pub left_out: Vec<LeftOut>,
    /// Settings that were left as they are, because the gateway does not show what they are.
    pub hidden: Vec<Hidden>,
    /// Bindings that are another agent's.
    pub conflicts: Vec<Conflict>,
    /// Agents of others that have an empty heartbeat block by our hand now, so that blocks of ours do not silence them. It
    /// is to be kept and brought along next time: without it nobody knows that these blocks may be taken out again.
    pub preserved: BTreeSet<AgentId>,
}

/// An agent that shall go, with its bindings, and its files if so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    pub agent: AgentId,
    pub with_files: bool,
    /// What earlier writes came to: [`Committed::preserved`].
    pub preserved: BTreeSet<AgentId>,
}

/// The agent is not there any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// None: it was gone when this was asked for, by somebody else's hand or by an earlier try whose answer was lost.
    pub deleted: Option<Deleted>,
    /// As in [`Committed::preserved`]; empty after the last of ours.
    pub preserved: BTreeSet<AgentId>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// The gateway does not take this entry. Trying again is useless until the entry changes.
    #[error("the gateway refused the entry: {}", words(.0))]
    Rejected(Vec<Issue>),
    /// Refused for a reason that has nothing to do with the entry.
    #[error("the gateway refused the write: {0}")]
    Refused(String),
    /// Given up for now; whether it was written is unknown.
    #[error("the write could not be finished: {0}")]
    Unfinished(String),
}

/// What a change would write, found without writing.
#[derive(Clone, PartialEq)]
pub struct Difference {
    /// The agent has an entry.
    pub is_there: bool,
    /// Nothing needs to be written for it.
    pub is_none: bool,
    /// The settings that differ, as a merge patch of the entry.
    pub settings: Entry,
    pub bindings_differ: bool,
    pub left_out: Vec<LeftOut>,
    pub hidden: Vec<Hidden>,
    pub conflicts: Vec<Conflict>,
    /// As in [`Committed::preserved`], of the write that this would be.
    pub preserved: BTreeSet<AgentId>,
}

impl Difference {
    /// Between a reading and a change: by the same parts that write it, so that what is none here is none there.
    pub fn between(contract: &Contract, now: &Configuration, change: &EntryChange) -> Self {
        patch::difference_of(contract, now, change)
    }
}

/// Without the values: a setting may hold a secret.
impl fmt::Debug for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            is_there,
            is_none,
            settings,
            bindings_differ,
            left_out,
            hidden,
            conflicts,
            preserved,
        } = self;
        out.debug_struct("Difference")
            .field("preserved", preserved)
            .field("is_there", is_there)
            .field("is_none", is_none)
            .field("settings", &settings.keys())
            .field("bindings_differ", bindings_differ)
            .field("left_out", left_out)
            .field("hidden", hidden)
            .field("conflicts", conflicts)
            .finish()
    }
}

/// For depositors at one gateway: what is deposited is done to the gateway at this address or not at all. To be had from the
/// session before the configuration is read from which a change is worked out.
#[derive(Clone)]
pub struct Commits {
    deposits: mpsc::Sender<Deposit>,
    at: Address,
    preserved: watch::Receiver<Preserved>,
}

/// Who has, or may have, an empty heartbeat block by our hand, at which gateway.
pub type Preserved = (Address, BTreeSet<AgentId>);

/// 2026.9.6 takes 8.7 s for 100 new entries, 64 s for 300: more in one write would only hold up those that come next.
const LARGEST: usize = 100;

enum Deposit {
    Put(Put),
    TakeOut(TakeOut),
}

impl Deposit {
    /// Whoever deposited it has gone.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Put(put) => put.result.is_closed(),
            Self::TakeOut(take_out) => take_out.result.is_closed(),
        }
    }

    fn at(&self) -> &Address {
        match self {
            Self::Put(put) => &put.at,
            Self::TakeOut(take_out) => &take_out.at,
        }
    }
}

struct Put {
    at: Address,
    change: EntryChange,
    result: oneshot::Sender<Result<Committed, NotCommitted>>,
}

struct TakeOut {
    at: Address,
    removal: Removal,
    result: oneshot::Sender<Result<Removed, NotCommitted>>,
}

impl Commits {
    /// Runs until every clone of the answer is dropped.
    pub(super) fn start(
        wanted: watch::Receiver<Wanted>,
        online: watch::Receiver<Option<Online>>,
        readings: Readings,
        meter: CommitMeter,
        seed: u64,
    ) -> Self {
        let (deposits, taken) = mpsc::channel(LARGEST);
        let at = wanted.borrow().target.address.clone();
        let (tell, preserved) = watch::channel((at.clone(), BTreeSet::new()));
        tokio::spawn(Committer::new(wanted, online, readings, tell, meter, seed).run(taken));
        Self {
            deposits,
            at,
            preserved,
        }
    }

    /// As [`Committed::preserved`], also after a write whose outcome nobody knows: to be kept before it is forgotten here.
    pub fn preserved(&self) -> BTreeSet<AgentId> {
        let (at, preserved) = &*self.preserved.borrow();
        if *at == self.at {
            preserved.clone()
        } else {
            BTreeSet::new()
        }
    }

    /// Changes whenever [`preserved`](Self::preserved) may. Ends with the session.
    pub fn changes(&self) -> watch::Receiver<Preserved> {
        self.preserved.clone()
    }

    /// For the gateway at this address.
    pub(super) fn at(&self, at: Address) -> Self {
        Self {
            deposits: self.deposits.clone(),
            at,
            preserved: self.preserved.clone(),
        }
    }

    /// Comes back when the entry holds the change, or says why it does not.
    pub fn put(&self, change: EntryChange) -> impl Future<Output = Result<Committed, NotCommitted>> + use<> {
        let Self { deposits, at, .. } = self.clone();
        async move {
            let (result, answered) = oneshot::channel();
            let put = Deposit::Put(Put { at, change, result });
            deposits.send(put).await.map_err(|_| gone())?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        }
    }

    /// Comes back when the agent is gone, or says why it is not. Among the changes, since it is a write like them:
    /// what the gateway lets shrink too far at once goes in steps, and blocks of others that were there for the sake of
    /// ours go with the last of ours.
    pub fn take_out(&self, removal: Removal) -> impl Future<Output = Result<Removed, NotCommitted>> + use<> {
        let Self { deposits, at, .. } = self.clone();
        async move {
            let (result, answered) = oneshot::channel();
            let take_out = Deposit::TakeOut(TakeOut { at, removal, result });
            deposits.send(take_out).await.map_err(|_| gone())?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        }
    }
}

fn gone() -> NotCommitted {
    NotCommitted::Unfinished("the session has ended".to_owned())
}

fn words(issues: &[Issue]) -> String {
    let each = issues
        .iter()
        .map(|Issue { path, message }| format!("{path}: {message}"));
    each.collect::<Vec<_>>().join("; ")
}
