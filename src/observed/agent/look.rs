//! Looks: at the configuration that all agents of a gateway share, at the files that are due, at the history of a message
//! whose fate is open. The only I/O of this room; it writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::jiff::SignedDuration;
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use super::contests::Contests;
use super::seen::{OfAgent, Seen};
use super::{Found, Heard, Line, Observed, hash};
use crate::deposits::Deposits;
use crate::desired::agent::{Desired, Place, Text, Wish};
use crate::fact::Fact;
use crate::gateway::chat::InHistory;
use crate::gateway::configuration::Configuration;
use crate::gateway::rpc::File;
use crate::gateway::session::Online;
use crate::resource::agent::WakeState;
use crate::resource::settings::{Drift, FilePolicy};
use crate::resource::{Agent, Gateway};
use crate::sessions;
use crate::turns::Turns;

/// Through which a pass looks.
#[derive(Clone, Copy)]
pub struct Eyes<'a> {
    pub agent: &'a ObjectRef<Agent>,
    pub line: Option<&'a sessions::Line>,
    pub deposits: &'a Deposits,
    pub seen: &'a Seen,
    pub contests: &'a Contests,
    pub turns: &'a Turns,
    pub gateway: &'a ObjectRef<Gateway>,
    /// After this long everything is read anew.
    pub resync: Duration,
}

/// Whatever else goes on.
const LOOKED_FOR_AFTER: SignedDuration = SignedDuration::from_secs(60);

pub async fn look(desired: &Desired, eyes: Eyes<'_>, token_hash: Fact<String>) -> Observed {
    let mut observed = Observed {
        line: Line::NotTried,
        configuration: Fact::Unknown,
        deposit: eyes.deposits.look(eyes.agent),
        files: BTreeMap::new(),
        answers: None,
        look_again: None,
        history: Fact::Unknown,
        said: eyes.seen.of(eyes.agent).said,
        promised_here: eyes.seen.of(eyes.agent).promised
            == desired.promises.wake.as_ref().and_then(|wake| wake.id.clone()),
        turn: None,
        token_hash,
        contested: eyes.contests.of(eyes.agent),
    };
    let Some(line) = eyes.line else { return observed };
    let Some(online) = &line.online else {
        eyes.deposits.forget_refusal(eyes.agent);
        observed.line = line.trouble.clone().map_or(Line::NotTried, Line::Down);
        return observed;
    };
    observed.line = Line::Up(online.contract);
    let Ok(place) = &desired.place else {
        return observed;
    };
    observed.configuration = match line.readings.known().await {
        Ok(configuration) => Fact::Known(configuration),
        Err(error) => {
            tracing::debug!(agent = %eyes.agent, %error, "the configuration could not be read");
            Fact::Unknown
        }
    };
    let is_there = matches!(&observed.configuration, Fact::Known(now) if is_in(now, place));
    if is_there && matches!(desired.wish, Wish::Present { .. }) {
        observed.files = files(desired, place, eyes, online).await;
        let seen = eyes.seen.of(eyes.agent);
        observed.look_again = seen
            .since
            .map(|since| eyes.resync.saturating_sub(since.elapsed()));
        observed.answers = Some(seen.ask);
        observed.history = if can_wait(desired, &observed, eyes) {
            Fact::Unknown
        } else {
            history(desired, place, online, observed.promised_here).await
        };
        observed.turn = turn(desired, &observed, eyes);
    }
    observed
}

fn is_in(now: &Configuration, place: &Place) -> bool {
    now.entries.contains_key(&place.agent)
}

/// What is remembered and still good, and the rest read: all at once, as the gateway answers them one after another anyway.
async fn files(
    desired: &Desired,
    place: &Place,
    eyes: Eyes<'_>,
    online: &Online,
) -> BTreeMap<String, Fact<Found>> {
    let Ok(content) = &desired.content else {
        return BTreeMap::new();
    };
    // A weak hold keeps the place from being taken by the next connection.
    let connection = Arc::downgrade(&online.connection);
    eyes.seen.with(eyes.agent, |seen| {
        let is_old = seen.since.is_none_or(|since| since.elapsed() >= eyes.resync);
        let is_same = seen.connection.ptr_eq(&connection);
        if !is_same || seen.ask != desired.ask || is_old {
            *seen = OfAgent {
                connection: connection.clone(),
                ask: desired.ask.clone(),
                since: Some(Instant::now()),
                files: BTreeMap::new(),
                // What another connection was told may be forgotten there.
                said: seen.said.take().filter(|_| is_same),
                promised: seen.promised.take(),
            };
        }
    });
    let known = eyes.seen.of(eyes.agent).files;
    let each = content.files.files.iter().map(|(name, file)| {
        let known = known
            .get(name)
            .filter(|known| is_enough(known, &file.text, file.drift, desired))
            .cloned();
        async move {
            if file.policy == FilePolicy::Ignored {
                return (name.clone(), Fact::Unknown);
            }
            let found = match known {
                Some(known) => known,
                None => {
                    let found = read(place, name, online).await;
                    let found = found.map(|(content, told)| {
                        let keep = match &file.text {
                            Text::Whole(wanted) => *wanted != *content,
                            Text::Section(_) => true,
                        };
                        Found {
                            hash: hash(&content),
                            told,
                            content: keep.then_some(content),
                        }
                    });
                    if found != Fact::Unknown {
                        eyes.seen.note(eyes.agent, name, found.clone());
                    }
                    found
                }
            };
            (name.clone(), found)
        }
    });
    join_all(each).await.into_iter().collect()
}

