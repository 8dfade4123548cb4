//! Group commit: however many agents want their entry changed, one write carries them all.
//!
//! A gateway has one configuration, one write lock, a write budget, and on 2026.9.6 each write costs a second whatever it
//! holds: 56 entries in one patch take 4.6 s, in four patches 7. So changes that arrive within a short window, or while
//! a commit is in flight, leave together. Each depositor gets its own result. A change is never applied on a guess: the
//! patch is the difference to a reading, it names that reading's hash, and after a lost answer the configuration is read
//! again before anything else is said or done.

mod budget;
mod patch;

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::configuration::{Configuration, Entry};
use super::connection::CallError;
use super::names::AgentId;
use super::refusal::{Issue, Meaning};
use super::session::Online;
use budget::Spending;
pub use patch::LeftOut;
use patch::{Patch, guilty, patch_of};

/// What an agent's entry shall hold. A field that is null is removed; a field not named is left as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryChange {
    pub agent: AgentId,
    pub fields: Entry,
}

/// The entry holds what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// Settings that this gateway does not know, and that were therefore not sent.
    pub left_out: Vec<LeftOut>,
    /// Agents of others that were given an empty heartbeat block by this write, so that ours did not silence them.
    pub preserved: Vec<AgentId>,
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

struct Deposit {
    change: EntryChange,
    result: oneshot::Sender<Result<Committed, NotCommitted>>,
}

/// Longer costs more than a second write would; shorter misses what a `kubectl apply -f` brings together.
const WINDOW: Duration = Duration::from_millis(150);
/// 2026.9.6 takes 8.7 s for 100 new entries, 64 s for 300: more would only hold up those that come next.
const LARGEST: usize = 100;
/// Conflicts, lost answers, a spent budget: so many tries in a row, then each depositor decides for itself.
const TRIES: u32 = 8;
/// A restart takes 2 to 39 s.
const BACK_ONLINE: Duration = Duration::from_secs(60);

impl Commits {
    /// Runs until every clone of the answer is dropped.
    pub(super) fn start(online: watch::Receiver<Option<Online>>, seed: u64) -> Self {
        let (deposits, taken) = mpsc::channel(LARGEST);
        let committer = Committer {
            online,
            rng: SmallRng::seed_from_u64(seed),
            spending: Spending::default(),
        };
        tokio::spawn(committer.run(taken));
        Self { deposits }
    }

    /// Comes back when the entry holds the change, or says why it does not.
    pub async fn put(&self, change: EntryChange) -> Result<Committed, NotCommitted> {
        let (result, answered) = oneshot::channel();
        let gone = || NotCommitted::Unfinished("the session has ended".to_owned());
        self.deposits
            .send(Deposit { change, result })
            .await
            .map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

struct Committer {
    online: watch::Receiver<Option<Online>>,
    rng: SmallRng,
    spending: Spending,
}

/// What one attempt came to.
enum Attempt {
    /// Everything in it is as wanted.
    Done {
        left_out: Vec<LeftOut>,
        preserved: Vec<AgentId>,
    },
    /// Look again and go on: somebody else wrote, the answer was lost, or the budget was spent.
    Again(String),
    /// These are at fault; the others go again without them.
    Rejected(Vec<(AgentId, Vec<Issue>)>),
    Refused(String),
}

impl Committer {
    async fn run(mut self, mut taken: mpsc::Receiver<Deposit>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Some(first) = taken.recv().await else { return };
                waiting.push_back(first);
                sleep(WINDOW).await;
            }
            while let Ok(deposit) = taken.try_recv() {
                waiting.push_back(deposit);
            }
            // One change of an agent a commit: the later one is meant to come on top of the earlier.
            let batch = next_batch(&mut waiting);
            self.commit(batch).await;
        }
    }

    /// Answers every deposit of the batch.
    async fn commit(&mut self, mut batch: Vec<Deposit>) {
        let mut tries = 0;
        while !batch.is_empty() {
            tries += 1;
            let changes: Vec<EntryChange> = batch.iter().map(|deposit| deposit.change.clone()).collect();
            match self.attempt(&changes).await {
                Attempt::Done { left_out, preserved } => {
                    for Deposit { change, result } in batch {
                        let left_out = left_out
                            .iter()
                            .filter(|left| left.agent == change.agent)
                            .cloned()
                            .collect();
                        // Whoever does not wait any more finds it by reading.
                        result
                            .send(Ok(Committed {
                                left_out,
                                preserved: preserved.clone(),
                            }))
                            .ok();
                    }
                    return;
                }
                Attempt::Rejected(guilty) => {
                    let (bad, good) = batch
                        .into_iter()
                        .partition(|deposit| guilty.iter().any(|(agent, _)| *agent == deposit.change.agent));
                    batch = good;
                    answer_rejected(bad, &guilty);
                    tries = 0;
                }
                Attempt::Again(why) if tries < TRIES => {
                    tracing::debug!(why, tries, entries = batch.len(), "a commit goes again");
                    let pause = self
                        .rng
                        .random_range(Duration::from_millis(20)..=Duration::from_millis(200) * tries);
                    sleep(pause).await;
                }
                Attempt::Again(why) => return answer_all(batch, &NotCommitted::Unfinished(why)),
                Attempt::Refused(why) => return answer_all(batch, &NotCommitted::Refused(why)),
            }
        }
    }

