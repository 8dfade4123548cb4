//! Our finalizer on an object: it cannot go while something of it must be cleaned up in a gateway. Only this one word is
//! added or taken out, tested against what was seen, so that another's finalizer is never lost.

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Cluster, Error, within};
use crate::resource::names::{FIELD_MANAGER, FINALIZER};

/// Whether an object can still go without us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It stays until it is let go.
    Held,
    /// It is being deleted, or gone, or another one of its name is there: nothing may be made for it any more.
    TooLate,
}

/// Each try but the first begins with a new reading, so only somebody who writes at the same moment makes it fail again.
const TRIES: usize = 4;

pub fn is_held<K: Resource>(object: &K) -> bool {
    object
        .meta()
        .finalizers
        .iter()
        .flatten()
        .any(|word| word == FINALIZER)
}

impl Cluster {
    /// After this the object cannot vanish before [`let_go`](Self::let_go). Nothing is written where it is so already.
    pub async fn hold<K>(&self, object: &K) -> Result<Held, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + HasStatus,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        if is_held(object) {
            return Ok(Held::Held);
        }
        match self.change_finalizers(object, with_ours).await? {
            true => Ok(Held::Held),
            false => Ok(Held::TooLate),
        }
    }

    /// The object may go. One that is gone already is let go.
    pub async fn let_go<K>(&self, object: &K) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + HasStatus,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        self.change_finalizers(object, without_ours).await.map(|_| ())
    }

    /// Whether it is so now. False: the object is not there any more, or what it is forbids the change.
    async fn change_finalizers<K>(&self, object: &K, change: impl Fn(&Seen) -> Change) -> Result<bool, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + HasStatus,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let name = object.name_any();
        let api: Api<K> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let mut seen = Seen::of(object);
        let mut refused = None;
        for _ in 0..TRIES {
            let operations = match change(&seen) {
                Change::IsSo => return Ok(true),
                Change::Forbidden => return Ok(false),
                Change::Patch(operations) => operations,
            };
            let operations = patch(Value::Array(operations))?;
            let written = within(api.patch_metadata(&name, &params, &operations)).await;
            self.metrics.wrote(&K::kind(&()), "finalizer");
            match written {
                Ok(_) => return Ok(true),
                Err(error) if error.code() == Some(404) => return Ok(false),
                // A test that failed is 422; a write between two of the server's own steps is 409.
                Err(error) if matches!(error.code(), Some(409 | 422)) => refused = Some(error),
                Err(error) => return Err(error),
            }
            // Asked by a patch that changes nothing, since reading would need a right of its own.
            let test = json!([{ "op": "test", "path": "/metadata/uid", "value": seen.uid }]);
            seen = match within(api.patch_metadata(&name, &params, &patch(test)?)).await {
                Ok(now) => Seen::of(&now),
                // Gone, or another one of its name.
                Err(error) if matches!(error.code(), Some(404 | 409 | 422)) => return Ok(false),
                Err(error) => return Err(error),
            };
        }
        match refused {
            Some(error) => Err(error),
            None => Ok(false),
        }
    }
}

fn patch(operations: Value) -> Result<Patch<()>, Error> {
    let operations = serde_json::from_value(operations);
    operations
        .map(Patch::Json)
        .map_err(|error| Error::Unreachable(kube::Error::SerdeError(error)))
}

struct Seen {
    uid: Option<String>,
    finalizers: Option<Vec<String>>,
    is_deleted: bool,
}

enum Change {
    IsSo,
    Forbidden,
    Patch(Vec<Value>),
}

impl Seen {
    fn of(object: &impl Resource) -> Self {
        let meta = object.meta();
        Self {
            uid: meta.uid.clone(),
            finalizers: meta.finalizers.clone().filter(|list| !list.is_empty()),
            is_deleted: meta.deletion_timestamp.is_some(),
        }
    }

    fn place(&self) -> Option<usize> {
        self.finalizers
            .iter()
            .flatten()
            .position(|word| word == FINALIZER)
    }

    /// Another object of the same name, or another list, and nothing is written.
    fn tests(&self) -> Vec<Value> {
        vec![
            json!({ "op": "test", "path": "/metadata/uid", "value": self.uid }),
            json!({ "op": "test", "path": "/metadata/finalizers", "value": self.finalizers }),
        ]
    }
}

fn with_ours(seen: &Seen) -> Change {
    if seen.place().is_some() {
        return Change::IsSo;
    }
    // The API server refuses a new finalizer on what is being deleted.
    if seen.is_deleted {
        return Change::Forbidden;
    }
    let mut operations = seen.tests();
    operations.push(match seen.finalizers {
        Some(_) => json!({ "op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER }),
        None => json!({ "op": "add", "path": "/metadata/finalizers", "value": [FINALIZER] }),
    });
    Change::Patch(operations)
}

fn without_ours(seen: &Seen) -> Change {
    let Some(place) = seen.place() else {
        return Change::IsSo;
    };
    let mut operations = seen.tests();
    operations.push(json!({ "op": "remove", "path": format!("/metadata/finalizers/{place}") }));
    Change::Patch(operations)
}
