//! A namespace that ends is emptied, says what it waits for, and goes. What one has left behind that went otherwise goes, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Collector, Metadata, Shell, deletion, text};
use crate::control_plane::call::Propagation;
use crate::control_plane::kind::{Kind, Subresource, Verb};
use crate::control_plane::object::Object;
use crate::control_plane::status::Status;
use crate::control_plane::store::{Key, Paging, Prefix, ResourceName};

/// The one that is ours to take away.
const KUBERNETES: &str = "kubernetes";

/// What is in a namespace.
struct Contents(BTreeMap<String, Vec<(Key, Metadata)>>);

/// One line of what a namespace says of its end.
struct Condition {
    kind: &'static str,
    /// What it says when all is well.
    reason: &'static str,
    message: &'static str,
    /// Why all is not well, and the words for it.
    trouble: Option<(&'static str, String)>,
}

impl Collector {
    pub(super) async fn namespace(&self, name: &str) -> Result<(), Status> {
        let Some(kind) = self.kinds.get("namespaces") else {
            return Ok(());
        };
        let key = ResourceName::new("namespaces")
            .and_then(|resource| Key::new(&resource, None, name))
            .map_err(Status::internal)?;
        // First what is in it, then whether it is ending: what was in it then belongs to it, and not to one of the same name
        // that is made meanwhile.
        let contents = self.contents(name)?;
        let namespace = self.find(&key)?.map(|(_, namespace)| namespace);
        if namespace
            .as_ref()
            .is_some_and(|namespace| !namespace.is_being_deleted() || finalizers_of(namespace).is_empty())
        {
            return Ok(());
        }
        let failed = self.empty(&contents).await;
        if let Some(namespace) = namespace {
            // The store lets nothing new into a namespace that is ending, so this is all that will ever be left.
            let left = self.contents(name)?;
            let namespace = self.tell(kind, &key, namespace, &failed, &left).await?;
            if let (Some(namespace), true) = (namespace, left.is_empty()) {
                self.finalize(kind, &key, namespace).await?;
            }
        }
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    fn contents(&self, namespace: &str) -> Result<Contents, Status> {
        let mut contents = BTreeMap::new();
        for (name, kind) in &self.kinds {
            if !kind.is_namespaced() {
                continue;
            }
            let resource = ResourceName::new(name).map_err(Status::internal)?;
            let prefix = Prefix::namespace(&resource, namespace);
            let page = self.control_plane.store().list(&prefix, &Paging::default());
            let page = page.map_err(Status::internal)?;
            let mut found = Vec::new();
            for (key, stored) in page.items {
                let Shell { metadata } = serde_json::from_slice(&stored.bytes).map_err(Status::internal)?;
                found.push((key, metadata));
            }
            if !found.is_empty() {
                contents.insert(name.clone(), found);
            }
        }
        Ok(Contents(contents))
    }

    /// What could not be deleted, of each kind the first.
    async fn empty(&self, contents: &Contents) -> Vec<Status> {
        let mut failed = Vec::new();
        for (name, found) in &contents.0 {
            let Some(kind) = self.kinds.get(name) else {
                continue;
            };
            for (key, metadata) in found {
                let options = deletion(&metadata.uid, None, Some(Propagation::Background));
                match self.delete(kind, key, &options).await {
                    Ok(()) => {}
                    // Another has its name by now.
                    Err(status) if status.code == 409 => {}
                    Err(status) => {
                        failed.push(status);
                        break;
                    }
                }
            }
        }
        failed
    }

    /// Says in its status what it waits for. None: it is gone.
    async fn tell(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        mut namespace: Object,
        failed: &[Status],
        left: &Contents,
    ) -> Result<Option<Object>, Status> {
        let now = self
            .control_plane
            .now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string();
        let conditions = self.conditions(failed, left);
        let status = namespace
            .fields_mut()
            .entry("status")
            .or_insert_with(|| Value::Object(Map::new()));
        let mut told = status
            .get("conditions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for condition in conditions {
            condition.put_into(&mut told, &now);
        }
        if status.get("conditions").and_then(Value::as_array) == Some(&told) {
            return Ok(Some(namespace));
        }
        if let Some(status) = status.as_object_mut() {
            status.insert("conditions".to_owned(), Value::Array(told));
        }
        self.put(kind, key, namespace, Some(Subresource::Status)).await
    }

    fn conditions(&self, failed: &[Status], left: &Contents) -> [Condition; 5] {
        let mut messages: Vec<&str> = failed.iter().map(|status| status.message.as_str()).collect();
        messages.sort_unstable();
        let failed = (!messages.is_empty()).then(|| {
            let (count, messages) = (messages.len(), messages.join(", "));
            format!("Failed to delete all resource types, {count} remaining: {messages}")
        });
        // Events are there twice, as they are served.
        let served = self.control_plane.kinds().all();
        let served = served.filter(|kind| kind.is_namespaced() && kind.offers(Verb::Delete));
        let mut kinds = Vec::new();
        let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
        for kind in served {
            let Some(found) = left.0.get(&kind.storage()) else {
                continue;
            };
            let (plural, group) = (&kind.names.plural, &kind.group);
            kinds.push(format!("{plural}.{group} has {} resource instances", found.len()));
            for finalizer in found.iter().flat_map(|(_, metadata)| &metadata.finalizers) {
                *finalizers.entry(finalizer).or_default() += 1;
            }
        }
        kinds.sort_unstable();
        let kinds =
            (!kinds.is_empty()).then(|| format!("Some resources are remaining: {}", kinds.join(", ")));
        let mut held: Vec<String> = finalizers
            .into_iter()
            .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
            .collect();
        held.sort_unstable();
        let held = (!held.is_empty()).then(|| {
            let held = held.join(", ");
            format!("Some content in the namespace has finalizers remaining: {held}")
        });
        let condition = |kind, reason, message, trouble| Condition {
            kind,
            reason,
            message,
            trouble,
        };
        [
            condition(
                "NamespaceDeletionDiscoveryFailure",
                "ResourcesDiscovered",
                "All resources successfully discovered",
                None,
            ),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
                None,
            ),
            condition(
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
                failed.map(|failed| ("ContentDeletionFailed", failed)),
            ),
            condition(
                "NamespaceContentRemaining",
                "ContentRemoved",
                "All content successfully removed",
                kinds.map(|kinds| ("SomeResourcesRemain", kinds)),
            ),
            condition(
                "NamespaceFinalizersRemaining",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
                held.map(|held| ("SomeFinalizersRemain", held)),
            ),
        ]
    }

