//! What is there from the start: namespaces, the definitions of our kinds, the one role that names itself.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::ControlPlane;
use super::object::Object;
use super::status::Status;
use super::store::{Change, Expected, Key, NotWritten, ResourceName};

const NAMESPACES: [&str; 2] = ["default", "kube-system"];

impl ControlPlane {
    /// Makes what is missing, and writes nothing else. To be called before anybody is served.
    pub async fn begin(&self, definitions: &[CustomResourceDefinition]) -> Result<(), Status> {
        for name in NAMESPACES {
            self.make_sure_of("namespaces", name, namespace(name)).await?;
        }
        for definition in definitions {
            let name = definition.metadata.name.clone().unwrap_or_default();
            self.show_definition(&name, definition).await?;
        }
        for (resource, name, object) in [
            ("clusterroles", "cluster-admin", cluster_admin()),
            ("clusterrolebindings", "cluster-admin", masters()),
        ] {
            let resource = format!("{resource}.rbac.authorization.k8s.io");
            self.make_sure_of(&resource, name, object).await?;
        }
        Ok(())
    }

    /// A definition is the program's own: another program has another.
    async fn show_definition(&self, name: &str, definition: &CustomResourceDefinition) -> Result<(), Status> {
        let key = key("customresourcedefinitions.apiextensions.k8s.io", name)?;
        let found = self.store().get(&key);
        let stored = match &found {
            Some(stored) => Some(stored.object().map_err(Status::internal)?),
            None => None,
        };
        let mut object = as_served(definition).map_err(Status::internal)?;
        let metadata = stored.as_ref().and_then(Object::metadata);
        let kept = |name: &str| metadata.and_then(|metadata| metadata.get(name)).cloned();
        let (uid, _) = self.fresh_words();
        let was = stored.as_ref().and_then(Object::generation);
        let differs = |stored: &Object| stored.fields().get("spec") != object.fields().get("spec");
        let generation = match stored.as_ref() {
            Some(stored) => was.unwrap_or(1) + i64::from(differs(stored)),
            None => 1,
        };
        let set = [
            ("uid", kept("uid").unwrap_or_else(|| json!(uid))),
            (
                "creationTimestamp",
                kept("creationTimestamp").unwrap_or_else(|| json!(self.shown_now())),
            ),
            ("resourceVersion", kept("resourceVersion").unwrap_or_default()),
            ("generation", json!(generation)),
        ];
        for (name, value) in set {
            object.metadata_mut().insert(name.to_owned(), value);
        }
        if stored.as_ref() == Some(&object) {
            return Ok(());
        }
        self.put(key, Expected::of(found.as_ref()), object).await
    }

    async fn make_sure_of(&self, resource: &str, name: &str, object: Value) -> Result<(), Status> {
        let key = key(resource, name)?;
        if self.store().get(&key).is_some() {
            return Ok(());
        }
        let mut object = Object::of(object).unwrap_or_default();
        let (uid, _) = self.fresh_words();
        let now = self.shown_now();
        let metadata = object.metadata_mut();
        metadata.insert("name".to_owned(), json!(name));
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(now));
        self.put(key, Expected::Absent, object).await
    }

    async fn put(&self, key: Key, expected: Expected, object: Object) -> Result<(), Status> {
        match self.store().write(key, expected, Change::Put(object)).await {
            Ok(_) | Err(NotWritten::Changed { .. }) => Ok(()),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }

    fn shown_now(&self) -> String {
        self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

fn key(resource: &str, name: &str) -> Result<Key, Status> {
    ResourceName::new(resource)
        .and_then(|resource| Key::new(&resource, None, name))
        .map_err(Status::internal)
}

fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

fn cluster_admin() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {},
        "rules": [
            { "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] },
            { "nonResourceURLs": ["*"], "verbs": ["*"] },
        ],
    })
}

fn masters() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {},
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:masters" }],
    })
}

/// With the status that clients wait for.
fn as_served(definition: &CustomResourceDefinition) -> serde_json::Result<Object> {
    let mut definition = definition.clone();
    let names = &mut definition.spec.names;
    names
        .list_kind
        .get_or_insert_with(|| format!("{}List", names.kind));
    let names = serde_json::to_value(&names)?;
    let mut object = Object::of(serde_json::to_value(&definition)?).unwrap_or_default();
    let versions: Vec<&str> = definition
        .spec
        .versions
        .iter()
        .filter(|version| version.storage)
        .map(|version| version.name.as_str())
        .collect();
    let condition = |kind: &str, reason: &str, message: &str| json!({ "type": kind, "status": "True", "reason": reason, "message": message });
    let status = json!({
        "acceptedNames": names,
        "storedVersions": versions,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
    object.fields_mut().insert("status".to_owned(), status);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretString;

    use super::*;
    use crate::control_plane::access::Tokens;
    use crate::control_plane::kinds;
    use crate::control_plane::store::{Keep, Store};
    use crate::resource;

    #[tokio::test]
    async fn a_definition_that_is_another_is_another_generation() {
        let mut definitions = resource::definitions();
        let control_plane = ControlPlane::new(
            Store::in_memory(Keep::default()),
            kinds::served(&definitions).unwrap(),
            Tokens::new(SecretString::from("token"), [0; 32]),
            Arc::new(jiff::Timestamp::now),
        );
        let name = definitions[0].metadata.name.clone().unwrap();
        let key = key("customresourcedefinitions.apiextensions.k8s.io", &name).unwrap();
        let shown = || {
            let stored = control_plane.store().get(&key).unwrap();
            (stored.object().unwrap().generation(), stored.revision)
        };
        control_plane.begin(&definitions).await.unwrap();
        let (first, begun) = shown();
        assert_eq!(first, Some(1));

        control_plane.begin(&definitions).await.unwrap();
        assert_eq!(shown(), (Some(1), begun), "the same is not written");

        definitions[0].spec.names.categories = Some(vec!["another".to_owned()]);
        control_plane.begin(&definitions).await.unwrap();
        assert_eq!(shown().0, Some(2));

        let labels = [("a".to_owned(), "b".to_owned())];
        definitions[0].metadata.labels = Some(labels.into());
        control_plane.begin(&definitions).await.unwrap();
        let (last, written) = shown();
        assert_eq!(last, Some(2), "metadata counts for nothing");
        assert!(written > begun);
    }
}
