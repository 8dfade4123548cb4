//! Each aspect of an Agent as this pass found it, in a sentence that says what to do.

use crate::desired::agent::{Departure, Desired, Hold, Obstacle, Snapshot, Wish};
use crate::execute::agent::{Failure, Outcome, Whose};
use crate::fact::Fact;
use crate::gateway::commit::{Difference, NotCommitted};
use crate::gateway::names::AgentId;
use crate::gateway::refusal::Issue;
use crate::observed::agent::contests::ENTRY;
use crate::observed::agent::{Line, Observed};
use crate::plan::agent::{Action, Waits};
use crate::resource::agent::{AgentStatus, FileState, FileStatus, Wake, WakeState};
use crate::resource::condition;
use crate::status::condition::{Finding, Truth, find};
use crate::status::reason::Reason;
use crate::status::verdict;

pub(super) fn ready(
    snapshot: &Snapshot,
    desired: &Desired,
    observed: &Observed,
    outcome: &Outcome,
) -> Finding {
    let no = |reason, message: String| Finding::new(Truth::False, reason, message);
    match &desired.wish {
        Wish::Gone(departure) => return leaving(snapshot, desired, observed, outcome, departure),
        Wish::Present { .. } | Wish::Retired => {}
    }
    if let Some(hold) = desired.hold {
        return Finding::new(Truth::True, Reason::Suspended, suspended(hold));
    }
    if desired.wish == Wish::Retired && !desired.promises.entered {
        let message = "retired: not in the gateway; its workspace and its token are kept";
        return Finding::new(Truth::True, Reason::Retired, message);
    }
    if let (Err(obstacle), Wish::Present { .. }) = (&desired.content, &desired.wish) {
        let (reason, message) = of_obstacle(obstacle);
        return no(reason, message);
    }
    // The wake follows: whether it goes well is told in its own condition.
    let is_of_ready = |action: &Action| !matches!(action, Action::Wake(_) | Action::HashToken(_));
    if let Some((action, failure)) = outcome.failure().filter(|(action, _)| is_of_ready(action)) {
        let (reason, message) = of_failure(action, failure);
        return no(reason, message);
    }
    if let Some(finding) = outcome
        .plan
        .waits
        .as_ref()
        .and_then(|waits| of_waits(snapshot, desired, observed, waits))
    {
        return finding;
    }
    if !outcome.plan.contested.is_empty() {
        return no(Reason::Contested, contested(outcome));
    }
    let is_compared = outcome.plan.entry.as_ref().is_some_and(|entry| entry.is_there);
    if !is_compared {
        return no(Reason::Provisioning, "on its way into the gateway".to_owned());
    }
    if let Some(message) = unsupported(desired) {
        return no(Reason::UnsupportedFile, message);
    }
    match desired.wish {
        Wish::Present { paused: true } => Finding::new(
            Truth::True,
            Reason::Paused,
            "paused: in the gateway, with its heartbeat off",
        ),
        Wish::Present { paused: false } | Wish::Retired | Wish::Gone(_) => Finding::new(
            Truth::True,
            Reason::Provisioned,
            "its entry and every file are in the gateway as wanted",
        ),
    }
}

fn contested(outcome: &Outcome) -> String {
    let names: Vec<&str> = outcome
        .plan
        .contested
        .keys()
        .map(|name| if name == ENTRY { "its entry" } else { name })
        .collect();
    // Without a time, which would make each pass's sentence another one.
    format!(
        "something else writes {} again and again after it is put right, so it is left alone for longer and longer: find \
         out what writes it, or set drift to Report or Ignore; a TemplateSync writes it at once",
        names.join(", ")
    )
}

