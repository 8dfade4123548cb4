//! What the TemplateSyncs came to in this agent. Each is told once: what is told as settled is not carried out again.

use k8s_openapi::jiff::Timestamp;

use super::drift::masked;
use super::words::token_unreadable;
use crate::desired::agent::{Desired, Snapshot, Wish};
use crate::desired::errand::{AT_A_TIME, Errand, in_turn};
use crate::execute::agent::{Came, Outcome};
use crate::observed::agent::Observed;
use crate::plan::agent::explain::{Blocked, Change, explain};
use crate::plan::agent::{Action, Waits};
use crate::resource::Time;
use crate::resource::agent::{SyncState, SyncStatus};
use crate::status::condition::{Finding, Truth, fit};
use crate::status::reason::{Reason, Remedy};

/// What the schema allows.
const LONGEST_ERROR: usize = 1024;
const LONGEST_PLAN: usize = 4096;

pub(super) fn of(
    snapshot: &Snapshot,
    desired: &Desired,
    observed: &Observed,
    outcome: &Outcome,
    ready: &Finding,
    now: Timestamp,
) -> Vec<SyncStatus> {
    let status = snapshot.agent.status.as_ref();
    let mut all = status.map(|status| status.syncs.clone()).unwrap_or_default();
    let Some(errand) = &desired.errand else { return all };
    let before = all.iter().position(|told| told.uid == errand.uid);
    let has_begun = before.is_some();
    let Some((state, error, plan)) = came_to(errand, desired, observed, outcome, ready, has_begun) else {
        return all;
    };
    let is_told = before
        .and_then(|at| all.get(at))
        .is_some_and(|told| told.state == state);
    if is_told {
        return all;
    }
    all.retain(|told| told.uid != errand.uid);
    all.push(SyncStatus {
        uid: errand.uid.clone(),
        name: errand.name.clone(),
        state,
        error,
        plan,
        at: Some(Time(now)),
    });
    // What belongs to one that still goes on is still asked for.
    let open = in_turn(&snapshot.syncs);
    let is_open = |told: &SyncStatus| {
        open.iter()
            .any(|sync| sync.metadata.uid.as_ref() == Some(&told.uid))
    };
    while all.len() > AT_A_TIME {
        let oldest = all.iter().position(|told| !is_open(told)).unwrap_or_default();
        all.remove(oldest);
    }
    all
}

type Told = (SyncState, Option<String>, Option<String>);

/// None: nothing to tell yet.
fn came_to(
    errand: &Errand,
    desired: &Desired,
    observed: &Observed,
    outcome: &Outcome,
    ready: &Finding,
    has_begun: bool,
) -> Option<Told> {
    // What only a person can mend is not waited for; the rest is, until the TemplateSync's own deadline.
    // A file that no gateway takes holds up nothing else.
    let is_but_for_a_file = ready.reason == Reason::UnsupportedFile;
    let is_hopeless =
        ready.truth == Truth::False && ready.reason.remedy() == Remedy::Person && !is_but_for_a_file;
    if is_hopeless {
        let error = match &outcome.plan.waits {
            Some(Waits::TokenLost) => token_unreadable(&desired.name),
            Some(_) | None => fit(&ready.message, LONGEST_ERROR),
        };
        return Some((SyncState::Failed, Some(error), None));
    }
    let was_read = observed.answers.as_deref() == Some(desired.ask.as_str());
    if errand.dry_run {
        let explanation = explain(desired, observed);
        let is_known = match &explanation.blocked {
            None => was_read || !matches!(desired.wish, Wish::Present { .. }),
            Some(Blocked::NotLookedAt | Blocked::Obstacle(_)) => false,
            Some(Blocked::Suspended) => true,
        };
        let plan = match &explanation.blocked {
            Some(Blocked::Suspended) => "suspended: nothing is done until it goes on".to_owned(),
            Some(Blocked::NotLookedAt | Blocked::Obstacle(_)) | None => planned(&explanation.changes),
        };
        return is_known.then_some((SyncState::Planned, None, Some(plan)));
    }
    let waits = match &outcome.plan.waits {
        None | Some(Waits::Wake(_) | Waits::WakeUnknown) => false,
        Some(
            Waits::Hold(_)
            | Waits::Gateway
            | Waits::Configuration
            | Waits::Seeds
            | Waits::Files(_)
            | Waits::Commit
            | Waits::NotCommitted { .. }
            | Waits::Rejected(_)
            | Waits::TokenLost
            | Waits::Ahead(_),
        ) => true,
    };
    let is_ready = ready.truth == Truth::True || is_but_for_a_file;
    let is_whole = outcome.plan.actions().all(follows_after) && is_ready;
    let has_acted = outcome.came().any(|(action, came)| {
        let is_of_it = !follows_after(action);
        is_of_it && matches!(came, Came::Done | Came::UnderWay | Came::Failed(_))
    });
    match (
        was_read && is_whole && !waits && has_rotated(errand, desired) && has_reset(errand, desired),
        has_begun,
    ) {
        (true, true) => Some((SyncState::Updated, None, None)),
        (true, false) => Some((SyncState::Unchanged, None, None)),
        (false, _) => has_acted.then_some((SyncState::Running, None, None)),
    }
}

/// Every change by its name, and as many of the differences as there is room for.
fn planned(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing to do".to_owned();
    }
    let names: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let length = |text: &str| text.chars().count() + 1;
    let mut room = LONGEST_PLAN.saturating_sub(names.iter().map(|name| length(name)).sum());
    let mut lines = Vec::new();
    for (change, name) in changes.iter().zip(names) {
        lines.push(name);
        let Change::File { name: _, diff } = change else {
            continue;
        };
        let diff = masked(diff.unified.trim_end(), &[]);
        if !diff.is_empty() && room > 1 {
            let shown = fit(&diff, room - 1);
            room = room.saturating_sub(length(&shown));
            lines.push(shown);
        }
    }
    fit(&lines.join("\n"), LONGEST_PLAN)
}

fn has_rotated(errand: &Errand, desired: &Desired) -> bool {
    let is_heard = desired.token.heard.sync.as_ref() == Some(&errand.uid);
    !errand.rotate_token || is_heard && desired.token.next.is_none()
}

/// A message on its way holds the reset up, and the plan says nothing of it meanwhile.
fn has_reset(errand: &Errand, desired: &Desired) -> bool {
    let reset = desired.promises.session_reset.as_ref();
    !errand.reset_session || reset.is_some_and(|reset| reset.sync == errand.uid && reset.done)
}

/// What is done for itself, and which nobody waits for who wants the files.
fn follows_after(action: &Action) -> bool {
    use crate::plan::agent::{Promise, TokenChange};
    match action {
        Action::Promise(Promise::Wake(_) | Promise::Own { .. }) | Action::Wake(_) | Action::HashToken(_) => {
            true
        }
        Action::ChangeToken { change, .. } => *change == TokenChange::DropPrevious,
        Action::Promise(
            Promise::Bind(_)
            | Promise::Disown
            | Promise::Seed { .. }
            | Promise::Overwrite { .. }
            | Promise::Reset { .. }
            | Promise::LeaveToAgent { .. },
        )
        | Action::HoldObject
        | Action::MintToken { .. }
        | Action::RestoreToken { .. }
        | Action::KeepReplaced(_)
        | Action::Foresee(_)
        | Action::Deposit(_)
        | Action::Write(_)
        | Action::ResetSession(_)
        | Action::LetGo(_) => false,
    }
}
