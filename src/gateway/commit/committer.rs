//! The task that writes: gathers what is deposited, reads, compares, writes, and looks again where the outcome is unknown.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::blame::guilty;
use super::budget::Spending;
use super::check::Check;
use super::patch::{Patch, farewell_of, patch_of};
use super::queue::{next_batch, next_removal};
use super::size::Caution;
use super::{
    CommitMeter, Committed, Deposit, EntryChange, LARGEST, NotCommitted, Preserved, Put, Removal, Removed,
    TakeOut, gone, words,
};
use crate::gateway::address::Address;
use crate::gateway::configuration::Configuration;
use crate::gateway::connection::CallError;
use crate::gateway::names::AgentId;
use crate::gateway::reading::Readings;
use crate::gateway::refusal::{Issue, Meaning};
use crate::gateway::rpc::Deleted;
use crate::gateway::session::{Online, Wanted};

pub(super) struct Committer {
    /// What the session is to be connected to, and what it is connected to.
    wanted: watch::Receiver<Wanted>,
    online: watch::Receiver<Option<Online>>,
    readings: Readings,
    rng: SmallRng,
    memory: Memory,
    /// [`Memory::preserved`], for whoever asks.
    preserved: watch::Sender<Preserved>,
    meter: CommitMeter,
}

/// What is known of a gateway beside its configuration. Of one at another address nothing of it holds.
struct Memory {
    at: Address,
    spending: Spending,
    /// Who has, or may have, an empty heartbeat block by our hand: a write whose answer was lost counts.
    preserved: BTreeSet<AgentId>,
    check: Check,
}

/// Nobody has come for so long: those who belong together are all there.
const GAP: Duration = Duration::from_millis(150);
/// However many still come. The agents of a `kubectl apply -f` come for two seconds, since each has a Secret and a status to be
/// written first; a second write for the later ones costs a gateway of 56 more than the wait.
const LONGEST_GATHERING: Duration = Duration::from_secs(3);
/// Whoever comes later waits outside.
const MOST_WAITING: usize = 10 * LARGEST;
/// Conflicts, lost answers, a spent budget: so many tries in a row, then each depositor decides for itself.
const TRIES: u32 = 8;
/// Writes that each bring a large change nearer: enough for 15 MB, which no gateway takes.
const STEPS: u32 = 24;
/// Refused in a row without a word on whose fault it is: the whole batch, both halves, all quarters and all eighths. That is
/// not for the sake of somebody in it.
const UNCLEAR: u32 = 15;
/// A restart takes 2 to 39 s.
const BACK_ONLINE: Duration = Duration::from_secs(60);

/// What one attempt came to.
enum Attempt<D> {
    /// Everything in it is as wanted.
    Done(D),
    /// A write brought it nearer: look again and go on.
    Onward,
    /// The budget let nothing through for a while: look again and go on.
    Waited,
    /// Look again and go on: somebody else wrote, or the answer was lost.
    Again(String),
    /// These are at fault; the others go again without them.
    Rejected(Vec<(AgentId, Vec<Issue>)>),
    /// Refused for something in it, and nothing says what: a smaller part may pass.
    Unclear(String),
    Refused(String),
    /// Not to be done any more: the session has ended, or is to be connected to another gateway.
    GivenBack(NotCommitted),
}

/// How far the tries of one commit have gone.
struct Progress {
    tries: u32,
    steps: u32,
    caution: Caution,
    /// Nothing in it is against the gateway's schema.
    is_checked: bool,
    has_written: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            tries: 0,
            steps: 0,
            caution: Caution::Usual,
            is_checked: false,
            has_written: false,
        }
    }
}

/// Whoever comes within moments of the one before.
async fn gather(waiting: &mut VecDeque<Deposit>, taken: &mut mpsc::Receiver<Deposit>) {
    let until = Instant::now() + LONGEST_GATHERING;
    while waiting.len() < LARGEST {
        let gap = (Instant::now() + GAP).min(until);
        match timeout_at(gap, taken.recv()).await {
            Ok(Some(deposit)) => waiting.push_back(deposit),
            Ok(None) | Err(_) => return,
        }
    }
}

impl Memory {
    fn of(at: Address) -> Self {
        Self {
            at,
            spending: Spending::default(),
            preserved: BTreeSet::new(),
            check: Check::default(),
        }
    }
}

