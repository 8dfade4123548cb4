//! Manifests of any kind: read from YAML, applied, looked up as tables, deleted. What `quartermaster apply`, `get` and `delete`
//! stand on; the same whichever API server it is.

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt};
use serde::Deserialize;
use serde_json::Value;

use super::{Error, within};

/// One document of a file.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub object: DynamicObject,
    /// The file, and which document of it.
    pub origin: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{origin}: {error}")]
    Unreadable { origin: String, error: String },
    #[error("{origin}: it does not say what it is; give apiVersion, kind and metadata.name")]
    Nameless { origin: String },
    #[error("{origin}: kind {kind} of {api_version} is not served here: {error}")]
    UnknownKind {
        origin: String,
        kind: String,
        api_version: String,
        error: Box<Error>,
    },
    #[error("{origin}: {error}")]
    Refused { origin: String, error: Box<Error> },
}

/// What an apply came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Created,
    Changed,
    Same,
}

/// The documents of one file; empty ones are left out, lists are taken apart.
pub fn read(text: &str, file: &str) -> Result<Vec<Manifest>, ManifestError> {
    let unreadable = |error: &dyn std::fmt::Display| ManifestError::Unreadable {
        origin: file.to_owned(),
        error: error.to_string(),
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| unreadable(&error))?;
    let mut manifests = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let origin = format!("{file}, document {}", index + 1);
        let items = match document {
            Value::Null => continue,
            Value::Object(mut fields) if fields.get("kind").and_then(Value::as_str) == Some("List") => {
                match fields.remove("items") {
                    Some(Value::Array(items)) => items,
                    Some(_) | None => Vec::new(),
                }
            }
            other @ (Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => vec![other],
        };
        for item in items {
            let object: DynamicObject = serde_json::from_value(item).map_err(|error| unreadable(&error))?;
            if object.types.is_none() || object.name_any().is_empty() {
                return Err(ManifestError::Nameless { origin });
            }
            manifests.push(Manifest {
                object,
                origin: origin.clone(),
            });
        }
    }
    Ok(manifests)
}

impl Manifest {
    /// `Agent triage`
    pub fn shown(&self) -> String {
        let kind = self.object.types.as_ref().map(|types| types.kind.as_str());
        format!("{} {}", kind.unwrap_or_default(), self.object.name_any())
    }

    /// Server-side apply. Fields that somebody else owns are taken over only with `force`.
    pub async fn apply(
        &self,
        client: &Client,
        namespace: &str,
        manager: &str,
        force: bool,
    ) -> Result<(Applied, DynamicObject), ManifestError> {
        let (api, name) = self.api(client, namespace).await?;
        let before = within(api.get_opt(&name))
            .await
            .map_err(|error| self.refused(error))?;
        let mut params = PatchParams::apply(manager);
        params.force = force;
        let mut object = self.object.clone();
        object.metadata.managed_fields = None;
        let after = within(api.patch(&name, &params, &Patch::Apply(&object)))
            .await
            .map_err(|error| self.refused(error))?;
        let applied = match before {
            None => Applied::Created,
            Some(before) if before.resource_version() == after.resource_version() => Applied::Same,
            Some(_) => Applied::Changed,
        };
        Ok((applied, after))
    }

    /// False: it was not there. Comes back when it is gone, if `wait` says how long to wait for that.
    pub async fn delete(
        &self,
        client: &Client,
        namespace: &str,
        wait: Option<Duration>,
    ) -> Result<bool, ManifestError> {
        let (api, name) = self.api(client, namespace).await?;
        match within(api.delete(&name, &DeleteParams::default())).await {
            Ok(_) => {}
            Err(error) if error.code() == Some(404) => return Ok(false),
            Err(error) => return Err(self.refused(error)),
        }
        if let Some(patience) = wait {
            let gone = kube::runtime::wait::await_condition(api, &name, |object: Option<&DynamicObject>| {
                object.is_none()
            });
            tokio::time::timeout(patience, gone)
                .await
                .map_err(|_| self.refused(Error::TimedOut))?
                .map_err(|_| self.refused(Error::TimedOut))?;
        }
        Ok(true)
    }

    /// Why it is not Ready yet. None: it is, or its kind never says.
    pub async fn not_ready(&self, client: &Client, namespace: &str) -> Result<Option<String>, ManifestError> {
        let types = self.object.types.clone().unwrap_or_default();
        if !types.api_version.starts_with("quartermaster.dev/") {
            return Ok(None);
        }
        let (api, name) = self.api(client, namespace).await?;
        let found = within(api.get_opt(&name))
            .await
            .map_err(|error| self.refused(error))?;
        let Some(object) = found else {
            return Ok(Some("it is gone".to_owned()));
        };
        let generation = object.metadata.generation;
        let status = object.data.get("status");
        let seen = status.and_then(|status| status.get("observedGeneration")?.as_i64());
        let conditions = status.and_then(|status| status.get("conditions")?.as_array());
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"));
        let Some(ready) = ready.filter(|_| seen == generation) else {
            return Ok(Some("nobody has looked at it yet".to_owned()));
        };
        let word = |name: &str| ready.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok((word("status") != "True").then(|| format!("{}: {}", word("reason"), word("message"))))
    }

