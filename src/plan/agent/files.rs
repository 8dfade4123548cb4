//! The files of a workspace: what differs is written where that is ours to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Action, Plan, Promise, Replaced, Waits, Write};
use crate::desired::agent::{AgentToken, Content, Desired, File, Place, Promises, Text, snapshot};
use crate::desired::errand::Errand;
use crate::fact::Fact;
use crate::observed::agent::{Found, Observed, hash};
use crate::resource::agent::{FileAction, FileIntent, FileState, FileStatus};
use crate::resource::settings::{Drift, FilePolicy};

pub(super) fn plan(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    content: &Content,
    place: &Place,
) {
    plan.files_compared = true;
    let mut promises = Vec::new();
    let mut writes = Vec::new();
    let mut unread = Vec::new();
    let mut replaced = BTreeMap::new();
    // Who is asked to bring all up to date does so.
    let is_asked = desired.errand.as_ref().is_some_and(|errand| !errand.dry_run);
    let contested = |name: &str| observed.contested.get(name).copied().filter(|_| !is_asked);
    for (name, file) in &content.files.files {
        let found = match (file.policy, observed.files.get(name)) {
            (FilePolicy::Ignored, _) => continue,
            (FilePolicy::Managed | FilePolicy::SeedOnce, Some(found @ (Fact::Known(_) | Fact::Absent))) => {
                found
            }
            (FilePolicy::Managed | FilePolicy::SeedOnce, Some(Fact::Unknown) | None) => {
                unread.push(name.clone());
                continue;
            }
        };
        let before = desired.promises.files.get(name);
        let write = |content: String, replaces: Option<String>, corrects: bool| {
            Action::Write(Write {
                agent: place.agent.clone(),
                file: name.clone(),
                content,
                replaces,
                expected: match found {
                    Fact::Known(Found { hash, told: true, .. }) => Some(hash.clone()),
                    Fact::Known(Found { told: false, .. }) | Fact::Absent | Fact::Unknown => None,
                },
                corrects,
            })
        };
        match step(file, found, before, desired) {
            Step::Nothing => {}
            Step::Drifted => {
                plan.drifted.insert(name.clone());
            }
            Step::Write { corrects: true, .. } if contested(name).is_some() => {
                plan.contested
                    .extend(contested(name).map(|left| (name.clone(), left)));
            }
            Step::Write { content, corrects } => writes.push(write(content, None, corrects)),
            Step::Overwrite { content, replaces } => {
                if let Fact::Known(Found {
                    content: Some(theirs),
                    ..
                }) = found
                {
                    replaced.insert(name.clone(), Arc::clone(theirs));
                }
                writes.push(write(content, replaces, false));
            }
            Step::PromiseOver { hash, replaces, sync } => {
                promises.push(Action::Promise(Promise::Overwrite {
                    file: name.clone(),
                    hash,
                    replaces,
                    sync,
                }));
            }
            Step::Promise(hash) => promises.push(Action::Promise(Promise::Seed {
                file: name.clone(),
                action: FileAction::Seed,
                hash,
            })),
        }
    }
    // Of a file that an agent has already, it is as good as it was until the next pass.
    let seeds = promises
        .iter()
        .any(|action| matches!(action, Action::Promise(Promise::Seed { .. })));
    let errand = desired.errand.as_ref().filter(|_| !replaced.is_empty());
    let kept = errand.map(|errand| {
        Action::KeepReplaced(Replaced {
            secret: snapshot::undo_secret(&desired.name),
            sync: errand.uid.clone(),
            files: replaced,
        })
    });
    for stage in [promises, kept.into_iter().collect(), writes] {
        if !stage.is_empty() {
            plan.stages.push(stage);
        }
    }
    if seeds {
        plan.waits = Some(Waits::Seeds);
    }
    if !unread.is_empty() {
        plan.waits = Some(Waits::Files(unread));
    }
}

/// What is to be done to a file.
pub(super) enum Step {
    Nothing,
    Drifted,
    Write {
        content: String,
        corrects: bool,
    },
    /// To be seeded with content of this hash, once the status holds it.
    Promise(String),
    /// What the agent made of it goes, as its TemplateSync asks for; promised already.
    Overwrite {
        content: String,
        replaces: Option<String>,
    },
    PromiseOver {
        hash: String,
        replaces: Option<String>,
        sync: String,
    },
}

pub(super) fn step(file: &File, found: &Fact<Found>, before: Option<&FileStatus>, desired: &Desired) -> Step {
    let File {
        text,
        policy,
        drift,
        consumed,
    } = file;
    match policy {
        FilePolicy::Managed => managed(text, *drift, found, before),
        FilePolicy::SeedOnce => seeded_once(text, *consumed, found, before, desired),
        FilePolicy::Ignored => Step::Nothing,
    }
}

fn managed(text: &Text, drift: Drift, found: &Fact<Found>, before: Option<&FileStatus>) -> Step {
    let Some(content) = missing_of(text, found) else {
        return Step::Nothing;
    };
    let known = before.and_then(|before| before.hash.as_deref());
    let is_new = known != Some(hash(text.ours()).as_str());
    let corrects = !is_new
        && before.is_some_and(|before| match before.state {
            FileState::InSync | FileState::Drifted => true,
            FileState::Pending | FileState::Seeded | FileState::Ignored | FileState::Unsupported => false,
        });
    match (corrects, drift) {
        (true, Drift::Report) => Step::Drifted,
        (true, Drift::Ignore) => Step::Nothing,
        (true, Drift::Correct) | (false, Drift::Correct | Drift::Report | Drift::Ignore) => {
            Step::Write { content, corrects }
        }
    }
}

