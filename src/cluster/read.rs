//! Secrets and ConfigMaps, read when they are used: their data is in memory for one pass and no longer.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Cluster, Error, Scope, within};
use crate::desired::document::Document;
use crate::fact::Fact;
use crate::resource::names;

impl Cluster {
    pub async fn secret(&self, namespace: &str, name: &str) -> Fact<Document> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = within(api.get_opt(name)).await;
        fact("Secret", namespace, name, found).map(document)
    }

    pub async fn config_map(&self, namespace: &str, name: &str) -> Fact<Document> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let found = within(api.get_opt(name)).await;
        fact("ConfigMap", namespace, name, found).map(text)
    }

    /// Every object of a kind, once.
    pub async fn all<K>(&self, scope: &Scope) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = scope.api(self.client.clone());
        let list = within(api.list(&ListParams::default())).await?;
        Ok(list.items)
    }

    /// The ConfigMaps that are souls directories, by name.
    pub async fn souls(&self, namespace: &str) -> Fact<BTreeMap<String, Document>> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let labelled = ListParams::default().labels(names::SOULS_LABEL);
        match within(api.list(&labelled)).await {
            Ok(list) => {
                let each = list.items.into_iter();
                Fact::Known(each.map(|found| (found.name_any(), text(found))).collect())
            }
            Err(error) => {
                tracing::warn!(namespace, %error, "souls directories cannot be read");
                Fact::Unknown
            }
        }
    }
}

fn text(
    ConfigMap {
        metadata,
        data,
        binary_data,
        ..
    }: ConfigMap,
) -> Document {
    let text = data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, text)| (key, ByteString(text.into_bytes())));
    Document {
        version: version(&metadata),
        data: text.chain(binary_data.unwrap_or_default()).collect(),
    }
}

pub(super) fn document(Secret { metadata, data, .. }: Secret) -> Document {
    Document {
        version: version(&metadata),
        data: data.unwrap_or_default(),
    }
}

fn fact<T>(kind: &str, namespace: &str, name: &str, found: Result<Option<T>, Error>) -> Fact<T> {
    match found {
        Ok(Some(object)) => Fact::Known(object),
        Ok(None) => Fact::Absent,
        Err(error) => {
            tracing::warn!(kind, namespace, name, %error, "cannot be read");
            Fact::Unknown
        }
    }
}

/// Which writing of which object: another after any change, and after deletion and re-creation.
fn version(metadata: &ObjectMeta) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}/{}", part(&metadata.uid), part(&metadata.resource_version))
}