    /// Others may have something of their own to do first.
    async fn finalize(&self, kind: &Arc<Kind>, key: &Key, mut namespace: Object) -> Result<(), Status> {
        let mut others = finalizers_of(&namespace);
        others.retain(|finalizer| finalizer != KUBERNETES);
        others.sort_unstable();
        let spec = json!({ "finalizers": others });
        namespace.fields_mut().insert("spec".to_owned(), spec);
        self.put(kind, key, namespace, Some(Subresource::Finalize))
            .await
            .map(drop)
    }
}

impl Contents {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Condition {
    /// The time is that of the last change of its status.
    fn put_into(self, told: &mut Vec<Value>, now: &str) {
        let Self {
            kind,
            reason,
            message,
            trouble,
        } = self;
        let (status, reason, message) = match &trouble {
            Some((reason, message)) => ("True", *reason, message.as_str()),
            None => ("False", reason, message),
        };
        let before = told.iter_mut().find(|condition| text(condition, "type") == kind);
        let since = before
            .as_deref()
            .filter(|before| text(before, "status") == status)
            .map_or(now, |before| text(before, "lastTransitionTime"));
        let condition = json!({
            "type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message,
        });
        match before {
            Some(before) => *before = condition,
            None => told.push(condition),
        }
    }
}

fn finalizers_of(namespace: &Object) -> Vec<String> {
    let listed = namespace
        .fields()
        .get("spec")
        .and_then(|spec| spec.get("finalizers")?.as_array());
    let listed = listed.into_iter().flatten();
    listed
        .filter_map(|finalizer| Some(finalizer.as_str()?.to_owned()))
        .collect()
}
