//! A TemplateSync as a command asks for it: created, and read until it has ended.

use kube::api::PostParams;
use kube::{Api, Client};

use super::{Error, within};
use crate::resource::{Board, Gateway, TemplateSync};

/// Those of one namespace.
pub struct TemplateSyncs {
    client: Client,
    namespace: String,
}

impl TemplateSyncs {
    pub fn within(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    pub async fn create(&self, sync: &TemplateSync, manager: &str) -> Result<TemplateSync, Error> {
        let params = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        within(self.api::<TemplateSync>().create(&params, sync)).await
    }

    pub async fn read(&self, name: &str) -> Result<Option<TemplateSync>, Error> {
        within(self.api().get_opt(name)).await
    }

    pub async fn gateway(&self, name: &str) -> Result<Option<Gateway>, Error> {
        within(self.api().get_opt(name)).await
    }

    pub async fn board(&self, name: &str) -> Result<Option<Board>, Error> {
        within(self.api().get_opt(name)).await
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}
