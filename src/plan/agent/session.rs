//! The session's reset, which a TemplateSync may ask for. It leaves nothing that tells it from any other: the promise is
//! stored first, and what is promised is done until the gateway has answered once. Two resets in a row are as good as one.

use super::{Action, Plan, Promise};
use crate::desired::agent::{Desired, Place};
use crate::resource::agent::WakeState;

pub(super) fn plan(plan: &mut Plan, desired: &Desired, place: &Place) {
    let Some(sync) = asked(desired) else { return };
    let promised = desired
        .promises
        .session_reset
        .as_ref()
        .filter(|reset| reset.sync == *sync);
    let action = match promised {
        Some(reset) if reset.done => return,
        // With the conversation the trace of a message would go that may still be under way.
        Some(_) | None if is_waking(desired) => return,
        Some(_) => Action::ResetSession(place.session()),
        None => Action::Promise(Promise::Reset { sync: sync.clone() }),
    };
    plan.stages.push(vec![action]);
}

/// It comes before any further message: no message is promised before it is done.
pub(super) fn is_open(desired: &Desired) -> bool {
    !is_waking(desired) && is_due(desired)
}

/// One is asked for and not done.
pub(super) fn is_due(desired: &Desired) -> bool {
    let reset = desired.promises.session_reset.as_ref();
    let is_done = |sync: &String| reset.is_some_and(|reset| reset.sync == *sync && reset.done);
    asked(desired).is_some_and(|sync| !is_done(sync))
}

fn asked(desired: &Desired) -> Option<&String> {
    let errand = desired.errand.as_ref()?;
    (errand.reset_session && !errand.dry_run).then_some(&errand.uid)
}

fn is_waking(desired: &Desired) -> bool {
    let wake = desired.promises.wake.as_ref();
    wake.is_some_and(|wake| wake.state == Some(WakeState::Intended))
}