impl Committer {
    pub(super) fn new(
        wanted: watch::Receiver<Wanted>,
        online: watch::Receiver<Option<Online>>,
        readings: Readings,
        preserved: watch::Sender<Preserved>,
        meter: CommitMeter,
        seed: u64,
    ) -> Self {
        let at = wanted.borrow().target.address.clone();
        Self {
            wanted,
            online,
            readings,
            rng: SmallRng::seed_from_u64(seed),
            memory: Memory::of(at),
            preserved,
            meter,
        }
    }

    pub(super) async fn run(mut self, mut taken: mpsc::Receiver<Deposit>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Some(first) = taken.recv().await else { return };
                waiting.push_back(first);
                gather(&mut waiting, &mut taken).await;
            }
            while waiting.len() < MOST_WAITING
                && let Ok(deposit) = taken.try_recv()
            {
                waiting.push_back(deposit);
            }
            // Nobody waits for these any more: what they wanted then need not be what is wanted now.
            waiting.retain(|deposit| !deposit.is_abandoned());
            let here = self.wanted.borrow().target.address.clone();
            waiting = turn_away(waiting, &here);
            if self.memory.at != here {
                self.memory = Memory::of(here);
            }
            let batch = next_batch(&mut waiting);
            self.commit(batch).await;
            self.tell_preserved();
            // One at a time: each takes up to 3.6 s, and changes that have come meanwhile go first.
            if let Some(TakeOut {
                at: _,
                removal,
                result,
            }) = next_removal(&mut waiting)
            {
                let removed = self.take_out(&removal, || result.is_closed()).await;
                self.tell_preserved();
                result.send(removed).ok();
            }
        }
    }

    /// Answers every deposit of the batch. Where it is refused as a whole and nothing says for whose sake, the halves of it
    /// are tried, then theirs, down to each one: what is wrong with one change must not keep the others out.
    async fn commit(&mut self, batch: Vec<Put>) {
        let mut parts = VecDeque::from([batch]);
        let mut refused_in_a_row = 0;
        while let Some(part) = parts.pop_front() {
            let Some((mut part, why)) = self.commit_part(part).await else {
                refused_in_a_row = 0;
                continue;
            };
            refused_in_a_row += 1;
            let why = NotCommitted::Refused(why);
            if refused_in_a_row >= UNCLEAR {
                parts.push_back(part);
                return parts.into_iter().for_each(|part| answer_all(part, &why));
            }
            if part.len() == 1 {
                answer_all(part, &why);
            } else {
                let half = part.split_off(part.len() / 2);
                parts.extend([part, half]);
            }
        }
    }

    /// Answers every deposit, or gives back those that were refused together, and why.
    async fn commit_part(&mut self, mut batch: Vec<Put>) -> Option<(Vec<Put>, String)> {
        let mut progress = Progress::new();
        loop {
            // Whoever has given up meanwhile may want something else by now.
            batch.retain(|put| !put.result.is_closed());
            if batch.is_empty() {
                return None;
            }
            let changes: Vec<EntryChange> = batch.iter().map(|put| put.change.clone()).collect();
            let given_up = match self.attempt(&changes, &mut progress).await {
                Attempt::Done(patch) => {
                    if progress.has_written {
                        (self.meter)(batch.len());
                    }
                    answer_done(batch, &patch);
                    return None;
                }
                Attempt::Rejected(guilty) => {
                    let (bad, good) = batch
                        .into_iter()
                        .partition(|put| guilty.iter().any(|(agent, _)| *agent == put.change.agent));
                    batch = good;
                    answer_rejected(bad, &guilty);
                    progress.tries = 0;
                    continue;
                }
                Attempt::Unclear(why) => return Some((batch, why)),
                Attempt::Waited => continue,
                Attempt::Refused(why) => NotCommitted::Refused(why),
                Attempt::GivenBack(why) => why,
                Attempt::Onward => match progress.onward() {
                    Ok(()) => continue,
                    Err(why) => why,
                },
                Attempt::Again(why) => match self.again(why, &mut progress).await {
                    Ok(()) => continue,
                    Err(why) => why,
                },
            };
            answer_all(batch, &given_up);
            return None;
        }
    }

    async fn take_out(
        &mut self,
        removal: &Removal,
        is_abandoned: impl Fn() -> bool,
    ) -> Result<Removed, NotCommitted> {
        let mut progress = Progress::new();
        loop {
            // An agent is not deleted for somebody who has given that up.
            if is_abandoned() {
                return Err(NotCommitted::Unfinished("nobody waits for it".to_owned()));
            }
            match self.attempt_removal(removal, &mut progress.caution).await {
                Attempt::Done(deleted) => {
                    return Ok(Removed {
                        deleted,
                        preserved: self.memory.preserved.clone(),
                    });
                }
                Attempt::Rejected(guilty) => {
                    let issues = guilty.into_iter().flat_map(|(_, issues)| issues);
                    return Err(NotCommitted::Rejected(issues.collect()));
                }
                Attempt::Unclear(why) | Attempt::Refused(why) => return Err(NotCommitted::Refused(why)),
                Attempt::GivenBack(why) => return Err(why),
                Attempt::Waited => {}
                Attempt::Onward => progress.onward()?,
                Attempt::Again(why) => self.again(why, &mut progress).await?,
            }
        }
    }

    /// Before a write whose answer may be lost, and after whatever came of it.
    fn tell_preserved(&self) {
        let Memory { at, preserved, .. } = &self.memory;
        self.preserved.send_replace((at.clone(), preserved.clone()));
    }

    async fn again(&mut self, why: String, progress: &mut Progress) -> Result<(), NotCommitted> {
        progress.tries += 1;
        let tries = progress.tries;
        if tries >= TRIES {
            return Err(NotCommitted::Unfinished(why));
        }
        tracing::debug!(why, tries, "a commit goes again");
        let pause = self
            .rng
            .random_range(Duration::from_millis(20)..=Duration::from_millis(200) * tries);
        sleep(pause).await;
        Ok(())
    }

    /// Reads, compares, and writes what differs.
    async fn attempt(&mut self, changes: &[EntryChange], progress: &mut Progress) -> Attempt<Patch> {
        let (online, now) = match self.look().await {
            Ok(looked) => looked,
            Err(why) => return why.into(),
        };
        if !progress.is_checked {
            match self.memory.check.faults(&online, changes).await {
                Ok(faults) if faults.is_empty() => progress.is_checked = true,
                Ok(faults) => return Attempt::Rejected(faults),
                Err(error) => {
                    return Attempt::Again(format!("the configuration's schema cannot be read: {error}"));
                }
            }
        }
        let known = changes.iter().flat_map(|change| change.preserved.iter().cloned());
        let known: BTreeSet<AgentId> = known.chain(self.memory.preserved.iter().cloned()).collect();
        let patch = patch_of(online.contract, &now, changes, &known, progress.caution);
        if patch.raw.is_none() && !patch.more {
            self.memory.preserved.clone_from(&patch.preserved);
            return Attempt::Done(patch);
        }
        progress.has_written = true;
        self.write(&online, &now, changes, patch, &mut progress.caution)
            .await
    }

    /// Writes what must be written before the agent can go, then lets it go.
    async fn attempt_removal(
        &mut self,
        removal: &Removal,
        caution: &mut Caution,
    ) -> Attempt<Option<Deleted>> {
        let Removal {
            agent,
            with_files,
            preserved,
        } = removal;
        let (online, now) = match self.look().await {
            Ok(looked) => looked,
            Err(why) => return why.into(),
        };
        let known = preserved.union(&self.memory.preserved).cloned().collect();
        let patch = farewell_of(online.contract, &now, agent, &known, *caution);
        if patch.raw.is_some() || patch.more {
            return match self.write(&online, &now, &[], patch, caution).await {
                Attempt::Done(_) | Attempt::Onward => Attempt::Onward,
                Attempt::Waited => Attempt::Waited,
                Attempt::Again(why) => Attempt::Again(why),
                Attempt::Rejected(guilty) => Attempt::Rejected(guilty),
                Attempt::Unclear(why) => Attempt::Unclear(why),
                Attempt::Refused(why) => Attempt::Refused(why),
                Attempt::GivenBack(why) => Attempt::GivenBack(why),
            };
        }
        self.memory.preserved = patch.preserved;
        let Online {
            connection,
            contract,
            address: _,
        } = &online;
        let deleted = connection.agents_delete(agent, *with_files).await;
        self.readings.forget().await;
        match deleted {
            // 2026.9.6 does not find an agent for 0.2 s after it was made.
            Ok(None) if now.entries.contains_key(agent) => {
                Attempt::Again("the gateway does not find an agent that its configuration has".to_owned())
            }
            Ok(deleted) => {
                if deleted.is_some() && contract.restarts_on_write {
                    timeout(BACK_ONLINE, connection.ended()).await.ok();
                }
                Attempt::Done(deleted)
            }
            Err(error) => self.not_written(error, &now, &[], None, caution).await,
        }
    }

    /// The connection to the gateway that the deposits are meant for, and a reading by it that begins after everything
    /// deposited so far.
    async fn look(&mut self) -> Result<(Online, Arc<Configuration>), NoLook> {
        let at = self.memory.at.clone();
        let is_there = |online: &Option<Online>| online.as_ref().is_some_and(|online| online.address == at);
        tokio::select! {
            biased;
            moved = self.wanted.wait_for(|wanted| wanted.target.address != at) => {
                let why = if moved.is_ok() { elsewhere() } else { gone() };
                return Err(NoLook::GivenBack(why));
            }
            _ = timeout(BACK_ONLINE, self.online.wait_for(is_there)) => {}
        }
        let Some(online) = self.online.borrow().clone().filter(|online| online.address == at) else {
            return Err(NoLook::Failed("the gateway is not connected".to_owned()));
        };
        let now = self.readings.new_one().await;
        let now = now.map_err(|error| NoLook::Failed(error.to_string()))?;
        let is_same = |other: &Online| Arc::ptr_eq(&other.connection, &online.connection);
        if !self.online.borrow().as_ref().is_some_and(is_same) {
            return Err(NoLook::Failed("the connection was lost".to_owned()));
        }
        Ok((online, now))
    }

    async fn write(
        &mut self,
        online: &Online,
        now: &Configuration,
        changes: &[EntryChange],
        patch: Patch,
        caution: &mut Caution,
    ) -> Attempt<Patch> {
        let Some(raw) = &patch.raw else {
            return Attempt::Unclear(TOO_LARGE_A_STEP.to_owned());
        };
        let Online {
            connection,
            contract,
            address: _,
        } = online;
        if let Some(budget) = contract.write_budget
            && self.memory.spending.wait(budget).await
        {
            // What was read is up to a minute old by now: a conflict would cost a write of the next minute.
            return Attempt::Waited;
        }
        if contract.write_budget.is_some() {
            self.memory.spending.count();
        }
        let before = self.memory.preserved.clone();
        self.memory.preserved.extend(patch.preserved.iter().cloned());
        self.tell_preserved();
        let written = connection
            .config_patch(raw, &now.hash, patch.entries, &patch.replace_paths)
            .await;
        self.readings.forget().await;
        match written {
            Ok(_) if contract.restarts_on_write => {
                // It has answered before that: the next reading waits for it.
                timeout(BACK_ONLINE, connection.ended()).await.ok();
                Attempt::Onward
            }
            Ok(_) if patch.more => Attempt::Onward,
            Ok(_) => {
                self.memory.preserved.clone_from(&patch.preserved);
                Attempt::Done(patch)
            }
            Err(error) => {
                if is_certainly_not_written(&error) {
                    self.memory.preserved = before;
                }
                self.not_written(error, now, changes, Some(raw), caution).await
            }
        }
    }

    async fn not_written<D>(
        &mut self,
        error: CallError,
        now: &Configuration,
        changes: &[EntryChange],
        raw: Option<&serde_json::Value>,
        caution: &mut Caution,
    ) -> Attempt<D> {
        let refusal = match error {
            CallError::Refused(refusal) => refusal,
            error @ (CallError::Lost(_) | CallError::TimedOut | CallError::Odd { .. }) => {
                return Attempt::Again(error.to_string());
            }
            error @ CallError::TooLarge { .. } => return Attempt::Unclear(error.to_string()),
        };
        match refusal.meaning() {
            Meaning::ConfigChanged => Attempt::Again("somebody else wrote the configuration".to_owned()),
            Meaning::OverBudget { retry_after } => {
                // No gateway's window is longer; what a hostile one says would hold us for ever.
                self.memory.spending.exhausted(retry_after.min(BACK_ONLINE));
                Attempt::Again("the gateway's write budget is spent".to_owned())
            }
            Meaning::Busy { retry_after } => {
                sleep(retry_after.min(BACK_ONLINE)).await;
                Attempt::Again("the gateway is busy".to_owned())
            }
            Meaning::SizeDrop => match caution {
                Caution::Usual => {
                    *caution = Caution::Great;
                    Attempt::Onward
                }
                Caution::Great => Attempt::Unclear(format!("{TOO_LARGE_A_STEP} ({})", refusal.message)),
            },
            Meaning::InvalidConfig(issues) => match raw.and_then(|raw| guilty(now, changes, raw, &issues)) {
                Some(guilty) => Attempt::Rejected(guilty),
                None => Attempt::Unclear(format!("{}: {}", refusal.message, words(&issues))),
            },
            // Not about the entries, as far as we know; one of them may be the reason all the same.
            Meaning::Other if raw.is_some() => Attempt::Unclear(refusal.message),
            Meaning::NoSuchAgent
            | Meaning::AlreadyExists
            | Meaning::UnsupportedFile
            | Meaning::UnsafeFile
            | Meaning::FileChanged
            | Meaning::MissingScope
            | Meaning::UnknownMethod
            | Meaning::OtherMessage
            | Meaning::Other => Attempt::Refused(refusal.message),
        }
    }
}

