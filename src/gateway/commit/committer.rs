//! The task that writes: gathers what is deposited, reads, compares, writes, and looks again where the outcome is unknown.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::blame::guilty;
use super::budget::Spending;
use super::heartbeat::HEARTBEAT;
use super::patch::{Patch, farewell_of, patch_of};
use super::size::Caution;
use super::{Committed, Deposit, EntryChange, NotCommitted, Put, Removal, Removed, TakeOut, words};
use crate::gateway::configuration::Configuration;
use crate::gateway::connection::{CallError, Connection};
use crate::gateway::contract::Roster;
use crate::gateway::names::AgentId;
use crate::gateway::reading::Readings;
use crate::gateway::refusal::{Issue, Meaning};
use crate::gateway::rpc::Deleted;
use crate::gateway::schema::EntrySchema;
use crate::gateway::session::Online;

pub(super) struct Committer {
    online: watch::Receiver<Option<Online>>,
    readings: Readings,
    rng: SmallRng,
    spending: Spending,
    /// Who was given an empty heartbeat block, whether or not the answer to that arrived.
    preserved: BTreeSet<AgentId>,
    /// Of the connection that it was read from.
    schema: Option<(Weak<Connection>, Option<EntrySchema>)>,
}

/// Longer costs more than a second write would; shorter misses what a `kubectl apply -f` brings together.
const WINDOW: Duration = Duration::from_millis(150);
/// 2026.9.6 takes 8.7 s for 100 new entries, 64 s for 300: more would only hold up those that come next.
pub(super) const LARGEST: usize = 100;
/// Conflicts, lost answers, a spent budget: so many tries in a row, then each depositor decides for itself.
const TRIES: u32 = 8;
/// Writes that each bring a large change nearer: enough for 15 MB, which no gateway takes.
const STEPS: u32 = 24;
/// A restart takes 2 to 39 s.
const BACK_ONLINE: Duration = Duration::from_secs(60);

/// What one attempt came to.
enum Attempt<D> {
    /// Everything in it is as wanted.
    Done(D),
    /// Nothing is wrong: look again and go on.
    Onward,
    /// Look again and go on: somebody else wrote, the answer was lost, or the budget was spent.
    Again(String),
    /// These are at fault; the others go again without them.
    Rejected(Vec<(AgentId, Vec<Issue>)>),
    Refused(String),
}

/// How far the tries of one commit have gone.
struct Progress {
    tries: u32,
    steps: u32,
    caution: Caution,
    /// Nothing in it is against the gateway's schema.
    is_checked: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            tries: 0,
            steps: 0,
            caution: Caution::Usual,
            is_checked: false,
        }
    }
}

impl Committer {
    pub(super) fn new(online: watch::Receiver<Option<Online>>, readings: Readings, seed: u64) -> Self {
        Self {
            online,
            readings,
            rng: SmallRng::seed_from_u64(seed),
            spending: Spending::default(),
            preserved: BTreeSet::new(),
            schema: None,
        }
    }

    pub(super) async fn run(mut self, mut taken: mpsc::Receiver<Deposit>) {
        let (mut puts, mut leaving) = (VecDeque::new(), VecDeque::new());
        loop {
            if puts.is_empty() && leaving.is_empty() {
                let Some(first) = taken.recv().await else { return };
                sort_in(first, &mut puts, &mut leaving);
                sleep(WINDOW).await;
            }
            while let Ok(deposit) = taken.try_recv() {
                sort_in(deposit, &mut puts, &mut leaving);
            }
            // One change of an agent a commit: the later one is meant to come on top of the earlier.
            let batch = next_batch(&mut puts);
            if !batch.is_empty() {
                self.commit(batch).await;
            }
            // One at a time: each takes up to 3.6 s, and changes that have come meanwhile go first.
            if let Some(TakeOut { removal, result }) = leaving.pop_front() {
                // Whoever does not wait any more finds it by reading.
                result.send(self.take_out(&removal).await).ok();
            }
        }
    }

    /// Answers every deposit of the batch.
    async fn commit(&mut self, mut batch: Vec<Put>) {
        let mut progress = Progress::new();
        while !batch.is_empty() {
            let changes: Vec<EntryChange> = batch.iter().map(|put| put.change.clone()).collect();
            match self.attempt(&changes, &mut progress).await {
                Attempt::Done(patch) => return answer_done(batch, &patch),
                Attempt::Rejected(guilty) => {
                    let (bad, good) = batch
                        .into_iter()
                        .partition(|put| guilty.iter().any(|(agent, _)| *agent == put.change.agent));
                    batch = good;
                    answer_rejected(bad, &guilty);
                    progress.tries = 0;
                }
                Attempt::Refused(why) => return answer_all(batch, &NotCommitted::Refused(why)),
                Attempt::Onward => {
                    if let Err(why) = self.onward(&mut progress) {
                        return answer_all(batch, &why);
                    }
                }
                Attempt::Again(why) => {
                    if let Err(why) = self.again(why, &mut progress).await {
                        return answer_all(batch, &why);
                    }
                }
            }
        }
    }

