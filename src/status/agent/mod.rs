//! What is told of an Agent.

mod drift;
mod errand;
mod files;
mod token;
mod words;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::News;
use super::condition::{Book, Finding, Truth, find, fit, whole_seconds};
use super::progress;
use super::reason::Reason;
use crate::desired::agent::{Desired, Obstacle, Snapshot, Wish};
use crate::execute::agent::{Came, Outcome};
use crate::gateway::commit::Difference;
use crate::observed::agent::contests::ENTRY;
use crate::observed::agent::{Line, Observed};
use crate::plan::agent::{Action, Farewell, Promise, Waits};
use crate::resource::agent::{
    AgentStatus, Binding, BindingConflict, Entry, FileState, FileStatus, Phase, SessionReset, Waiting, Wake,
};
use crate::resource::{Agent, Time, condition, names};

/// What a pass reports, and when the next one is due if nothing happens before.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub status: AgentStatus,
    pub news: Vec<News>,
    pub look_again: Option<Duration>,
}

/// What went wrong in a way that nothing tells when it is mended.
const SOON: Duration = Duration::from_secs(5);
/// What goes wrong for long is tried less often: after half the time again that it has lasted, but no later than this.
const LATE: Duration = Duration::from_secs(5 * 60);
/// What the schema allows for the value of an annotation.
const LONGEST_REQUEST: usize = 1024;

pub fn of(snapshot: &Snapshot, desired: &Desired, observed: &Observed, outcome: &Outcome) -> Report {
    let now = whole_seconds(snapshot.now);
    let agent = snapshot.agent.as_ref();
    let nothing = AgentStatus::default();
    let before = agent.status.as_ref().unwrap_or(&nothing);
    if is_too_early(snapshot, desired, observed, before) {
        return Report {
            status: before.clone(),
            news: Vec::new(),
            look_again: None,
        };
    }
    let ready = words::ready(snapshot, desired, observed, outcome);
    let files = files::of(desired, observed, outcome, before, now);
    let wake = wake(desired, outcome);
    let book = Book {
        before: &before.conditions,
        generation: agent.metadata.generation,
        now,
    };
    let same_spec = before.observed_generation == agent.metadata.generation;
    let (mut conditions, patience) = progress::of(&book, same_spec, &ready);
    let is_stalled = find(&conditions, condition::STALLED).is_some();
    let not_ready_since = find(&conditions, condition::READY)
        .filter(|told| told.status == "False")
        .map(|told| now.duration_since(told.last_transition_time.0));
    conditions.extend([
        book.write(
            condition::PROVISIONED,
            &words::provisioned(desired, outcome, &ready),
        ),
        book.write(
            condition::FILES_IN_SYNC,
            &words::files_in_sync(desired, &files.list, &ready),
        ),
        book.write(
            condition::TOKEN_CURRENT,
            &words::token_current(desired, &files.list, outcome),
        ),
        book.write(condition::WOKEN, &words::woken(desired, wake.as_ref())),
        book.write(condition::CHECKED_IN, &words::checked_in(before)),
    ]);
    let place = desired.place.as_ref().ok();
    let status = AgentStatus {
        observed_generation: agent.metadata.generation,
        last_handled_reconcile_at: handled(desired, observed, agent, names::FLUX_REQUESTED_AT)
            .or_else(|| before.last_handled_reconcile_at.clone()),
        last_handled_request: handled(desired, observed, agent, names::RECONCILE_AT)
            .or_else(|| before.last_handled_request.clone()),
        phase: Some(phase(desired, &ready, is_stalled)),
        agent_id: place.map(|place| place.agent.to_string()),
        session_key: place.map(|place| place.session().as_str().to_owned()),
        workspace: place.map(|place| place.workspace.clone()),
        gateway: place
            .map(|place| place.gateway.clone())
            .or_else(|| before.gateway.clone()),
        binding: binding(desired, outcome),
        waiting: waiting(&ready, &conditions, before, now),
        entry: entry(desired, outcome, before),
        files_summary: files.summary,
        drifted_files: files.drifted,
        drift: drift::of(desired, observed, outcome, before),
        token: token::of(desired, observed, before, now),
        heartbeat: before.heartbeat.clone(),
        wake,
        session_reset: session_reset(desired, outcome, now),
        syncs: errand::of(snapshot, desired, observed, outcome, &ready, now),
        last_sync: last_sync(&files.list, before, now),
        files: files.list,
        conditions,
    };
    Report {
        news: news(&before.conditions, &ready, outcome),
        look_again: look_again(desired, outcome, patience, not_ready_since),
        status,
    }
}

