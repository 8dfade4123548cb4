//! Ready, and what says how it is to be taken while it is not True: Reconciling while it may still come by itself, Stalled
//! once a person must act. What waits longer than [`PATIENCE`] is stalled too, and stays so until its reason or the spec
//! changes.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use super::condition::{Book, Finding, Truth, find};
use super::reason::Remedy;
use crate::resource::condition;

/// How long something that may come by itself is waited for before a person is called.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The first conditions of every kind, and when patience ends.
pub struct Progress {
    pub conditions: Vec<Condition>,
    pub patience: Option<Duration>,
    pub is_stalled: bool,
}

/// What was told before.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    pub conditions: &'a [Condition],
    pub generation: Option<i64>,
}

pub fn of(before: Before<'_>, generation: Option<i64>, ready: &Finding, now: Timestamp) -> Progress {
    let book = Book {
        before: before.conditions,
        generation,
        now,
    };
    // With another reason or another spec patience begins anew.
    let earlier = |kind: &str| {
        find(before.conditions, kind)
            .filter(|_| before.generation == generation)
            .filter(|condition| condition.reason == ready.reason.to_string())
    };
    let as_true = |message: &str| Finding::new(Truth::True, ready.reason, message);
    let mut conditions = vec![book.write(condition::READY, ready)];
    let mut patience = None;
    let mut stall = || {
        conditions.push(book.write(condition::STALLED, &as_true(&ready.message)));
        true
    };
    let is_stalled = match ready.reason.remedy() {
        Remedy::None => false,
        Remedy::Person => stall(),
        Remedy::Wait if earlier(condition::STALLED).is_some() => stall(),
        Remedy::Wait => {
            let waiting = earlier(condition::RECONCILING);
            let since = waiting.map_or(now, |waiting| waiting.last_transition_time.0);
            let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            match PATIENCE.checked_sub(waited).filter(|left| !left.is_zero()) {
                None => stall(),
                Some(left) => {
                    patience = Some(left);
                    let finding = as_true("waiting for it to come right; Stalled after 5 minutes");
                    // This condition's time is what patience is measured by.
                    let before = waiting.map_or(&[][..], std::slice::from_ref);
                    conditions.push(Book { before, ..book }.write(condition::RECONCILING, &finding));
                    false
                }
            }
        }
    };
    Progress {
        conditions,
        patience,
        is_stalled,
    }
}
