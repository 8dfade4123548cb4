//! What a pass over an Agent does: the difference between what it asks for and what is there, as actions in order.
//!
//! A plan ends where it would need a fact that is not there yet, or a promise that the status does not hold yet: the next
//! pass follows at once and goes on. Nothing is planned on what is unknown.

pub mod check;
mod departure;
mod entry;
pub mod explain;
mod files;
mod rotation;
mod session;
mod wake;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::deposits::Order;
use crate::desired::agent::{AgentToken, Desired, Heard, Hold, Wish};
use crate::fact::Fact;
use crate::gateway::commit::{Difference, NotCommitted};
use crate::gateway::names::{AgentId, SessionKey};
use crate::gateway::refusal::Issue;
use crate::observed::agent::{Line, Observed};
use crate::resource::agent::{Binding, FileAction, FileState, Wake};

/// Stages in order: one begins when all of the one before has gone well.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    pub stages: Vec<Vec<Action>>,
    /// What this pass cannot go beyond, although nothing is wrong with what is asked for.
    pub waits: Option<Waits>,
    /// Files that somebody else changed, and that are left as they are.
    pub drifted: BTreeSet<String>,
    /// The entry was changed by somebody else, and is left as it is.
    pub entry_drifted: bool,
    /// It was changed by somebody else, and is put right.
    pub entry_corrects: bool,
    /// What somebody else changes again and again, and for how long it is left alone.
    pub contested: BTreeMap<String, Duration>,
    /// Files that would be written if all did not stand still.
    pub held_back: BTreeSet<String>,
    /// What there is of the entry, where it was compared.
    pub entry: Option<Difference>,
    /// The files were compared: what nothing is planned for is as it should be.
    pub files_compared: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Stands in the status that this pass writes. Nothing else is done.
    Promise(Promise),
    /// Our finalizer, before anything of it is in a gateway.
    HoldObject,
    MintToken {
        secret: String,
        heard: Heard,
    },
    /// Back into the Secret, from the file that has it.
    RestoreToken {
        secret: String,
        token: AgentToken,
        heard: Heard,
    },
    /// In a Secret that is there, and still as it was read.
    ChangeToken {
        secret: String,
        version: String,
        change: TokenChange,
    },
    /// What an agent has made of its own files, before a TemplateSync writes over it.
    KeepReplaced(Replaced),
    /// These agents of others may get an empty heartbeat block by the next write: the Gateway's status is to say so first.
    Foresee(BTreeSet<String>),
    Deposit(Order),
    Write(Write),
    /// It begins its next turn without the conversation so far.
    ResetSession(SessionKey),
    Wake(Message),
    /// In the background: it takes a third of a second.
    HashToken(AgentToken),
    /// Our finalizer is taken off. Nothing comes after it.
    LetGo(Farewell),
}

/// What must be known after a crash.
#[derive(Debug, Clone, PartialEq)]
pub enum Promise {
    Bind(Binding),
    /// These settings and bindings may be there by our hand.
    Own {
        paths: BTreeSet<String>,
        bindings: BTreeSet<String>,
    },
    /// Nothing of it is in the gateway any more.
    Disown,
    /// This file is about to be written for the first and only time.
    Seed {
        file: String,
        action: FileAction,
        hash: String,
    },
    /// What the agent has made of this file, as it is by this hash, is about to be written over, or the file to be written
    /// again where it is gone.
    Overwrite {
        file: String,
        hash: String,
        replaces: Option<String>,
        sync: String,
    },
    /// Its session is about to be reset for this TemplateSync.
    Reset {
        sync: String,
    },
    /// This file is the agent's own; nothing is written.
    LeaveToAgent {
        file: String,
    },
    Wake(Wake),
}

#[derive(Clone, PartialEq)]
pub struct Write {
    pub agent: AgentId,
    pub file: String,
    pub content: String,
    /// What the file must still be; None where it was not there, or where the gateway tells no hashes.
    pub expected: Option<String>,
    /// What the agent made of it, by hash: where the gateway itself takes no condition, it is read once more just before.
    pub replaces: Option<String>,
    /// Somebody else had changed it.
    pub corrects: bool,
}

/// What becomes of the tokens in a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChange {
    /// A new one, which is accepted from then on; and what asked for it.
    Next(Heard),
    /// The next one is in the agent's file: it is in force, and the one before counts until then.
    Promote {
        next: AgentToken,
        previous: AgentToken,
        since: Timestamp,
        previous_until: Timestamp,
    },
    /// The one before is accepted no more.
    DropPrevious,
}

