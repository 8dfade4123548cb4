//! What we wrote last, until the watch has shown it. Without this a pass that follows another within milliseconds would
//! start from the status before, and tell its Events twice. Only a shortcut: after a restart the watch shows it anyway.
//!
//! Which of two writings is the later one, their resourceVersions say: they are numbers that grow, by Kubernetes' own
//! word since 1.35 and by etcd's before. Another write of the same object (our finalizer, somebody's annotation) may
//! come between what we had seen and our status, and the watch shows it first, with the status before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Resource;
use kube::core::object::HasStatus;

use super::Cluster;

/// By uid.
#[derive(Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<HashMap<String, Word>>>);

struct Word {
    /// The resourceVersion that the writer had seen, and the one that came of it.
    seen: String,
    became: Option<String>,
    status: serde_json::Value,
}

impl Word {
    /// Whether an object of this version is from before it.
    fn is_news_to(&self, version: &str) -> bool {
        let number = |text: &str| text.parse::<u64>().ok();
        match (number(version), self.became.as_deref().and_then(number)) {
            (Some(shown), Some(became)) => shown < became,
            (Some(_) | None, Some(_) | None) => version == self.seen,
        }
    }
}

impl LastWords {
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl Cluster {
    /// The object with the status that we wrote last, if the watch has not moved on since.
    pub fn with_our_last_word<K>(&self, object: Arc<K>) -> Arc<K>
    where
        K: Resource + HasStatus + Clone,
        K::Status: serde::de::DeserializeOwned,
    {
        let (Some(uid), Some(version)) = (object.meta().uid.clone(), object.meta().resource_version.clone())
        else {
            return object;
        };
        let mut words = self.last_words.0.lock().unwrap_or_else(PoisonError::into_inner);
        match words.get(&uid) {
            Some(word) if word.is_news_to(&version) => {
                let mut newer = object.as_ref().clone();
                // What we serialized ourselves is readable; if not, the watch's word will do.
                if let Ok(status) = serde_json::from_value(word.status.clone()) {
                    *newer.status_mut() = Some(status);
                }
                Arc::new(newer)
            }
            Some(_) => {
                words.remove(&uid);
                object
            }
            None => object,
        }
    }

    /// `became`: the object as the API server answered the write.
    pub(super) fn remember<K: Resource>(&self, object: &K, became: &K, status: serde_json::Value) {
        if let (Some(uid), Some(seen)) = (object.meta().uid.clone(), object.meta().resource_version.clone()) {
            let became = became.meta().resource_version.clone();
            let mut words = self.last_words.0.lock().unwrap_or_else(PoisonError::into_inner);
            words.insert(uid, Word { seen, became, status });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_word_counts_until_the_watch_has_moved_past_it() {
        let word = |became: Option<&str>| Word {
            seen: "98".to_owned(),
            became: became.map(str::to_owned),
            status: serde_json::Value::Null,
        };
        let ours = word(Some("102"));
        // 100 is another's write between what we had seen and ours.
        let news: Vec<_> = ["98", "100", "102", "103"]
            .map(|shown| ours.is_news_to(shown))
            .into();
        assert_eq!(news, [true, true, false, false]);
        let without = word(None);
        assert!(without.is_news_to("98") && !without.is_news_to("100"));
    }
}
