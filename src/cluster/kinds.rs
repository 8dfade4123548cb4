//! Are our kinds there? A watch on a kind that is not installed fails softly and silently: so look first, and say it.

use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client, CustomResourceExt, Resource};
use serde::de::DeserializeOwned;

use super::{Cluster, Error, Scope, within};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A round trip that needs no permission: does the API server answer?
pub(super) async fn version(client: &Client) -> Result<(), Error> {
    within(client.apiserver_version()).await.map(|_| ())
}

impl Cluster {
    /// Waits until the kind is served. Asked by listing, which a namespaced Role allows; reading definitions would need
    /// a ClusterRole.
    pub async fn served<K>(&self, scope: &Scope)
    where
        K: Resource<DynamicType = ()> + CustomResourceExt + Clone + DeserializeOwned + std::fmt::Debug,
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        let api: Api<K> = scope.api(self.client.clone());
        let name = K::crd_name();
        let mut pause = FIRST_PAUSE;
        let mut told = None;
        loop {
            let trouble = match within(api.list_metadata(&ListParams::default().limit(1))).await {
                Ok(_) => return self.health.kind_served(name),
                Err(error) if error.code() == Some(404) => {
                    format!("kind {name} is not installed: kubectl apply -f crds/")
                }
                Err(error) => format!("cannot list {name}: {error}"),
            };
            if told.as_ref() != Some(&trouble) {
                tracing::warn!("{trouble}");
                self.health.kind_missing(name, &trouble);
                told = Some(trouble);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}
