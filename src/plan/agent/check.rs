//! A separate judge of plans: what no plan may do, whatever it was made of. Asked of every plan in debug builds and tests.

use super::{Action, Plan, Promise, TokenChange};
use crate::deposits::Order;
use crate::desired::agent::{Desired, Wish};
use crate::fact::Fact;
use crate::observed::agent::Observed;
use crate::resource::agent::{FileAction, FileState, WakeState};
use crate::resource::settings::FilePolicy;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it acts on an agent that is not its own")]
    Stranger,
    #[error("it acts in a gateway that is not connected")]
    NotConnected,
    #[error("it writes a file that was not read")]
    UnreadFile,
    #[error("it writes a file of an agent whose entry is not known to be there")]
    NoEntry,
    #[error("it writes a file that is the agent's own")]
    AgentsOwnFile,
    #[error("it writes a file that is to be left alone")]
    IgnoredFile,
    #[error("it writes a file with a token that is not known")]
    NoToken,
    #[error("it seeds a file without a promise")]
    UnpromisedSeed,
    #[error("it wakes without a promise, or for another message than the promised one")]
    UnpromisedWake,
    #[error("it wakes more than once")]
    TwoWakes,
    #[error("it changes an entry without having promised which settings are its own")]
    UnpromisedEntry,
    #[error("it acts in the gateway before the object is held")]
    NotHeld,
    #[error("it acts although everything shall stand still")]
    Held,
    #[error("it mints or repairs for an object that is being deleted")]
    MintForLeaving,
    #[error("it mints over a Secret that is there or could not be read")]
    MintOverSecret,
    #[error(
        "it changes the tokens of a Secret that is not there, or begins a rotation that nobody asked for"
    )]
    NoRotation,
    #[error("it brings a token into force that the agent's files do not have yet")]
    NotInFiles,
    #[error("it resets a session without a promise, or while a message to it may be under way")]
    UnpromisedReset,
    #[error("it goes on after the object is let go")]
    AfterLettingGo,
    #[error("it does the same twice")]
    Twice,
}

pub fn judge(plan: &Plan, desired: &Desired, observed: &Observed) -> Result<(), Fault> {
    let actions: Vec<&Action> = plan.actions().collect();
    for (n, action) in actions.iter().enumerate() {
        of_action(action, desired, observed)?;
        let mut others = actions.iter().skip(n + 1);
        if others.any(|other| other == action) {
            return Err(Fault::Twice);
        }
        if matches!(action, Action::LetGo(_)) && n + 1 != actions.len() {
            return Err(Fault::AfterLettingGo);
        }
    }
    let wakes = actions.iter().filter(|action| matches!(action, Action::Wake(_)));
    if wakes.count() > 1 {
        return Err(Fault::TwoWakes);
    }
    Ok(())
}

