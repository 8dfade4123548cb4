//! Group commit: however many agents want their entry changed, one write carries them all.
//!
//! A gateway has one configuration, one write lock, a write budget, and on 2026.9.6 each write costs a second whatever it
//! holds: 56 entries in one patch take 4.6 s, in four patches 7. So changes that arrive within a short window, or while
//! a commit is in flight, leave together. Each depositor gets its own result. A change is never applied on a guess: the
//! patch is the difference to a reading, it names that reading's hash, and after a lost answer the configuration is read
//! again before anything else is said or done.
//!
//! What to write is worked out by pure parts: [`patch`] (entries), [`bindings`], [`heartbeat`] (blocks of others that come
//! and go with ours), [`size`] (what is too much at once), [`blame`] (who is at fault). [`committer`] does it.

mod bindings;
mod blame;
mod budget;
mod committer;
mod heartbeat;
mod patch;
mod size;

use std::collections::BTreeSet;

use tokio::sync::{mpsc, oneshot, watch};

use super::binding::Binding;
use super::configuration::Entry;
use super::names::AgentId;
use super::reading::Readings;
use super::refusal::Issue;
use super::rpc::Deleted;
use super::session::Online;
pub use bindings::Conflict;
use committer::{Committer, LARGEST};
pub use patch::LeftOut;

/// What an agent's entry shall hold. A field that is null is removed; a field not named is left as it is.
#[derive(Debug, Clone, PartialEq)]
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

/// The entry holds what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// Settings that this gateway does not know, and that were therefore not sent.
    pub left_out: Vec<LeftOut>,
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
    /// None: it was gone already.
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

/// Held by a session; a clone for each depositor.
#[derive(Clone)]
pub struct Commits {
    deposits: mpsc::Sender<Deposit>,
}

enum Deposit {
    Put(Put),
    TakeOut(TakeOut),
}

struct Put {
    change: EntryChange,
    result: oneshot::Sender<Result<Committed, NotCommitted>>,
}

struct TakeOut {
    removal: Removal,
    result: oneshot::Sender<Result<Removed, NotCommitted>>,
}

impl Commits {
    /// Runs until every clone of the answer is dropped.
    pub(super) fn start(online: watch::Receiver<Option<Online>>, readings: Readings, seed: u64) -> Self {
        let (deposits, taken) = mpsc::channel(LARGEST);
        tokio::spawn(Committer::new(online, readings, seed).run(taken));
        Self { deposits }
    }

    /// Comes back when the entry holds the change, or says why it does not.
    pub async fn put(&self, change: EntryChange) -> Result<Committed, NotCommitted> {
        let (result, answered) = oneshot::channel();
        self.deposit(Deposit::Put(Put { change, result })).await?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Comes back when the agent is gone, or says why it is not. Among the changes, since it is a write like them:
    /// what the gateway lets shrink too far at once goes in steps, and blocks of others that were there for the sake of
    /// ours go with the last of ours.
    pub async fn take_out(&self, removal: Removal) -> Result<Removed, NotCommitted> {
        let (result, answered) = oneshot::channel();
        self.deposit(Deposit::TakeOut(TakeOut { removal, result }))
            .await?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn deposit(&self, deposit: Deposit) -> Result<(), NotCommitted> {
        self.deposits.send(deposit).await.map_err(|_| gone())
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
