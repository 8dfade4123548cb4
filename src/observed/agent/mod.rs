//! What there is of an Agent in its gateway, as far as it is known.

pub mod contests;
pub mod look;
pub mod seen;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::deposits::Deposit;
use crate::fact::Fact;
use crate::gateway::chat::InHistory;
use crate::gateway::configuration::Configuration;
use crate::gateway::{Contract, Trouble};

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub line: Line,
    /// Unknown also where it was not looked at.
    pub configuration: Fact<Arc<Configuration>>,
    /// What this process has deposited for it.
    pub deposit: Option<Deposit>,
    /// Of the wanted files, by name.
    pub files: BTreeMap<String, Fact<Found>>,
    /// The request that these files were read for: what was read before it was asked is no answer.
    pub answers: Option<String>,
    /// When everything is to be read anew.
    pub look_again: Option<Duration>,
    /// Whether the history holds the wake-up message that was promised.
    pub history: Fact<InHistory>,
    /// What the gateway said to this message when this process sent it.
    pub said: Option<Said>,
    /// Some: others go first; when it may be its turn to be woken.
    pub turn: Option<Duration>,
    /// This process has made the promise of that message and has not tried to send it: nobody can have.
    pub promised_here: bool,
    /// The bcrypt hash of the token, once it is made.
    pub token_hash: Fact<String>,
    /// Files that somebody else changes again and again, and for how long each is left alone now; `contests::ENTRY` is the
    /// entry.
    pub contested: BTreeMap<String, Duration>,
}

/// How the gateway is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Up(&'static Contract),
    Down(Trouble),
    /// No try has come to anything yet, or none is made: the Gateway says why.
    NotTried,
}

impl Line {
    pub fn is_up(&self) -> bool {
        match self {
            Self::Up(_) => true,
            Self::Down(_) | Self::NotTried => false,
        }
    }
}

/// A file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// SHA-256 of the content, in hexadecimal: what gateways that tell a hash tell.
    pub hash: String,
    /// The gateway told the hash itself: it takes one as a condition of a write, too.
    pub told: bool,
    /// Kept where it is not what is wanted.
    pub content: Option<Arc<str>>,
}

/// What a gateway said to a wake-up message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The message's idempotency key.
    pub id: String,
    pub answer: Heard,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Accepted,
    /// The key is used up.
    Over(String),
    /// The gateway does not take it.
    Refused(String),
}

pub fn hash(content: &str) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Without the content: an agent's token may be in it.
impl fmt::Debug for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash, told, content } = self;
        out.debug_struct("Found")
            .field("hash", hash)
            .field("told", told)
            .field("bytes", &content.as_ref().map(|text| text.len()))
            .finish()
    }
}