/// The agent's own content of files that are written over.
#[derive(Clone, PartialEq, Eq)]
pub struct Replaced {
    pub secret: String,
    /// The uid of the TemplateSync for which it is.
    pub sync: String,
    pub files: BTreeMap<String, Arc<str>>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub session: SessionKey,
    pub text: String,
    pub id: String,
}

/// What is left behind when the object goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Farewell {
    Clean,
    /// By deletionPolicy.
    Orphaned,
    /// Its Gateway object is gone.
    NoGateway,
    /// By annotation, although the gateway does not answer.
    Forced,
    /// Another Agent holds it now.
    TakenOver,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Waits {
    /// Suspended.
    Hold(Hold),
    /// The gateway is not connected.
    Gateway,
    /// The configuration could not be read.
    Configuration,
    /// Files are about to be seeded: the next pass does it.
    Seeds,
    /// These files could not be read.
    Files(Vec<String>),
    /// The entry is on its way.
    Commit,
    /// The entry could not be written; tried again after some time.
    NotCommitted { why: NotCommitted, again: Duration },
    /// The gateway does not take this entry.
    Rejected(Vec<Issue>),
    /// The token's Secret is gone, and no file tells it.
    TokenLost,
    /// These go first.
    Ahead(Vec<String>),
    /// The message is on its way, or will be in a while.
    Wake(Duration),
    /// Nothing may be sent to it any more; whether the message arrived is unknown.
    WakeUnknown,
}

pub fn between(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    match &desired.wish {
        Wish::Gone(departure) => departure::gone(&mut plan, desired, observed, departure),
        Wish::Retired => departure::retired(&mut plan, desired, observed),
        Wish::Present { paused } => present(&mut plan, desired, observed, *paused),
    }
    match (&desired.wish, desired.hold) {
        (Wish::Gone(_), _) => {}
        (Wish::Retired | Wish::Present { .. }, Some(hold)) => hold_still(&mut plan, hold),
        (Wish::Retired | Wish::Present { .. }, None) => rotation::end(&mut plan, desired),
    }
    debug_assert_eq!(check::judge(&plan, desired, observed), Ok(()), "{plan:#?}");
    plan
}

/// What would be done is only told.
fn hold_still(plan: &mut Plan, hold: Hold) {
    let stages = std::mem::take(&mut plan.stages);
    for action in stages.into_iter().flatten() {
        match action {
            Action::Write(write) if write.corrects => {
                plan.drifted.insert(write.file);
            }
            Action::Write(write) => {
                plan.held_back.insert(write.file);
            }
            Action::Deposit(_)
            | Action::Promise(_)
            | Action::HoldObject
            | Action::MintToken { .. }
            | Action::RestoreToken { .. }
            | Action::ChangeToken { .. }
            | Action::KeepReplaced(_)
            | Action::Foresee(_)
            | Action::ResetSession(_)
            | Action::Wake(_)
            | Action::HashToken(_)
            | Action::LetGo(_) => {}
        }
    }
    plan.entry_corrects = false;
    plan.waits = Some(Waits::Hold(hold));
}

fn present(plan: &mut Plan, desired: &Desired, observed: &Observed, paused: bool) {
    let (Ok(place), Ok(content)) = (&desired.place, &desired.content) else {
        // The obstacle says what stands in the way.
        return;
    };
    let Line::Up(contract) = observed.line else {
        plan.waits = Some(Waits::Gateway);
        return;
    };
    let Fact::Known(configuration) = &observed.configuration else {
        plan.waits = Some(Waits::Configuration);
        return;
    };
    prepare(plan, desired, observed);
    if plan.waits.is_some() || !plan.stages.is_empty() {
        return;
    }
    let entry = entry::Wanted {
        place,
        content,
        contract,
        configuration,
    };
    entry::plan(plan, desired, observed, entry);
    if plan.waits.is_some() {
        return;
    }
    files::plan(plan, desired, observed, content, place);
    if plan.waits.is_some() {
        return;
    }
    rotation::plan(plan, desired, observed);
    session::plan(plan, desired, place);
    entry::narrow(plan, desired, content);
    if !paused && !session::is_open(desired) {
        wake::plan(plan, desired, observed, content, place);
    }
    // Off the way to Ready: it only follows where nothing else is left to do.
    if plan.stages.is_empty() {
        hash_token(plan, desired, observed);
    }
}

