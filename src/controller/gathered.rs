//! Many causes, one look: whoever has been named is told once, a little later, however often it was named meanwhile.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// A thousand agents that become ready one after the other are two looks a second at their Gateway, not a thousand.
const WHILE: Duration = Duration::from_millis(500);

pub(super) struct Gathered<T> {
    named: HashSet<T>,
    due: Option<Instant>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self {
            named: HashSet::new(),
            due: None,
        }
    }
}

impl<T: Eq + Hash> Gathered<T> {
    pub(super) fn name(&mut self, who: impl IntoIterator<Item = T>) {
        self.named.extend(who);
        if !self.named.is_empty() && self.due.is_none() {
            self.due = Some(Instant::now() + WHILE);
        }
    }

    /// When there is something to tell; never, while nobody was named. Nothing is lost where this is dropped.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn take(&mut self) -> HashSet<T> {
        self.due = None;
        std::mem::take(&mut self.named)
    }
}
