//! What `/livez` and `/readyz` are told: are our kinds served, is every watch fed?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Check>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Check {
    Good,
    /// Not good yet, or not any more; since when, and why.
    Bad {
        since: Instant,
        why: String,
    },
}

/// A watch that cannot be fed for this long is stuck, or the API server is gone: a new process is the last remedy.
const STUCK: Duration = Duration::from_secs(600);

impl Health {
    pub(super) fn kind_served(&self, kind: &str) {
        self.set(&format!("kind {kind}"), None);
    }

    pub(super) fn kind_missing(&self, kind: &str, why: &str) {
        self.set(&format!("kind {kind}"), Some(why));
    }

    /// Returns whether that is news.
    pub(super) fn watch(&self, name: &str, trouble: Option<&str>) -> bool {
        self.set(&format!("watch {name}"), trouble)
    }

    /// Every check, and whether all are good.
    pub fn ready(&self) -> (bool, String) {
        self.report(|check| *check == Check::Good)
    }

    pub fn live(&self) -> (bool, String) {
        let now = Instant::now();
        self.report(|check| match check {
            Check::Good => true,
            Check::Bad { since, why: _ } => now.duration_since(*since) < STUCK,
        })
    }

    fn report(&self, good: impl Fn(&Check) -> bool) -> (bool, String) {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = checks.iter().map(|(name, check)| match check {
            Check::Good => format!("[+] {name}\n"),
            Check::Bad { since: _, why } => format!("[-] {name}: {why}\n"),
        });
        // No check at all: the watches are not even set up.
        (!checks.is_empty() && checks.values().all(good), lines.collect())
    }

    fn set(&self, name: &str, trouble: Option<&str>) -> bool {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = checks.get(name);
        let after = match (trouble, before) {
            (None, _) => Check::Good,
            (Some(why), Some(Check::Bad { since, .. })) => Check::Bad {
                since: *since,
                why: why.to_owned(),
            },
            (Some(why), Some(Check::Good) | None) => Check::Bad {
                since: Instant::now(),
                why: why.to_owned(),
            },
        };
        let news = before != Some(&after);
        checks.insert(name.to_owned(), after);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_fails_makes_us_unready_at_once_and_dead_after_a_while() {
        let health = Health::default();
        assert!(!health.ready().0, "nothing is watched yet");
        health.watch("gateways", None);
        assert_eq!(health.ready(), (true, "[+] watch gateways\n".to_owned()));
        assert!(health.watch("gateways", Some("forbidden")));
        assert!(!health.watch("gateways", Some("forbidden")), "no news");
        assert!(!health.ready().0);
        assert!(health.live().0);
        tokio::time::advance(STUCK).await;
        assert!(!health.live().0);
        health.watch("gateways", None);
        assert!(health.live().0);
    }
}