    async fn take_out(&mut self, removal: &Removal) -> Result<Removed, NotCommitted> {
        let mut progress = Progress::new();
        loop {
            match self.attempt_removal(removal, &mut progress.caution).await {
                Attempt::Done(deleted) => {
                    return Ok(Removed {
                        deleted,
                        preserved: self.preserved.clone(),
                    });
                }
                Attempt::Rejected(guilty) => {
                    let issues = guilty.into_iter().flat_map(|(_, issues)| issues);
                    return Err(NotCommitted::Rejected(issues.collect()));
                }
                Attempt::Refused(why) => return Err(NotCommitted::Refused(why)),
                Attempt::Onward => self.onward(&mut progress)?,
                Attempt::Again(why) => self.again(why, &mut progress).await?,
            }
        }
    }

    fn onward(&self, progress: &mut Progress) -> Result<(), NotCommitted> {
        progress.steps += 1;
        if progress.steps > STEPS {
            return Err(NotCommitted::Unfinished(format!("not done after {STEPS} writes")));
        }
        Ok(())
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
            Err(why) => return Attempt::Again(why),
        };
        if !progress.is_checked {
            match self.faults(&online, changes).await {
                Ok(faults) if faults.is_empty() => progress.is_checked = true,
                Ok(faults) => return Attempt::Rejected(faults),
                Err(error) => {
                    return Attempt::Again(format!("the configuration's schema cannot be read: {error}"));
                }
            }
        }
        let known = changes.iter().flat_map(|change| change.preserved.iter().cloned());
        let known: BTreeSet<AgentId> = known.chain(self.preserved.iter().cloned()).collect();
        let patch = patch_of(online.contract, &now, changes, &known, progress.caution);
        if patch.raw.is_none() && !patch.more {
            self.preserved.clone_from(&patch.preserved);
            return Attempt::Done(patch);
        }
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
            Err(why) => return Attempt::Again(why),
        };
        let known = preserved.union(&self.preserved).cloned().collect();
        let patch = farewell_of(online.contract, &now, agent, &known, *caution);
        if patch.raw.is_some() || patch.more {
            return match self.write(&online, &now, &[], patch, caution).await {
                Attempt::Done(_) | Attempt::Onward => Attempt::Onward,
                Attempt::Again(why) => Attempt::Again(why),
                Attempt::Rejected(guilty) => Attempt::Rejected(guilty),
                Attempt::Refused(why) => Attempt::Refused(why),
            };
        }
        self.preserved = patch.preserved;
        let Online {
            connection, contract, ..
        } = &online;
        let deleted = connection.agents_delete(agent, *with_files).await;
        self.readings.forget().await;
        match deleted {
            Ok(deleted) => {
                if deleted.is_some() && contract.restarts_on_write {
                    timeout(BACK_ONLINE, connection.ended()).await.ok();
                }
                Attempt::Done(deleted)
            }
            Err(error) => self.not_written(error, &now, &[], None, caution).await,
        }
    }

    /// The connection, and a reading that begins after everything deposited so far.
    async fn look(&mut self) -> Result<(Online, Arc<Configuration>), String> {
        let waiting = self.online.wait_for(Option::is_some);
        let online = timeout(BACK_ONLINE, waiting).await.ok().and_then(Result::ok);
        let online = online.and_then(|online| online.clone());
        let online = online.ok_or("the gateway is not connected")?;
        let now = self.readings.new_one().await.map_err(|error| error.to_string())?;
        Ok((online, now))
    }

    /// Settings that this gateway's own schema knows to be wrong, before they cost a write.
    async fn faults(
        &mut self,
        online: &Online,
        changes: &[EntryChange],
    ) -> Result<Vec<(AgentId, Vec<Issue>)>, CallError> {
        // What every agent has is known to be right; the schema is read when somebody wants more.
        let is_usual = |key: &str| ["name", "workspace", "model", "identity", HEARTBEAT].contains(&key);
        let unusual = |change: &EntryChange| change.fields.keys().any(|key| !is_usual(key));
        if !changes.iter().any(unusual) {
            return Ok(Vec::new());
        }
        let Online {
            connection, contract, ..
        } = online;
        let is_of = |of: &Weak<Connection>| std::ptr::eq(of.as_ptr(), Arc::as_ptr(connection));
        let schema = match &self.schema {
            Some((of, schema)) if is_of(of) => schema,
            Some(_) | None => {
                let schema = connection.entry_schema(contract).await?;
                &self.schema.insert((Arc::downgrade(connection), schema)).1
            }
        };
        let Some(schema) = schema else {
            return Ok(Vec::new());
        };
        let of = |EntryChange { agent, fields, .. }: &EntryChange| {
            let at = match contract.roster {
                Roster::Entries => format!("agents.entries.{agent}"),
                Roster::MergedList | Roster::ReplacedList => format!("agents.list[{agent}]"),
            };
            let mut fields = fields.clone();
            // Its unknown keys are left out and said.
            fields.remove(HEARTBEAT);
            let issues = schema.issues(&fields, &at);
            (!issues.is_empty()).then(|| (agent.clone(), issues))
        };
        Ok(changes.iter().filter_map(of).collect())
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
            return Attempt::Refused(TOO_LARGE_A_STEP.to_owned());
        };
        let Online {
            connection, contract, ..
        } = online;
        if let Some(budget) = contract.write_budget
            && self.spending.wait(budget).await
        {
            // What was read is up to a minute old by now: a conflict would cost a write of the next minute.
            return Attempt::Onward;
        }
        self.spending.count();
        self.preserved.extend(patch.preserved.iter().cloned());
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
                self.preserved.clone_from(&patch.preserved);
                Attempt::Done(patch)
            }
            Err(error) => self.not_written(error, now, changes, Some(raw), caution).await,
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
            error @ CallError::TooLarge { .. } => return Attempt::Refused(error.to_string()),
        };
        match refusal.meaning() {
            Meaning::ConfigChanged => Attempt::Again("somebody else wrote the configuration".to_owned()),
            Meaning::OverBudget { retry_after } => {
                self.spending.exhausted(retry_after);
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
                Caution::Great => Attempt::Refused(format!("{TOO_LARGE_A_STEP} ({})", refusal.message)),
            },
            Meaning::InvalidConfig(issues) => match raw.and_then(|raw| guilty(now, changes, raw, &issues)) {
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
        }
    }
}

