//! What is only counted is told once a second at most: a thousand agents that become ready are a thousand counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Resource;
use tokio::time::Instant;

const ONCE_IN: Duration = Duration::from_secs(1);

/// When the status of each object was written last, by uid; no longer than it matters.
#[derive(Default)]
pub struct Pace(Mutex<HashMap<String, Instant>>);

impl Pace {
    /// Some: not now, but after that long. None: now, and that is remembered.
    pub(super) fn wait<K: Resource>(&self, object: &K, can_wait: bool) -> Option<Duration> {
        let uid = object.meta().uid.clone().unwrap_or_default();
        let now = Instant::now();
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|_, at| now.duration_since(*at) < ONCE_IN);
        if let Some(at) = written.get(&uid).filter(|_| can_wait) {
            return Some((*at + ONCE_IN).duration_since(now));
        }
        written.insert(uid, now);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Gateway, GatewaySpec};

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_is_told_once_a_second_and_the_rest_at_once() {
        let (pace, mut gateway) = (Pace::default(), Gateway::new("harbour", GatewaySpec::default()));
        gateway.metadata.uid = Some("u1".into());
        assert_eq!(pace.wait(&gateway, true), None);
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(pace.wait(&gateway, true), Some(Duration::from_millis(600)));
        assert_eq!(pace.wait(&gateway, false), None);
        assert_eq!(pace.wait(&gateway, true), Some(ONCE_IN));
        tokio::time::advance(ONCE_IN).await;
        assert_eq!(pace.wait(&gateway, true), None);
    }
}