/// What an obstacle is, and what to do about it.
pub fn obstacle_in_words(obstacle: &Obstacle) -> String {
    words::of_obstacle(obstacle).1
}

/// A new process must not call every agent unready for the moment that its gateway takes to be connected again.
fn is_too_early(snapshot: &Snapshot, desired: &Desired, observed: &Observed, before: &AgentStatus) -> bool {
    let told = before.observed_generation == snapshot.agent.metadata.generation
        && find(&before.conditions, condition::READY).is_some();
    let asks_for_a_gateway = match desired.wish {
        Wish::Present { .. } => desired.content.is_ok() && desired.hold.is_none(),
        Wish::Retired | Wish::Gone(_) => false,
    };
    told && asks_for_a_gateway && observed.line == Line::NotTried && words::gateways_own(snapshot).is_none()
}

/// An annotation counts as answered when everything was read for it, or there was nothing to read.
fn handled(desired: &Desired, observed: &Observed, agent: &Agent, name: &str) -> Option<String> {
    let asked = agent.metadata.annotations.as_ref()?.get(name)?;
    let nothing_to_read = match desired.wish {
        Wish::Present { .. } => desired.content.is_err() || desired.hold.is_some(),
        Wish::Retired | Wish::Gone(_) => true,
    };
    let was_read = observed.answers.as_deref() == Some(desired.ask.as_str());
    (nothing_to_read || was_read).then(|| fit(asked, LONGEST_REQUEST))
}

fn phase(desired: &Desired, ready: &Finding, is_stalled: bool) -> Phase {
    match (&desired.wish, ready.truth) {
        (Wish::Gone(_), _) => Phase::Deleting,
        (_, Truth::False | Truth::Unknown) if is_stalled => Phase::Failed,
        (_, Truth::False | Truth::Unknown) => Phase::Provisioning,
        (Wish::Retired, Truth::True) => Phase::Retired,
        (Wish::Present { paused: true }, Truth::True) => Phase::Paused,
        (Wish::Present { paused: false }, Truth::True) => Phase::Ready,
    }
}

fn binding(desired: &Desired, outcome: &Outcome) -> Option<Binding> {
    let promised = outcome.done().find_map(|action| {
        let Action::Promise(Promise::Bind(binding)) = action else {
            return None;
        };
        Some(binding.clone())
    });
    promised.or_else(|| desired.promises.binding.clone())
}

fn wake(desired: &Desired, outcome: &Outcome) -> Option<Wake> {
    let promised = outcome.done().find_map(|action| {
        let Action::Promise(Promise::Wake(wake)) = action else {
            return None;
        };
        Some(wake.clone())
    });
    promised.or_else(|| desired.promises.wake.clone())
}