const TOO_LARGE_A_STEP: &str = "a gateway keeps at least half of its configuration in each write, and what shall go is more \
                                than that and cannot go in parts; take some of it out of the gateway's configuration by hand";

fn sort_in(deposit: Deposit, puts: &mut VecDeque<Put>, leaving: &mut VecDeque<TakeOut>) {
    match deposit {
        Deposit::Put(put) => puts.push_back(put),
        Deposit::TakeOut(take_out) => leaving.push_back(take_out),
    }
}

/// Up to [`LARGEST`] deposits, no two of one agent; the rest keep their order.
fn next_batch(waiting: &mut VecDeque<Put>) -> Vec<Put> {
    let mut batch: Vec<Put> = Vec::new();
    let mut rest = VecDeque::new();
    for put in waiting.drain(..) {
        let taken = batch.iter().any(|other| other.change.agent == put.change.agent);
        if batch.len() < LARGEST && !taken {
            batch.push(put);
        } else {
            rest.push_back(put);
        }
    }
    *waiting = rest;
    batch
}

fn answer_done(batch: Vec<Put>, patch: &Patch) {
    for Put { change, result } in batch {
        let left_out = patch.left_out.iter().filter(|left| left.agent == change.agent);
        let conflicts = patch
            .conflicts
            .iter()
            .filter(|conflict| conflict.agent == change.agent);
        let committed = Committed {
            left_out: left_out.cloned().collect(),
            conflicts: conflicts.cloned().collect(),
            preserved: patch.preserved.clone(),
        };
        result.send(Ok(committed)).ok();
    }
}

fn answer_all(batch: Vec<Put>, why: &NotCommitted) {
    for Put { change: _, result } in batch {
        result.send(Err(why.clone())).ok();
    }
}

fn answer_rejected(bad: Vec<Put>, guilty: &[(AgentId, Vec<Issue>)]) {
    for Put { change, result } in bad {
        let issues = guilty
            .iter()
            .filter(|(agent, _)| *agent == change.agent)
            .flat_map(|(_, issues)| issues.clone());
        result.send(Err(NotCommitted::Rejected(issues.collect()))).ok();
    }
}
