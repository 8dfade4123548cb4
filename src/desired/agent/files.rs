//! The files that an agent finds in its workspace: which, with what text, and whose they are once they exist.

use std::collections::BTreeMap;
use std::fmt;

use super::obstacle::Obstacle;
use super::place::Place;
use super::snapshot::Snapshot;
use crate::gateway::Contract;
use crate::resource::settings::{Drift, FilePolicy};

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
    /// The message that wakes it. Names BOOTSTRAP before AGENTS, and carries the bootstrap document.
    pub wake_message: String,
    /// What each heartbeat says, on gateways that read no HEARTBEAT.md.
    pub heartbeat_prompt: Option<String>,
    /// What is beyond a limit of the prompt and goes all the same, in sentences.
    pub warnings: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
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

impl Text {
    /// The whole file, or the section.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Section(text) => text,
        }
    }

    /// What the file shall be, given what it is; None where it already is so.
    pub fn wanted(&self, found: Option<&str>) -> Option<String> {
        match self {
            Self::Whole(text) => (found != Some(text)).then(|| text.clone()),
            Self::Section(_) => todo!("Text::Section"),
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
    let _ = rendering;
    todo!("files::of")
}
