//! What the codes of close frames mean: whose fault it is, and when another try makes sense. Codes are told by gateways
//! and by the proxies in front of them; the reason text is for people and decides nothing here.

use std::time::Duration;

use super::trouble::{Again, Whose};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// 1000, 1001: over, or going away. Before hello it means that our `connect` came too late for the gateway.
    Leaving,
    /// 1002, 1003, 1007, 1010: something that we sent is no WebSocket, or not of the kind that is spoken there.
    NotUnderstood,
    /// 1008: against its rules. Before hello the refusal itself has come first, or its text is the reason.
    Refused,
    /// 1009: a frame of ours was longer than the gateway takes. Requests are measured before they are sent, so that only
    /// a proxy with a smaller limit says so.
    TooLarge,
    /// 1011: something broke inside of it.
    Failed,
    /// 1012: it restarts, and has said so before.
    Restarting,
    /// 1013: it is starting.
    Starting,
    /// 4001: the shared token, the gateway's policy or our device is another one now.
    Invalidated,
    Other(u16),
}

/// Until a gateway that restarts and does not say for how long is asked again. It closes its door only 20 ms to 2 s
/// after the connections.
const RESTART: Duration = Duration::from_secs(1);

impl Cause {
    pub fn of(code: u16) -> Self {
        match code {
            1000 | 1001 => Self::Leaving,
            1002 | 1003 | 1007 | 1010 => Self::NotUnderstood,
            1008 => Self::Refused,
            1009 => Self::TooLarge,
            1011 => Self::Failed,
            1012 => Self::Restarting,
            1013 => Self::Starting,
            4001 => Self::Invalidated,
            other => Self::Other(other),
        }
    }

    pub fn whose(self) -> Whose {
        match self {
            Self::Leaving | Self::Failed | Self::Restarting | Self::Starting | Self::Other(_) => {
                Whose::Gateway
            }
            Self::NotUnderstood | Self::TooLarge => Whose::Us,
            Self::Refused | Self::Invalidated => Whose::Person,
        }
    }

    /// What happened, where there is more to say than the code and the gateway's own reason.
    pub fn in_words(self) -> Option<&'static str> {
        match self {
            Self::Restarting => Some("the gateway restarts"),
            Self::Starting => Some("the gateway is starting"),
            Self::Invalidated => Some("the gateway's authentication or policy changed"),
            Self::Failed => Some("the gateway failed inside"),
            Self::TooLarge => Some("a proxy on the way takes only shorter messages than the gateway"),
            Self::Leaving | Self::NotUnderstood | Self::Refused | Self::Other(_) => None,
        }
    }

    pub fn again(self) -> Again {
        match self {
            // The first try comes within half a second; what is still so then is told by a refusal.
            Self::Leaving
            | Self::NotUnderstood
            | Self::Refused
            | Self::TooLarge
            | Self::Failed
            | Self::Invalidated
            | Self::Other(_) => Again::BackOff,
            // No failure, so that it does not count as one: a 2026.2.9 restarts after every write.
            Self::Restarting | Self::Starting => Again::After(RESTART),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trouble::Trouble;
    use super::*;

    #[test]
    fn each_code_says_whose_fault_it_is_and_when_again() {
        let after = Again::After(RESTART);
        for (code, whose, again) in [
            (1000, Whose::Gateway, Again::BackOff),
            (1001, Whose::Gateway, Again::BackOff),
            (1002, Whose::Us, Again::BackOff),
            (1003, Whose::Us, Again::BackOff),
            (1007, Whose::Us, Again::BackOff),
            (1008, Whose::Person, Again::BackOff),
            (1009, Whose::Us, Again::BackOff),
            (1010, Whose::Us, Again::BackOff),
            (1011, Whose::Gateway, Again::BackOff),
            (1012, Whose::Gateway, after),
            (1013, Whose::Gateway, after),
            (4001, Whose::Person, Again::BackOff),
            (4999, Whose::Gateway, Again::BackOff),
        ] {
            let reason = String::new();
            let lost = Trouble::Lost {
                code: Some(code),
                reason,
            };
            assert_eq!((lost.whose(), lost.again()), (whose, again), "{code}");
        }
    }
}
