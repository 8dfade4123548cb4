//! What happens by itself: objects whose owners are gone go too, a namespace that ends is emptied, old Events are dropped.
//!
//! Level-triggered: everything that is there is looked at when it begins, then whatever an event touches. Each look reads
//! the store afresh, so that one too many does nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, SelectAll};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ControlPlane;
use super::access::User;
use super::call::{Call, Options, Propagation};
use super::kind::{Kind, Nature, Subresource, Verb};
use super::object::Object;
use super::objects::{Sent, read};
use super::registry::{Body, DeleteOptions};
use super::status::Status;
use super::store::{Beginning, EventKind, Key, Notice, Prefix, ResourceName, Watch};

/// What was refused or was in somebody's way is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// As long as the API server keeps Events.
const EVENTS_LAST: SignedDuration = SignedDuration::from_hours(1);
const EVENTS_EVERY: Duration = Duration::from_secs(300);

/// Runs until `stop`.
pub async fn run(control_plane: ControlPlane, stop: CancellationToken) {
    loop {
        let mut collector = Collector::new(control_plane.clone());
        tokio::select! {
            () = stop.cancelled() => return,
            // A watch that fell behind: everything is looked at anew.
            () = collector.collect() => tracing::debug!("the collector begins anew"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

struct Collector {
    control_plane: ControlPlane,
    kinds: HashMap<String, Arc<Kind>>,
    /// Who is there.
    alive: HashMap<String, Key>,
    /// Who names whom as owner: by the owner's uid.
    owned: HashMap<String, HashSet<Key>>,
    owners: HashMap<Key, Vec<String>>,
    due: BTreeSet<Due>,
}

/// Something to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Whether its owners are still there.
    Dependent(Key),
    /// Whether it waits for those that it owns.
    Owner(Key),
    /// Whether it is empty.
    Namespace(String),
}

/// What the collector reads of an object.
#[derive(Deserialize)]
struct Shell {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    owner_references: Vec<Owner>,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    api_version: String,
    kind: String,
    uid: String,
    #[serde(default)]
    block_owner_deletion: bool,
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl Collector {
    fn new(control_plane: ControlPlane) -> Self {
        let stored = control_plane.kinds().all().filter(|kind| match kind.nature {
            Nature::Custom
            | Nature::Namespace
            | Nature::Secret
            | Nature::ConfigMap
            | Nature::ServiceAccount
            | Nature::Event
            | Nature::Lease
            | Nature::Role
            | Nature::RoleBinding => true,
            Nature::NewEvent | Nature::Definition | Nature::Review(_) => false,
        });
        let kinds = stored.map(|kind| (kind.storage(), Arc::clone(kind))).collect();
        Self {
            control_plane,
            kinds,
            alive: HashMap::new(),
            owned: HashMap::new(),
            owners: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Comes back when a watch is over.
    async fn collect(&mut self) {
        let mut events: SelectAll<_> = self
            .kinds
            .keys()
            .filter_map(|resource| self.watch(resource))
            .map(as_stream)
            .collect();
        let mut unread = events.len();
        let mut again = Instant::now();
        let mut next_events = Instant::now();
        loop {
            tokio::select! {
                told = events.next() => match told {
                    Some(Some(Notice::Event(event))) => {
                        let gone = event.kind == EventKind::Deleted;
                        self.hear(&event.key, &event.stored.bytes, gone);
                    }
                    Some(Some(Notice::InitialEventsEnd(_))) => unread = unread.saturating_sub(1),
                    Some(None) | None => return,
                },
                // Before everything was read nobody is known to be gone.
                () = sleep_until(again), if unread == 0 && !self.due.is_empty() => {
                    again = self.look().await;
                }
                () = sleep_until(next_events), if unread == 0 => {
                    next_events = Instant::now() + EVENTS_EVERY;
                    self.drop_old_events().await;
                }
            }
        }
    }

    fn watch(&self, resource: &str) -> Option<Watch> {
        let prefix = Prefix::all(&ResourceName::new(resource).ok()?);
        self.control_plane
            .store()
            .watch(&prefix, Beginning::WithPresent)
            .ok()
    }

    fn hear(&mut self, key: &Key, bytes: &[u8], gone: bool) {
        let Ok(Shell { metadata }) = serde_json::from_slice(bytes) else {
            return;
        };
        let Metadata {
            uid,
            owner_references,
            deletion_timestamp,
        } = metadata;
        for owner in self.owners.remove(key).unwrap_or_default() {
            if let Some(keys) = self.owned.get_mut(&owner) {
                keys.remove(key);
                if let Some(owner) = self.alive.get(&owner) {
                    self.due.insert(Due::Owner(owner.clone()));
                }
            }
        }
        if gone {
            self.alive.remove(&uid);
            self.due
                .extend(self.owned.remove(&uid).into_iter().flatten().map(Due::Dependent));
            if let Some(namespace) = key.namespace() {
                self.due.insert(Due::Namespace(namespace.to_owned()));
            }
            return;
        }
        self.alive.insert(uid, key.clone());
        if !owner_references.is_empty() {
            let uids: Vec<String> = owner_references.into_iter().map(|owner| owner.uid).collect();
            for uid in &uids {
                self.owned.entry(uid.clone()).or_default().insert(key.clone());
            }
            self.owners.insert(key.clone(), uids);
            self.due.insert(Due::Dependent(key.clone()));
        }
        if deletion_timestamp.is_some() {
            self.due.insert(Due::Owner(key.clone()));
            if key.resource().as_str() == "namespaces" {
                self.due.insert(Due::Namespace(key.name().to_owned()));
            }
        }
    }

    /// Looks at all that is due. What fails stays due, for later.
    async fn look(&mut self) -> Instant {
        let mut failed = BTreeSet::new();
        while let Some(due) = self.due.pop_first() {
            let done = match &due {
                Due::Dependent(key) => self.dependent(key).await,
                Due::Owner(key) => self.owner(key).await,
                Due::Namespace(name) => self.namespace(name).await,
            };
            if let Err(status) = done {
                tracing::debug!(?due, %status, "the collector tries again");
                failed.insert(due);
            }
        }
        let pause = if failed.is_empty() { Duration::ZERO } else { AGAIN };
        self.due = failed;
        Instant::now() + pause
    }

    async fn dependent(&self, key: &Key) -> Result<(), Status> {
        let Some((kind, object)) = self.find(key)? else {
            return Ok(());
        };
        let owners = owners_of(&object);
        if owners.is_empty() || object.is_being_deleted() {
            return Ok(());
        }
        let (there, gone): (Vec<&Owner>, Vec<&Owner>) =
            owners.iter().partition(|owner| self.may_be_there(owner));
        if gone.is_empty() {
            return Ok(());
        }
        if there.is_empty() {
            return self.delete(&kind, key, &object, Propagation::Background).await;
        }
        let gone: Vec<String> = gone.iter().map(|owner| owner.uid.clone()).collect();
        self.disown(&kind, key, object, &gone).await
    }

    /// An owner of a kind that is not served here cannot be looked for.
    fn may_be_there(&self, owner: &Owner) -> bool {
        let served = self
            .control_plane
            .kinds()
            .by_kind(&owner.api_version, &owner.kind);
        served.is_none() || self.alive.contains_key(&owner.uid)
    }

    /// Lets an owner go when those that it owns are gone, or orphaned.
    async fn owner(&self, key: &Key) -> Result<(), Status> {
        let Some((kind, object)) = self.find(key)? else {
            return Ok(());
        };
        if !object.is_being_deleted() {
            return Ok(());
        }
        let uid = object.uid().unwrap_or_default().to_owned();
        let owned: Vec<Key> = self.owned.get(&uid).into_iter().flatten().cloned().collect();
        if object.finalizers().any(|finalizer| finalizer == ORPHAN) {
            for key in &owned {
                if let Some((kind, object)) = self.find(key)? {
                    self.disown(&kind, key, object, std::slice::from_ref(&uid))
                        .await?;
                }
            }
            return self.release(&kind, key, object, ORPHAN).await;
        }
        if object.finalizers().any(|finalizer| finalizer == FOREGROUND) {
            let mut waits = false;
            for key in &owned {
                let Some((kind, dependent)) = self.find(key)? else {
                    continue;
                };
                waits |= owners_of(&dependent)
                    .iter()
                    .any(|owner| owner.uid == uid && owner.block_owner_deletion);
                if !dependent.is_being_deleted() {
                    self.delete(&kind, key, &dependent, Propagation::Foreground)
                        .await?;
                }
            }
            if !waits {
                return self.release(&kind, key, object, FOREGROUND).await;
            }
        }
        Ok(())
    }

    /// Empties a namespace that ends, and lets it go when it is empty.
    async fn namespace(&self, name: &str) -> Result<(), Status> {
        let Some(kind) = self.kinds.get("namespaces") else {
            return Ok(());
        };
        let key = ResourceName::new("namespaces")
            .and_then(|resource| Key::new(&resource, None, name))
            .map_err(Status::internal)?;
        let Some((_, object)) = self.find(&key)? else {
            return Ok(());
        };
        if !object.is_being_deleted() {
            return Ok(());
        }
        let mut left = 0;
        for kind in self.kinds.values().filter(|kind| kind.is_namespaced()) {
            let call = call(kind, Some(name), None, Verb::DeleteCollection);
            self.control_plane
                .delete_all(&call, &DeleteOptions::default())
                .await?;
            left += self.control_plane.list(&call)?.items.len();
        }
        if left > 0 {
            return Ok(());
        }
        let mut emptied = object;
        emptied.fields_mut().insert("spec".to_owned(), json!({}));
        let mut call = call(kind, None, Some(name), Verb::Update);
        call.subresource = Some(Subresource::Finalize);
        let sent = Sent::Whole(Body::of(emptied));
        self.control_plane
            .change(&call, &sent, "namespace-controller")
            .await?;
        Ok(())
    }

    async fn drop_old_events(&self) {
        let Some(kind) = self.kinds.get("events") else {
            return;
        };
        let before = self.control_plane.now() - EVENTS_LAST;
        let Ok(listed) = self.control_plane.list(&call(kind, None, None, Verb::List)) else {
            return;
        };
        for event in listed.items.iter().filter_map(|stored| read(stored).ok()) {
            if last_told(&event).is_some_and(|at| at < before) {
                let one = call(kind, event.namespace(), event.name(), Verb::Delete);
                // Whoever wrote it anew meanwhile keeps it.
                let options = DeleteOptions {
                    resource_version: event.resource_version().map(str::to_owned),
                    ..DeleteOptions::default()
                };
                self.control_plane.delete(&one, &options).await.ok();
            }
        }
    }

    fn find(&self, key: &Key) -> Result<Option<(Arc<Kind>, Object)>, Status> {
        let Some(kind) = self.kinds.get(key.resource().as_str()) else {
            return Ok(None);
        };
        match self.control_plane.store().get(key) {
            Some(stored) => Ok(Some((Arc::clone(kind), read(&stored)?))),
            None => Ok(None),
        }
    }

    async fn delete(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        object: &Object,
        how: Propagation,
    ) -> Result<(), Status> {
        let options = DeleteOptions {
            uid: object.uid().map(str::to_owned),
            propagation: Some(how),
            ..DeleteOptions::default()
        };
        let one = call(kind, key.namespace(), Some(key.name()), Verb::Delete);
        gone_is_done(self.control_plane.delete(&one, &options).await.map(|_| ()))
    }

    /// Takes owners that are gone out of an object.
    async fn disown(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        mut object: Object,
        gone: &[String],
    ) -> Result<(), Status> {
        if let Some(owners) = object
            .metadata_mut()
            .get_mut("ownerReferences")
            .and_then(Value::as_array_mut)
        {
            owners.retain(|owner| {
                let uid = owner.get("uid").and_then(Value::as_str).unwrap_or_default();
                !gone.iter().any(|gone| gone == uid)
            });
        }
        self.put(kind, key, object).await
    }

    async fn release(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        mut object: Object,
        finalizer: &str,
    ) -> Result<(), Status> {
        let left: Vec<String> = object
            .finalizers()
            .filter(|other| *other != finalizer)
            .map(str::to_owned)
            .collect();
        object.metadata_mut().insert("finalizers".to_owned(), json!(left));
        self.put(kind, key, object).await
    }

    /// With the version that was read: what somebody else wrote meanwhile is looked at again.
    async fn put(&self, kind: &Arc<Kind>, key: &Key, object: Object) -> Result<(), Status> {
        let one = call(kind, key.namespace(), Some(key.name()), Verb::Update);
        let sent = Sent::Whole(Body::of(object));
        let done = self.control_plane.change(&one, &sent, "garbage-collector").await;
        gone_is_done(done.map(|_| ()))
    }
}

/// A watch, and None at its end.
fn as_stream(watch: Watch) -> impl futures::Stream<Item = Option<Notice>> + Unpin {
    let notices = stream::unfold(Some(watch), async |watch| {
        let mut watch = watch?;
        match watch.next().await {
            Some(notice) => Some((Some(notice), Some(watch))),
            None => Some((None, None)),
        }
    });
    Box::pin(notices)
}

fn call(kind: &Arc<Kind>, namespace: Option<&str>, name: Option<&str>, verb: Verb) -> Call {
    Call {
        user: User::admin(),
        kind: Arc::clone(kind),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource: None,
        verb,
        options: Options::default(),
    }
}

fn owners_of(object: &Object) -> Vec<Owner> {
    let listed = object
        .metadata()
        .and_then(|metadata| metadata.get("ownerReferences"));
    listed
        .and_then(|owners| serde_json::from_value(owners.clone()).ok())
        .unwrap_or_default()
}

/// When an Event was told last.
fn last_told(event: &Object) -> Option<Timestamp> {
    let text = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let fields = event.fields();
    let series = fields
        .get("series")
        .and_then(|series| series.get("lastObservedTime"));
    let created = event
        .metadata()
        .and_then(|metadata| metadata.get("creationTimestamp"));
    [
        series,
        fields.get("lastTimestamp"),
        fields.get("eventTime"),
        created,
    ]
    .into_iter()
    .flatten()
    .filter_map(text)
    .max()
}

fn gone_is_done(done: Result<(), Status>) -> Result<(), Status> {
    match done {
        Err(status) if status.code == 404 => Ok(()),
        done => done,
    }
}