    async fn api(
        &self,
        client: &Client,
        namespace: &str,
    ) -> Result<(Api<DynamicObject>, String), ManifestError> {
        let types = self.object.types.clone().unwrap_or_default();
        let kind = GroupVersionKind::try_from(&types).map_err(|_| ManifestError::Nameless {
            origin: self.origin.clone(),
        })?;
        let (resource, capabilities) =
            within(pinned_kind(client, &kind))
                .await
                .map_err(|error| ManifestError::UnknownKind {
                    origin: self.origin.clone(),
                    kind: types.kind.clone(),
                    api_version: types.api_version.clone(),
                    error: Box::new(error),
                })?;
        let namespace = self.object.namespace().unwrap_or_else(|| namespace.to_owned());
        let api = match capabilities.scope {
            Scope::Namespaced => Api::namespaced_with(client.clone(), &namespace, &resource),
            Scope::Cluster => Api::all_with(client.clone(), &resource),
        };
        Ok((api, self.object.name_any()))
    }

    fn refused(&self, error: Error) -> ManifestError {
        ManifestError::Refused {
            origin: self.origin.clone(),
            error: Box::new(error),
        }
    }
}

/// A kind by one of the names that people use: `ocagent`, `agents`, `Agent`.
pub async fn find_kind(client: &Client, word: &str) -> Result<Option<(ApiResource, Scope)>, Error> {
    const OURS: &str = "quartermaster.dev";
    let wanted = word.to_lowercase();
    let discovery = within(kube::Discovery::new(client.clone()).run_aggregated()).await?;
    let mut groups: Vec<_> = discovery.groups().collect();
    // Other groups have Gateways and Agents, too.
    groups.sort_by_key(|group| (group.name() != OURS, !group.name().is_empty()));
    for group in groups {
        for (resource, capabilities) in group.recommended_resources() {
            let short = |name: &&str| SHORT_NAMES.contains(&(*name, resource.plural.as_str()));
            if resource.plural == wanted || resource.kind.to_lowercase() == wanted || short(&wanted.as_str())
            {
                return Ok(Some((resource, capabilities.scope)));
            }
        }
    }
    Ok(None)
}

/// Discovery as kube reads it leaves short names out.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("ocgw", "gateways"),
    ("ocboard", "boards"),
    ("ocagent", "agents"),
    ("ocsync", "templatesyncs"),
    ("ns", "namespaces"),
    ("cm", "configmaps"),
    ("sa", "serviceaccounts"),
    ("ev", "events"),
    ("crd", "customresourcedefinitions"),
];

/// What `kubectl get` would print: the server works out the columns.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    pub column_definitions: Vec<Column>,
    #[serde(default)]
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(default)]
    pub priority: i32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    pub cells: Vec<Value>,
    pub object: DynamicObject,
}

/// Which objects of a kind.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// None: all namespaces.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub labels: Option<String>,
}

pub async fn table(
    client: &Client,
    resource: &ApiResource,
    scope: &Scope,
    wanted: &Wanted,
) -> Result<Table, Error> {
    const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let request = request(resource, scope, wanted, AS_TABLE);
    within(client.request(request)).await
}

/// The object, or a list of objects, as it is.
pub async fn whole(
    client: &Client,
    resource: &ApiResource,
    scope: &Scope,
    wanted: &Wanted,
) -> Result<Value, Error> {
    within(client.request(request(resource, scope, wanted, "application/json"))).await
}

fn request(
    resource: &ApiResource,
    scope: &Scope,
    Wanted {
        namespace,
        name,
        labels,
    }: &Wanted,
    accept: &str,
) -> axum::http::Request<Vec<u8>> {
    let mut path = match resource.group.as_str() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    if let (Scope::Namespaced, Some(namespace)) = (scope, namespace) {
        path = format!("{path}/namespaces/{namespace}");
    }
    path = format!("{path}/{}", resource.plural);
    if let Some(name) = name {
        path = format!("{path}/{name}");
    }
    if let Some(labels) = labels {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("labelSelector", labels)
            .finish();
        path = format!("{path}?{query}");
    }
    let mut request = axum::http::Request::new(Vec::new());
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    if let Ok(accept) = accept.parse() {
        request.headers_mut().insert("accept", accept);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_one_by_one() {
        let text = "# a comment\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n---\n---\napiVersion: v1\nkind: List\nitems:\n\
                    - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n";
        let names: Vec<String> = read(text, "x.yaml")
            .unwrap()
            .iter()
            .map(Manifest::shown)
            .collect();
        assert_eq!(names, ["Secret a", "ConfigMap b", "ConfigMap c"]);
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        let wrong = |text: &str| read(text, "x.yaml").unwrap_err().to_string();
        assert!(
            wrong("kind: Secret").starts_with("x.yaml"),
            "{}",
            wrong("kind: Secret")
        );
        assert!(wrong("a: [").starts_with("x.yaml"));
        assert!(wrong("apiVersion: v1\nkind: Secret\nmetadata: {}").contains("metadata.name"));
    }
}