    /// Reads, compares, and writes what differs.
    async fn attempt(&mut self, changes: &[EntryChange]) -> Attempt {
        let Some(Online { connection, contract }) = self.wait_online().await else {
            return Attempt::Again("the gateway is not connected".to_owned());
        };
        let now: Configuration = match connection.config_get().await {
            Ok(now) => now,
            Err(error) => return Attempt::Again(format!("the configuration cannot be read: {error}")),
        };
        let Patch {
            raw,
            entries,
            left_out,
            preserved,
        } = patch_of(contract, &now, changes);
        let Some(raw) = raw else {
            return Attempt::Done { left_out, preserved };
        };
        if let Some(budget) = contract.write_budget {
            self.spending.wait(budget).await;
        }
        match connection.config_patch(&raw, &now.hash, entries).await {
            // A gateway that restarts after each write has answered before that: the next reading waits for it.
            Ok(_) if !contract.restarts_on_write => Attempt::Done { left_out, preserved },
            Ok(_) => {
                connection.ended().await;
                Attempt::Again("the gateway restarts after a write".to_owned())
            }
            Err(CallError::Refused(refusal)) => match refusal.meaning() {
                Meaning::ConfigChanged => Attempt::Again("somebody else wrote the configuration".to_owned()),
                Meaning::OverBudget { retry_after } => {
                    self.spending.exhausted(retry_after);
                    Attempt::Again("the gateway's write budget is spent".to_owned())
                }
                Meaning::Busy { retry_after } => {
                    sleep(retry_after.min(BACK_ONLINE)).await;
                    Attempt::Again("the gateway is busy".to_owned())
                }
                Meaning::InvalidConfig(issues) => match guilty(&now, changes, &raw, &issues) {
                    Some(guilty) => Attempt::Rejected(guilty),
                    None => Attempt::Refused(format!("{}: {}", refusal.message, words(&issues))),
                },
                Meaning::NoSuchAgent
                | Meaning::AlreadyExists
                | Meaning::UnsupportedFile
                | Meaning::UnsafeFile
                | Meaning::FileChanged
                | Meaning::MissingScope
                | Meaning::UnknownMethod
                | Meaning::OtherMessage
                | Meaning::Other => Attempt::Refused(refusal.message),
            },
            Err(error @ CallError::TooLarge { .. }) => Attempt::Refused(error.to_string()),
            Err(error @ (CallError::Lost(_) | CallError::TimedOut | CallError::Odd { .. })) => {
                Attempt::Again(error.to_string())
            }
        }
    }

    async fn wait_online(&mut self) -> Option<Online> {
        let waiting = self.online.wait_for(Option::is_some);
        timeout(BACK_ONLINE, waiting).await.ok()?.ok()?.clone()
    }
}

/// Up to [`LARGEST`] deposits, no two of one agent; the rest keep their order.
fn next_batch(waiting: &mut VecDeque<Deposit>) -> Vec<Deposit> {
    let mut batch: Vec<Deposit> = Vec::new();
    let mut rest = VecDeque::new();
    for deposit in waiting.drain(..) {
        let taken = batch
            .iter()
            .any(|other| other.change.agent == deposit.change.agent);
        if batch.len() < LARGEST && !taken {
            batch.push(deposit);
        } else {
            rest.push_back(deposit);
        }
    }
    *waiting = rest;
    batch
}

fn answer_all(batch: Vec<Deposit>, why: &NotCommitted) {
    for Deposit { change: _, result } in batch {
        result.send(Err(why.clone())).ok();
    }
}

fn answer_rejected(bad: Vec<Deposit>, guilty: &[(AgentId, Vec<Issue>)]) {
    for Deposit { change, result } in bad {
        let issues = guilty
            .iter()
            .filter(|(agent, _)| *agent == change.agent)
            .flat_map(|(_, issues)| issues.clone());
        result.send(Err(NotCommitted::Rejected(issues.collect()))).ok();
    }
}

fn words(issues: &[Issue]) -> String {
    let each = issues
        .iter()
        .map(|Issue { path, message }| format!("{path}: {message}"));
    each.collect::<Vec<_>>().join("; ")
}