/// What comes before the first effect in a gateway. Nothing of it while the gateway is away: an object that never got there
/// can go without asking anybody.
fn prepare(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let (Ok(place), Ok(content)) = (&desired.place, &desired.content) else {
        return;
    };
    let Fact::Known(configuration) = &observed.configuration else {
        return;
    };
    let promises = &desired.promises;
    let found = configuration.entries.get(&place.agent);
    let mut stage = Vec::new();
    if promises.binding.is_none() {
        let mut binding = place.binding();
        // An agent that is taken over by its id alone stays in its folder.
        let stays = found
            .and_then(|entry| entry.get("workspace"))
            .and_then(serde_json::Value::as_str);
        if let (true, false, Some(there)) = (place.adopted, desired.workspace_is_given, stays) {
            there.clone_into(&mut binding.workspace);
        }
        stage.push(Action::Promise(Promise::Bind(binding)));
        if found.is_some() && !promises.entered {
            stage.extend(files::taken_over(content));
        }
    }
    let wanted = entry::owned(promises, content);
    let all_promised = promises.entered
        && wanted.0.is_subset(&promises.owned_paths)
        && wanted.1.is_subset(&promises.owned_bindings);
    if !all_promised {
        let (paths, bindings) = wanted;
        stage.push(Action::Promise(Promise::Own { paths, bindings }));
    }
    if found.is_none() && !promises.entered {
        stage.extend(files::first_seeds(content, promises));
    }
    if !promises.held {
        stage.push(Action::HoldObject);
    }
    // One that never came into a file is nobody's loss.
    let carrier = promises.files.get("TOOLS.md");
    let secret = || desired.token.secret.clone();
    let was_given = promises
        .token
        .as_ref()
        .is_some_and(|token| token.fingerprint.is_some())
        && carrier.is_some_and(|file| file.state != FileState::Pending);
    match (&desired.token.found, was_given, &desired.token.due) {
        (Fact::Known(_), _, _) => {}
        (Fact::Unknown, _, _) => return,
        (Fact::Absent, false, due) => stage.push(Action::MintToken {
            secret: secret(),
            heard: due.clone().unwrap_or_else(|| desired.token.heard.clone()),
        }),
        // Without an entry no file can be read: it comes first, and the token is looked for afterwards.
        (Fact::Absent, true, None) if found.is_none() => {}
        // Also where another one was asked for: this one is still accepted while it is being replaced.
        (Fact::Absent, true, due) => match (files::token_in(desired, observed), due) {
            (Some(token), _) => stage.push(Action::RestoreToken {
                secret: secret(),
                token,
                heard: desired.token.heard.clone(),
            }),
            (None, None) => plan.waits = Some(Waits::TokenLost),
            (None, Some(due)) if found.is_none() || files::are_read(observed) => {
                stage.push(Action::MintToken {
                    secret: secret(),
                    heard: due.clone(),
                });
            }
            // What could not be read may have it.
            (None, Some(_)) => {}
        },
    }
    if !stage.is_empty() {
        plan.stages.push(stage);
    }
}

fn hash_token(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let Fact::Known(token) = &desired.token.found else {
        return;
    };
    let fingerprint = token.fingerprint();
    let is_kept =
        desired.promises.token.as_ref().is_some_and(|kept| {
            kept.hash.is_some() && kept.fingerprint.as_deref() == Some(fingerprint.as_str())
        });
    if !is_kept && !matches!(observed.token_hash, Fact::Known(_)) {
        plan.stages.push(vec![Action::HashToken(token.clone())]);
    }
}

impl Plan {
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flatten()
    }

    /// Nothing to do and nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.waits.is_none()
    }
}

/// Without the content: an agent's token may be in it.
impl fmt::Debug for Write {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            agent,
            file,
            content,
            expected,
            replaces,
            corrects,
        } = self;
        out.debug_struct("Write")
            .field("agent", agent)
            .field("file", file)
            .field("bytes", &content.len())
            .field("expected", expected)
            .field("replaces", replaces)
            .field("corrects", corrects)
            .finish()
    }
}

/// Without the contents: an agent may have noted a secret.
impl fmt::Debug for Replaced {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, sync, files } = self;
        out.debug_struct("Replaced")
            .field("secret", secret)
            .field("sync", sync)
            .field("files", &files.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, text, id } = self;
        out.debug_struct("Message")
            .field("session", session)
            .field("bytes", &text.len())
            .field("id", id)
            .finish()
    }
}
