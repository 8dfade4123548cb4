//! Ready, and Reconciling or Stalled beside it while it is not: the same for every kind.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::condition::{Book, Finding, Truth, find};
use super::reason::{Reason, Remedy};
use crate::resource::condition;

/// How long something that may come by itself is waited for before a person is called.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The first conditions of a list, and when patience ends. `same_spec`: what was there before was told of this very spec;
/// of another one patience begins anew.
///
/// Reconciling while it may still come by itself, Stalled once a person must act. What waits longer than [`PATIENCE`] is
/// stalled too, and stays so until its reason or the spec changes.
pub fn of(book: &Book<'_>, same_spec: bool, ready: &Finding) -> (Vec<Condition>, Option<Duration>) {
    let as_true = || Finding {
        truth: Truth::True,
        ..ready.clone()
    };
    let waiting = |how: &str| Finding::new(Truth::True, ready.reason, how);
    let (reconciling, stalled, look_again) = match ready.reason.remedy() {
        Remedy::None => (None, None, None),
        Remedy::Itself => (Some(waiting("it ends by itself")), None, None),
        Remedy::Person => (None, Some(as_true()), None),
        Remedy::Wait if earlier(book, same_spec, condition::STALLED, ready.reason).is_some() => {
            (None, Some(as_true()), None)
        }
        Remedy::Wait => {
            let waits = earlier(book, same_spec, condition::RECONCILING, ready.reason);
            let since = waits.map_or(book.now, |waits| waits.last_transition_time.0);
            let waited = Duration::try_from(book.now.duration_since(since)).unwrap_or_default();
            match PATIENCE.checked_sub(waited).filter(|left| !left.is_zero()) {
                Some(left) => (
                    Some(waiting("waiting for it to come right; Stalled after 5 minutes")),
                    None,
                    Some(left),
                ),
                None => (None, Some(as_true()), None),
            }
        }
    };
    let mut list = vec![book.write(condition::READY, ready)];
    // Patience is for each reason anew, and this condition's time is what it is measured by.
    let clock =
        earlier(book, same_spec, condition::RECONCILING, ready.reason).map_or(&[][..], std::slice::from_ref);
    list.extend(reconciling.map(|finding| {
        Book {
            before: clock,
            ..*book
        }
        .write(condition::RECONCILING, &finding)
    }));
    list.extend(stalled.map(|finding| book.write(condition::STALLED, &finding)));
    (list, look_again)
}

/// A condition that was there before, of this spec and for this reason: with another one patience begins anew.
fn earlier<'a>(book: &Book<'a>, same_spec: bool, kind: &str, reason: Reason) -> Option<&'a Condition> {
    find(book.before, kind)
        .filter(|_| same_spec)
        .filter(|condition| condition.reason == reason.to_string())
}
