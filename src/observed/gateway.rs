//! What there is of a Gateway: the link of its session.

use crate::desired;
use crate::fact::Fact;
use crate::gateway::{Link, State, Wanted};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Absent: no session is open. Known, but in answer to another wish: not yet what we ask about.
    pub link: Fact<Link>,
}

impl Observed {
    /// The state of the connection that is wanted; None while nothing is known of it.
    pub fn state_of(&self, wanted: &Wanted) -> Option<&State> {
        match &self.link {
            Fact::Known(link) if link.answers.target == wanted.target => Some(&link.state),
            Fact::Known(_) | Fact::Absent | Fact::Unknown => None,
        }
    }

    /// Whether "look again now" was heard: with no connection to try, looking at the resources is all there is.
    pub fn answers(&self, desired: &desired::gateway::Desired) -> bool {
        match (&desired.connection, &self.link) {
            (Err(_), _) => true,
            (Ok(wanted), Fact::Known(link)) => link.answers == *wanted && link.state != State::Connecting,
            (Ok(_), Fact::Absent | Fact::Unknown) => false,
        }
    }
}
