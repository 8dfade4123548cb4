//! One object as it is kept: the bytes that are served. Nothing is parsed to serve it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::key::Key;
use crate::control_plane::Object;

/// One counter for all objects, as etcd's; the API shows it as `resourceVersion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// Of its last write.
    pub revision: Revision,
    /// JSON, `metadata.resourceVersion` included.
    pub bytes: Bytes,
    pub labels: Labels,
}

/// Everything at one revision.
pub(super) struct Contents {
    pub(super) revision: Revision,
    pub(super) objects: Vec<(Key, Stored)>,
}

/// Taken out when an object is written: a selector over 10,000 objects would parse 40 MB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(Option<Arc<[Label]>>);

type Label = (Box<str>, Box<str>);

impl Revision {
    /// Of a store in which nothing was ever written; as etcd begins. 0 has a meaning of its own in the API.
    pub const FIRST: Self = Self(1);

    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Contents {
    pub(super) fn nothing() -> Self {
        Self {
            revision: Revision::FIRST,
            objects: Vec::new(),
        }
    }
}

impl Stored {
    /// Sets the object's resourceVersion.
    pub(super) fn new(mut object: Object, revision: Revision) -> Result<Self, Unreadable> {
        let fields = object.fields();
        if !fields.values().all(|value| is_shallow(value, DEEPEST - 1)) {
            return Err(Unreadable(format!("it is nested deeper than {DEEPEST}")));
        }
        let shown = Value::String(revision.to_string());
        object.metadata_mut().insert("resourceVersion".to_owned(), shown);
        let labels = object
            .metadata()
            .and_then(|metadata| metadata.get("labels")?.as_object());
        let labels = labels.into_iter().flatten();
        let labels = labels.filter_map(|(label, value)| Some((label.as_str(), value.as_str()?)));
        let labels = Labels::of(labels);
        // Three times as fast as `Value::to_string`.
        let bytes = serde_json::to_vec(object.fields()).map_err(|error| Unreadable(error.to_string()))?;
        Ok(Self {
            revision,
            bytes: Bytes::from(bytes.into_boxed_slice()),
            labels,
        })
    }

    /// From what the file holds.
    pub(super) fn read(bytes: Bytes) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Shell {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: String,
            labels: Option<BTreeMap<String, Value>>,
        }
        let unreadable = |what: &dyn fmt::Display| Unreadable(what.to_string());
        let shell: Shell = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        let Metadata {
            resource_version,
            labels,
        } = shell.metadata;
        let labels = labels.iter().flatten();
        Ok(Self {
            revision: resource_version.parse().map_err(|error| unreadable(&error))?,
            labels: Labels::of(labels.filter_map(|(label, value)| Some((label.as_str(), value.as_str()?)))),
            bytes,
        })
    }

    /// Parses it: for a write, not for a read.
    pub fn object(&self) -> Result<Object, Unreadable> {
        let value = serde_json::from_slice(&self.bytes).map_err(|error| Unreadable(error.to_string()))?;
        Object::of(value).ok_or_else(|| Unreadable("no JSON object".to_owned()))
    }
}

/// Nobody could make an object of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the object cannot be stored and read again: {0}")]
pub struct Unreadable(String);

/// serde_json writes what is nested deeper, and does not read it. A patch can nest deeper than any body.
const DEEPEST: usize = 127;

/// Nested at most so deep.
fn is_shallow(value: &Value, left: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) => left > 0 && items.iter().all(|item| is_shallow(item, left - 1)),
        Value::Object(fields) => left > 0 && fields.values().all(|field| is_shallow(field, left - 1)),
    }
}

impl Labels {
    fn of<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut labels: Vec<Label> = labels
            .map(|(label, value)| (label.into(), value.into()))
            .collect();
        labels.sort();
        Self((!labels.is_empty()).then(|| labels.into()))
    }

    pub fn get(&self, label: &str) -> Option<&str> {
        self.iter()
            .find(|(found, _)| *found == label)
            .map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.0.iter().flat_map(|labels| labels.iter());
        labels.map(|(label, value)| (&**label, &**value))
    }
}

/// Digits alone, as the API server takes them: no sign.
impl FromStr for Revision {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = if text.starts_with('+') { "" } else { text };
        digits.parse().map(Self)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Without the object: it may be a Secret.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of revision {}", self.bytes.len(), self.revision)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bytes_say_their_revision_and_are_read_back_the_same() {
        let object = json!({ "kind": "Secret", "metadata": { "name": "s", "resourceVersion": "3",
            "labels": { "b": "2", "a": "1", "odd": 5 } }, "data": { "token": "aHVudGVyMg==" } });
        let stored = Stored::new(Object::of(object).unwrap(), Revision(7)).unwrap();
        assert_eq!(stored.object().unwrap().resource_version(), Some("7"));
        assert_eq!(
            (stored.labels.get("a"), stored.labels.get("odd")),
            (Some("1"), None)
        );
        assert_eq!(Stored::read(stored.bytes.clone()).unwrap(), stored);
        assert!(!format!("{stored:?}").contains("aHVud"), "no secret in Debug");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let nested = |depth| {
            let value = (2..depth).fold(json!([]), |inner, _| json!([inner]));
            Stored::new(Object::of(json!({ "spec": value })).unwrap(), Revision(7))
        };
        assert!(nested(DEEPEST).unwrap().object().is_ok());
        assert_eq!(
            nested(DEEPEST + 1).unwrap_err().to_string(),
            "the object cannot be stored and read again: it is nested deeper than 127"
        );
    }

    #[test]
    fn what_is_no_object_is_not_read() {
        for bytes in [
            "",
            "{}",
            "{\"metadata\":{}}",
            "{\"metadata\":{\"resourceVersion\":\"+1\"}}",
            "[1]",
        ] {
            assert!(
                Stored::read(Bytes::from_static(bytes.as_bytes())).is_err(),
                "{bytes}"
            );
        }
    }
}
