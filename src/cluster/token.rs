//! The Secrets that agents' tokens are kept in. They are the only Secrets whose data stays in memory: each pass over an
//! agent needs its own, and a fleet that is looked at anew would ask for ten thousand.

use std::collections::BTreeMap;

use futures::Stream;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PostParams;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};

use super::read::document;
use super::{Cluster, Error, Scope, Touch, within};
use crate::desired::agent::{AgentToken, TokenSecret};
use crate::fact::Fact;
use crate::resource::{Agent, names};

impl Cluster {
    /// Our own, by their labels.
    pub fn tokens(&self, scope: &Scope) -> (Store<Secret>, impl Stream<Item = Touch<Secret>> + Send + use<>) {
        let ours = format!(
            "{}={},{}",
            names::MANAGED_BY_LABEL,
            names::FIELD_MANAGER,
            names::AGENT_LABEL
        );
        self.reflect_labelled(scope, "token Secret", &ours)
    }

    /// The Secret of this name. One that is not among ours is asked for, since one of somebody else may stand there.
    pub async fn token(&self, tokens: &Store<Secret>, agent: &Agent, name: &str) -> Fact<TokenSecret> {
        let namespace = agent.namespace().unwrap_or_default();
        if let Some(secret) = tokens.get(&ObjectRef::new(name).within(&namespace)) {
            return Fact::Known(as_token(agent, &secret));
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        match within(api.get_opt(name)).await {
            Ok(Some(secret)) => Fact::Known(as_token(agent, &secret)),
            Ok(None) => Fact::Absent,
            Err(error) => {
                tracing::warn!(namespace, name, %error, "the token's Secret cannot be read");
                Fact::Unknown
            }
        }
    }

    /// Writes a token into a new Secret. One that is there already is left as it is: the next pass reads it.
    pub async fn create_token(&self, agent: &Agent, name: &str, token: &AgentToken) -> Result<(), Error> {
        let namespace = agent.namespace().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let value = ByteString(token.reveal().as_bytes().to_vec());
        let mut secret = Secret {
            data: Some(BTreeMap::from([(names::TOKEN_KEY.to_owned(), value)])),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.namespace = Some(namespace);
        secret.metadata.labels = Some(BTreeMap::from([
            (
                names::MANAGED_BY_LABEL.to_owned(),
                names::FIELD_MANAGER.to_owned(),
            ),
            (names::AGENT_LABEL.to_owned(), agent.name_any()),
        ]));
        // Without blockOwnerDeletion: a namespace that is emptied must not wait for it.
        let owner = agent.controller_owner_ref(&()).map(|owner| OwnerReference {
            block_owner_deletion: None,
            ..owner
        });
        secret.metadata.owner_references = owner.map(|owner| vec![owner]);
        let params = PostParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let created = within(api.create(&params, &secret)).await;
        self.metrics.wrote("Secret", "create");
        match created {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn as_token(agent: &Agent, secret: &Secret) -> TokenSecret {
    let uid = agent.uid();
    let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
    TokenSecret {
        is_ours: owners.iter().any(|owner| Some(&owner.uid) == uid.as_ref()),
        document: document(secret.clone()),
    }
}
