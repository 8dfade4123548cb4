//! What is told of a Gateway that is being deleted: why it is still there, and what it left behind.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::super::condition::{Finding, Truth};
use super::super::reason::Reason;
use super::super::{News, story, verdict};
use crate::desired::gateway::Desired;
use crate::desired::leaving::{Leaving, Next};
use crate::desired::main_agent::name;
use crate::execute::gateway::LetGo;
use crate::observed::gateway::Observed;
use crate::plan::gateway::{WITHOUT_CREDENTIALS, is_cut_off};
use crate::resource::Gateway;

pub(super) fn ready(
    gateway: &Gateway,
    desired: &Desired,
    leaving: &Leaving,
    observed: &Observed,
    now: Timestamp,
) -> Finding {
    if !leaving.deletion.forced && is_cut_off(desired, leaving, observed) {
        let why = match &desired.connection {
            Err(obstacle) => verdict::of_obstacle(gateway, obstacle).finding.message,
            Ok(_) => String::new(),
        };
        let since = leaving.without_credentials_since.unwrap_or(now);
        let ends = SignedDuration::try_from(WITHOUT_CREDENTIALS).unwrap_or_default();
        let at = since.checked_add(ends).unwrap_or(since);
        return Finding::new(
            Truth::False,
            Reason::CredentialsGone,
            format!(
                "being deleted, but nobody can clean up: {why}. It is let go at {at} without that, and {} stays in the \
                 gateway",
                left(&leaving.left_behind)
            ),
        );
    }
    match leaving.next {
        Next::RemoveMain(_) | Next::AwaitMain if !leaving.deletion.forced => Finding::new(
            Truth::False,
            Reason::Deleting,
            format!(
                "being deleted: its main agent goes first, see Agent {}",
                name(gateway)
            ),
        ),
        Next::Stay | Next::Go | Next::RemoveMain(_) | Next::AwaitMain => {
            story::leaving(&leaving.deletion, "Gateway")
        }
    }
}

pub(super) fn look_again(desired: &Desired, ready: &Finding, now: Timestamp) -> Option<Duration> {
    let leaving = desired
        .leaving
        .as_ref()
        .filter(|_| ready.reason == Reason::CredentialsGone)?;
    let since = leaving.without_credentials_since.unwrap_or(now);
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    // A second more: the status knows whole ones.
    Some(WITHOUT_CREDENTIALS.saturating_sub(waited) + Duration::from_secs(1))
}

pub(super) fn told(let_go: &LetGo) -> Option<News> {
    let LetGo { forced, left_behind } = let_go;
    if *forced {
        return Some(story::forced("Gateway", left_behind));
    }
    (!left_behind.is_empty()).then(|| News {
        warning: true,
        reason: Reason::LeftBehind,
        note: format!(
            "let go without credentials to clean up with; left in the gateway: {}",
            left(left_behind)
        ),
    })
}

fn left(agents: &[String]) -> String {
    if agents.is_empty() {
        "nothing that we know of".to_owned()
    } else {
        story::some(agents)
    }
}
