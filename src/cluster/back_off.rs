//! How long an object waits after a pass that failed: kube's controller has no memory of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Resource;

use super::Cluster;

/// Failures in a row by uid, together with the generation that failed: a new one starts anew.
#[derive(Clone, Default)]
pub(super) struct BackOff(Arc<Mutex<HashMap<String, (i64, u32)>>>);

const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(60);

impl BackOff {
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl Cluster {
    /// Call after a failed pass.
    pub fn back_off<K: Resource>(&self, object: &K) -> Duration {
        let (uid, generation) = identity(object);
        let mut failures = self.back_off.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, count) = failures.entry(uid).or_insert((generation, 0));
        if *seen != generation {
            (*seen, *count) = (generation, 0);
        }
        let ceiling = FIRST.saturating_mul(2u32.saturating_pow(*count)).min(LAST);
        *count = count.saturating_add(1);
        // Full jitter, with a floor: objects that failed together do not return together.
        FIRST / 5 + rand::random_range(Duration::ZERO..=ceiling)
    }

    /// Call after a pass that did not fail.
    pub fn succeeded<K: Resource>(&self, object: &K) {
        let (uid, _) = identity(object);
        self.back_off.forget(&uid);
    }
}

fn identity<K: Resource>(object: &K) -> (String, i64) {
    let meta = object.meta();
    (
        meta.uid.clone().unwrap_or_default(),
        meta.generation.unwrap_or_default(),
    )
}
