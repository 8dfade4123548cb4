//! Who has a place on a board.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::resource::{Agent, Board};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    pub lead: Option<String>,
    pub seated: BTreeSet<String>,
    pub waiting: BTreeMap<String, Waits>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    LeadConflict { lead: String },
    CapacityExceeded { capacity: i32 },
}

pub fn of(_board: &Board, _team: &[Arc<Agent>]) -> Roster {
    Roster::default()
}
