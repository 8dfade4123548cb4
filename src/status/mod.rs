//! What is told of it all: status, conditions, events, and when to look again. Functions of their arguments only
//! (the time is one of them): the same inputs give the same bytes.

pub mod agent;
pub mod board;
pub mod condition;
pub mod gateway;
pub mod progress;
pub mod reason;
mod story;
pub mod template_sync;
mod verdict;

pub use reason::Reason;

/// Something worth an Event: told once, when it becomes so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub warning: bool,
    pub reason: Reason,
    pub note: String,
}
