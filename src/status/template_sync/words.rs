//! A TemplateSync in sentences.

use super::results::Results;
use super::{Ending, Stage};
use crate::desired::template_sync::{Desired, Obstacle, Snapshot};
use crate::resource::TemplateSyncSpec;
use crate::status::News;
use crate::status::condition::{Finding, Truth};
use crate::status::reason::Reason;
use crate::status::story::some;

/// `selected`: None while it has not begun.
pub(super) fn ready(
    snapshot: &Snapshot,
    desired: &Desired,
    stage: Stage,
    results: &Results,
    selected: Option<usize>,
) -> Finding {
    let gateway = &snapshot.sync.spec.gateway_ref.name;
    let all = selected.unwrap_or_default();
    let no = |reason, message: String| Finding::new(Truth::False, reason, message);
    match stage {
        Stage::Queued(ahead) => no(
            Reason::WaitingForTurn,
            format!("waits for its turn: {ahead} older TemplateSyncs of Gateway {gateway} come first"),
        ),
        Stage::Waiting => {
            let (reason, what) = obstacle(snapshot, desired);
            no(
                reason,
                format!("{what}; it is waited for {} at most", deadline(snapshot)),
            )
        }
        Stage::Running => {
            let names: Vec<String> = desired.open.iter().map(|open| open.name.clone()).collect();
            let failed = match results.total_errors() {
                0 => String::new(),
                failed => format!(", {failed} of them failed"),
            };
            let message = format!(
                "{} of {all} agents are done{failed}; waiting for {}{}",
                results.done(),
                some(&names),
                besides(desired, results, all.saturating_sub(desired.open.len())),
            );
            no(Reason::Syncing, message)
        }
        Stage::Ended(ending) => {
            let message = match ending {
                Ending::Complete if all == 0 => nothing_selected(snapshot),
                Ending::Complete => complete(&snapshot.sync.spec, results),
                Ending::Failed => format!(
                    "{} failed: {}; status.errors says why",
                    of_agents(results.total_errors(), all),
                    failed(results),
                ),
                Ending::DeadlineExceeded if selected.is_none() => {
                    let (_, what) = obstacle(snapshot, desired);
                    format!("{what}; nothing was done within {}", deadline(snapshot))
                }
                Ending::DeadlineExceeded => format!(
                    "{} failed or were not done within {}: {}; status.errors says why",
                    of_agents(results.total_errors(), all),
                    deadline(snapshot),
                    failed(results),
                ),
            };
            let truth = match ending {
                Ending::Complete => Truth::True,
                Ending::Failed | Ending::DeadlineExceeded => Truth::False,
            };
            let message = format!("{message}{}", besides(desired, results, all));
            Finding::new(truth, ending.reason(all), message)
        }
    }
}

/// It begins.
pub(super) fn started(snapshot: &Snapshot, selected: usize) -> News {
    let spec = &snapshot.sync.spec;
    let asked = [
        (spec.reset_sessions, "resets their sessions"),
        (spec.rotate_tokens, "gives them new tokens"),
        (spec.force_bootstrap, "writes BOOTSTRAP.md again"),
        (
            spec.overwrite,
            "replaces MEMORY.md, USER.md and other files of their own",
        ),
    ];
    let asked = asked
        .iter()
        .filter_map(|(asked, what)| asked.then_some(format!(", {what}")));
    let agents = counted(selected, "agent");
    let gateway = &spec.gateway_ref.name;
    let note = if spec.dry_run {
        format!("looks at {agents} of Gateway {gateway} and writes nothing")
    } else {
        format!(
            "brings {agents} of Gateway {gateway} up to date{}",
            asked.collect::<String>()
        )
    };
    News {
        warning: false,
        reason: Reason::Syncing,
        note,
    }
}

fn obstacle(snapshot: &Snapshot, desired: &Desired) -> (Reason, String) {
    let gateway = &snapshot.sync.spec.gateway_ref.name;
    match &desired.referents {
        Ok(()) | Err(Obstacle::Unknown) => (
            Reason::ReferenceUnreadable,
            format!("Gateway {gateway} could not be looked at yet"),
        ),
        Err(Obstacle::GatewayNotFound) => (
            Reason::GatewayNotFound,
            format!("Gateway {gateway} does not exist in this namespace"),
        ),
        Err(Obstacle::BoardNotFound { board }) => (
            Reason::BoardNotFound,
            format!("Board {board} does not exist in this namespace"),
        ),
        Err(Obstacle::BoardElsewhere {
            board,
            gateway: other,
        }) => (
            Reason::BoardNotFound,
            format!("Board {board} is one of Gateway {other}, not of Gateway {gateway}"),
        ),
    }
}

fn complete(spec: &TemplateSyncSpec, results: &Results) -> String {
    let agents = counted(results.total_synced(), "agent");
    let unchanged = results.with_status("unchanged");
    match (spec.dry_run, unchanged) {
        (true, _) => format!("{agents} looked at and nothing written; status.plans has what would be done"),
        (false, Some(unchanged)) => format!(
            "{agents} done: {} updated, {unchanged} unchanged",
            results.total_synced() - unchanged.min(results.total_synced())
        ),
        (false, None) => format!("{agents} done"),
    }
}

fn nothing_selected(snapshot: &Snapshot) -> String {
    let spec = &snapshot.sync.spec;
    let board = spec
        .board_ref
        .as_ref()
        .map(|board| format!(" on Board {}", board.name));
    let mut limits = vec!["older than this TemplateSync, not retired and not being deleted"];
    limits.extend(spec.lead_only.then_some("no worker (leadOnly)"));
    limits.extend((!spec.include_main).then_some("not the main agent (includeMain: false)"));
    format!(
        "nothing to do: Gateway {} has no agent{} that is {}",
        spec.gateway_ref.name,
        board.unwrap_or_default(),
        limits.join(", "),
    )
}

/// Who else there is, or was. `ended`: for how many of the selected it has ended, in one way or another.
fn besides(desired: &Desired, results: &Results, ended: usize) -> String {
    let gone = ended.saturating_sub(results.done());
    let mut said = String::new();
    if gone > 0 {
        let who = counted(gone, "agent");
        said.push_str(&format!(
            "; {who} selected at the start {} since been deleted, retired or moved",
            if gone == 1 { "has" } else { "have" }
        ));
    }
    if desired.younger > 0 {
        let who = counted(desired.younger, "agent");
        let is = if desired.younger == 1 { "is" } else { "are" };
        said.push_str(&format!(
            "; {who} {is} younger than this TemplateSync and not part of it"
        ));
    }
    for (list, held, all) in results.cut_lists() {
        said.push_str(&format!("; {list} has the first {held} of {all}"));
    }
    said
}

fn failed(results: &Results) -> String {
    let names: Vec<String> = results.errors().map(|error| error.agent_name.clone()).collect();
    some(&names)
}

fn of_agents(count: usize, all: usize) -> String {
    format!("{count} of {}", counted(all, "agent"))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn deadline(snapshot: &Snapshot) -> String {
    format!("{} s", snapshot.sync.spec.active_deadline_seconds)
}
