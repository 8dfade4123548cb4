//! What `/livez`, `/readyz` and `/metrics` are told: are our kinds served, is every watch fed?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Check>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Check {
    Good,
    /// Never good yet; nothing is wrong with that for as long as it takes.
    Waiting {
        why: String,
    },
    Failing {
        since: Instant,
        last: Instant,
        why: String,
    },
}

/// A watch that starts again after an error says so only with its next object, which may be hours away. But one that
/// goes on failing says so again: after at most 30 s of back-off and 20 s without an answer. So silence is good news.
const QUIET: Duration = Duration::from_secs(60);

/// A watch that cannot be fed for this long is stuck, or the API server is gone: a new process is the last remedy.
const STUCK: Duration = Duration::from_secs(600);

const STANDBY: &str = "standby for the lease";

impl Health {
    /// Waiting for the lease is all that a standby has to do: it is ready, or no roll-out with two replicas would end.
    pub(super) fn standby(&self) {
        self.set(STANDBY, Check::Good);
    }

    /// It cannot even wait: it could never take over.
    pub(super) fn standby_cannot(&self, why: &str) {
        self.set(STANDBY, Check::Waiting { why: why.to_owned() });
    }

    pub(super) fn standby_ends(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(STANDBY);
    }

    pub(super) fn kind_served(&self, kind: &str) {
        self.set(&format!("kind {kind}"), Check::Good);
    }

    pub(super) fn kind_missing(&self, kind: &str, why: &str) {
        self.set(&format!("kind {kind}"), Check::Waiting { why: why.to_owned() });
    }

    pub(super) fn watch_begins(&self, name: &str) {
        let why = "the first list has not come yet".to_owned();
        self.set(&format!("watch {name}"), Check::Waiting { why });
    }

    pub(super) fn watch_fed(&self, name: &str) {
        self.set(&format!("watch {name}"), Check::Good);
    }

    /// Returns whether that is news.
    pub(super) fn watch_failed(&self, name: &str, why: &str) -> bool {
        let now = Instant::now();
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let check = checks.entry(format!("watch {name}")).or_insert(Check::Good);
        let (since, news) = match check {
            Check::Failing {
                since,
                last,
                why: before,
            } if now.duration_since(*last) < QUIET => (*since, before != why),
            Check::Good | Check::Waiting { .. } | Check::Failing { .. } => (now, true),
        };
        *check = Check::Failing {
            since,
            last: now,
            why: why.to_owned(),
        };
        news
    }

    /// Whether everything is good, and a line for each check.
    pub fn ready(&self) -> (bool, String) {
        let now = Instant::now();
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = checks.iter().map(|(name, check)| match check.trouble(now) {
            None => format!("[+] {name}\n"),
            Some(why) => format!("[-] {name}: {why}\n"),
        });
        // No check at all: the watches are not even set up.
        let ready = !checks.is_empty() && checks.values().all(|check| check.trouble(now).is_none());
        (ready, lines.collect())
    }

    /// Whether nothing is stuck, and the names of what is.
    pub fn live(&self) -> (bool, String) {
        let now = Instant::now();
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = checks.iter().filter(|(_, check)| check.is_stuck(now));
        let lines: String = stuck.map(|(name, _)| format!("[-] {name}: stuck\n")).collect();
        (lines.is_empty(), lines)
    }

    /// Every check by name, and whether it is good.
    pub fn checks(&self) -> Vec<(String, bool)> {
        let now = Instant::now();
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks
            .iter()
            .map(|(name, check)| (name.clone(), check.trouble(now).is_none()))
            .collect()
    }

    fn set(&self, name: &str, check: Check) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), check);
    }
}

impl Check {
    fn trouble(&self, now: Instant) -> Option<&str> {
        match self {
            Self::Good => None,
            Self::Waiting { why } => Some(why),
            Self::Failing { since: _, last, why } => (now.duration_since(*last) < QUIET).then_some(why),
        }
    }

    fn is_stuck(&self, now: Instant) -> bool {
        match self {
            Self::Good | Self::Waiting { .. } => false,
            Self::Failing { since, last, why: _ } => {
                now.duration_since(*last) < QUIET && now.duration_since(*since) >= STUCK
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_ready_with_its_first_list_and_unready_while_it_fails() {
        let health = Health::default();
        assert!(!health.ready().0, "nothing is watched yet");
        health.watch_begins("Gateway");
        assert_eq!(
            health.ready(),
            (
                false,
                "[-] watch Gateway: the first list has not come yet\n".to_owned()
            )
        );
        health.watch_fed("Gateway");
        assert_eq!(health.ready(), (true, "[+] watch Gateway\n".to_owned()));
        assert!(health.watch_failed("Gateway", "forbidden"));
        assert!(!health.watch_failed("Gateway", "forbidden"), "no news");
        assert_eq!(
            health.ready(),
            (false, "[-] watch Gateway: forbidden\n".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_after_an_error_is_good_news() {
        let health = Health::default();
        health.watch_failed("Gateway", "timed out");
        tokio::time::advance(QUIET).await;
        assert!(health.ready().0);
        assert!(health.watch_failed("Gateway", "timed out"), "a new trouble");
    }

    #[tokio::test(start_paused = true)]
    async fn failing_without_a_pause_for_ten_minutes_is_stuck() {
        let health = Health::default();
        for _ in 0..20 {
            health.watch_failed("Gateway", "timed out");
            assert!(health.live().0);
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        health.watch_failed("Gateway", "timed out");
        assert_eq!(health.live(), (false, "[-] watch Gateway: stuck\n".to_owned()));
        health.watch_fed("Gateway");
        assert!(health.live().0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_standby_is_ready_and_a_new_leader_only_with_its_watches() {
        let health = Health::default();
        health.standby();
        assert!(health.ready().0);
        health.standby_ends();
        assert!(!health.ready().0);
        assert_eq!(
            health.checks(),
            [],
            "a leader is no standby, neither a good nor a bad one"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_standby_that_cannot_read_the_lease_is_not_ready_but_lives() {
        let health = Health::default();
        health.standby_cannot("forbidden");
        tokio::time::advance(STUCK * 10).await;
        assert_eq!(
            health.ready(),
            (false, "[-] standby for the lease: forbidden\n".to_owned())
        );
        assert!(health.live().0);
        health.standby();
        assert!(health.ready().0);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_definitions_is_no_reason_to_die() {
        let health = Health::default();
        health.kind_missing("gateways", "not installed");
        tokio::time::advance(STUCK * 10).await;
        assert!(health.live().0);
        assert!(!health.ready().0);
    }
}
