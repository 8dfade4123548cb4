//! What we wrote last, until the watch has shown it. Without this a pass that follows another within milliseconds would
//! start from the status before, and tell its Events twice. Only a shortcut: after a restart the watch shows it anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Resource;
use kube::core::object::HasStatus;

use super::Cluster;

/// By uid: the resourceVersion that the writer had seen, and what it wrote.
#[derive(Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<HashMap<String, (String, serde_json::Value)>>>);

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
            Some((seen, status)) if *seen == version => {
                let mut newer = object.as_ref().clone();
                // What we serialized ourselves is readable; if not, the watch's word will do.
                if let Ok(status) = serde_json::from_value(status.clone()) {
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

    pub(super) fn remember<K: Resource>(&self, object: &K, status: serde_json::Value) {
        if let (Some(uid), Some(version)) =
            (object.meta().uid.clone(), object.meta().resource_version.clone())
        {
            self.last_words
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(uid, (version, status));
        }
    }
}
