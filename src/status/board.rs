//! What is told of a Board.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::condition::{Book, Finding, Truth, fit, whole_seconds};
use super::reason::Reason;
use super::{News, progress, story};
use crate::desired::board::{Desired, Obstacle, Snapshot};
use crate::resource::board::BoardStatus;
use crate::resource::names;

/// What a pass reports, and when the next one is due if nothing happens before.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub status: BoardStatus,
    pub news: Vec<News>,
    pub look_again: Option<Duration>,
}

/// `let_go`: it was let go by this pass.
pub fn of(snapshot: &Snapshot, desired: &Desired, let_go: bool, now: Timestamp) -> Report {
    let board = snapshot.board.as_ref();
    let nothing = BoardStatus::default();
    let before = board.status.as_ref().unwrap_or(&nothing);
    let ready = ready(desired);
    let book = Book {
        before: &before.conditions,
        generation: board.metadata.generation,
        now: whole_seconds(now),
    };
    let same_spec = before.observed_generation == board.metadata.generation;
    let (conditions, look_again) = progress::of(&book, same_spec, &ready);
    let mut news = story::news(&before.conditions, &ready);
    if let Some(deletion) = desired
        .deletion
        .as_ref()
        .filter(|deletion| let_go && deletion.forced)
    {
        news.push(story::forced("Board", &deletion.users));
    }
    let Desired {
        gateway: _,
        roster,
        waiting,
        ready,
        suspended: _,
        deletion: _,
        hold: _,
    } = desired;
    let status = BoardStatus {
        observed_generation: board.metadata.generation,
        conditions,
        last_handled_reconcile_at: story::asked(board, names::FLUX_REQUESTED_AT)
            .or_else(|| before.last_handled_reconcile_at.clone()),
        last_handled_request: story::asked(board, names::RECONCILE_AT)
            .or_else(|| before.last_handled_request.clone()),
        lead: roster.lead.as_deref().map(|lead| fit(lead, 253)),
        workers: count(roster.seated.len()),
        waiting: count(*waiting),
        ready: count(*ready),
        capacity: Some(board.spec.max_agents.max(0)),
    };
    Report {
        status,
        news,
        look_again,
    }
}

/// Whether only what is counted differs: that may be told a little later.
pub fn differ_only_in_counts(before: Option<&BoardStatus>, now: &BoardStatus) -> bool {
    before.is_some_and(|before| {
        let counted = BoardStatus {
            workers: before.workers,
            waiting: before.waiting,
            ready: before.ready,
            ..now.clone()
        };
        counted == *before && now != before
    })
}

fn ready(desired: &Desired) -> Finding {
    if let Some(deletion) = &desired.deletion {
        return story::leaving(deletion, "Board");
    }
    match &desired.gateway {
        Ok(()) if desired.suspended => Finding::new(
            Truth::True,
            Reason::Suspended,
            "suspended: its agents are observed, nothing is written",
        ),
        Ok(()) => Finding::new(Truth::True, Reason::GatewayFound, "its Gateway is there"),
        Err(Obstacle::Unknown { gateway }) => Finding::new(
            Truth::Unknown,
            Reason::ReferenceUnreadable,
            format!("Gateway {gateway} could not be looked at yet"),
        ),
        Err(Obstacle::NotFound { gateway }) => Finding::new(
            Truth::False,
            Reason::GatewayNotFound,
            format!(
                "Gateway {gateway} does not exist in this namespace: create it, or change spec.gatewayRef.name"
            ),
        ),
        Err(Obstacle::Terminating { gateway }) => Finding::new(
            Truth::False,
            Reason::GatewayTerminating,
            format!(
                "Gateway {gateway} is being deleted and takes no new agents: change spec.gatewayRef.name, or delete this \
                 Board too"
            ),
        ),
    }
}

fn count(number: usize) -> Option<i32> {
    i32::try_from(number).ok()
}

#[cfg(test)]
mod tests;
