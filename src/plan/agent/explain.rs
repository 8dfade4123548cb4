//! What passes would come to, for people: not the next step, but all that differs between what is asked for and what is
//! there.

use std::fmt;

use serde_json::Value;
use similar::TextDiff;

use super::entry::{self, Wanted};
use super::files::{self, Step};
use super::{rotation, session};
use crate::desired::agent::{Content, Desired, Obstacle, Wish};
use crate::fact::Fact;
use crate::gateway::configuration::Entry;
use crate::observed::agent::{Found, Line, Observed};
use crate::resource::agent::WakeState;
use crate::resource::settings::{DeletionPolicy, FilePolicy};

/// All that would change for one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub changes: Vec<Change>,
    /// Why no more can be said, or done.
    pub blocked: Option<Blocked>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Blocked {
    Obstacle(Obstacle),
    /// The gateway could not be looked at.
    NotLookedAt,
    Suspended,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    MintToken,
    /// Another one: the one before goes after its overlap.
    RotateToken,
    /// There is no entry yet.
    NewEntry,
    /// A setting of the entry; the values where they are no secret.
    Setting {
        path: String,
        from: Option<String>,
        to: Option<String>,
    },
    Bindings,
    NewFile {
        name: String,
        lines: usize,
    },
    File {
        name: String,
        diff: Diff,
    },
    ResetSession,
    Wake,
    /// Out of the gateway; perhaps with its workspace.
    Remove {
        with_workspace: bool,
    },
}

/// A difference of two texts, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    pub added: usize,
    pub removed: usize,
    pub unified: String,
}

/// Of a TemplateSync with dryRun: what it would come to without that.
pub fn explain(desired: &Desired, observed: &Observed) -> Explanation {
    let desired = &desired.clone().brought_up_to_date();
    let mut changes = Vec::new();
    let blocked = match &desired.wish {
        _ if desired.hold.is_some() => Some(Blocked::Suspended),
        Wish::Gone(departure) if departure.policy == DeletionPolicy::Delete => {
            removal(&mut changes, desired, observed, departure.with_workspace)
        }
        Wish::Gone(_) => None,
        Wish::Retired => removal(&mut changes, desired, observed, false),
        Wish::Present { paused } => present(&mut changes, desired, observed, *paused),
    };
    Explanation { changes, blocked }
}

fn removal(
    changes: &mut Vec<Change>,
    desired: &Desired,
    observed: &Observed,
    with_workspace: bool,
) -> Option<Blocked> {
    let (Ok(place), Fact::Known(configuration)) = (&desired.place, &observed.configuration) else {
        return desired.promises.entered.then_some(Blocked::NotLookedAt);
    };
    if configuration.entries.contains_key(&place.agent) {
        changes.push(Change::Remove { with_workspace });
    }
    None
}

fn present(
    changes: &mut Vec<Change>,
    desired: &Desired,
    observed: &Observed,
    paused: bool,
) -> Option<Blocked> {
    let (place, content) = match (&desired.place, &desired.content) {
        (Ok(place), Ok(content)) => (place, content),
        (Err(obstacle), _) | (_, Err(obstacle)) => return Some(Blocked::Obstacle(obstacle.clone())),
    };
    let is_due = rotation::is_due(desired) || desired.token.next.is_some();
    if desired.token.found == Fact::Absent {
        changes.push(Change::MintToken);
    } else if is_due {
        changes.push(Change::RotateToken);
    }
    let (Line::Up(contract), Fact::Known(configuration)) = (&observed.line, &observed.configuration) else {
        return Some(Blocked::NotLookedAt);
    };
    let wanted = Wanted {
        place,
        content,
        contract,
        configuration,
    };
    let difference = wanted.difference(desired);
    let is_left = entry::is_left(desired, content, &difference);
    match configuration.entries.get(&place.agent) {
        None => changes.push(Change::NewEntry),
        Some(_) if is_left => {}
        Some(there) => settings(changes, "", &difference.settings, there),
    }
    if difference.bindings_differ && !is_left {
        changes.push(Change::Bindings);
    }
    let blocked = of_files(changes, desired, observed, content, difference.is_there);
    if session::is_due(desired) {
        changes.push(Change::ResetSession);
    }
    let wake = desired.promises.wake.as_ref();
    let is_open = wake.is_none_or(|wake| wake.state == Some(WakeState::Intended));
    let is_other =
        wake.is_some_and(|wake| wake.content.as_deref() != Some(content.files.wake_content.as_str()));
    if !paused && (is_open || is_other) {
        changes.push(Change::Wake);
    }
    blocked
}

