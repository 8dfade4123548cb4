//! A new token in the place of the one in force. Each step can be read back from the Secret and the file, so each may be
//! lost or repeated: the next one is stored, and accepted from then on; it is written to the agent's file and read back; it
//! comes into force, with the one before accepted for the overlap; that one goes.

use super::{Action, Plan, TokenChange};
use crate::desired::agent::Desired;
use crate::fact::Fact;
use crate::observed::agent::Observed;
use crate::resource::settings::FilePolicy;

/// Begins one where it is due, and brings it into force where the agent's files have it. For a plan that has nothing left to
/// write: the files were read, and are as wanted.
pub(super) fn plan(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    // Of a file that is left alone for now nobody knows what it will be.
    let is_carried = |name: &String| {
        let content = desired.content.as_ref().ok();
        let file = content.and_then(|content| content.files.files.get(name));
        let next = desired.token.next.as_ref();
        file.zip(next)
            .is_some_and(|(file, next)| file.text.ours().contains(next.reveal()))
    };
    if plan.actions().any(is_of_files) || plan.contested.keys().any(is_carried) {
        return;
    }
    let token = &desired.token;
    let Fact::Known(in_force) = &token.found else {
        return;
    };
    let change = match (&token.next, &token.due) {
        // What somebody else put back in its place is not told from what was never written.
        (Some(_), _) if !have_the_token(desired, observed) => return,
        (Some(next), _) => TokenChange::Promote {
            next: next.clone(),
            previous: in_force.clone(),
            since: desired.now,
            previous_until: desired.now.checked_add(token.overlap).unwrap_or(desired.now),
        },
        (None, Some(due)) => TokenChange::Next(due.clone()),
        (None, None) => return,
    };
    plan.stages.push(vec![action(desired, change)]);
}

/// Every file that is to have the new token was read and is as wanted. One that is the agent's own has it or has not: where
/// it keeps the old one, that stays in force, or the agent would be locked out after the overlap.
pub(super) fn have_the_token(desired: &Desired, observed: &Observed) -> bool {
    let (Ok(content), Some(next)) = (&desired.content, &desired.token.next) else {
        return false;
    };
    let mut carriers = content
        .files
        .files
        .iter()
        .filter(|(_, file)| file.text.ours().contains(next.reveal()));
    carriers.all(|(name, file)| match (file.policy, observed.files.get(name)) {
        (FilePolicy::Ignored, _) => true,
        (FilePolicy::Managed, Some(found @ Fact::Known(_))) => {
            super::files::missing_of(&file.text, found).is_none()
        }
        (FilePolicy::SeedOnce, Some(Fact::Known(found))) => {
            let content = found.content.as_deref();
            content.is_some_and(|content| content.contains(next.reveal()))
        }
        (FilePolicy::Managed | FilePolicy::SeedOnce, Some(Fact::Absent | Fact::Unknown) | None) => false,
    })
}

/// For people, who are told of an errand that is not carried out, too.
pub(super) fn is_due(desired: &Desired) -> bool {
    let asked = desired.errand.as_ref().filter(|errand| errand.rotate_token);
    let is_open = |uid: &String| desired.token.heard.sync.as_ref() != Some(uid);
    desired.token.due.is_some() || asked.is_some_and(|errand| is_open(&errand.uid))
}

/// The one before is dropped once its time is over, also while the gateway is away.
pub(super) fn end(plan: &mut Plan, desired: &Desired) {
    let changes = plan
        .actions()
        .any(|action| matches!(action, Action::ChangeToken { .. }));
    if desired.token.is_over(desired.now) && !changes {
        let action = action(desired, TokenChange::DropPrevious);
        // Nothing of this pass has to come before it.
        match plan.stages.last_mut() {
            Some(stage) => stage.push(action),
            None => plan.stages.push(vec![action]),
        }
    }
}

fn action(desired: &Desired, change: TokenChange) -> Action {
    Action::ChangeToken {
        secret: desired.token.secret.clone(),
        version: desired.token.version.clone(),
        change,
    }
}

fn is_of_files(action: &Action) -> bool {
    matches!(action, Action::Write(_) | Action::KeepReplaced(_))
}
