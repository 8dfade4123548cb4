//! What there is of a Gateway: the link of its session.

use std::collections::BTreeSet;

use crate::desired;
use crate::fact::Fact;
use crate::gateway::guard::Hold;
use crate::gateway::{Link, State, Trouble, Wanted};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Absent: no session is open. Known, but in answer to another wish: not yet what we ask about.
    pub link: Fact<Link>,
    /// Agents of others that have an empty heartbeat block by our hand, as far as this process knows.
    pub preserved: BTreeSet<String>,
}

/// A try that other credentials' refusals hold back has not been made: it is still owed.
fn is_an_answer(state: &State) -> bool {
    match state {
        State::Connecting | State::Down(Trouble::Held(Hold::Crowded)) => false,
        State::Up(_) | State::Down(_) => true,
    }
}

impl Observed {
    /// The state of the connection that is wanted; None while nothing is known of it.
    pub fn state_of(&self, wanted: &Wanted) -> Option<&State> {
        match &self.link {
            Fact::Known(link) if link.answers.target == wanted.target => Some(&link.state),
            Fact::Known(_) | Fact::Absent | Fact::Unknown => None,
        }
    }

    /// Whether a connection stands, whatever it was opened for.
    pub fn is_up(&self) -> bool {
        matches!(
            &self.link,
            Fact::Known(Link {
                answers: _,
                state: State::Up(_)
            })
        )
    }

    /// Whether "look again now" was heard: with no connection to try, looking at the resources is all there is.
    pub fn answers(&self, desired: &desired::gateway::Desired) -> bool {
        match (&desired.connection, &self.link) {
            (Err(_), _) => true,
            (Ok(wanted), Fact::Known(link)) => link.answers == *wanted && is_an_answer(&link.state),
            (Ok(_), Fact::Absent | Fact::Unknown) => false,
        }
    }
}
