//! What happens by itself: objects whose owners are gone go too, a namespace that ends is emptied, old Events are dropped.
//!
//! Level-triggered: everything that is there is looked at when it begins, then whatever an event touches. What an event
//! says only tells where to look; what is done is decided by what the store holds then, so that one look too many does
//! nothing.

mod events;
mod namespaces;
mod owners;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::select_all;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ControlPlane;
use super::access::User;
use super::call::{Call, Options, Propagation};
use super::kind::{Kind, Nature, Subresource, Verb};
use super::object::Object;
use super::objects::{Sent, Shown, read};
use super::registry::{Body, DeleteOptions};
use super::status::Status;
use super::store::{Beginning, EventKind, Key, Notice, Prefix, ResourceName, Watch};
use owners::{Owner, Owners};

/// What was refused or was in somebody's way is tried again.
const AGAIN: Duration = Duration::from_secs(1);
const EVENTS_EVERY: Duration = Duration::from_secs(300);

/// Runs until `stop`.
pub async fn run(control_plane: ControlPlane, stop: CancellationToken) {
    loop {
        let over = async {
            let end = match Collector::new(control_plane.clone()) {
                Some(mut collector) => collector.collect().await,
                None => Over,
            };
            tracing::debug!(?end, "the collector begins anew");
            tokio::time::sleep(AGAIN).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = over => {}
        }
    }
}

struct Collector {
    control_plane: ControlPlane,
    /// By the name that they are stored under.
    kinds: BTreeMap<String, Arc<Kind>>,
    /// One of each kind. Each goes at its own pace: an object may be heard of before its owner.
    watches: Vec<Watch>,
    /// Of how many the beginning has not been heard to its end.
    unread: usize,
    owners: Owners,
    due: BTreeSet<Due>,
}

/// A watch is over: it fell behind, or the store is closed. Everything is to be looked at anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Over;

/// Something to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Whether its owners are still there.
    Dependent(Key),
    /// Whether it waits for those that it owns.
    Owner(Key),
    /// Whether it is ending and empty, or gone, and something is still in it.
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
    #[serde(default)]
    finalizers: Vec<String>,
    deletion_timestamp: Option<String>,
}

impl Collector {
    /// None: a watch cannot begin.
    fn new(control_plane: ControlPlane) -> Option<Self> {
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
        let kinds: BTreeMap<_, _> = stored.map(|kind| (kind.storage(), Arc::clone(kind))).collect();
        let watch = |resource: &String| {
            let prefix = Prefix::all(&ResourceName::new(resource).ok()?);
            let store = control_plane.store();
            store.watch(&prefix, Beginning::WithPresent).ok()
        };
        let watches: Vec<Watch> = kinds.keys().map(watch).collect::<Option<_>>()?;
        Some(Self {
            unread: watches.len(),
            control_plane,
            kinds,
            watches,
            owners: Owners::default(),
            due: BTreeSet::new(),
        })
    }

    async fn collect(&mut self) -> Over {
        let mut again = Instant::now();
        let mut next_events = Instant::now();
        loop {
            // Before everything was read nobody is known to be all there is.
            let has_read = self.unread == 0;
            let something = select_all(self.watches.iter_mut().map(|watch| Box::pin(watch.next())));
            let something = something.map(|(notice, ..)| notice);
            tokio::select! {
                notice = something => match notice {
                    Some(notice) => self.hear(&notice),
                    None => return Over,
                },
                () = sleep_until(again), if has_read && !self.due.is_empty() => {
                    again = match self.look().await {
                        Ok(again) => again,
                        Err(over) => return over,
                    };
                }
                () = sleep_until(next_events), if has_read => {
                    next_events = Instant::now() + EVENTS_EVERY;
                    self.drop_old_events().await;
                }
            }
        }
    }

