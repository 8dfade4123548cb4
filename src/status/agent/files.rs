//! Each file's own line in the status.

use k8s_openapi::jiff::Timestamp;

use crate::desired::agent::{Desired, File, NO_TOKEN, Wish};
use crate::execute::agent::{Came, Outcome};
use crate::fact::Fact;
use crate::observed::agent::{Found, Observed, hash};
use crate::plan::agent::{Action, Promise};
use crate::resource::Time;
use crate::resource::agent::{AgentStatus, FileIntent, FileState, FileStatus};
use crate::resource::settings::FilePolicy;

pub(super) struct Files {
    pub(super) list: Vec<FileStatus>,
    pub(super) summary: Option<String>,
    pub(super) drifted: Option<i32>,
}

pub(super) fn of(
    desired: &Desired,
    observed: &Observed,
    outcome: &Outcome,
    before: &AgentStatus,
    now: Timestamp,
) -> Files {
    let (Ok(content), Wish::Present { .. }) = (&desired.content, &desired.wish) else {
        return Files {
            list: before.files.clone(),
            summary: before.files_summary.clone(),
            drifted: before.drifted_files,
        };
    };
    let mut list: Vec<FileStatus> = Vec::new();
    for (name, file) in &content.files.files {
        list.push(physical(name, file, observed, outcome, before, now));
    }
    let total = list
        .iter()
        .filter(|file| file.state != FileState::Ignored)
        .count();
    let good = list
        .iter()
        .filter(|file| matches!(file.state, FileState::InSync | FileState::Seeded));
    let summary = format!("{}/{total}", good.count());
    let drifted = list
        .iter()
        .filter(|file| file.state == FileState::Drifted)
        .count();
    for (name, carrier) in &content.files.carried {
        let state = list
            .iter()
            .find(|file| file.name == *carrier)
            .map_or(FileState::Pending, |file| file.state);
        let status = with_since(name, state, None, before, now);
        list.push(FileStatus {
            carried_in: Some(carrier.clone()),
            ..status
        });
    }
    for name in content.files.unsupported.keys() {
        list.push(with_since(name, FileState::Unsupported, None, before, now));
    }
    list.sort_by(|one, other| one.name.cmp(&other.name));
    list.truncate(64);
    Files {
        list,
        summary: Some(summary),
        drifted: Some(i32::try_from(drifted).unwrap_or(i32::MAX)),
    }
}

fn physical(
    name: &str,
    file: &File,
    observed: &Observed,
    outcome: &Outcome,
    before: &AgentStatus,
    now: Timestamp,
) -> FileStatus {
    let wanted = hash(file.text.ours());
    // With another word in the place of the token it is a text that nobody will ever see.
    let is_real = !file.text.ours().contains(NO_TOKEN);
    let earlier = before.files.iter().find(|file| file.name == name);
    if let (false, Some(earlier), FilePolicy::Managed) = (outcome.plan.files_compared, earlier, file.policy) {
        // Not compared in this pass: what was told of it stays, of the content that it was told of. Of another one nothing
        // is known yet; and with the Secret lost no content is known at all, while the file still has the token.
        let state = if !is_real || earlier.hash.as_deref() == Some(wanted.as_str()) {
            earlier.state
        } else {
            FileState::Pending
        };
        return FileStatus {
            state,
            ..earlier.clone()
        };
    }
    let written = outcome.came().find_map(|(action, came)| {
        let Action::Write(write) = action else { return None };
        (write.file == name).then_some(came)
    });
    let promised = outcome.done().find_map(|action| {
        let Action::Promise(promise) = action else {
            return None;
        };
        match promise {
            Promise::Seed { file, action, hash } if file == name => Some(Some(FileIntent {
                action: *action,
                hash: hash.clone(),
                sync: None,
                at: Some(Time(now)),
            })),
            Promise::LeaveToAgent { file } if file == name => Some(None),
            Promise::Seed { .. }
            | Promise::LeaveToAgent { .. }
            | Promise::Bind(_)
            | Promise::Own { .. }
            | Promise::Disown
            | Promise::Wake(_) => None,
        }
    });
    let was_seeded = earlier.is_some_and(|earlier| earlier.state == FileState::Seeded);
    let found = observed.files.get(name);
    let state = match file.policy {
        FilePolicy::Ignored => FileState::Ignored,
        FilePolicy::Managed => match (written, found) {
            (Some(Came::Done), _) => FileState::InSync,
            (Some(Came::UnderWay | Came::Failed(_) | Came::NotReached), _) => FileState::Pending,
            (None, _) if outcome.plan.drifted.contains(name) => FileState::Drifted,
            (None, Some(Fact::Known(_) | Fact::Absent)) if outcome.plan.files_compared => {
                is_as_wanted(file, found, earlier)
            }
            // Not looked at in this pass: what was known of this very content stays known.
            (None, Some(Fact::Known(_) | Fact::Absent | Fact::Unknown) | None) => match earlier {
                Some(earlier) if earlier.hash.as_deref() == Some(wanted.as_str()) => earlier.state,
                Some(_) | None => FileState::Pending,
            },
        },
        FilePolicy::SeedOnce => match (written, found) {
            (Some(Came::Done), _) => FileState::Seeded,
            _ if was_seeded || promised == Some(None) => FileState::Seeded,
            (None, Some(Fact::Known(_))) => FileState::Seeded,
            // It was not written although it is not there: the agent has used it up.
            (None, Some(Fact::Absent)) if file.consumed && before.wake.is_some() => FileState::Seeded,
            (Some(Came::UnderWay | Came::Failed(_) | Came::NotReached) | None, _) => FileState::Pending,
        },
    };
    let intent = match (state, promised.clone()) {
        (FileState::Pending, Some(intent)) => intent,
        (FileState::Pending, None) => earlier.and_then(|earlier| earlier.intent.clone()),
        (
            FileState::InSync
            | FileState::Drifted
            | FileState::Seeded
            | FileState::Ignored
            | FileState::Unsupported,
            _,
        ) => None,
    };
    // Left to an agent that was there before us: nothing of ours was ever in it.
    let is_left =
        promised == Some(None) || was_seeded && earlier.is_some_and(|earlier| earlier.hash.is_none());
    let hash = (is_real && !is_left).then_some(wanted);
    let status = with_since(name, state, hash, before, now);
    FileStatus { intent, ..status }
}

/// Nothing was planned for it: it is as wanted, or its difference is not looked at.
fn is_as_wanted(file: &File, found: Option<&Fact<Found>>, earlier: Option<&FileStatus>) -> FileState {
    let is_so = match found {
        Some(Fact::Known(Found { hash: found, .. })) => *found == hash(file.text.ours()),
        Some(Fact::Absent | Fact::Unknown) | None => false,
    };
    match (is_so, earlier) {
        (true, _) => FileState::InSync,
        (false, Some(earlier)) if earlier.state == FileState::Drifted => FileState::Drifted,
        (false, Some(_) | None) => FileState::InSync,
    }
}

fn with_since(
    name: &str,
    state: FileState,
    hash: Option<String>,
    before: &AgentStatus,
    now: Timestamp,
) -> FileStatus {
    let earlier = before.files.iter().find(|file| file.name == name);
    let since = earlier
        .filter(|earlier| earlier.state == state)
        .and_then(|earlier| earlier.since.clone());
    FileStatus {
        name: name.to_owned(),
        hash,
        state,
        since: since.or(Some(Time(now))),
        carried_in: None,
        intent: None,
    }
}