/// All that can be there is there; what somebody asked for besides can be nowhere.
fn unsupported(desired: &Desired) -> Option<String> {
    let content = desired.content.as_ref().ok()?;
    let named = content.files.unsupported.iter().map(|(file, why)| {
        let obstacle = Obstacle::UnsupportedFile {
            file: file.clone(),
            why: why.clone(),
        };
        of_obstacle(&obstacle).1
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| format!("{}; all else is in the gateway", named.join("; ")))
}

fn suspended(hold: Hold) -> String {
    let whose = match hold {
        Hold::Agent => "this Agent",
        Hold::Board => "its Board",
        Hold::Gateway => "its Gateway",
    };
    format!("{whose} is suspended: nothing is written until spec.suspend is false again")
}

fn leaving(
    snapshot: &Snapshot,
    desired: &Desired,
    observed: &Observed,
    outcome: &Outcome,
    departure: &Departure,
) -> Finding {
    let no = |reason, message: String| Finding::new(Truth::False, reason, message);
    if desired.hold.is_some() {
        let message =
            "its deletion waits while spec.suspend of it, its Board or its Gateway is true".to_owned();
        return no(Reason::Suspended, message);
    }
    if let Some((_, Failure { whose: _, why })) = outcome.failure() {
        return no(Reason::Deleting, format!("cannot be let go yet: {why}"));
    }
    match &outcome.plan.waits {
        Some(Waits::Ahead(names)) => no(
            Reason::Deleting,
            format!("waits until these are gone: {}", names.join(", ")),
        ),
        Some(waits) => {
            let Departure { forced: _, .. } = departure;
            let finding = of_waits(snapshot, desired, observed, waits);
            let why = finding.map_or_else(String::new, |finding| format!(": {}", finding.message));
            let way_out = match waits {
                Waits::Gateway | Waits::NotCommitted { .. } | Waits::Rejected(_) | Waits::Configuration => {
                    "; annotation quartermaster.dev/force-delete: \"true\" lets go of it and leaves the agent there"
                }
                Waits::Hold(_)
                | Waits::Files(_)
                | Waits::Seeds
                | Waits::Commit
                | Waits::TokenLost
                | Waits::Ahead(_)
                | Waits::Wake(_)
                | Waits::WakeUnknown => "",
            };
            no(
                Reason::Deleting,
                format!("being taken out of the gateway{why}{way_out}"),
            )
        }
        None => no(Reason::Deleting, "taken out of the gateway".to_owned()),
    }
}

/// None: nothing that keeps it from being Ready.
fn of_waits(snapshot: &Snapshot, desired: &Desired, observed: &Observed, waits: &Waits) -> Option<Finding> {
    let no = |reason, message: String| Some(Finding::new(Truth::False, reason, message));
    match waits {
        Waits::Hold(_) | Waits::Wake(_) | Waits::WakeUnknown => None,
        Waits::Gateway if observed.line == Line::NotTried && gateways_own(snapshot).is_none() => {
            Some(Finding::new(
                Truth::Unknown,
                Reason::Connecting,
                "waiting for its gateway to be connected",
            ))
        }
        Waits::Gateway => no(Reason::GatewayNotReady, gateway_away(snapshot, desired, observed)),
        Waits::Configuration => no(
            Reason::GatewayNotReady,
            "the gateway's configuration could not be read; tried again soon".to_owned(),
        ),
        Waits::Files(names) => no(
            Reason::FilesUnreadable,
            format!(
                "could not be read from the gateway: {}; tried again soon",
                names.join(", ")
            ),
        ),
        Waits::Seeds => no(
            Reason::Provisioning,
            "files that are written once are on their way".to_owned(),
        ),
        Waits::Commit => no(
            Reason::Provisioning,
            "its entry is on its way into the gateway's configuration".to_owned(),
        ),
        Waits::NotCommitted { why, again: _ } => match why {
            NotCommitted::Rejected(issues) => no(Reason::ConfigRejected, rejected(issues)),
            NotCommitted::Refused(why) => no(
                Reason::EntryNotWritten,
                format!("the gateway refused the write of its entry: {why}; tried again with back-off"),
            ),
            NotCommitted::Unfinished(why) => no(
                Reason::EntryNotWritten,
                format!("the write of its entry could not be finished: {why}; tried again"),
            ),
        },
        Waits::Rejected(issues) => no(Reason::ConfigRejected, rejected(issues)),
        Waits::TokenLost => no(
            Reason::TokenLost,
            format!(
                "{}: Secret {} is gone and the agent's files do not have the token; restore the Secret, or ask for a new \
                 token with a TemplateSync with rotateTokens",
                token_unreadable(&desired.name),
                desired.token.secret
            ),
        ),
        Waits::Ahead(names) => no(
            Reason::Deleting,
            format!("waits until these are gone: {}", names.join(", ")),
        ),
    }
}

fn rejected(issues: &[Issue]) -> String {
    let listed: Vec<String> = issues
        .iter()
        .map(|Issue { path, message }| format!("{path}: {message}"))
        .collect();
    format!(
        "the gateway does not take its entry ({}): correct spec.config, spec.heartbeat or spec.model",
        listed.join("; ")
    )
}

fn gateway_away(snapshot: &Snapshot, desired: &Desired, observed: &Observed) -> String {
    let name = desired.place.as_ref().map_or("", |place| place.gateway.as_str());
    let why = match (&observed.line, &snapshot.gateway) {
        (Line::Down(trouble), Fact::Known(gateway)) => verdict::of_trouble(gateway, trouble).finding.message,
        (Line::Down(_) | Line::NotTried | Line::Up(_), _) => {
            gateways_own(snapshot).unwrap_or_else(|| "not connected yet".to_owned())
        }
    };
    format!("waiting for gateway {name}: {why}")
}

/// What the Gateway says of itself, where it says that it is not ready.
pub(super) fn gateways_own(snapshot: &Snapshot) -> Option<String> {
    let Fact::Known(gateway) = &snapshot.gateway else {
        return None;
    };
    let conditions = gateway.status.as_ref().map(|status| status.conditions.as_slice());
    let ready = find(conditions.unwrap_or_default(), condition::READY)?;
    (ready.status == "False").then(|| ready.message.clone())
}

fn of_failure(action: &Action, failure: &Failure) -> (Reason, String) {
    let Failure { whose, why } = failure;
    let what = match action {
        Action::HoldObject => "the finalizer could not be set".to_owned(),
        Action::MintToken { secret, heard: _ } | Action::RestoreToken { secret, .. } => {
            format!("Secret {secret} could not be made")
        }
        Action::ChangeToken { secret, .. } => format!("the tokens in Secret {secret} could not be changed"),
        Action::KeepReplaced(replaced) => format!(
            "what the agent made of its files could not be kept in Secret {}, so they are not written over",
            replaced.secret
        ),
        Action::ResetSession(_) => "its session could not be reset".to_owned(),
        Action::Write(write) => format!("{} could not be written", write.file),
        Action::Wake(_) => "it could not be woken".to_owned(),
        Action::Deposit(_) => "its entry could not be written".to_owned(),
        Action::LetGo(_) => "the finalizer could not be taken off".to_owned(),
        Action::Promise(_) | Action::Foresee(_) | Action::HashToken(_) => "it could not be done".to_owned(),
    };
    let again = match whose {
        Whose::GatewaysRefusal => "tried again with back-off",
        Whose::GatewaysSilence | Whose::Clusters => "tried again soon",
        Whose::SomebodyElses => "it is read again first",
    };
    let reason = match whose {
        Whose::Clusters => Reason::ClusterNotWritten,
        Whose::GatewaysRefusal | Whose::GatewaysSilence | Whose::SomebodyElses => Reason::FilesNotWritten,
    };
    (reason, format!("{what}: {why}; {again}"))
}

pub(super) fn of_obstacle(obstacle: &Obstacle) -> (Reason, String) {
    match obstacle {
        Obstacle::Unreadable { what } => (
            Reason::ReferenceUnreadable,
            format!("{what} cannot be read: is the API server away, or does RBAC not allow it?"),
        ),
        Obstacle::BoardNotFound { board } => (
            Reason::BoardNotFound,
            format!(
                "spec.boardRef: there is no Board {board} in this namespace; create it, or correct the name"
            ),
        ),
        Obstacle::GatewayNotFound { gateway } => (
            Reason::GatewayNotFound,
            format!(
                "there is no Gateway {gateway} in this namespace; create it, or correct the name in the Board's or the Agent's gatewayRef"
            ),
        ),
        Obstacle::BoardTerminating { board } => (
            Reason::BoardTerminating,
            format!("Board {board} is being deleted, and no agent is added to it: name another one in spec.boardRef, or delete this Agent"),
        ),
        Obstacle::GatewayTerminating { gateway } => (
            Reason::GatewayTerminating,
            format!("Gateway {gateway} is being deleted, and no agent is added to it: name a Board of another Gateway in spec.boardRef, or delete this Agent"),
        ),
        Obstacle::LeadConflict { lead } => (
            Reason::LeadConflict,
            format!(
                "the board is led by Agent {lead}, and a board has one lead: delete one of the two, or make this one a Worker"
            ),
        ),
        Obstacle::CapacityExceeded { board, capacity } => (
            Reason::CapacityExceeded,
            format!(
                "Board {board} has room for {capacity} workers and all places are taken: raise spec.maxAgents of the Board, or delete a worker"
            ),
        ),
        Obstacle::AgentIdTaken { id, by } => (
            Reason::AgentIdTaken,
            format!(
                "agent {id} of this gateway belongs to Agent {by}: give another spec.agentId, or delete that one"
            ),
        ),
        Obstacle::WorkspaceTaken { workspace, by } => (
            Reason::WorkspaceTaken,
            format!(
                "{workspace} is the workspace of Agent {by}, and two agents would write over each other's files: create this one with another spec.workspace, or delete that one"
            ),
        ),
        Obstacle::MoveNotSupported { from, to } => (
            Reason::MoveNotSupported,
            format!(
                "it lives in gateway {from} and its board belongs to {to}: an agent cannot move to another gateway; put boardRef back, or delete this Agent and create it anew"
            ),
        ),
        Obstacle::GatewayReplaced { gateway } => (
            Reason::GatewayReplaced,
            format!(
                "the Gateway {gateway} that it was provisioned in was deleted, and one of the same name may be another gateway: delete this Agent and create it anew"
            ),
        ),
        Obstacle::InvalidSpec { field, why } => (Reason::InvalidSpec, format!("{field}: {why}")),
        Obstacle::ConfigMapNotFound { field, name } => (
            Reason::ConfigMapNotFound,
            format!(
                "{field}: there is no ConfigMap {name} in this namespace; create it, or correct the name"
            ),
        ),
        Obstacle::ConfigMapKeyNotFound {
            field,
            name,
            key,
            keys,
        } => (
            Reason::ConfigMapKeyNotFound,
            format!(
                "{field}: ConfigMap {name} has no key {key} (it has {}): add the key, or correct the reference",
                listed(keys)
            ),
        ),
        Obstacle::TextInvalid { field, why } => (Reason::TextInvalid, format!("{field}: {why}")),
        Obstacle::SoulNotFound { role, directories: _ } if role.trim().is_empty() => (
            Reason::SoulNotFound,
            "spec.soul.role: a soul is looked for by the agent's role, and it has none: set spec.identity.role, or write spec.soul.template"
                .to_owned(),
        ),
        Obstacle::SoulNotFound { role, directories } => (
            Reason::SoulNotFound,
            format!(
                "spec.soul.role: no soul for the role {role:?} in ConfigMaps labelled quartermaster.dev/souls ({}): add one, or write spec.soul.template",
                listed(directories)
            ),
        ),
        Obstacle::Template(error) => (
            Reason::TemplateError,
            format!(
                "{} line {}: {} ({})",
                error.document, error.line, error.what, error.source
            ),
        ),
        Obstacle::FileTooLarge { file, size, limit } => (
            Reason::FileTooLarge,
            format!("{file} would be {size} long, and {limit} is the most that is taken: shorten its text"),
        ),
        Obstacle::UnsupportedFile { file, why } => {
            (Reason::UnsupportedFile, format!("spec.files[{file}]: {why}"))
        }
        Obstacle::SecretConflict { secret } => (
            Reason::SecretConflict,
            format!(
                "Secret {secret} is somebody else's (no ownerReference to this Agent): it is never written; rename or delete it"
            ),
        ),
        Obstacle::TokenInvalid { secret } => (
            Reason::TokenInvalid,
            format!(
                "Secret {secret}, key token, holds no token (32 to 128 of A-Z, a-z, 0-9, - and _): put the right one back"
            ),
        ),
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

pub(super) fn provisioned(desired: &Desired, outcome: &Outcome, ready: &Finding) -> Finding {
    let unknown = || Finding::new(Truth::Unknown, Reason::NotTried, "not compared: see Ready");
    let Some(entry) = &outcome.plan.entry else {
        return match (&desired.wish, desired.promises.entered) {
            (Wish::Retired, false) => Finding::new(Truth::False, Reason::Retired, "not in the gateway"),
            (Wish::Present { .. } | Wish::Retired | Wish::Gone(_), _) => unknown(),
        };
    };
    if outcome.plan.entry_drifted {
        let message = "somebody else changed its entry; left as it is, as drift Report asks for";
        return Finding::new(Truth::True, Reason::Drifted, message);
    }
    if outcome.plan.contested.contains_key(ENTRY) {
        return Finding::new(Truth::False, Reason::Contested, contested(outcome));
    }
    match (entry.is_there, entry.is_none) {
        (true, false) | (false, _) if desired.hold.is_some() => Finding::new(
            Truth::False,
            Reason::Suspended,
            "its entry is not as wanted; nothing is written while it is suspended",
        ),
        (true, true) => {
            let id = desired.place.as_ref().map(|place| place.agent.clone()).ok();
            let message = match beside(entry, id.as_ref()) {
                Some(but) => format!("its entry is as wanted; but {but}"),
                None => "its entry is as wanted".to_owned(),
            };
            Finding::new(Truth::True, Reason::EntryInPlace, message)
        }
        (true, false) | (false, _) if ready.truth == Truth::True => Finding::new(
            Truth::True,
            Reason::Drifted,
            "its entry differs; left as it is, as drift Ignore asks for",
        ),
        (true, false) | (false, _) => Finding::new(Truth::False, ready.reason, ready.message.clone()),
    }
}

/// What of the wish is not in the entry, although nothing is left to be written.
fn beside(entry: &Difference, id: Option<&AgentId>) -> Option<String> {
    let held = entry.conflicts.iter().filter(|it| Some(&it.agent) == id);
    let held = held.map(|it| {
        format!(
            "{} leads to agent {} already and stays there: remove it from one of the two",
            it.binding, it.held_by
        )
    });
    let left_out: Vec<&str> = entry.left_out.iter().map(|it| it.setting.as_str()).collect();
    let left_out = (!left_out.is_empty())
        .then(|| format!("this gateway does not know {}: left out", left_out.join(", ")));
    let all: Vec<String> = held.chain(left_out).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

pub(super) fn files_in_sync(desired: &Desired, files: &[FileStatus], ready: &Finding) -> Finding {
    if !matches!(desired.wish, Wish::Present { .. }) {
        return Finding::new(Truth::Unknown, Reason::NotTried, "not looked at");
    }
    let of = |state: FileState| -> Vec<&str> {
        let named = files.iter().filter(|file| file.state == state);
        named.map(|file| file.name.as_str()).collect()
    };
    let (drifted, pending) = (of(FileState::Drifted), of(FileState::Pending));
    if !drifted.is_empty() {
        let message = format!(
            "somebody else changed {}; status.drift shows how",
            drifted.join(", ")
        );
        return Finding::new(Truth::False, Reason::Drifted, message);
    }
    if files.is_empty() || desired.content.is_err() {
        return Finding::new(Truth::Unknown, Reason::NotTried, "not compared: see Ready");
    }
    if !pending.is_empty() {
        let message = format!("not written or not checked yet: {}", pending.join(", "));
        return Finding::new(Truth::False, ready.reason, message);
    }
    let warnings = desired
        .content
        .as_ref()
        .map(|content| content.files.warnings.join("; "));
    let message = match warnings {
        Ok(warnings) if !warnings.is_empty() => format!("every file is as wanted; but {warnings}"),
        Ok(_) | Err(_) => "every file is as wanted".to_owned(),
    };
    Finding::new(Truth::True, Reason::InSync, message)
}

/// The words that scripts look for.
pub(super) fn token_unreadable(agent: &str) -> String {
    format!("unable to read AUTH_TOKEN from TOOLS.md (agent: {agent}, run with rotate_tokens=true)")
}

pub(super) fn token_current(desired: &Desired, files: &[FileStatus], outcome: &Outcome) -> Finding {
    if outcome.plan.waits == Some(Waits::TokenLost) {
        return Finding::new(Truth::False, Reason::TokenLost, "its Secret is gone: see Ready");
    }
    if let Err(obstacle @ (Obstacle::SecretConflict { .. } | Obstacle::TokenInvalid { .. })) =
        &desired.content
    {
        let (reason, message) = of_obstacle(obstacle);
        return Finding::new(Truth::False, reason, message);
    }
    let rotates = match (&desired.token.next, &desired.token.due, desired.hold) {
        (Some(_), _, _) => {
            Some("a new token is on its way into its files; the one before is accepted as well")
        }
        (None, Some(_), None) if matches!(desired.token.found, Fact::Known(_)) => {
            Some("a new token is due: it is made once the agent's files can be written")
        }
        (None, Some(_) | None, _) => None,
    };
    if let (Some(message), Wish::Present { .. }) = (rotates, &desired.wish) {
        return Finding::new(Truth::False, Reason::TokenRotating, message);
    }
    let carried = files
        .iter()
        .any(|file| file.name == "TOOLS.md" && file.state == FileState::InSync);
    match (&desired.token.found, carried) {
        (Fact::Known(_), true) => Finding::new(
            Truth::True,
            Reason::TokenInFile,
            "the token in its files is the one in its Secret",
        ),
        (Fact::Known(_) | Fact::Absent | Fact::Unknown, _) => {
            Finding::new(Truth::Unknown, Reason::NotTried, "not in its files yet")
        }
    }
}

pub(super) fn woken(desired: &Desired, wake: Option<&Wake>) -> Finding {
    let unknown = |message: &str| Finding::new(Truth::Unknown, Reason::WakeUnknown, message);
    if desired.wish == (Wish::Present { paused: true }) {
        return Finding::new(Truth::False, Reason::Paused, "paused: nothing is sent to it");
    }
    let Some(wake) = wake else {
        return Finding::new(Truth::False, Reason::WakeDue, "not woken yet");
    };
    match wake.state {
        _ if wake.due_since.is_some() => Finding::new(
            Truth::False,
            Reason::WakeDue,
            "its files have changed: it is told of it in a moment",
        ),
        Some(WakeState::Sent) => Finding::new(Truth::True, Reason::WakeSent, "it was told of its files"),
        Some(WakeState::Intended) => {
            Finding::new(Truth::False, Reason::WakeDue, "the message to it is on its way")
        }
        Some(WakeState::Unknown) | None => {
            unknown("whether the message arrived cannot be found out on this gateway; it is not sent twice")
        }
        Some(WakeState::Failed) => Finding::new(
            Truth::False,
            Reason::WakeRefused,
            "the gateway refused the message",
        ),
    }
}

pub(super) fn checked_in(before: &AgentStatus) -> Finding {
    match before
        .heartbeat
        .as_ref()
        .and_then(|heartbeat| heartbeat.last_seen.as_ref())
    {
        Some(_) => Finding::new(Truth::True, Reason::Reported, "it has reported"),
        None => Finding::new(Truth::Unknown, Reason::NeverReported, "it has not reported yet"),
    }
}
