//! What is told of a TemplateSync: how far it is, what came of it in each agent, and when it ends. As with a Job, its end is
//! told once and never changed.

mod results;
mod words;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::News;
use super::condition::{Book, Finding, Truth, whole_seconds};
use super::reason::Reason;
use super::story;
use crate::desired::template_sync::{Desired, Snapshot, Turn};
use crate::resource::template_sync::{SyncPhase, TemplateSyncStatus};
use crate::resource::{condition, names};
use results::Results;

/// What a pass reports, and when the next one is due if nothing happens before.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub status: TemplateSyncStatus,
    pub news: Vec<News>,
    /// It ends with this report.
    pub ended: Option<Ending>,
    /// ttlSecondsAfterFinished are over: the object goes.
    pub expired: bool,
    pub look_again: Option<Duration>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every agent is done.
    Complete,
    /// All have answered, some that it failed.
    Failed,
    /// Some have not answered in time.
    DeadlineExceeded,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Others come first.
    Queued(usize),
    /// Its Gateway or its Board is not there.
    Waiting,
    Running,
    Ended(Ending),
}

pub fn of(snapshot: &Snapshot, desired: &Desired, now: Timestamp) -> Report {
    let sync = snapshot.sync.as_ref();
    let nothing = TemplateSyncStatus::default();
    let before = sync.status.as_ref().unwrap_or(&nothing);
    let answered = TemplateSyncStatus {
        observed_generation: sync.metadata.generation,
        last_handled_reconcile_at: story::asked(sync, names::FLUX_REQUESTED_AT)
            .or_else(|| before.last_handled_reconcile_at.clone()),
        last_handled_request: story::asked(sync, names::RECONCILE_AT)
            .or_else(|| before.last_handled_request.clone()),
        ..before.clone()
    };
    if before.finished_at.is_some() {
        return afterwards(snapshot, answered, now);
    }

    // Between seconds nothing ends: what is stored of it has no fractions.
    let second = Time(whole_seconds(now));
    let queued = match desired.turn {
        Turn::After(ahead) if before.started_at.is_none() => Some(ahead),
        Turn::Now | Turn::After(_) => None,
    };
    let started = match queued {
        Some(_) => None,
        None => Some(before.started_at.clone().unwrap_or_else(|| second.clone())),
    };
    let left = started.as_ref().map(|started| left(snapshot, started, now));
    let is_late = left.is_some_and(|left| left.is_zero());
    // What was there once and has gone since is known by the agents that are not done.
    let may_run = before.total_selected.is_some() || queued.is_none() && desired.referents.is_ok();
    let mut results = Results::of(before, desired);
    let stage = match queued {
        Some(ahead) => Stage::Queued(ahead),
        None if is_late && (!may_run || !desired.open.is_empty()) => Stage::Ended(Ending::DeadlineExceeded),
        None if !may_run => Stage::Waiting,
        None if !desired.open.is_empty() => Stage::Running,
        None if results.total_errors() > 0 => Stage::Ended(Ending::Failed),
        None => Stage::Ended(Ending::Complete),
    };
    let selected = may_run.then(|| results.selected(before, desired));
    if stage == Stage::Ended(Ending::DeadlineExceeded) && may_run {
        results.give_up(&desired.open, snapshot.sync.spec.active_deadline_seconds);
    }
    let ready = words::ready(snapshot, desired, stage, &results, selected);
    let book = Book {
        before: &before.conditions,
        generation: sync.metadata.generation,
        now: second.0,
    };
    let ended = match stage {
        Stage::Ended(ending) => Some(ending),
        Stage::Queued(_) | Stage::Waiting | Stage::Running => None,
    };
    let begins = selected.filter(|selected| *selected > 0 && before.total_selected.is_none());
    let begins = begins.map(|selected| words::started(snapshot, selected));
    let news = begins.into_iter().chain(ended.map(|ending| News {
        warning: ending != Ending::Complete,
        reason: ready.reason,
        note: ready.message.clone(),
    }));
    let status = TemplateSyncStatus {
        conditions: conditions(&book, stage, &ready),
        phase: Some(match stage {
            Stage::Queued(_) | Stage::Waiting => SyncPhase::Pending,
            Stage::Running => SyncPhase::Running,
            Stage::Ended(Ending::Complete) => SyncPhase::Complete,
            Stage::Ended(Ending::Failed | Ending::DeadlineExceeded) => SyncPhase::Failed,
        }),
        started_at: started,
        finished_at: ended.map(|_| second),
        total_selected: selected.map(number),
        ..results.write_into(answered)
    };
    let look_again = match (ended, snapshot.sync.spec.ttl_seconds_after_finished) {
        (Some(_), Some(ttl)) => Some(seconds(ttl)),
        (Some(_), None) => None,
        (None, _) => left,
    };
    Report {
        status,
        news: news.collect(),
        ended,
        expired: false,
        look_again,
    }
}

/// Of one that has ended nothing is told any more, and in the end it goes.
fn afterwards(snapshot: &Snapshot, status: TemplateSyncStatus, now: Timestamp) -> Report {
    let ttl = snapshot.sync.spec.ttl_seconds_after_finished.map(seconds);
    let left = ttl.zip(status.finished_at.as_ref()).map(|(ttl, finished)| {
        let passed = Duration::try_from(now.duration_since(finished.0)).unwrap_or_default();
        ttl.saturating_sub(passed)
    });
    let is_going = snapshot.sync.metadata.deletion_timestamp.is_some();
    Report {
        expired: !is_going && left.is_some_and(|left| left.is_zero()),
        look_again: left.filter(|left| !left.is_zero()),
        status,
        news: Vec::new(),
        ended: None,
    }
}

/// Until it must have ended.
fn left(snapshot: &Snapshot, started: &Time, now: Timestamp) -> Duration {
    let passed = Duration::try_from(now.duration_since(started.0)).unwrap_or_default();
    seconds(snapshot.sync.spec.active_deadline_seconds).saturating_sub(passed)
}

/// Ready, then Reconciling or Stalled beside it, then, as with a Job, Complete or Failed. A deadline ends it anyway, so
/// nothing is Stalled before.
fn conditions(book: &Book<'_>, stage: Stage, ready: &Finding) -> Vec<Condition> {
    let as_true = || Finding {
        truth: Truth::True,
        ..ready.clone()
    };
    let beside = match stage {
        Stage::Queued(_) | Stage::Waiting | Stage::Running => vec![condition::RECONCILING],
        Stage::Ended(Ending::Complete) => vec![condition::COMPLETE],
        Stage::Ended(Ending::Failed | Ending::DeadlineExceeded) => {
            vec![condition::STALLED, condition::FAILED]
        }
    };
    let beside = beside.into_iter().map(|kind| book.write(kind, &as_true()));
    [book.write(condition::READY, ready)]
        .into_iter()
        .chain(beside)
        .collect()
}

fn seconds(count: i32) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or_default())
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl Ending {
    /// In a metric.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::DeadlineExceeded => "deadline_exceeded",
        }
    }

    fn reason(self, selected: usize) -> Reason {
        match self {
            Self::Complete if selected == 0 => Reason::NothingSelected,
            Self::Complete => Reason::Synced,
            Self::Failed => Reason::AgentsFailed,
            Self::DeadlineExceeded => Reason::DeadlineExceeded,
        }
    }
}

#[cfg(test)]
mod tests;
