//! The files of a workspace: what differs is written where that is ours to do.

use crate::desired::agent::{AgentToken, Content, Desired, File, Place, Promises, Text};
use crate::fact::Fact;
use crate::observed::agent::{Found, Observed, hash};
use crate::resource::agent::{FileAction, FileState, FileStatus};
use crate::resource::settings::{Drift, FilePolicy};

use super::{Action, Plan, Promise, Waits, Write};

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
        let write = |content: String, corrects: bool| {
            Action::Write(Write {
                agent: place.agent.clone(),
                file: name.clone(),
                content,
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
            Step::Write { content, corrects } => writes.push(write(content, corrects)),
            Step::Promise(hash) => promises.push(Action::Promise(Promise::Seed {
                file: name.clone(),
                action: FileAction::Seed,
                hash,
            })),
        }
    }
    let seeds = !promises.is_empty();
    for stage in [promises, writes] {
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

enum Step {
    Nothing,
    Drifted,
    Write {
        content: String,
        corrects: bool,
    },
    /// To be seeded with content of this hash, once the status holds it.
    Promise(String),
}

fn step(file: &File, found: &Fact<Found>, before: Option<&FileStatus>, desired: &Desired) -> Step {
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

/// The token as the agent's own file has it, if it is the one that was minted.
pub(super) fn token_in(desired: &Desired, observed: &Observed) -> Option<AgentToken> {
    let fingerprint = desired.promises.token.as_ref()?.fingerprint.as_deref()?;
    let contents = observed.files.values().filter_map(|found| match found {
        Fact::Known(Found { content, .. }) => content.as_deref(),
        Fact::Absent | Fact::Unknown => None,
    });
    let quoted = contents.flat_map(|content| {
        let lines = content.lines();
        lines.filter_map(|line| {
            let (_, rest) = line.split_once("AUTH_TOKEN=\"")?;
            rest.split_once('"').map(|(token, _)| token)
        })
    });
    quoted
        .filter_map(|text| AgentToken::parse(text).ok())
        .find(|token| token.fingerprint() == fingerprint)
}
