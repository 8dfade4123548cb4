//! The files that an agent finds in its workspace: which, with what text, and whose they are once they exist.
//!
//! A role has documents (`template::Document`); what a gateway takes as no file of its own is carried as a marked section
//! of AGENTS.md. So the same documents make eight files on an old gateway and six on a new one, and a gateway that is
//! upgraded changes how they are folded, never what they say.

mod asked;
mod fold;
mod limits;
mod section;
mod soul;
mod variables;
mod wake;

use std::collections::BTreeMap;
use std::fmt;

use super::obstacle::Obstacle;
use super::place::Place;
use super::snapshot::Snapshot;
use crate::gateway::Contract;
use crate::resource::settings::{Drift, FilePolicy};
use crate::template::{self, Document};

/// All of an agent's files, as its gateway takes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// Physical files, by name.
    pub files: BTreeMap<String, File>,
    /// Documents that this gateway takes as no file of their own, and the file that carries each as a section.
    pub carried: BTreeMap<String, String>,
    /// Names the user gave that can be neither a file nor a section, each with the reason.
    pub unsupported: BTreeMap<String, String>,
    /// SHA-256, in hexadecimal, over what the agent is woken for when it changes: identity, soul, rules and heartbeat,
    /// without its team, its token and its user.
    pub wake_content: String,
    /// The message that wakes it first. Names BOOTSTRAP before AGENTS, and carries the bootstrap document.
    pub wake_message: String,
    /// The message that wakes it when what it is woken for has changed.
    pub later_wake_message: String,
    /// What each heartbeat says, on gateways that read no HEARTBEAT.md.
    pub heartbeat_prompt: Option<String>,
    /// What is beyond a limit of the prompt and goes all the same, in sentences.
    pub warnings: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Empty where the policy is Ignored.
    pub text: Text,
    pub policy: FilePolicy,
    pub drift: Drift,
    /// The gateway takes it away once the agent has read it: absent afterwards is as it should be.
    pub consumed: bool,
}

/// What shall be in a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Text {
    /// All of it.
    Whole(String),
    /// A marked section of a file that is otherwise somebody else's: an adopted agent's AGENTS.md.
    Section(String),
}

/// For what the documents are rendered.
#[derive(Clone, Copy)]
pub struct Rendering<'a> {
    pub snapshot: &'a Snapshot,
    pub place: &'a Place,
    pub contract: &'static Contract,
    /// In the place of the token while there is none: such files are for looking at and never written.
    pub token: &'a str,
}

impl Files {
    pub fn wake_message(&self, is_first: bool) -> &str {
        if is_first {
            &self.wake_message
        } else {
            &self.later_wake_message
        }
    }
}

impl Text {
    /// What the file shall be, given what it is; None where it already is so.
    pub fn wanted(&self, found: Option<&str>) -> Option<String> {
        let wanted = match self {
            Self::Whole(text) => text.clone(),
            Self::Section(text) => section::put(text, found.unwrap_or_default()),
        };
        (found != Some(wanted.as_str())).then_some(wanted)
    }

    /// What of it is ours.
    pub fn ours(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Section(text) => text,
        }
    }
}

/// Without the text: one of the files holds the agent's token.
impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(text) => write!(out, "Whole({} bytes)", text.len()),
            Self::Section(text) => write!(out, "Section({} bytes)", text.len()),
        }
    }
}

/// Renders everything, or says what stands in the way.
pub fn of(rendering: Rendering<'_>) -> Result<Files, Obstacle> {
    let around = variables::Around::of(rendering.snapshot)?;
    let asked = asked::of(rendering, around.gateway)?;
    let variables = variables::of(rendering, &around);
    let mut rendered = Vec::new();
    for document in &asked.documents {
        let text = match document.policy {
            FilePolicy::Ignored => String::new(),
            FilePolicy::Managed | FilePolicy::SeedOnce => {
                template::render(&document.template(), &variables).map_err(Obstacle::Template)?
            }
        };
        rendered.push((document, text));
    }
    let folded = fold::fold(rendering, rendered);
    limits::hard(&folded.files)?;
    let bootstrap = folded.files.get(Document::Bootstrap.name());
    let bootstrap = bootstrap.map_or("", |file| file.text.ours());
    let mut warnings = folded.warnings;
    warnings.extend(limits::of_the_prompt(&folded.files));
    Ok(Files {
        wake_content: wake::content(&asked.documents, &variables).map_err(Obstacle::Template)?,
        wake_message: wake::first(bootstrap),
        later_wake_message: wake::LATER.to_owned(),
        heartbeat_prompt: heartbeat_prompt(rendering, &folded.heartbeat),
        files: folded.files,
        carried: folded.carried,
        unsupported: asked.unsupported,
        warnings,
    })
}

/// Gateways from 2026.8.1 on read no HEARTBEAT.md: what it says is sent with each heartbeat.
fn heartbeat_prompt(rendering: Rendering<'_>, text: &str) -> Option<String> {
    let given = rendering.snapshot.agent.spec.heartbeat.prompt.is_some();
    let is_read = rendering.contract.documents.contains(&Document::Heartbeat.name());
    let text = text.trim();
    (!given && !is_read && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
