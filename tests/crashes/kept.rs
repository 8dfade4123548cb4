//! Every version of the objects that may be made only once, as the API server tells its watchers. It is the witness that does
//! not depend on what the operator says, nor on what is left in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use quartermaster::resource::{Agent, Board, Gateway, names};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

pub struct Kept {
    versions: Versions,
    secrets: Api<Secret>,
}

type Versions = Arc<Mutex<Vec<Version>>>;

/// As an object was at one time.
#[derive(Debug, Clone)]
struct Version {
    kind: &'static str,
    name: String,
    uid: String,
    version: String,
    /// Of a token's Secret.
    tokens: Tokens,
}

/// What a token's Secret held, from the moment on that its watcher was told so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub token: Option<String>,
    pub next: Option<String>,
    pub previous: Option<String>,
    pub told: Instant,
}

impl Kept {
    /// From now on, what is there already among it. `sign` is called for each, with its kind.
    pub fn begin(
        client: &Client,
        namespace: &str,
        sign: impl Fn(&'static str) + Clone + Send + 'static,
    ) -> Self {
        let secrets = Api::namespaced(client.clone(), namespace);
        let versions = Versions::default();
        let kept = {
            let versions = Arc::clone(&versions);
            move |version: Version| {
                let kind = version.kind;
                versions.lock().unwrap().push(version);
                sign(kind);
            }
        };
        watch::<Agent>("Agent", client, namespace, kept.clone(), |_| Tokens::none());
        watch::<Board>("Board", client, namespace, kept.clone(), |_| Tokens::none());
        watch::<Gateway>("Gateway", client, namespace, kept.clone(), |_| Tokens::none());
        watch::<Secret>("Secret", client, namespace, kept, tokens);
        Self { versions, secrets }
    }

    /// Whoever was made was made once, and no token became another one. Gives the token of each Agent.
    pub async fn made_once(&self, told: &str) -> BTreeMap<String, String> {
        let histories = self.tokens(told).await;
        let mut uids: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
        for Version { kind, name, uid, .. } in self.versions() {
            uids.entry((kind, name)).or_default().insert(uid);
        }
        for (object, uids) in &uids {
            assert_eq!(uids.len(), 1, "{told}: {object:?} was made as {uids:?}");
        }
        let the_only = |(agent, history): (String, Vec<Tokens>)| {
            let tokens: BTreeSet<Option<String>> = history.into_iter().map(|it| it.token).collect();
            assert_eq!(tokens.len(), 1, "{told}: {agent} had {} tokens", tokens.len());
            let token = tokens.into_iter().next().flatten();
            let token = token.unwrap_or_else(|| panic!("{told}: the Secret of {agent} has no token"));
            (agent, token)
        };
        histories.into_iter().map(the_only).collect()
    }

    /// What the token Secret of each Agent has held, in order, up to now.
    pub async fn tokens(&self, told: &str) -> BTreeMap<String, Vec<Tokens>> {
        let now = self.secrets.list(&ListParams::default()).await.unwrap();
        // The watch tells everything, a moment later.
        let start = Instant::now();
        loop {
            let heard: BTreeSet<String> = self.versions().into_iter().map(|it| it.version).collect();
            let mut listed = now.items.iter().filter_map(ResourceExt::resource_version);
            if listed.all(|version| heard.contains(&version)) {
                break;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{told}: the watch of Secrets lags"
            );
            sleep(Duration::from_millis(20)).await;
        }
        let mut histories: BTreeMap<String, Vec<Tokens>> = BTreeMap::new();
        for Version {
            kind, name, tokens, ..
        } in self.versions()
        {
            if let ("Secret", Some(agent)) = (kind, agent_of(&name)) {
                histories.entry(agent.to_owned()).or_default().push(tokens);
            }
        }
        histories
    }

    fn versions(&self) -> Vec<Version> {
        self.versions.lock().unwrap().clone()
    }
}

fn watch<K>(
    kind: &'static str,
    client: &Client,
    namespace: &str,
    mut keep: impl FnMut(Version) + Send + 'static,
    tokens: fn(&K) -> Tokens,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    tokio::spawn(async move {
        // As long as a watch may last; then the next one goes on where it ended.
        let params = WatchParams::default().timeout(290);
        let mut last = "0".to_owned();
        loop {
            let mut events = api.watch(&params, &last).await.expect("a watch").boxed();
            while let Some(event) = events.next().await {
                let object = match event.expect("a watch goes on") {
                    WatchEvent::Added(object)
                    | WatchEvent::Modified(object)
                    | WatchEvent::Deleted(object) => object,
                    WatchEvent::Bookmark(bookmark) => {
                        last = bookmark.metadata.resource_version;
                        continue;
                    }
                    WatchEvent::Error(error) => panic!("the watch of {kind}s ended: {error:?}"),
                };
                last = object.resource_version().unwrap_or_default();
                keep(Version {
                    kind,
                    name: object.name_any(),
                    uid: object.uid().unwrap_or_default(),
                    version: last.clone(),
                    tokens: tokens(&object),
                });
            }
        }
    });
}

/// Whose token it is that a Secret of this name holds.
fn agent_of(secret: &str) -> Option<&str> {
    secret.strip_prefix("ocagent-")?.strip_suffix("-token")
}

fn tokens(secret: &Secret) -> Tokens {
    let text = |key: &str| {
        let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
        String::from_utf8(bytes.clone()).ok()
    };
    Tokens {
        token: text(names::TOKEN_KEY),
        next: text(names::TOKEN_NEXT_KEY),
        previous: text(names::TOKEN_PREVIOUS_KEY),
        told: Instant::now(),
    }
}

impl Tokens {
    fn none() -> Self {
        Self {
            token: None,
            next: None,
            previous: None,
            told: Instant::now(),
        }
    }
}
