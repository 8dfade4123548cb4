//! Watches: each with its own back-off and its own place in the health report, so that one that fails neither stops
//! nor hides the others.

use futures::{Stream, StreamExt};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Cluster, Health};

/// What part of the cluster is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Everywhere,
    Namespace(String),
}

/// What a watch says.
#[derive(Debug, Clone)]
pub enum Touch<K> {
    One(K),
    Gone(K),
    /// Part of a list that is still coming; its end says All.
    Listed(K),
    /// The list was read anew: anything may have changed meanwhile.
    All,
}

/// The API server ends a watch after this long and a dead connection is noticed 5 s later; kube's own 290 s would
/// leave us blind for five minutes.
pub(super) const WATCH_SECONDS: u32 = 60;

impl Scope {
    pub(super) fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::Everywhere => Api::all(client),
            Self::Namespace(namespace) => Api::namespaced(client, namespace),
        }
    }

    fn name(&self, kind: &str) -> String {
        match self {
            Self::Everywhere => kind.to_owned(),
            Self::Namespace(namespace) => format!("{kind} in {namespace}"),
        }
    }
}

impl Cluster {
    /// A kind kept in memory, and what changes in it.
    pub fn reflect<K>(&self, scope: &Scope) -> (Store<K>, impl Stream<Item = Touch<K>> + Send + use<K>)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        self.reflect_with(scope, &K::kind(&()), watcher::Config::default())
    }

    /// Those of a kind that bear these labels. `kind`: how the watch is called.
    pub(super) fn reflect_labelled<K>(
        &self,
        scope: &Scope,
        kind: &str,
        labels: &str,
    ) -> (Store<K>, impl Stream<Item = Touch<K>> + Send + use<K>)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        self.reflect_with(scope, kind, watcher::Config::default().labels(labels))
    }

    fn reflect_with<K>(
        &self,
        scope: &Scope,
        kind: &str,
        config: watcher::Config,
    ) -> (Store<K>, impl Stream<Item = Touch<K>> + Send + use<K>)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        let (store, writer) = reflector::store();
        let api = scope.api::<K>(self.client.clone());
        let events = watch(api, config.timeout(WATCH_SECONDS))
            .default_backoff()
            .modify(|object| object.managed_fields_mut().clear())
            .reflect(writer);
        (store, touches(events, scope.name(kind), self.health.clone()))
    }

    /// Only what changes: nothing is kept.
    pub fn watch<K>(&self, scope: &Scope, kind: &str) -> impl Stream<Item = Touch<K>> + Send + use<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        let events = watch(
            scope.api::<K>(self.client.clone()),
            watcher::Config::default().timeout(WATCH_SECONDS),
        )
        .default_backoff();
        touches(events, scope.name(kind), self.health.clone())
    }
}

fn touches<K: Send>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    name: String,
    health: Health,
) -> impl Stream<Item = Touch<K>> + Send {
    health.watch_begins(&name);
    events.filter_map(move |event| {
        let touch = match event {
            Ok(event) => {
                // A list that is still coming may break off: only a complete one, or what follows it, counts.
                if !matches!(event, Event::Init | Event::InitApply(_)) {
                    health.watch_fed(&name);
                }
                match event {
                    Event::Apply(object) => Some(Touch::One(object)),
                    Event::InitApply(object) => Some(Touch::Listed(object)),
                    Event::Delete(object) => Some(Touch::Gone(object)),
                    Event::InitDone => Some(Touch::All),
                    Event::Init => None,
                }
            }
            Err(error) => {
                let error = error.to_string();
                if health.watch_failed(&name, &error) {
                    tracing::warn!(watch = name, error, "a watch fails; trying again with back-off");
                }
                None
            }
        };
        std::future::ready(touch)
    })
}