fn entry(desired: &Desired, outcome: &Outcome, before: &AgentStatus) -> Option<Entry> {
    let mut entry = before.entry.clone();
    for action in outcome.done() {
        match action {
            Action::Promise(Promise::Own { paths, bindings }) => {
                let entry = entry.get_or_insert_default();
                entry.owned_paths = paths.iter().cloned().collect();
                entry.owned_bindings = bindings.iter().cloned().collect();
            }
            Action::Promise(Promise::Disown) => entry = None,
            Action::Promise(
                Promise::Bind(_)
                | Promise::Seed { .. }
                | Promise::Overwrite { .. }
                | Promise::Reset { .. }
                | Promise::LeaveToAgent { .. }
                | Promise::Wake(_),
            )
            | Action::HoldObject
            | Action::MintToken { .. }
            | Action::RestoreToken { .. }
            | Action::ChangeToken { .. }
            | Action::KeepReplaced(_)
            | Action::ResetSession(_)
            | Action::Foresee(_)
            | Action::Deposit(_)
            | Action::Write(_)
            | Action::Wake(_)
            | Action::HashToken(_)
            | Action::LetGo(_) => {}
        }
    }
    if let (Some(entry), Some(difference), Ok(place)) = (&mut entry, &outcome.plan.entry, &desired.place) {
        let Difference {
            is_there,
            is_none,
            settings: _,
            bindings_differ: _,
            left_out,
            hidden: _,
            conflicts,
            preserved: _,
        } = difference;
        if let (true, true, Ok(content)) = (is_there, is_none, &desired.content) {
            entry.hash = Some(content.entry.hash());
        }
        entry.left_out = left_out.iter().take(64).map(|it| fit(&it.setting, 256)).collect();
        let conflicts = conflicts.iter().filter(|it| it.agent == place.agent).take(32);
        entry.binding_conflicts = conflicts
            .map(|it| BindingConflict {
                binding: fit(&it.binding.to_string(), 192),
                agent_id: fit(&it.held_by, 64),
            })
            .collect();
    }
    entry
}

/// Promised, then answered: by whom it was asked for says for which TemplateSync it counts.
fn session_reset(desired: &Desired, outcome: &Outcome, now: Timestamp) -> Option<SessionReset> {
    let before = desired.promises.session_reset.clone();
    outcome.done().fold(before, |reset, action| match action {
        Action::Promise(Promise::Reset { sync }) => Some(SessionReset {
            sync: sync.clone(),
            done: false,
            at: Some(Time(now)),
        }),
        Action::ResetSession(_) => reset.map(|reset| SessionReset {
            done: true,
            at: Some(Time(now)),
            ..reset
        }),
        Action::Promise(_)
        | Action::HoldObject
        | Action::MintToken { .. }
        | Action::RestoreToken { .. }
        | Action::ChangeToken { .. }
        | Action::KeepReplaced(_)
        | Action::Foresee(_)
        | Action::Deposit(_)
        | Action::Write(_)
        | Action::Wake(_)
        | Action::HashToken(_)
        | Action::LetGo(_) => reset,
    })
}

/// While it waits for something that may come by itself: for what, and since when.
fn waiting(
    ready: &Finding,
    conditions: &[Condition],
    before: &AgentStatus,
    now: Timestamp,
) -> Option<Waiting> {
    let waits = find(conditions, condition::RECONCILING).is_some() && ready.reason != Reason::Provisioning;
    let reason = ready.reason.to_string();
    let earlier = before.waiting.as_ref().filter(|earlier| earlier.reason == reason);
    let since = earlier
        .and_then(|earlier| earlier.since.clone())
        .unwrap_or(Time(now));
    waits.then_some(Waiting {
        reason,
        since: Some(since),
    })
}

/// A file has come to be as wanted, or is wanted otherwise. Told by the files and not by what this pass has done: whoever is
/// killed between the two has done it all the same.
fn last_sync(files: &[FileStatus], before: &AgentStatus, now: Timestamp) -> Option<Time> {
    let is_news = |file: &FileStatus| {
        let earlier = before.files.iter().find(|earlier| earlier.name == file.name);
        match file.state {
            FileState::InSync => {
                earlier.is_none_or(|earlier| earlier.state != FileState::InSync || earlier.hash != file.hash)
            }
            // From then on it is the agent's own: whatever would be wanted of it now is not written.
            FileState::Seeded => earlier.is_none_or(|earlier| earlier.state != FileState::Seeded),
            FileState::Pending | FileState::Drifted | FileState::Ignored | FileState::Unsupported => false,
        }
    };
    if files.iter().any(is_news) {
        Some(Time(now))
    } else {
        before.last_sync.clone()
    }
}

