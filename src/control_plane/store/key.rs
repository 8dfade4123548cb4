//! What an object is stored under. Keys are ordered as lists show them, which is as etcd orders the API server's: by the
//! bytes of `namespace/name`, so that namespace `a-b` comes before `a` (a hyphen is a smaller byte than the slash).

use std::fmt;
use std::sync::Arc;

/// Plural and group: `agents.quartermaster.dev`, `secrets`. Cloning it copies no text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(Arc<str>);

/// Cloning it copies no text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    resource: ResourceName,
    /// `namespace/name`; the name alone where the resource has no namespaces.
    path: Arc<str>,
}

/// All objects of a resource, or those of one namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Prefix {
    resource: ResourceName,
    /// `namespace/`, or empty.
    start: Arc<str>,
}

/// No name of Kubernetes is empty or holds a slash; the path would mean something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} cannot be a name: it is empty or holds a slash")]
pub struct NoName {
    pub word: String,
}

impl ResourceName {
    pub fn new(name: &str) -> Result<Self, NoName> {
        Ok(Self(word(name)?.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key {
    pub fn new(resource: &ResourceName, namespace: Option<&str>, name: &str) -> Result<Self, NoName> {
        let name = word(name)?;
        let path = match namespace {
            Some(namespace) => format!("{}/{name}", word(namespace)?).into(),
            None => name.into(),
        };
        Ok(Self {
            resource: resource.clone(),
            path,
        })
    }

    pub fn resource(&self) -> &ResourceName {
        &self.resource
    }

    pub fn namespace(&self) -> Option<&str> {
        self.path.split_once('/').map(|(namespace, _)| namespace)
    }

    pub fn name(&self) -> &str {
        self.path.split_once('/').map_or(&*self.path, |(_, name)| name)
    }

    pub(super) fn path(&self) -> &Arc<str> {
        &self.path
    }

    pub(super) fn of_path(resource: &ResourceName, path: &Arc<str>) -> Self {
        Self {
            resource: resource.clone(),
            path: Arc::clone(path),
        }
    }
}

impl Prefix {
    pub fn all(resource: &ResourceName) -> Self {
        Self {
            resource: resource.clone(),
            start: "".into(),
        }
    }

    pub fn namespace(resource: &ResourceName, namespace: &str) -> Self {
        Self {
            resource: resource.clone(),
            start: format!("{namespace}/").into(),
        }
    }

    pub fn resource(&self) -> &ResourceName {
        &self.resource
    }

    pub(super) fn start(&self) -> &str {
        &self.start
    }

    /// Of a path of the same resource.
    pub(super) fn holds(&self, path: &str) -> bool {
        path.starts_with(&*self.start)
    }
}

fn word(text: &str) -> Result<&str, NoName> {
    if text.is_empty() || text.contains('/') {
        return Err(NoName {
            word: text.to_owned(),
        });
    }
    Ok(text)
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As in the file: `agents.quartermaster.dev/default/alice`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource, self.path)
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource, self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents() -> ResourceName {
        ResourceName::new("agents.quartermaster.dev").unwrap()
    }

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let key = Key::new(&agents(), Some("default"), "alice").unwrap();
        assert_eq!((key.namespace(), key.name()), (Some("default"), "alice"));
        assert_eq!(key.to_string(), "agents.quartermaster.dev/default/alice");
        let key = Key::new(&agents(), None, "system:alice").unwrap();
        assert_eq!((key.namespace(), key.name()), (None, "system:alice"));
    }

    #[test]
    fn what_would_change_the_path_is_no_name() {
        for (namespace, name) in [(None, ""), (None, "a/b"), (Some("a/b"), "c"), (Some(""), "c")] {
            assert!(
                Key::new(&agents(), namespace, name).is_err(),
                "{namespace:?} {name:?}"
            );
        }
    }

    #[test]
    fn order_is_that_of_the_bytes_of_the_path() {
        let key = |namespace, name| Key::new(&agents(), Some(namespace), name).unwrap();
        let mut keys = [key("a", "x"), key("b", "a"), key("a-b", "y"), key("a", "b")];
        keys.sort();
        assert_eq!(
            keys.map(|key| key.path().to_string()),
            ["a-b/y", "a/b", "a/x", "b/a"]
        );
    }

    #[test]
    fn a_prefix_is_one_namespace_whole() {
        let a = Prefix::namespace(&agents(), "a");
        assert!(a.holds("a/x") && !a.holds("a-b/x") && !a.holds("ab/x"));
        assert!(Prefix::all(&agents()).holds("anything"));
    }
}
