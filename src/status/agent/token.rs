//! What may be shown of the tokens: hashes, which reveal nothing of 256 random bits, and times.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::desired::agent::{Desired, Wish};
use crate::fact::Fact;
use crate::observed::agent::Observed;
use crate::resource::Time;
use crate::resource::agent::{AgentStatus, TokenStatus};
use crate::status::condition::whole_seconds;

pub(super) fn of(
    desired: &Desired,
    observed: &Observed,
    before: &AgentStatus,
    now: Timestamp,
) -> Option<TokenStatus> {
    let Fact::Known(token) = &desired.token.found else {
        return before.token.clone();
    };
    let fingerprint = token.fingerprint();
    let earlier = before.token.clone().unwrap_or_default();
    let is_same = earlier.fingerprint.as_deref() == Some(fingerprint.as_str());
    let hash = match &observed.token_hash {
        Fact::Known(hash) if !is_same || earlier.hash.is_none() => Some(hash.clone()),
        Fact::Known(_) | Fact::Absent | Fact::Unknown => earlier.hash.clone().filter(|_| is_same),
    };
    let since = desired.token.since.map(|since| Time(whole_seconds(since)));
    let previous = desired.token.previous.as_ref();
    Some(TokenStatus {
        hash,
        fingerprint: Some(fingerprint),
        next_fingerprint: desired.token.next.as_ref().map(|next| next.fingerprint()),
        previous_fingerprint: previous.map(|(token, _)| token.fingerprint()),
        previous_until: previous.and_then(|(_, until)| until.map(|until| Time(whole_seconds(until)))),
        rotation: desired.token.heard.word.clone(),
        rotated_at: since
            .or_else(|| earlier.rotated_at.clone().filter(|_| is_same))
            .or(Some(Time(now))),
        next_rotation: desired.token.due_at.map(|due_at| Time(whole_seconds(due_at))),
    })
}

/// When something of it is to be done that nobody else tells of.
pub(super) fn due(desired: &Desired) -> Option<Duration> {
    let may_rotate = matches!(desired.wish, Wish::Present { .. }) && desired.hold.is_none();
    let until = desired.token.previous.as_ref().and_then(|(_, until)| *until);
    let due = desired.token.due_at.filter(|_| may_rotate);
    let next = until
        .filter(|_| desired.hold.is_none())
        .into_iter()
        .chain(due)
        .min()?;
    // What is overdue waits for something else, which tells when it comes.
    let left = next.duration_since(desired.now);
    left.is_positive().then(|| left.try_into().unwrap_or_default())
}