fn of_action(action: &Action, desired: &Desired, observed: &Observed) -> Result<(), Fault> {
    let fail = |holds: bool, fault: Fault| if holds { Ok(()) } else { Err(fault) };
    let is_leaving = matches!(desired.wish, Wish::Gone(_));
    fail(desired.hold.is_none() || only_lets_go(action), Fault::Held)?;
    let promises = &desired.promises;
    let own = desired.place.as_ref().ok().map(|place| &place.agent);
    match action {
        Action::Promise(Promise::Bind(_) | Promise::Own { .. } | Promise::Disown) => Ok(()),
        Action::Promise(
            Promise::Seed { .. }
            | Promise::Overwrite { .. }
            | Promise::Reset { .. }
            | Promise::LeaveToAgent { .. }
            | Promise::Wake(_),
        ) => fail(!is_leaving, Fault::MintForLeaving),
        Action::HoldObject => fail(!is_leaving, Fault::MintForLeaving),
        Action::MintToken { .. } | Action::RestoreToken { .. } => {
            fail(!is_leaving, Fault::MintForLeaving)?;
            fail(desired.token.found == Fact::Absent, Fault::MintOverSecret)
        }
        Action::ChangeToken {
            secret: _,
            version: _,
            change,
        } => {
            fail(!is_leaving, Fault::MintForLeaving)?;
            let token = &desired.token;
            fail(matches!(token.found, Fact::Known(_)), Fault::NoRotation)?;
            match change {
                TokenChange::Next(_) => fail(token.next.is_none() && token.due.is_some(), Fault::NoRotation),
                TokenChange::Promote { .. } => {
                    fail(token.next.is_some(), Fault::NoRotation)?;
                    fail(
                        super::rotation::have_the_token(desired, observed),
                        Fault::NotInFiles,
                    )
                }
                TokenChange::DropPrevious => fail(token.is_over(desired.now), Fault::NoRotation),
            }
        }
        Action::KeepReplaced(_) => fail(!is_leaving, Fault::MintForLeaving),
        Action::ResetSession(session) => {
            fail(observed.line.is_up(), Fault::NotConnected)?;
            let own = desired.place.as_ref().map(crate::desired::agent::Place::session);
            fail(own.as_ref() == Ok(session), Fault::Stranger)?;
            let asked = desired.errand.as_ref().map(|errand| errand.uid.as_str());
            let promised = promises.session_reset.as_ref().filter(|reset| !reset.done);
            let is_promised = promised.is_some_and(|reset| Some(reset.sync.as_str()) == asked);
            let is_waking = promises
                .wake
                .as_ref()
                .is_some_and(|wake| wake.state == Some(WakeState::Intended));
            fail(is_promised && !is_waking, Fault::UnpromisedReset)
        }
        Action::Foresee(_) => fail(!is_leaving, Fault::MintForLeaving),
        Action::HashToken(_) => fail(!is_leaving, Fault::MintForLeaving),
        Action::Deposit(order) => {
            let agent = match order {
                Order::Put(change) => &change.agent,
                Order::TakeOut(removal) => &removal.agent,
            };
            fail(own == Some(agent), Fault::Stranger)?;
            fail(observed.line.is_up(), Fault::NotConnected)?;
            fail(
                matches!(observed.configuration, Fact::Known(_)),
                Fault::NotConnected,
            )?;
            fail(promises.held, Fault::NotHeld)?;
            fail(
                promises.binding.is_some() && promises.entered,
                Fault::UnpromisedEntry,
            )
        }
        Action::Write(write) => {
            fail(own == Some(&write.agent), Fault::Stranger)?;
            fail(observed.line.is_up(), Fault::NotConnected)?;
            fail(promises.held, Fault::NotHeld)?;
            fail(matches!(desired.token.found, Fact::Known(_)), Fault::NoToken)?;
            let entry = match &observed.configuration {
                Fact::Known(configuration) => configuration.entries.contains_key(&write.agent),
                Fact::Absent | Fact::Unknown => false,
            };
            fail(entry, Fault::NoEntry)?;
            let was_read = observed
                .files
                .get(&write.file)
                .is_some_and(|it| *it != Fact::Unknown);
            fail(was_read, Fault::UnreadFile)?;
            let before = promises.files.get(&write.file);
            let wanted = desired.content.as_ref().ok();
            let wanted = wanted.and_then(|content| content.files.files.get(&write.file));
            match wanted.map(|file| file.policy) {
                Some(FilePolicy::Managed) => Ok(()),
                Some(FilePolicy::SeedOnce) => {
                    let intent = before.and_then(|before| before.intent.as_ref());
                    let over = intent.filter(|intent| intent.action == FileAction::Overwrite);
                    if over.is_some_and(|intent| intent.replaces == write.replaces && intent.sync.is_some()) {
                        return Ok(());
                    }
                    let is_agents = before.is_some_and(|before| before.state == FileState::Seeded);
                    fail(!is_agents, Fault::AgentsOwnFile)?;
                    let promised = before.is_some_and(|before| before.intent.is_some());
                    fail(promised, Fault::UnpromisedSeed)
                }
                Some(FilePolicy::Ignored) | None => Err(Fault::IgnoredFile),
            }
        }
        Action::Wake(message) => {
            fail(observed.line.is_up(), Fault::NotConnected)?;
            let promised = promises
                .wake
                .as_ref()
                .filter(|wake| wake.state == Some(WakeState::Intended));
            let id = promised.and_then(|wake| wake.id.as_deref());
            fail(id == Some(message.id.as_str()), Fault::UnpromisedWake)?;
            let session = desired.place.as_ref().map(crate::desired::agent::Place::session);
            fail(session.as_ref() == Ok(&message.session), Fault::Stranger)
        }
        Action::LetGo(_) => fail(is_leaving, Fault::AfterLettingGo),
    }
}

/// An object whose gateway has nothing of it may go also while all stands still.
fn only_lets_go(action: &Action) -> bool {
    matches!(action, Action::LetGo(_))
}
