//! The write budget of a gateway, as far as we have spent it. Others may write too, so its own word counts more.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::gateway::contract::Budget;

#[derive(Default)]
pub(super) struct Spending {
    writes: VecDeque<Instant>,
    exhausted_until: Option<Instant>,
}

impl Spending {
    /// Waits until one more write is within the budget; says whether it had to.
    pub(super) async fn wait(&mut self, budget: Budget) -> bool {
        let now = Instant::now();
        let until = self.free_at(budget, now);
        sleep_until(until).await;
        until > now
    }

    /// One write goes out.
    pub(super) fn count(&mut self) {
        self.writes.push_back(Instant::now());
    }

    /// The gateway says that nothing is left for so long.
    pub(super) fn exhausted(&mut self, retry_after: Duration) {
        self.exhausted_until = Some(Instant::now() + retry_after);
    }

    fn free_at(&mut self, Budget { writes, within }: Budget, now: Instant) -> Instant {
        while self.writes.front().is_some_and(|at| *at + within <= now) {
            self.writes.pop_front();
        }
        let full = self.writes.len() >= writes;
        let oldest = self.writes.front().filter(|_| full).map(|at| *at + within);
        [oldest, self.exhausted_until]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(now)
            .max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Budget = Budget {
        writes: 3,
        within: Duration::from_secs(60),
    };

    #[tokio::test(start_paused = true)]
    async fn the_fourth_write_waits_for_the_first_to_be_a_minute_old() {
        let (mut spending, start) = (Spending::default(), Instant::now());
        for _ in 0..3 {
            assert!(!spending.wait(THREE).await);
            spending.count();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(spending.wait(THREE).await);
        assert_eq!(start.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn the_gateways_own_word_counts_more() {
        let (mut spending, start) = (Spending::default(), Instant::now());
        spending.exhausted(Duration::from_secs(17));
        assert!(spending.wait(THREE).await);
        assert_eq!(start.elapsed(), Duration::from_secs(17));
    }
}
