//! What becomes of an object when those that it names as owners go, and what an owner waits for before it goes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Collector, Due, Metadata, deletion, text};
use crate::control_plane::call::Propagation;
use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::object::Object;
use crate::control_plane::objects::read;
use crate::control_plane::status::Status;
use crate::control_plane::store::{Key, ResourceName};

/// Who names whom, as far as it was heard: where to look, and never that somebody is gone.
#[derive(Default)]
pub(super) struct Owners {
    /// By uid.
    keys: HashMap<String, Key>,
    /// Who names it as owner: by the owner's uid. No set is empty.
    owned: HashMap<String, BTreeSet<Key>>,
    /// The uids that it names.
    named: HashMap<Key, Vec<String>>,
}

/// An entry of `ownerReferences`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner {
    api_version: String,
    kind: String,
    #[serde(default)]
    name: String,
    uid: String,
    #[serde(default)]
    block_owner_deletion: bool,
}

/// What the store says of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    There,
    /// It goes when those that it owns are gone.
    Waiting,
    Gone,
    /// It cannot be looked for: its kind is not served here, or is none that the object can be owned by.
    Unknown,
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl Owners {
    /// Takes in an object, and says who is to be looked at for it.
    pub(super) fn hear(&mut self, key: &Key, metadata: Metadata, gone: bool) -> Vec<Due> {
        let Metadata {
            uid,
            owner_references,
            finalizers: _,
            deletion_timestamp,
        } = metadata;
        let mut due = Vec::new();
        for owner in self.named.remove(key).unwrap_or_default() {
            if let Some(keys) = self.owned.get_mut(&owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.owned.remove(&owner);
                }
            }
            due.extend(self.keys.get(&owner).cloned().map(Due::Owner));
        }
        if gone {
            self.keys.remove(&uid);
            due.extend(self.owned_by(&uid).map(Due::Dependent));
            return due;
        }
        self.keys.insert(uid, key.clone());
        if !owner_references.is_empty() {
            let uids: Vec<String> = owner_references.into_iter().map(|owner| owner.uid).collect();
            for uid in &uids {
                self.owned.entry(uid.clone()).or_default().insert(key.clone());
            }
            self.named.insert(key.clone(), uids);
            due.push(Due::Dependent(key.clone()));
        }
        if deletion_timestamp.is_some() {
            due.push(Due::Owner(key.clone()));
        }
        due
    }

    fn owned_by(&self, uid: &str) -> impl Iterator<Item = Key> {
        self.owned.get(uid).into_iter().flatten().cloned()
    }
}

