//! Manifests of any kind: read from YAML, applied, looked up as tables, deleted. What `quartermaster apply`, `get` and `delete`
//! stand on; the same whichever API server it is.

use futures::{Stream, StreamExt};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, WatchEvent};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::served::{Served, ServedKind};
use super::watch::WATCH_SECONDS;
use super::{Error, within};

/// One document of a file.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub object: DynamicObject,
    /// The file, and the line where it begins.
    pub origin: String,
}

/// What a file says is never repeated here: it may be a Secret's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("{origin}: {error}")]
    Unreadable { origin: String, error: String },
    #[error("{origin}: it does not say what it is; give apiVersion, kind and metadata.name")]
    Nameless { origin: String },
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
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple(text).map_err(|error| unreadable(&error, file))?;
    let mut manifests = Vec::new();
    for document in documents {
        let origin = format!("{file}, line {}", document.referenced.line());
        let items = match document.value {
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
            let nameless = || ManifestError::Nameless {
                origin: origin.clone(),
            };
            let object: DynamicObject = serde_json::from_value(item).map_err(|_| nameless())?;
            let named = object
                .metadata
                .name
                .as_deref()
                .is_some_and(|name| !name.is_empty());
            let typed = object.types.as_ref().map(GroupVersionKind::try_from);
            if !named || !matches!(typed, Some(Ok(_))) {
                return Err(nameless());
            }
            manifests.push(Manifest {
                object,
                origin: origin.clone(),
            });
        }
    }
    Ok(manifests)
}

/// The parser would show the lines around the place.
fn unreadable(error: &serde_saphyr::Error, file: &str) -> ManifestError {
    let error = error.without_snippet();
    let origin = match error.location() {
        Some(place) => format!("{file}, line {}, column {}", place.line(), place.column()),
        None => file.to_owned(),
    };
    let text = error.to_string();
    let mut words = text.lines().next().unwrap_or_default();
    // It says the place again, before or behind.
    if let Some((before, _)) = words.rsplit_once(" at line ") {
        words = before;
    }
    if words.starts_with("error: line ")
        && let Some((_, rest)) = words.split_once(": ").and_then(|(_, rest)| rest.split_once(": "))
    {
        words = rest;
    }
    ManifestError::Unreadable {
        origin,
        error: words.to_owned(),
    }
}

impl Manifest {
    /// `Agent triage`
    pub fn shown(&self) -> String {
        format!("{} {}", self.kind(), self.object.name_any())
    }

    pub fn kind(&self) -> &str {
        self.object.types.as_ref().map_or("", |types| types.kind.as_str())
    }

    pub fn gvk(&self) -> GroupVersionKind {
        let types = self.object.types.clone().unwrap_or_default();
        GroupVersionKind::try_from(&types).unwrap_or_else(|_| GroupVersionKind::gvk("", "", &types.kind))
    }

    /// What it names, where the API server serves its kind.
    pub fn place<'a>(&self, served: &'a Served, namespace: &str) -> Option<Place<'a>> {
        Some(Place {
            kind: served.exactly(&self.gvk())?,
            namespace: self.object.namespace().unwrap_or_else(|| namespace.to_owned()),
            name: self.object.name_any(),
        })
    }
}

/// One object: its kind, its name, and its namespace where its kind has any.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    pub kind: &'a ServedKind,
    pub namespace: String,
    pub name: String,
}

