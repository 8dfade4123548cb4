//! What a pass over a Board does: keep it while agents refer to it, and no longer.

use crate::desired::board::Desired;
use crate::desired::hold_on::Hold;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Hold,
    LetGo,
}

pub fn between(desired: &Desired) -> Plan {
    let actions = match desired.hold {
        Hold::AsItIs => vec![],
        Hold::Add => vec![Action::Hold],
        Hold::LetGo => vec![Action::LetGo],
    };
    Plan { actions }
}