const TOO_LARGE_A_STEP: &str = "a gateway keeps at least half of its configuration in each write, and what shall go is more \
                                than that and cannot go in parts; take some of it out of the gateway's configuration by hand";

impl Progress {
    fn onward(&mut self) -> Result<(), NotCommitted> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(NotCommitted::Unfinished(format!("not done after {STEPS} writes")));
        }
        Ok(())
    }
}

/// Not so after a lost lease or an announced restart: those need not have come before the write.
fn is_certainly_not_written(error: &CallError) -> bool {
    match error {
        CallError::TooLarge { .. } => true,
        CallError::Refused(refusal) => matches!(
            refusal.meaning(),
            Meaning::ConfigChanged
                | Meaning::OverBudget { .. }
                | Meaning::SizeDrop
                | Meaning::InvalidConfig(_)
        ),
        CallError::Lost(_) | CallError::TimedOut | CallError::Odd { .. } => false,
    }
}

/// Why there is nothing to compare with.
enum NoLook {
    GivenBack(NotCommitted),
    Failed(String),
}

impl<D> From<NoLook> for Attempt<D> {
    fn from(why: NoLook) -> Self {
        match why {
            NoLook::GivenBack(why) => Self::GivenBack(why),
            NoLook::Failed(why) => Self::Again(why),
        }
    }
}