fn look_again(
    desired: &Desired,
    outcome: &Outcome,
    patience: Option<Duration>,
    lasts: Option<SignedDuration>,
) -> Option<Duration> {
    let goes_on = outcome.came().any(|(action, came)| {
        *came == Came::Done && !matches!(action, Action::LetGo(_) | Action::Promise(Promise::Disown))
    });
    let failed = outcome.failure().is_some();
    let waits = match &outcome.plan.waits {
        Some(Waits::NotCommitted { again, .. }) => Some(*again),
        Some(Waits::Wake(after)) => Some(*after),
        Some(Waits::Configuration | Waits::Files(_)) => Some(SOON),
        Some(
            Waits::Hold(_)
            | Waits::Gateway
            | Waits::Commit
            | Waits::Seeds
            | Waits::Rejected(_)
            | Waits::TokenLost
            | Waits::Ahead(_)
            | Waits::WakeUnknown,
        )
        | None => None,
    };
    // Sent: whether it has arrived is to be seen.
    let sent = outcome
        .came()
        .any(|(action, came)| matches!(action, Action::Wake(_)) && *came == Came::UnderWay);
    let sooner = if failed {
        let lasts = lasts
            .and_then(|lasts| lasts.try_into().ok())
            .unwrap_or(Duration::ZERO);
        Some((lasts / 2).clamp(SOON, LATE))
    } else if goes_on {
        Some(Duration::ZERO)
    } else if sent {
        Some(Duration::from_secs(1))
    } else {
        None
    };
    let contested = outcome.plan.contested.values().min().copied();
    [sooner, waits, patience, contested, token::due(desired)]
        .into_iter()
        .flatten()
        .min()
}

/// Ready's reason is the story; what was put right, and what is left behind, are told besides.
fn news(before: &[Condition], ready: &Finding, outcome: &Outcome) -> Vec<News> {
    let mut news = Vec::new();
    let told = find(before, condition::READY);
    let same = told.is_some_and(|told| told.reason == ready.reason.to_string());
    let is_between = matches!(ready.reason, Reason::Provisioning | Reason::Deleting);
    let says_something = !same && ready.truth != Truth::Unknown && !is_between;
    if says_something {
        news.push(News {
            warning: ready.truth == Truth::False,
            reason: ready.reason,
            note: ready.message.clone(),
        });
    }
    let corrected: Vec<&str> = outcome
        .corrected()
        .map(|subject| if subject == ENTRY { "its entry" } else { subject })
        .collect();
    if !corrected.is_empty() {
        news.push(News {
            warning: false,
            reason: Reason::DriftCorrected,
            note: format!(
                "somebody else had changed {}: put right; what shall stay belongs into the Agent, its Board or a template",
                corrected.join(", ")
            ),
        });
    }
    let was_drifted = [condition::FILES_IN_SYNC, condition::PROVISIONED]
        .iter()
        .filter_map(|it| find(before, it))
        .any(|told| told.reason == Reason::Drifted.to_string());
    let entry = outcome.plan.entry_drifted.then_some("its entry");
    let drifted: Vec<&str> = outcome
        .plan
        .drifted
        .iter()
        .map(String::as_str)
        .chain(entry)
        .collect();
    if !drifted.is_empty() && !was_drifted {
        news.push(News {
            warning: true,
            reason: Reason::Drifted,
            note: format!(
                "somebody else changed {}: left as it is; status.drift shows what differs",
                drifted.join(", ")
            ),
        });
    }
    for action in outcome.done() {
        let Action::LetGo(farewell) = action else { continue };
        let left = match farewell {
            Farewell::Clean => continue,
            Farewell::Orphaned => "the agent stays in the gateway, as deletionPolicy Orphan asks for",
            Farewell::NoGateway => {
                "its Gateway object is gone: the agent, its workspace and its token may still be in the gateway"
            }
            Farewell::Forced => {
                "let go by quartermaster.dev/force-delete: the agent, its workspace and its token may still be in the gateway"
            }
            Farewell::TakenOver => "another Agent holds the same agent in the gateway: it stays",
        };
        news.push(News {
            warning: *farewell != Farewell::Orphaned,
            reason: Reason::LeftBehind,
            note: left.to_owned(),
        });
    }
    news
}