fn of_files(
    changes: &mut Vec<Change>,
    desired: &Desired,
    observed: &Observed,
    content: &Content,
    is_there: bool,
) -> Option<Blocked> {
    let mut blocked = None;
    for (name, file) in &content.files.files {
        let found = match observed.files.get(name) {
            // Without an entry there is no workspace.
            None if !is_there => &Fact::Absent,
            Some(found) => found,
            None => &Fact::Unknown,
        };
        let step = files::step(file, found, desired.promises.files.get(name), desired);
        let (wanted, is_the_agents) = match (file.policy, step) {
            (FilePolicy::Ignored, _) => continue,
            (FilePolicy::Managed | FilePolicy::SeedOnce, _) if *found == Fact::Unknown => {
                blocked = Some(Blocked::NotLookedAt);
                continue;
            }
            (_, Step::Nothing | Step::Drifted) => continue,
            (_, Step::Write { content, corrects: _ }) => (content, false),
            (_, Step::Overwrite { content, replaces: _ }) => (content, true),
            (_, Step::Promise(_)) => (file.text.ours().to_owned(), false),
            (_, Step::PromiseOver { .. }) => (file.text.ours().to_owned(), true),
        };
        changes.push(match found {
            Fact::Known(Found { content, .. }) => {
                let diff = Diff::between(content.as_deref().unwrap_or_default(), &wanted, desired);
                Change::File {
                    name: name.clone(),
                    diff: if is_the_agents { diff.without_words() } else { diff },
                }
            }
            Fact::Absent | Fact::Unknown => Change::NewFile {
                name: name.clone(),
                lines: wanted.lines().count(),
            },
        });
    }
    blocked
}

impl Diff {
    fn between(there: &str, wanted: &str, desired: &Desired) -> Self {
        // Whichever it is: of the same kind on both sides, so that a change of the token shows as one.
        let masked = |text: &str| match desired.token.to_write() {
            Some(token) => without_tokens(&text.replace(token.reveal(), "[token]")),
            None => without_tokens(text),
        };
        let (there, wanted) = (masked(there), masked(wanted));
        let diff = TextDiff::from_lines(&there, &wanted);
        let count = |tag| {
            diff.iter_all_changes()
                .filter(|change| change.tag() == tag)
                .count()
        };
        Self {
            added: count(similar::ChangeTag::Insert),
            removed: count(similar::ChangeTag::Delete),
            unified: diff.unified_diff().context_radius(2).to_string(),
        }
    }

    /// What an agent has noted is told by how much it is: it may have noted anything.
    fn without_words(self) -> Self {
        Self {
            unified: String::new(),
            ..self
        }
    }
}

/// What is in a gateway's file may be a token from before a rotation, which may still open something.
fn without_tokens(text: &str) -> String {
    /// Of 256 random bits in base64.
    const OURS: usize = 43;
    let is_of_a_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let (mut whole, mut rest) = (String::with_capacity(text.len()), text);
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_of_a_token(c)).unwrap_or(rest.len()));
        let is_named = ["TOKEN=", "TOKEN=\""].iter().any(|name| whole.ends_with(name));
        if word.len() == OURS || (is_named && !word.is_empty()) {
            whole.push_str("[another token]");
        } else {
            whole.push_str(word);
        }
        let (between, next) = after.split_at(after.find(is_of_a_token).unwrap_or(after.len()));
        whole.push_str(between);
        rest = next;
    }
    whole
}

/// Of settings that anybody may see the values are shown; of `config` only which one differs.
fn settings(changes: &mut Vec<Change>, at: &str, patch: &Entry, there: &Entry) {
    for (key, wanted) in patch {
        let path = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        let found = there.get(key);
        if let (Value::Object(wanted), Some(Value::Object(found))) = (wanted, found) {
            settings(changes, &path, wanted, found);
            continue;
        }
        let root = path.split('.').next().unwrap_or_default();
        let is_plain =
            ["name", "workspace", "model", "heartbeat"].contains(&root) && !path.ends_with("prompt");
        let shown = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) if is_plain => Some(text.clone()),
            other if is_plain => Some(other.to_string()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                Some("…".to_owned())
            }
        };
        changes.push(Change::Setting {
            from: found.and_then(shown),
            to: shown(wanted),
            path,
        });
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MintToken => write!(out, "+ token"),
            Self::RotateToken => write!(out, "~ token"),
            Self::NewEntry => write!(out, "+ entry"),
            Self::Setting { path, from, to } => match (from, to) {
                (Some(from), Some(to)) => write!(out, "~ entry {path} {from} -> {to}"),
                (None, Some(to)) => write!(out, "+ entry {path} {to}"),
                (Some(from), None) => write!(out, "- entry {path} {from}"),
                (None, None) => write!(out, "~ entry {path}"),
            },
            Self::Bindings => write!(out, "~ bindings"),
            Self::NewFile { name, lines } => write!(out, "+ {name} (+{lines})"),
            Self::File { name, diff } => write!(out, "~ {name} (+{} -{})", diff.added, diff.removed),
            Self::ResetSession => write!(out, "> session reset"),
            Self::Wake => write!(out, "> wake"),
            Self::Remove { with_workspace: true } => write!(out, "- agent and its workspace"),
            Self::Remove {
                with_workspace: false,
            } => write!(out, "- agent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_any_time_are_masked_and_nothing_else() {
        let old = "x".repeat(43);
        let text = format!(
            "- `AGENT_ID=\"15c49e36-25a1-486e-b32e-bebb95dfa4ea\"`\nAUTH_TOKEN=\"s-hort\" é {old}.\nAUTH_TOKEN=\"[token]\"\n"
        );
        assert_eq!(
            without_tokens(&text),
            "- `AGENT_ID=\"15c49e36-25a1-486e-b32e-bebb95dfa4ea\"`\nAUTH_TOKEN=\"[another token]\" é [another token].\n\
             AUTH_TOKEN=\"[token]\"\n"
        );
    }
}