    /// Hears everything that was written before. An index that lags behind would let an owner go whose last dependent was
    /// made just before it was deleted.
    fn catch_up(&mut self) -> Result<(), Over> {
        for at in 0..self.watches.len() {
            while let Some(watch) = self.watches.get_mut(at)
                && watch.bookmark().is_none()
            {
                match watch.next().now_or_never() {
                    Some(Some(notice)) => self.hear(&notice),
                    Some(None) => return Err(Over),
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, notice: &Notice) {
        let event = match notice {
            Notice::InitialEventsEnd(_) => {
                self.unread = self.unread.saturating_sub(1);
                return;
            }
            Notice::Event(event) => event,
        };
        let key = &event.key;
        let Ok(Shell { metadata }) = serde_json::from_slice(&event.stored.bytes) else {
            return;
        };
        let gone = event.kind == EventKind::Deleted;
        let is_namespace = key.resource().as_str() == "namespaces";
        // One that is gone may have left something behind; so may one that went before we began.
        if is_namespace && (gone || metadata.deletion_timestamp.is_some()) {
            self.due.insert(Due::Namespace(key.name().to_owned()));
        }
        if let Some(namespace) = key.namespace()
            && (gone || self.unread > 0)
        {
            self.due.insert(Due::Namespace(namespace.to_owned()));
        }
        self.due.extend(self.owners.hear(key, metadata, gone));
    }

    /// Looks at all that is due. What fails stays due, for later.
    async fn look(&mut self) -> Result<Instant, Over> {
        let mut failed = BTreeSet::new();
        while let Some(due) = self.due.pop_first() {
            if let Err(status) = self.look_at(&due).await? {
                tracing::debug!(?due, %status, "the collector tries again");
                failed.insert(due);
            }
        }
        let pause = if failed.is_empty() { Duration::ZERO } else { AGAIN };
        self.due = failed;
        Ok(Instant::now() + pause)
    }

    async fn look_at(&mut self, due: &Due) -> Result<Result<(), Status>, Over> {
        Ok(match due {
            Due::Dependent(key) => self.dependent(key).await,
            Due::Owner(key) => {
                self.catch_up()?;
                self.owner(key).await
            }
            Due::Namespace(name) => self.namespace(name).await,
        })
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

    /// `options` say of what state it is the deletion.
    async fn delete(&self, kind: &Arc<Kind>, key: &Key, options: &DeleteOptions) -> Result<(), Status> {
        let one = call(kind, key.namespace(), Some(key.name()), Verb::Delete, None);
        gone_is_done(self.control_plane.delete(&one, options).await.map(drop))
    }

    /// With the version that was read: what somebody else wrote meanwhile is looked at again. None: it is gone.
    async fn put(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        object: Object,
        subresource: Option<Subresource>,
    ) -> Result<Option<Object>, Status> {
        let one = call(kind, key.namespace(), Some(key.name()), Verb::Update, subresource);
        let sent = Sent::Whole(Body::of(object));
        match self.control_plane.change(&one, &sent, MANAGER).await {
            Ok(answer) => Ok(Some(match answer.shown {
                Shown::Stored(stored) => read(&stored)?,
                Shown::Object(object) => object,
            })),
            Err(status) if status.code == 404 => Ok(None),
            Err(status) => Err(status),
        }
    }
}

/// Who writes, as managed fields name it.
const MANAGER: &str = "kube-controller-manager";

fn call(
    kind: &Arc<Kind>,
    namespace: Option<&str>,
    name: Option<&str>,
    verb: Verb,
    subresource: Option<Subresource>,
) -> Call {
    Call {
        user: User::admin(),
        kind: Arc::clone(kind),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource,
        verb,
        options: Options::default(),
    }
}

/// The deletion of one object and no other that has its name, and if `version` is given, of that very state.
fn deletion(uid: &str, version: Option<&str>, how: Option<Propagation>) -> DeleteOptions {
    DeleteOptions {
        uid: Some(uid.to_owned()),
        resource_version: version.map(str::to_owned),
        propagation: how,
        ..DeleteOptions::default()
    }
}

fn gone_is_done(done: Result<(), Status>) -> Result<(), Status> {
    match done {
        Err(status) if status.code == 404 => Ok(()),
        done => done,
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
