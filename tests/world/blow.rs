//! What may happen to one effect.

use std::fmt;

/// Which effect of a run: the n-th of that name. A name and not a place in the order: two passes that run at once may swap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Point {
    pub(crate) effect: String,
    pub(crate) nth: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The controller is killed; the effect never happens.
    KilledBefore,
    /// It happens; the controller is killed before it hears of it.
    KilledAfter,
    /// It happens; the controller lives, and hears nothing of it.
    Lost(Loss),
}

/// How an answer gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing comes, ever.
    Silence,
    /// The connection ends instead.
    Cut,
    /// A gateway closes with 1012 instead.
    Restart,
}

impl Blow {
    /// Each blow that a write to the API server can be dealt.
    pub(crate) const OF_THE_API: [Self; 4] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Lost(Loss::Silence),
        Self::Lost(Loss::Cut),
    ];
    /// Each that a call of a gateway can be.
    pub(crate) const OF_A_GATEWAY: [Self; 5] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Lost(Loss::Silence),
        Self::Lost(Loss::Cut),
        Self::Lost(Loss::Restart),
    ];
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KilledBefore => "killed before",
            Self::KilledAfter => "killed after",
            Self::Lost(Loss::Silence) => "no answer to",
            Self::Lost(Loss::Cut) => "connection lost after",
            Self::Lost(Loss::Restart) => "closed with 1012 after",
        })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effect, nth } = self;
        if *nth == 1 {
            write!(f, "\"{effect}\"")
        } else {
            write!(f, "\"{effect}\" (number {nth})")
        }
    }
}
