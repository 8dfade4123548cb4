//! The few things that are written to the cluster: a status where it differs, a Secret that is missing, an Event.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Cluster, Error, within};
use crate::resource::{Agent, Gateway, TemplateSync, names};
use crate::status::News;

impl Cluster {
    /// Writes the status if it is not already so.
    pub async fn report<K>(&self, object: &K, status: &K::Status) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + HasStatus,
        K: Clone + DeserializeOwned + std::fmt::Debug,
        K::Status: Serialize + PartialEq,
    {
        if object.status() != Some(status) {
            let api: Api<K> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
            let patch = json!({
                "apiVersion": K::api_version(&()),
                "kind": K::kind(&()),
                // With the uid a status can never land on a successor of the same name.
                "metadata": { "name": object.name_any(), "uid": object.uid() },
                "status": status,
            });
            let params = PatchParams::apply(names::FIELD_MANAGER).force();
            let written = within(api.patch_status(&object.name_any(), &params, &Patch::Apply(&patch))).await;
            self.metrics.wrote(&K::kind(&()), "status");
            match written {
                Ok(became) => self.remember(object, &became, json!(status)),
                // Deleted meanwhile, or replaced by another of its name: nobody to report to.
                Err(error) if matches!(error.code(), Some(404 | 409)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Creates a Secret with one key. One that exists already is left as it is: the next pass reads it.
    pub async fn create_secret(
        &self,
        gateway: &Gateway,
        name: &str,
        (key, value): (&str, &[u8]),
        owned: bool,
    ) -> Result<(), Error> {
        let namespace = gateway.namespace().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let mut secret = Secret {
            data: Some(BTreeMap::from([(key.to_owned(), ByteString(value.to_vec()))])),
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
            (names::GATEWAY_LABEL.to_owned(), gateway.name_any()),
        ]));
        // Without an owner it outlives the Gateway, and one of the same name needs no new approval.
        if owned {
            let owner = gateway.owner_ref(&()).map(|owner| {
                k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
                    controller: None,
                    block_owner_deletion: None,
                    ..owner
                }
            });
            secret.metadata.owner_references = owner.map(|owner| vec![owner]);
        }
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

    /// Writes an Agent that a Gateway keeps, as far as it is the Gateway's to say.
    pub async fn apply_agent(&self, gateway: &Gateway, object: &Value) -> Result<(), Error> {
        let api: Api<Agent> = Api::namespaced(self.client.clone(), &gateway.namespace().unwrap_or_default());
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let params = PatchParams::apply(names::FIELD_MANAGER).force();
        let written = within(api.patch(name, &params, &Patch::Apply(object))).await;
        self.metrics.wrote("Agent", "apply");
        written.map(|_| ())
    }

    /// Deletes this very Agent; `amend` is a merge patch that it is told first. One that is gone is removed.
    pub async fn remove_agent(
        &self,
        gateway: &Gateway,
        name: &str,
        uid: Option<&str>,
        amend: Option<&Value>,
    ) -> Result<(), Error> {
        let api: Api<Agent> = Api::namespaced(self.client.clone(), &gateway.namespace().unwrap_or_default());
        let is_gone = |error: &Error| matches!(error.code(), Some(404 | 409));
        if let Some(amend) = amend {
            let mut amend = amend.clone();
            if let Some(amend) = amend.as_object_mut() {
                let metadata = amend.entry("metadata").or_insert_with(|| json!({}));
                if let Some(metadata) = metadata.as_object_mut() {
                    metadata.insert("uid".to_owned(), json!(uid));
                }
            }
            let params = PatchParams {
                field_manager: Some(names::FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let written = within(api.patch(name, &params, &Patch::Merge(&amend))).await;
            self.metrics.wrote("Agent", "amend");
            match written {
                Ok(_) => {}
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let deleted = within(api.delete(name, &only(uid))).await;
        self.metrics.wrote("Agent", "delete");
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a Secret that was created for this Gateway. Somebody else's is left.
    pub async fn delete_secret(&self, gateway: &Gateway, name: &str) -> Result<(), Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &gateway.namespace().unwrap_or_default());
        let Some(found) = within(api.get_metadata_opt(name)).await? else {
            return Ok(());
        };
        let says = |label: &str, value: &str| found.labels().get(label).is_some_and(|found| found == value);
        let is_ours = says(names::MANAGED_BY_LABEL, names::FIELD_MANAGER)
            && says(names::GATEWAY_LABEL, &gateway.name_any());
        if !is_ours {
            return Ok(());
        }
        let deleted = within(api.delete(name, &only(found.metadata.uid.as_deref()))).await;
        self.metrics.wrote("Secret", "delete");
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes this very TemplateSync. One that is gone is deleted.
    pub async fn delete_sync(&self, sync: &TemplateSync) -> Result<(), Error> {
        let api: Api<TemplateSync> =
            Api::namespaced(self.client.clone(), &sync.namespace().unwrap_or_default());
        let deleted = within(api.delete(&sync.name_any(), &only(sync.metadata.uid.as_deref()))).await;
        self.metrics.wrote("TemplateSync", "delete");
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Publishes what is new. An Event that cannot be written is told in the log and no more: the status has it too.
    pub async fn tell<K>(&self, object: &K, news: Vec<News>)
    where
        K: Resource<DynamicType = ()>,
    {
        for News {
            warning,
            reason,
            note,
        } in news
        {
            let event = Event {
                type_: if warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                reason: reason.to_string(),
                note: Some(short(&note)),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            tracing::info!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %reason, "{note}");
            let published = within(self.recorder.publish(&event, &object.object_ref(&()))).await;
            self.metrics.wrote("Event", "create");
            if let Err(error) = published {
                tracing::warn!(%error, "an Event could not be written");
            }
        }
    }
}

/// This very object, and not one of its name.
fn only(uid: Option<&str>) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: uid.map(str::to_owned),
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

/// The API server refuses a note of more than 1 kB.
fn short(note: &str) -> String {
    const LONGEST: usize = 1000;
    if note.len() <= LONGEST {
        return note.to_owned();
    }
    let end = note.floor_char_boundary(LONGEST - '…'.len_utf8());
    format!("{}…", note.get(..end).unwrap_or_default())
}