impl Place<'_> {
    /// `ocgw/harbour`
    pub fn shown(&self) -> String {
        format!("{}/{}", self.kind.short, self.name)
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        if self.kind.namespaced {
            Api::namespaced_with(client.clone(), &self.namespace, &self.kind.resource)
        } else {
            Api::all_with(client.clone(), &self.kind.resource)
        }
    }

    /// None: it is not there.
    pub async fn read(&self, client: &Client) -> Result<Option<DynamicObject>, Error> {
        within(self.api(client).get_opt(&self.name)).await
    }

    /// Server-side apply. Fields that somebody else owns are taken over only with `force`.
    pub async fn apply(
        &self,
        client: &Client,
        object: &DynamicObject,
        manager: &str,
        force: bool,
    ) -> Result<Applied, Error> {
        let before = self.read(client).await?;
        let mut params = PatchParams::apply(manager);
        params.force = force;
        let mut object = object.clone();
        object.metadata.managed_fields = None;
        let after = within(
            self.api(client)
                .patch(&self.name, &params, &Patch::Apply(&object)),
        )
        .await?;
        Ok(match before {
            None => Applied::Created,
            Some(before) if before.resource_version() == after.resource_version() => Applied::Same,
            Some(_) => Applied::Changed,
        })
    }

    /// A merge patch: only these fields.
    pub async fn change(&self, client: &Client, fields: &Value, manager: &str) -> Result<(), Error> {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        within(self.api(client).patch(&self.name, &params, &Patch::Merge(fields))).await?;
        Ok(())
    }

    /// The uid of what goes now; None: it was not there. It may stay for a while, until its finalizers are done.
    pub async fn delete(&self, client: &Client) -> Result<Option<String>, Error> {
        let Some(found) = self.read(client).await? else {
            return Ok(None);
        };
        match within(self.api(client).delete(&self.name, &DeleteParams::default())).await {
            Ok(_) => Ok(Some(found.uid().unwrap_or_default())),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What `kubectl get` would print: the server works out the columns.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    #[serde(default)]
    pub metadata: kube::core::ListMeta,
    /// A watch says them once.
    #[serde(default)]
    pub column_definitions: Option<Vec<Column>>,
    #[serde(default)]
    pub rows: Option<Vec<Row>>,
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

const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

pub async fn table(client: &Client, kind: &ServedKind, wanted: &Wanted) -> Result<Table, Error> {
    within(client.request(request(kind, wanted, AS_TABLE, None))).await
}

/// The object, or a list of objects, as it is.
pub async fn whole(client: &Client, kind: &ServedKind, wanted: &Wanted) -> Result<Value, Error> {
    within(client.request(request(kind, wanted, "application/json", None))).await
}

/// Rows as they change after that version. It ends by itself, about once a minute.
pub async fn changes(
    client: &Client,
    kind: &ServedKind,
    wanted: &Wanted,
    after: &str,
) -> Result<impl Stream<Item = Result<WatchEvent<Table>, Error>> + use<>, Error> {
    let request = request(kind, wanted, AS_TABLE, Some(after));
    let events = within(client.request_events::<Table>(request)).await?;
    Ok(events.map(|event| event.map_err(Error::Unreachable)))
}

fn request(
    kind: &ServedKind,
    wanted: &Wanted,
    accept: &str,
    after: Option<&str>,
) -> axum::http::Request<Vec<u8>> {
    let Wanted {
        namespace,
        name,
        labels,
    } = wanted;
    let resource = &kind.resource;
    let mut path = match resource.group.as_str() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    // What people type becomes a part of a path, and no path of its own.
    let part = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    if let (true, Some(namespace)) = (kind.namespaced, namespace) {
        path = format!("{path}/namespaces/{}", part(namespace));
    }
    path = format!("{path}/{}", resource.plural);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(labels) = labels {
        query.append_pair("labelSelector", labels);
    }
    match (name, after) {
        (Some(name), None) => path = format!("{path}/{}", part(name)),
        (name, Some(after)) => {
            // A watch is of a list, also of a list of one.
            if let Some(name) = name {
                query.append_pair("fieldSelector", &format!("metadata.name={name}"));
            }
            query.append_pair("watch", "1");
            query.append_pair("resourceVersion", after);
            query.append_pair("timeoutSeconds", &WATCH_SECONDS.to_string());
        }
        (None, None) => {}
    }
    let query = query.finish();
    if !query.is_empty() {
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
    fn documents_are_read_one_by_one_and_know_their_line() {
        let text = "# a comment\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n---\n---\napiVersion: v1\nkind: List\nitems:\n\
                    - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n";
        let found: Vec<(String, String)> = read(text, "x.yaml")
            .unwrap()
            .iter()
            .map(|manifest| (manifest.shown(), manifest.origin.clone()))
            .collect();
        let expected = [
            ("Secret a", "x.yaml, line 3"),
            ("ConfigMap b", "x.yaml, line 9"),
            ("ConfigMap c", "x.yaml, line 9"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, origin)| (name.to_owned(), origin.to_owned()))
        );
    }

    #[test]
    fn what_is_no_manifest_is_named_with_its_place() {
        let wrong = |text: &str| read(text, "x.yaml").unwrap_err().to_string();
        for text in [
            "a: 1\n---\nkind: Secret",
            "a: 1\n---\napiVersion: v1\nkind: Secret\nmetadata: {}",
            "a: 1\n---\n- a list",
        ] {
            let text = text.replacen("a: 1", "apiVersion: v1\nkind: A\nmetadata: {name: a}", 1);
            let said = "x.yaml, line 5: it does not say what it is; give apiVersion, kind and metadata.name";
            assert_eq!(wrong(&text), said, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_place_and_not_repeated() {
        let wrong = |text: &str| read(text, "x.yaml").unwrap_err().to_string();
        let said = wrong("kind: Secret\nstringData:\n  token: \"sesame\n  b: [\n");
        assert!(said.starts_with("x.yaml, line 4, column 3: "), "{said}");
        assert!(!said.contains("sesame") && !said.contains('\n'), "{said}");
        let said = wrong("a: 1\n---\nb: &x [*y]\n");
        assert!(said.starts_with("x.yaml, line 3, column "), "{said}");
        let said = wrong("token: sesame\ntoken: open\n");
        assert!(said.starts_with("x.yaml, line 2, column 1: "), "{said}");
        assert!(!said.contains("open"), "{said}");
    }

    #[test]
    fn names_that_people_type_stay_names() {
        let kind = ServedKind::for_tests("quartermaster.dev", "gateways");
        let wanted = Wanted {
            namespace: Some("a".to_owned()),
            name: Some("../secrets?x".to_owned()),
            labels: None,
        };
        let request = request(&kind, &wanted, AS_TABLE, None);
        let expected = "/apis/quartermaster.dev/v1/namespaces/a/gateways/%2E%2E%2Fsecrets%3Fx";
        assert_eq!(request.uri().to_string(), expected);
    }
}
