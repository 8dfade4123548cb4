//! What an Agent asks for: its place in a gateway, its entry there, its files, its token, and the message that wakes it.

pub mod entry;
pub mod files;
pub mod obstacle;
pub mod place;
pub mod promises;
pub mod snapshot;
pub mod token;

use crate::fact::Fact;
use crate::resource::settings::DeletionPolicy;
pub use entry::WantedEntry;
pub use files::{File, Files, Text};
pub use obstacle::Obstacle;
pub use place::Place;
pub use promises::Promises;
pub use snapshot::{Snapshot, Texts, TokenSecret};
pub use token::AgentToken;

/// An Agent's wish in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub wish: Wish,
    /// Err: it can be nowhere yet.
    pub place: Result<Place, Obstacle>,
    /// Err also where the place is.
    pub content: Result<Content, Obstacle>,
    pub token: WantedToken,
    /// Some: nothing is written, neither here nor there.
    pub hold: Option<Hold>,
    pub promises: Promises,
    /// Somebody wants everything read anew; the word that was asked with.
    pub ask: String,
}

/// What shall be in the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// `paused`: without heartbeat, and nothing is sent to it.
    Present { paused: bool },
    /// Not the entry; workspace and token stay.
    Retired,
    /// The object is being deleted.
    Gone(Departure),
}

/// How it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    pub policy: DeletionPolicy,
    pub with_workspace: bool,
    /// Let go also where the gateway does not answer.
    pub forced: bool,
    /// Agents that go first: workers before their lead, all before the main agent.
    pub after: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub entry: WantedEntry,
    pub files: Files,
}

/// The agent's token, as its Secret has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedToken {
    /// The Secret's name.
    pub secret: String,
    /// Absent: there is no such Secret.
    pub found: Fact<AgentToken>,
}

/// Who asked to hold everything still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Agent,
    Board,
    Gateway,
}