/// Whether what is remembered of a file says what this pass needs to know of it.
fn is_enough(known: &Fact<Found>, wanted: &Text, drift: Drift, desired: &Desired) -> bool {
    match (known, wanted) {
        (Fact::Unknown, _) => false,
        (Fact::Absent, _) => true,
        (Fact::Known(Found { content: Some(_), .. }), _) => true,
        (Fact::Known(Found { content: None, .. }), Text::Section(_)) => false,
        // What differs is only shown where it is reported.
        (
            Fact::Known(Found {
                hash: found,
                told: _,
                content: None,
            }),
            Text::Whole(text),
        ) => {
            // The token that its Secret has lost may stand in it.
            let is_looked_for = desired.token.found == Fact::Absent;
            !is_looked_for && (drift != Drift::Report || *found == hash(text))
        }
    }
}

/// The content, and whether the gateway tells its hash.
async fn read(place: &Place, name: &str, online: &Online) -> Fact<(Arc<str>, bool)> {
    match online.connection.file_get(&place.agent, name).await {
        Ok(Some(File { content, hash })) => Fact::Known((Arc::from(content), hash.is_some())),
        Ok(None) => Fact::Absent,
        Err(error) => {
            tracing::debug!(agent = %place.agent, file = name, %error, "could not be read");
            Fact::Unknown
        }
    }
}

/// Taken only where there is something to send.
fn turn(desired: &Desired, observed: &Observed, eyes: Eyes<'_>) -> Option<Duration> {
    if desired.wish != (Wish::Present { paused: false }) || desired.hold.is_some() {
        return None;
    }
    let wake = desired.promises.wake.as_ref()?;
    let sent_already = observed
        .said
        .as_ref()
        .is_some_and(|said| Some(&said.id) == wake.id.as_ref());
    let may_send = match &observed.history {
        Fact::Known(InHistory::NotThere | InHistory::Unknown) => !sent_already,
        Fact::Known(InHistory::Held | InHistory::Waiting) | Fact::Absent | Fact::Unknown => false,
    };
    let waited = wake.at.as_ref().map(|at| desired.now.duration_since(at.0));
    let waited = waited
        .and_then(|waited| waited.try_into().ok())
        .unwrap_or_default();
    may_send
        .then(|| eyes.turns.take(eyes.gateway, eyes.agent, waited))
        .flatten()
}

/// A message that was taken does not get lost by being looked for later, while others still wait for their files: 33 agents
/// that were awake kept 20 on a slow machine from theirs for minutes.
fn can_wait(desired: &Desired, observed: &Observed, eyes: Eyes<'_>) -> bool {
    let Some(wake) = &desired.promises.wake else {
        return false;
    };
    let was_taken = observed
        .said
        .as_ref()
        .is_some_and(|said| Some(&said.id) == wake.id.as_ref() && said.answer == Heard::Accepted);
    let is_new = wake
        .at
        .as_ref()
        .is_some_and(|at| desired.now.duration_since(at.0) < LOOKED_FOR_AFTER);
    was_taken && is_new && eyes.turns.is_busy(eyes.gateway)
}

/// Asked only while the fate of a message is open, and not of one that nobody can have sent: while a fleet waits for its
/// turns, its gateway has files to write.
async fn history(desired: &Desired, place: &Place, online: &Online, promised_here: bool) -> Fact<InHistory> {
    let open = desired
        .promises
        .wake
        .as_ref()
        .filter(|wake| wake.state == Some(WakeState::Intended));
    let Some(id) = open.and_then(|wake| wake.id.as_deref()) else {
        return Fact::Unknown;
    };
    if promised_here {
        return Fact::Known(InHistory::NotThere);
    }
    let session = place.session();
    match online.connection.chat_holds(online.contract, &session, id).await {
        Ok(held) => Fact::Known(held),
        Err(error) => {
            tracing::debug!(agent = %place.agent, %error, "the history could not be read");
            Fact::Unknown
        }
    }
}