/// What the file shall be; None where it is so.
pub(super) fn missing_of(text: &Text, found: &Fact<Found>) -> Option<String> {
    match (text, found) {
        // Its content is not kept: its hash tells.
        (Text::Whole(wanted), Fact::Known(Found { hash: found, .. })) => {
            (*found != hash(wanted)).then(|| wanted.clone())
        }
        (Text::Whole(wanted), Fact::Absent | Fact::Unknown) => Some(wanted.clone()),
        (Text::Section(_), Fact::Known(Found { content, .. })) => text.wanted(content.as_deref()),
        (Text::Section(_), Fact::Absent | Fact::Unknown) => text.wanted(None),
    }
}

fn seeded_once(
    text: &Text,
    consumed: bool,
    found: &Fact<Found>,
    before: Option<&FileStatus>,
    desired: &Desired,
) -> Step {
    if let Some(errand) = over(consumed, before, desired) {
        return overwrite(text, found, before, errand);
    }
    // Once it was there it is the agent's, and stays so when the agent takes it away.
    let is_agents = before.is_some_and(|before| before.state == FileState::Seeded);
    // Who was woken may have read it and thrown it away.
    let may_be_consumed = consumed && desired.promises.wake.is_some();
    match found {
        Fact::Known(_) | Fact::Unknown => Step::Nothing,
        Fact::Absent if is_agents || may_be_consumed => Step::Nothing,
        Fact::Absent => {
            let wanted = hash(text.ours());
            let intent = before.and_then(|before| before.intent.as_ref());
            if intent.is_some_and(|intent| intent.hash == wanted) {
                Step::Write {
                    content: text.ours().to_owned(),
                    corrects: false,
                }
            } else {
                Step::Promise(wanted)
            }
        }
    }
}

/// The TemplateSync that wants it written over, or, of what is consumed, written again; unless that is done.
fn over<'a>(consumed: bool, before: Option<&FileStatus>, desired: &'a Desired) -> Option<&'a Errand> {
    let errand = desired.errand.as_ref().filter(|errand| !errand.dry_run)?;
    let is_asked = if consumed {
        errand.force_bootstrap
    } else {
        errand.overwrite
    };
    let is_done = before.is_some_and(|before| before.overwritten_by.as_ref() == Some(&errand.uid));
    (is_asked && !is_done).then_some(errand)
}

/// Promised with the hash of what is replaced: whatever else is there later was written since, and is promised anew.
fn overwrite(text: &Text, found: &Fact<Found>, before: Option<&FileStatus>, errand: &Errand) -> Step {
    let wanted = hash(text.ours());
    let there = match found {
        Fact::Known(Found { hash, .. }) => Some(hash.clone()),
        Fact::Absent => None,
        Fact::Unknown => return Step::Nothing,
    };
    if there.as_ref() == Some(&wanted) {
        return Step::Nothing;
    }
    let intent = before.and_then(|before| before.intent.as_ref());
    let is_promised = intent.is_some_and(|intent| {
        let FileIntent {
            action,
            hash,
            replaces,
            sync,
            at: _,
        } = intent;
        *action == FileAction::Overwrite
            && *hash == wanted
            && *replaces == there
            && sync.as_ref() == Some(&errand.uid)
    });
    if is_promised {
        Step::Overwrite {
            content: text.ours().to_owned(),
            replaces: there,
        }
    } else {
        Step::PromiseOver {
            hash: wanted,
            replaces: there,
            sync: errand.uid.clone(),
        }
    }
}

/// Together with the other promises of a first pass: with the entry not there, no file of ours can be.
pub(super) fn first_seeds(content: &Content, promises: &Promises) -> Vec<Action> {
    let once = content
        .files
        .files
        .iter()
        .filter(|(_, file)| file.policy == FilePolicy::SeedOnce);
    let open = once.filter(|(name, file)| {
        let before = promises.files.get(*name);
        let promised = before.and_then(|before| before.intent.as_ref());
        let is_agents = before.is_some_and(|before| before.state == FileState::Seeded);
        !is_agents && promised.is_none_or(|intent| intent.hash != hash(file.text.ours()))
    });
    open.map(|(name, file)| {
        Action::Promise(Promise::Seed {
            file: name.clone(),
            action: FileAction::Seed,
            hash: hash(file.text.ours()),
        })
    })
    .collect()
}

/// An agent that was there before us has begun already: it is not to begin anew.
pub(super) fn taken_over(content: &Content) -> Vec<Action> {
    let consumed = content.files.files.iter().filter(|(_, file)| file.consumed);
    consumed
        .map(|(name, _)| Action::Promise(Promise::LeaveToAgent { file: name.clone() }))
        .collect()
}

/// Of none it is open whether it has something.
pub(super) fn are_read(observed: &Observed) -> bool {
    !observed.files.is_empty() && !observed.files.values().any(|found| *found == Fact::Unknown)
}

/// The token as the agent's own files have it, if it is the one that was minted: by its fingerprint, so that it does not
/// matter how the file writes it.
pub(super) fn token_in(desired: &Desired, observed: &Observed) -> Option<AgentToken> {
    let told = desired.promises.token.as_ref()?;
    // In the middle of a rotation it may be the new one that the file has by now.
    let known = [told.next_fingerprint.as_ref(), told.fingerprint.as_ref()];
    let contents = observed.files.values().filter_map(|found| match found {
        Fact::Known(Found { content, .. }) => content.as_deref(),
        Fact::Absent | Fact::Unknown => None,
    });
    let is_of_a_token = |sign: char| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_';
    let words = contents.flat_map(|content| content.split(move |sign| !is_of_a_token(sign)));
    words
        .filter_map(|word| AgentToken::parse(word).ok())
        .find(|token| known.contains(&Some(&token.fingerprint())))
}
