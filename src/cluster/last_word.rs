//! What we wrote last, until the watch has shown it. Without this a pass that follows another within milliseconds would
//! start from the status before, and tell its Events twice. Only a shortcut: after a restart the watch shows it anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Resource;
use kube::core::object::HasStatus;

use super::Cluster;

/// By uid: the resourceVersion that our word came to, and the word.
#[derive(Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<HashMap<String, (String, serde_json::Value)>>>);

/// Whether a reading is from before a write. Versions count upwards, and Kubernetes promises since 1.35 that they can be
/// compared; of any other kind of word, only an equal one is known not to be older.
fn is_older(seen: &str, written: &str) -> bool {
    match (seen.parse::<u128>(), written.parse::<u128>()) {
        (Ok(seen), Ok(written)) => seen < written,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
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
            Some((written, status)) if is_older(&version, written) => {
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

    /// `written`: the object as the write has left it.
    pub(super) fn remember<K: Resource>(&self, written: &K, status: serde_json::Value) {
        if let (Some(uid), Some(version)) =
            (written.meta().uid.clone(), written.meta().resource_version.clone())
        {
            self.last_words
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(uid, (version, status));
        }
    }
}
