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
        let set = [
            ("uid", kept("uid").unwrap_or_else(|| json!(uid))),
            (
                "creationTimestamp",
                kept("creationTimestamp").unwrap_or_else(|| json!(self.shown_now())),
            ),
            ("resourceVersion", kept("resourceVersion").unwrap_or_default()),
            ("generation", kept("generation").unwrap_or_else(|| json!(1))),
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