impl Collector {
    pub(super) async fn dependent(&self, key: &Key) -> Result<(), Status> {
        let Some((kind, object)) = self.find(key)? else {
            return Ok(());
        };
        let owners = owners_of(&object);
        if owners.is_empty() || object.is_being_deleted() {
            return Ok(());
        }
        let owners: Vec<(Is, Owner)> = owners
            .into_iter()
            .map(|owner| Ok((self.look_for(&owner, key)?, owner)))
            .collect::<Result<_, Status>>()?;
        let has = |wanted: Is| owners.iter().any(|(is, _)| *is == wanted);
        if has(Is::Unknown) {
            return Ok(());
        }
        if has(Is::There) {
            let others = owners.iter().filter(|(is, _)| *is != Is::There);
            let others: Vec<&str> = others.map(|(_, owner)| owner.uid.as_str()).collect();
            if others.is_empty() {
                return Ok(());
            }
            return self.disown(&kind, key, object, &others).await;
        }
        let uid = object.uid().unwrap_or_default().to_owned();
        if has(Is::Waiting) && self.owners.owned_by(&uid).next().is_some() {
            let Some(object) = self.out_of_a_circle(&kind, key, object).await? else {
                return Ok(());
            };
            return self
                .delete_as_it_is(&kind, key, &object, Propagation::Foreground)
                .await;
        }
        // Whoever said before what shall become of those that it owns has said so.
        let has_said = |finalizer: &str| object.finalizers().any(|other| other == finalizer);
        let how = if has_said(ORPHAN) {
            Propagation::Orphan
        } else if has_said(FOREGROUND) {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        self.delete_as_it_is(&kind, key, &object, how).await
    }

    /// An owner is in the same namespace, or in none. The watches do not tell: each goes at its own pace, and an owner that
    /// was not heard of yet would be taken for one that is gone.
    fn look_for(&self, owner: &Owner, of: &Key) -> Result<Is, Status> {
        let kinds = self.control_plane.kinds();
        let Some(kind) = kinds.by_kind(&owner.api_version, &owner.kind) else {
            return Ok(Is::Unknown);
        };
        if let Nature::Review(_) = kind.nature {
            return Ok(Is::Unknown);
        }
        let namespace = of.namespace().filter(|_| kind.is_namespaced());
        if kind.is_namespaced() && namespace.is_none() {
            return Ok(Is::Unknown);
        }
        let key = ResourceName::new(&kind.storage())
            .and_then(|resource| Key::new(&resource, namespace, &owner.name));
        let Ok(key) = key else {
            return Ok(Is::Unknown);
        };
        let Some(found) = self.control_plane.store().get(&key) else {
            return Ok(Is::Gone);
        };
        let found = read(&found)?;
        Ok(if found.uid() != Some(&owner.uid) {
            Is::Gone
        } else if found.is_being_deleted() && found.finalizers().any(|finalizer| finalizer == FOREGROUND) {
            Is::Waiting
        } else {
            Is::There
        })
    }

    /// Not if somebody has changed it meanwhile: it may have another owner now.
    async fn delete_as_it_is(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        object: &Object,
        how: Propagation,
    ) -> Result<(), Status> {
        let uid = object.uid().unwrap_or_default();
        let options = deletion(uid, object.resource_version(), Some(how));
        self.delete(kind, key, &options).await
    }

    /// Two that wait for one another would wait for ever: who owns one that is waiting holds up nobody itself.
    async fn out_of_a_circle(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        mut object: Object,
    ) -> Result<Option<Object>, Status> {
        let uid = object.uid().unwrap_or_default().to_owned();
        let mut waits = false;
        for owned in self.owners.owned_by(&uid) {
            waits |= self.find(&owned)?.is_some_and(|(_, owned)| {
                owned.is_being_deleted() && owned.finalizers().any(|finalizer| finalizer == FOREGROUND)
            });
        }
        if !waits {
            return Ok(Some(object));
        }
        let owners = references_of(&mut object).into_iter().flatten();
        for owner in owners.filter_map(Value::as_object_mut) {
            owner.insert("blockOwnerDeletion".to_owned(), json!(false));
        }
        self.put(kind, key, object, None).await
    }

    /// Lets an owner go when those that it owns are gone, or orphaned. What was written before is in the index by now.
    pub(super) async fn owner(&mut self, key: &Key) -> Result<(), Status> {
        let Some((kind, object)) = self.find(key)? else {
            return Ok(());
        };
        if !object.is_being_deleted() {
            return Ok(());
        }
        let uid = object.uid().unwrap_or_default().to_owned();
        let owned: Vec<Key> = self.owners.owned_by(&uid).collect();
        if object.finalizers().any(|finalizer| finalizer == ORPHAN) {
            for key in &owned {
                if let Some((kind, object)) = self.find(key)? {
                    self.disown(&kind, key, object, &[&uid]).await?;
                }
            }
            return self.release(&kind, key, object, ORPHAN).await;
        }
        if object.finalizers().any(|finalizer| finalizer == FOREGROUND) {
            let mut waits = false;
            for key in owned {
                let Some((_, dependent)) = self.find(&key)? else {
                    continue;
                };
                let owners = owners_of(&dependent);
                waits |= owners
                    .iter()
                    .any(|owner| owner.uid == uid && owner.block_owner_deletion);
                if !dependent.is_being_deleted() {
                    self.due.insert(Due::Dependent(key));
                }
            }
            if !waits {
                return self.release(&kind, key, object, FOREGROUND).await;
            }
        }
        Ok(())
    }

    /// Takes these owners out of an object.
    async fn disown(
        &self,
        kind: &Arc<Kind>,
        key: &Key,
        mut object: Object,
        gone: &[&str],
    ) -> Result<(), Status> {
        if !owners_of(&object)
            .iter()
            .any(|owner| gone.contains(&owner.uid.as_str()))
        {
            return Ok(());
        }
        if let Some(owners) = references_of(&mut object) {
            owners.retain(|owner| !gone.contains(&text(owner, "uid")));
        }
        self.put(kind, key, object, None).await.map(drop)
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
        self.put(kind, key, object, None).await.map(drop)
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

fn references_of(object: &mut Object) -> Option<&mut Vec<Value>> {
    object.metadata_mut().get_mut("ownerReferences")?.as_array_mut()
}

#[cfg(test)]
impl Owners {
    pub(super) fn is_of_nobody(&self) -> bool {
        self.owned.is_empty() && self.named.is_empty()
    }
}
