//! The tokens that an Agent's Secret holds, and whether another one is due.
//!
//! A rotation is told by the Secret alone: what asked for it is noted there together with the new token, in one write, so
//! that it is neither forgotten nor begun twice. While `next` stands there it is on its way into the agent's file; then it
//! takes the place of `token`, which counts as `previous` for the overlap.

use k8s_openapi::ByteString;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::obstacle::Obstacle;
use super::snapshot::{self, Snapshot, TokenSecret};
use super::token::AgentToken;
use crate::desired::duration;
use crate::desired::errand::Errand;
use crate::fact::Fact;
use crate::resource::agent::{AgentSpec, TokenSettings};
use crate::resource::names;

/// The agent's tokens, as their Secret has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedToken {
    /// The Secret's name.
    pub secret: String,
    /// The one in force. Absent: there is no such Secret.
    pub found: Fact<AgentToken>,
    /// On its way into the agent's file, and accepted already.
    pub next: Option<AgentToken>,
    /// The one before, and until when it is accepted.
    pub previous: Option<(AgentToken, Option<Timestamp>)>,
    /// When the one in force became so.
    pub since: Option<Timestamp>,
    /// The reading of the Secret that this is: each change of it is a compare-and-swap.
    pub version: String,
    /// What was asked for and is carried out, or begun.
    pub heard: Heard,
    /// Some: another token is due, and what will have been heard then.
    pub due: Option<Heard>,
    /// When the next one is due by its age.
    pub due_at: Option<Timestamp>,
    /// How long the one before is accepted.
    pub overlap: SignedDuration,
}

/// What asks for a new token other than its age.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// Of spec.token.rotation.
    pub word: Option<String>,
    /// The uid of the TemplateSync that asked last.
    pub sync: Option<String>,
}

/// The overlap where none is given: an agent must have read its files anew by then.
const SHORTEST_OVERLAP: SignedDuration = SignedDuration::from_mins(30);

impl WantedToken {
    /// The one that the agent's file shall hold.
    pub fn to_write(&self) -> Option<&AgentToken> {
        match (&self.next, &self.found) {
            (Some(next), _) => Some(next),
            (None, Fact::Known(token)) => Some(token),
            (None, Fact::Absent | Fact::Unknown) => None,
        }
    }

    /// All that may be in a file or a difference and must not be shown.
    pub fn all(&self) -> impl Iterator<Item = &AgentToken> {
        let found = match &self.found {
            Fact::Known(token) => Some(token),
            Fact::Absent | Fact::Unknown => None,
        };
        let previous = self.previous.as_ref().map(|(token, _)| token);
        found.into_iter().chain(&self.next).chain(previous)
    }

    /// The one before is accepted no more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.previous
            .as_ref()
            .is_some_and(|(_, until)| until.is_none_or(|until| until <= now))
    }

    pub(super) fn of(snapshot: &Snapshot, errand: Option<&Errand>) -> (Self, Result<(), Obstacle>) {
        let agent = snapshot.agent.as_ref();
        let secret = snapshot::token_secret(agent);
        let told = agent.status.as_ref().and_then(|status| status.token.as_ref());
        let nothing = Self {
            secret: secret.clone(),
            found: Fact::Unknown,
            next: None,
            previous: None,
            since: None,
            version: String::new(),
            heard: Heard::default(),
            due: None,
            due_at: None,
            overlap: overlap(&agent.spec),
        };
        let found = match &snapshot.token {
            Fact::Unknown => {
                let what = format!("Secret {secret}");
                return (nothing, Err(Obstacle::Unreadable { what }));
            }
            Fact::Known(TokenSecret { is_ours: false, .. }) => {
                return (nothing, Err(Obstacle::SecretConflict { secret }));
            }
            Fact::Absent => {
                // With the Secret gone the status says which word was heard.
                let heard = Heard {
                    word: told.and_then(|told| told.rotation.clone()),
                    sync: None,
                };
                let absent = Self {
                    found: Fact::Absent,
                    due: due(&heard, agent.spec.token.rotation.as_deref(), errand),
                    heard,
                    ..nothing
                };
                return (absent, Ok(()));
            }
            Fact::Known(found) => found,
        };
        let read = |key: &str| {
            let ByteString(bytes) = found.document.data.get(key)?;
            AgentToken::parse(std::str::from_utf8(bytes).ok()?).ok()
        };
        let Some(token) = read(names::TOKEN_KEY) else {
            return (nothing, Err(Obstacle::TokenInvalid { secret }));
        };
        let note = |name: &str| found.annotations.get(name).cloned();
        let time = |name: &str| note(name).and_then(|text| text.parse::<Timestamp>().ok());
        let since = time(names::TOKEN_ROTATED_AT)
            .or_else(|| told.and_then(|told| told.rotated_at.as_ref()).map(|at| at.0));
        let heard = Heard {
            word: note(names::TOKEN_ROTATION),
            sync: note(names::TOKEN_ROTATION_SYNC),
        };
        let previous =
            read(names::TOKEN_PREVIOUS_KEY).map(|token| (token, time(names::TOKEN_PREVIOUS_UNTIL)));
        let due_at = since.and_then(|since| by_age(&agent.spec.token, since, agent.metadata.uid.as_deref()));
        // There is room for one that is still accepted: it is not pushed out before its time because another one is old.
        let kept_until = previous.as_ref().and_then(|(_, until)| *until);
        let due_at = due_at.map(|due_at| kept_until.map_or(due_at, |until| until.max(due_at)));
        let is_old = due_at.is_some_and(|due_at| due_at <= snapshot.now);
        let asked = due(&heard, agent.spec.token.rotation.as_deref(), errand);
        let next = read(names::TOKEN_NEXT_KEY);
        let tokens = Self {
            secret,
            found: Fact::Known(token),
            due: asked
                .or_else(|| is_old.then(|| heard.clone()))
                .filter(|_| next.is_none()),
            next,
            previous,
            since,
            version: found.document.version.clone(),
            heard,
            due_at,
            overlap: nothing.overlap,
        };
        (tokens, Ok(()))
    }
}

/// A word that is taken away asks for nothing.
fn due(heard: &Heard, word: Option<&str>, errand: Option<&Errand>) -> Option<Heard> {
    let errand = errand.filter(|errand| errand.rotate_token && !errand.dry_run);
    let asked = Heard {
        word: word.map(str::to_owned).or_else(|| heard.word.clone()),
        sync: errand
            .map(|errand| errand.uid.clone())
            .or_else(|| heard.sync.clone()),
    };
    (asked != *heard).then_some(asked)
}

/// Up to a tenth sooner, different for each agent and always the same for one: a fleet that was made in one moment must not
/// rotate in one moment.
fn by_age(settings: &TokenSettings, since: Timestamp, uid: Option<&str>) -> Option<Timestamp> {
    let every = SignedDuration::try_from(duration(settings.rotate_every.as_deref()?)?).ok()?;
    let salt: i32 = uid.unwrap_or_default().bytes().map(i32::from).sum();
    let sooner = every / 10 / 100 * (salt % 100);
    since.checked_add(every - sooner).ok()
}

/// Three heartbeats, but no less than half an hour, unless it is given.
fn overlap(spec: &AgentSpec) -> SignedDuration {
    let parsed = |text: &str| duration(text).and_then(|time| SignedDuration::try_from(time).ok());
    let given = spec.token.overlap.as_deref().and_then(parsed);
    let heartbeat = parsed(&spec.heartbeat.every).unwrap_or_default();
    given.unwrap_or_else(|| (heartbeat * 3).max(SHORTEST_OVERLAP))
}
