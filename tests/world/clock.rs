//! What the wall clock says in a world whose time nobody waits for: a fixed day, and tokio's clock since.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// When every world begins; the simulated gateways' own beginning, too.
pub(crate) const EPOCH_MS: i64 = 1_795_166_370_683;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    begun: Instant,
}

impl Clock {
    pub(crate) fn starting_now() -> Self {
        Self {
            begun: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Timestamp {
        let since = SignedDuration::try_from(self.begun.elapsed()).unwrap();
        Timestamp::from_millisecond(EPOCH_MS).unwrap() + since
    }

    /// Since the world began, for people.
    pub(crate) fn shown(self) -> String {
        format!("{:9.3} s", self.begun.elapsed().as_secs_f64())
    }
}