/// What was meant for the gateway at another address must not be done to this one.
fn turn_away(waiting: VecDeque<Deposit>, here: &Address) -> VecDeque<Deposit> {
    let (meant, others): (VecDeque<_>, VecDeque<_>) =
        waiting.into_iter().partition(|deposit| deposit.at() == here);
    for deposit in others {
        match deposit {
            Deposit::Put(put) => answer_all(vec![put], &elsewhere()),
            Deposit::TakeOut(TakeOut { result, .. }) => {
                result.send(Err(elsewhere())).ok();
            }
        }
    }
    meant
}

fn elsewhere() -> NotCommitted {
    NotCommitted::Unfinished("the gateway's address is another by now".to_owned())
}

fn answer_done(batch: Vec<Put>, patch: &Patch) {
    for Put {
        at: _,
        change,
        result,
    } in batch
    {
        let left_out = patch.left_out.iter().filter(|left| left.agent == change.agent);
        let conflicts = patch
            .conflicts
            .iter()
            .filter(|conflict| conflict.agent == change.agent);
        let hidden = patch.hidden.iter().filter(|hidden| hidden.agent == change.agent);
        let committed = Committed {
            left_out: left_out.cloned().collect(),
            hidden: hidden.cloned().collect(),
            conflicts: conflicts.cloned().collect(),
            preserved: patch.preserved.clone(),
        };
        result.send(Ok(committed)).ok();
    }
}

fn answer_all(batch: Vec<Put>, why: &NotCommitted) {
    for Put {
        at: _,
        change: _,
        result,
    } in batch
    {
        result.send(Err(why.clone())).ok();
    }
}

fn answer_rejected(bad: Vec<Put>, guilty: &[(AgentId, Vec<Issue>)]) {
    for Put {
        at: _,
        change,
        result,
    } in bad
    {
        let issues = guilty
            .iter()
            .filter(|(agent, _)| *agent == change.agent)
            .flat_map(|(_, issues)| issues.clone());
        result.send(Err(NotCommitted::Rejected(issues.collect()))).ok();
    }
}
