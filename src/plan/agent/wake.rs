//! The message that wakes an agent: a paid turn of a model, so at most one for each reason there is.
//!
//! A gateway keeps nothing that tells "never sent" from "sent and lost", so the intent stands in the status first, and the
//! history decides from then on. Under the same key a gateway takes a message once, for some minutes: sending it again is
//! no second one, and another key is only used where the first is used up and the history does not hold it.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;
use sha2::{Digest, Sha256};

use super::{Action, Message, Plan, Promise, Waits};
use crate::desired::agent::{Content, Desired, Place};
use crate::fact::Fact;
use crate::gateway::chat::InHistory;
use crate::observed::agent::{Heard, Observed};
use crate::resource::agent::{FileState, Wake, WakeState};

/// Changes that follow one another are one reason to wake.
const GATHERED: SignedDuration = SignedDuration::from_secs(30);
/// On a busy machine a message was in the history 20 s after the end of its turn.
const LOST_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// Longer than a turn takes.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_mins(15);
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A turn may take minutes; nothing depends on seeing its end at once.
const LOOK_LATER: Duration = Duration::from_secs(30);

pub(super) fn plan(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    content: &Content,
    place: &Place,
) {
    let wanted = content.files.wake_content.as_str();
    let stage = match &desired.promises.wake {
        None => Some(Action::Promise(Promise::Wake(next(desired, None, wanted)))),
        Some(wake) => match wake.state {
            Some(WakeState::Intended) => open(plan, desired, observed, content, place, wake),
            Some(WakeState::Sent | WakeState::Unknown | WakeState::Failed) | None => {
                closed(plan, desired, wake, wanted)
            }
        },
    };
    plan.stages.extend(stage.map(|action| vec![action]));
}

/// The one before is settled: is another one due?
fn closed(plan: &mut Plan, desired: &Desired, wake: &Wake, wanted: &str) -> Option<Action> {
    let is_due = wake.content.as_deref() != Some(wanted);
    let due_since = wake.due_since.as_ref().map(|time| time.0);
    match (is_due, due_since) {
        (false, None) => None,
        // Changed back before anybody was woken for it.
        (false, Some(_)) => Some(promise(Wake {
            due_since: None,
            ..wake.clone()
        })),
        (true, None) => Some(promise(Wake {
            due_since: Some(Time(desired.now)),
            ..wake.clone()
        })),
        (true, Some(since)) => {
            let waited = desired.now.duration_since(since);
            if waited >= GATHERED {
                return Some(promise(next(desired, Some(wake), wanted)));
            }
            let left = GATHERED.saturating_sub(waited);
            plan.waits = Some(Waits::Wake(left.try_into().unwrap_or(LOOK_AGAIN)));
            None
        }
    }
}

/// Promised, and perhaps sent.
fn open(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    content: &Content,
    place: &Place,
    wake: &Wake,
) -> Option<Action> {
    let id = wake.id.clone().unwrap_or_default();
    let heard = observed
        .said
        .as_ref()
        .filter(|said| said.id == id)
        .map(|said| &said.answer);
    let since = wake.at.as_ref().map_or(desired.now, |time| time.0);
    let waited = desired.now.duration_since(since);
    let is_old = waited >= LOST_AFTER;
    let state = |state| {
        promise(Wake {
            state: Some(state),
            at: Some(Time(desired.now)),
            ..wake.clone()
        })
    };
    let send = || {
        Action::Wake(Message {
            session: place.session(),
            text: content.files.wake_message(is_to_begin(desired, wake)).to_owned(),
            id: id.clone(),
        })
    };
    match (&observed.history, heard) {
        (Fact::Known(InHistory::Held), _) => Some(state(WakeState::Sent)),
        (Fact::Known(InHistory::NotThere | InHistory::Unknown), None) if observed.turn.is_some() => {
            plan.waits = observed.turn.map(Waits::Wake);
            None
        }
        (Fact::Known(InHistory::NotThere), None) => Some(send()),
        (Fact::Known(InHistory::NotThere), Some(Heard::Over(_))) if is_old => {
            let attempt = wake.attempt + 1;
            Some(promise(Wake {
                attempt,
                id: Some(key(&desired.uid, wake.sequence, attempt)),
                at: Some(Time(desired.now)),
                ..wake.clone()
            }))
        }
        (Fact::Known(InHistory::NotThere | InHistory::Unknown), Some(Heard::Refused(_))) => {
            Some(state(WakeState::Failed))
        }
        // Taken, and after so long not there: lost with a gateway, or of a turn that still goes on. It is not sent twice.
        (Fact::Known(InHistory::NotThere), Some(Heard::Accepted)) if waited >= GIVEN_UP_AFTER => {
            Some(state(WakeState::Unknown))
        }
        // Of what this gateway's history cannot tell, its own word is all there is.
        (Fact::Known(InHistory::Unknown), Some(Heard::Accepted | Heard::Over(_))) => {
            Some(state(WakeState::Sent))
        }
        (Fact::Known(InHistory::Unknown), None) if observed.promised_here => Some(send()),
        (Fact::Known(InHistory::Unknown), None) => Some(state(WakeState::Unknown)),
        (Fact::Known(InHistory::NotThere), Some(Heard::Accepted | Heard::Over(_)))
        | (Fact::Known(InHistory::Waiting), _)
        | (Fact::Absent | Fact::Unknown, _) => {
            plan.waits = Some(Waits::Wake(if is_old { LOOK_LATER } else { LOOK_AGAIN }));
            None
        }
    }
}

/// Whether it is told to begin, with the bootstrap document. Not an agent that was there before us: it has begun already.
fn is_to_begin(desired: &Desired, wake: &Wake) -> bool {
    let bootstrap = desired.promises.files.get("BOOTSTRAP.md");
    let was_there = bootstrap.is_some_and(|file| file.state == FileState::Seeded && file.hash.is_none());
    wake.sequence <= 1 && !was_there
}

fn next(desired: &Desired, before: Option<&Wake>, wanted: &str) -> Wake {
    let sequence = before.map_or(0, |wake| wake.sequence) + 1;
    Wake {
        sequence,
        attempt: 1,
        id: Some(key(&desired.uid, sequence, 1)),
        state: Some(WakeState::Intended),
        at: Some(Time(desired.now)),
        content: Some(wanted.to_owned()),
        due_since: None,
    }
}

fn promise(wake: Wake) -> Action {
    Action::Promise(Promise::Wake(wake))
}

/// The same for the same message, whoever works it out; and no gateway can tell from it whose it is.
fn key(uid: &str, sequence: i64, attempt: i32) -> String {
    let digest = Sha256::digest(format!("{uid}\n{sequence}\n{attempt}"));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("qm-{hex}")
}
