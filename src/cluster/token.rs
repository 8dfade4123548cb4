//! The Secrets that agents' tokens are kept in. They are the only Secrets whose data stays in memory: each pass over an
//! agent needs its own, and a fleet that is looked at anew would ask for ten thousand.

use std::collections::BTreeMap;

use futures::Stream;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use super::read::document;
use super::{Cluster, Error, Scope, Touch, within};
use crate::desired::agent::{AgentToken, Heard, TokenSecret};
use crate::fact::Fact;
use crate::resource::{Agent, names};

impl Cluster {
    /// Our own, by their labels.
    pub fn tokens(&self, scope: &Scope) -> (Store<Secret>, impl Stream<Item = Touch<Secret>> + Send + use<>) {
        self.reflect_labelled(scope, "token Secret", &labels_of_ours())
    }

    /// The same, as the API server has them now, whatever the watch has told.
    pub async fn tokens_now(&self, scope: &Scope) -> Result<Vec<Secret>, Error> {
        let api: Api<Secret> = scope.api(self.client.clone());
        let ours = ListParams::default().labels(&labels_of_ours());
        within(api.list(&ours)).await.map(|list| list.items)
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

    /// Writes a token into a new Secret, with what asked for it. One that is there already is left as it is: the next pass
    /// reads it.
    pub async fn create_token(
        &self,
        agent: &Agent,
        name: &str,
        token: &AgentToken,
        heard: &Heard,
        since: Timestamp,
    ) -> Result<(), Error> {
        let data = BTreeMap::from([(names::TOKEN_KEY.to_owned(), bytes(token))]);
        let mut notes = notes(heard);
        notes.insert(names::TOKEN_ROTATED_AT.to_owned(), since.to_string());
        let label = (names::AGENT_LABEL.to_owned(), agent.name_any());
        match self.create_owned(agent, name, data, (notes, Some(label))).await {
            Ok(()) => Ok(()),
            Err(error) if error.code() == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A token on its way into the agent's file, and what asked for it. Each of these three changes a Secret that is still
    /// as it was read. Where it is not, somebody was faster: nothing is written, and the watch tells what it is now.
    pub async fn store_next(
        &self,
        agent: &Agent,
        (name, version): (&str, &str),
        next: &AgentToken,
        heard: &Heard,
    ) -> Result<(), Error> {
        let patch = json!({
            "metadata": { "annotations": notes(heard) },
            "data": { names::TOKEN_NEXT_KEY: bytes(next) },
        });
        self.change_tokens(agent, name, version, patch).await
    }

    /// The next one is in force, and the one before is accepted for a while.
    pub async fn promote_token(
        &self,
        agent: &Agent,
        (name, version): (&str, &str),
        next: &AgentToken,
        previous: (&AgentToken, Timestamp),
        since: Timestamp,
    ) -> Result<(), Error> {
        let (previous, until) = previous;
        let patch = json!({
            "metadata": {
                "annotations": {
                    names::TOKEN_ROTATED_AT: since.to_string(),
                    names::TOKEN_PREVIOUS_UNTIL: until.to_string(),
                },
            },
            "data": {
                names::TOKEN_KEY: bytes(next),
                names::TOKEN_PREVIOUS_KEY: bytes(previous),
                names::TOKEN_NEXT_KEY: null,
            },
        });
        self.change_tokens(agent, name, version, patch).await
    }

    pub async fn drop_previous(&self, agent: &Agent, (name, version): (&str, &str)) -> Result<(), Error> {
        let patch = json!({
            "metadata": { "annotations": { names::TOKEN_PREVIOUS_UNTIL: null } },
            "data": { names::TOKEN_PREVIOUS_KEY: null },
        });
        self.change_tokens(agent, name, version, patch).await
    }

    async fn change_tokens(
        &self,
        agent: &Agent,
        name: &str,
        version: &str,
        mut patch: Value,
    ) -> Result<(), Error> {
        let (uid, version) = version.split_once('/').unwrap_or_default();
        if let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.extend([
                ("uid".to_owned(), json!(uid)),
                ("resourceVersion".to_owned(), json!(version)),
            ]);
        }
        match self.patch_secret(agent, name, &patch).await {
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
            result => result,
        }
    }

    pub(super) async fn patch_secret(&self, agent: &Agent, name: &str, patch: &Value) -> Result<(), Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &agent.namespace().unwrap_or_default());
        let params = PatchParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patched = within(api.patch_metadata(name, &params, &Patch::Merge(patch))).await;
        self.metrics.wrote("Secret", "patch");
        patched.map(|_| ())
    }

    pub(super) async fn create_owned(
        &self,
        agent: &Agent,
        name: &str,
        data: BTreeMap<String, ByteString>,
        (notes, label): (BTreeMap<String, String>, Option<(String, String)>),
    ) -> Result<(), Error> {
        let namespace = agent.namespace().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let mut secret = Secret {
            data: Some(data),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.namespace = Some(namespace);
        secret.metadata.annotations = Some(notes);
        let ours = (
            names::MANAGED_BY_LABEL.to_owned(),
            names::FIELD_MANAGER.to_owned(),
        );
        secret.metadata.labels = Some(label.into_iter().chain([ours]).collect());
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
        created.map(|_| ())
    }
}

fn labels_of_ours() -> String {
    format!(
        "{}={},{}",
        names::MANAGED_BY_LABEL,
        names::FIELD_MANAGER,
        names::AGENT_LABEL
    )
}

fn bytes(token: &AgentToken) -> ByteString {
    ByteString(token.reveal().as_bytes().to_vec())
}

fn notes(heard: &Heard) -> BTreeMap<String, String> {
    let Heard { word, sync } = heard;
    let word = word
        .iter()
        .map(|word| (names::TOKEN_ROTATION.to_owned(), word.clone()));
    let sync = sync
        .iter()
        .map(|sync| (names::TOKEN_ROTATION_SYNC.to_owned(), sync.clone()));
    word.chain(sync).collect()
}

/// Made for this very Agent, and not for one of the same name before it.
pub(super) fn is_owned(agent: &Agent, secret: &Secret) -> bool {
    let uid = agent.uid();
    let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| Some(&owner.uid) == uid.as_ref())
}

fn as_token(agent: &Agent, secret: &Secret) -> TokenSecret {
    TokenSecret {
        is_ours: is_owned(agent, secret),
        annotations: secret.annotations().clone(),
        document: document(secret.clone()),
    }
}
