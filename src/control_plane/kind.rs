//! What is served: one [`Kind`] for each resource, ours read from their definitions, the others from the tables in
//! `kinds/`. Everything that differs between kinds is in here, so that nobody else asks which kind it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::patch::Subject;
use super::schema::Schema;

/// One resource as it is served in one group and version.
#[derive(Debug)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub names: Names,
    pub scope: Scope,
    pub verbs: &'static [Verb],
    pub subresources: &'static [Subresource],
    pub nature: Nature,
    pub columns: Vec<Column>,
    /// The schema as it is published.
    pub open_api: Value,
    /// The same, compiled: what objects are checked against.
    pub schema: Schema,
    /// What patches and the owners of fields must know of it.
    pub subject: Subject,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub kind: String,
    pub list: String,
    pub plural: String,
    pub singular: String,
    pub short: Vec<String>,
    pub categories: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Namespaced,
    Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    Status,
    /// Of a namespace.
    Finalize,
    /// Of a ServiceAccount.
    Token,
}

/// The rules beyond its schema that a kind follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// One of ours: only its definition speaks.
    Custom,
    Namespace,
    Secret,
    ConfigMap,
    ServiceAccount,
    /// `Event` of the core group; what is stored.
    Event,
    /// `Event` of events.k8s.io: the same objects in other words.
    NewEvent,
    Lease,
    Role,
    RoleBinding,
    Definition,
    /// Asked and answered, never stored.
    Review(Review),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    Token,
    Subject,
    LocalSubject,
    OwnSubject,
    OwnRules,
    OwnName,
}

/// A column of `kubectl get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: String,
    pub format: String,
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i32,
    pub shows: Shows,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    /// A JSON path of a definition (`.status.phase`).
    Path(String),
    Cell(Cell),
}

/// What a column of a built-in kind shows; worked out by `kinds::cells`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Name,
    Age,
    CreatedAt,
    NamespacePhase,
    SecretType,
    /// How many keys it holds.
    DataCount,
    LeaseHolder,
    RoleRef,
    Users,
    Groups,
    ServiceAccounts,
    EventLastSeen,
    EventType,
    EventReason,
    EventObject,
    EventSubobject,
    EventSource,
    EventMessage,
    EventFirstSeen,
    EventCount,
}

impl Kind {
    /// `quartermaster.dev/v1alpha1`, or `v1`.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `agents.quartermaster.dev`, or `secrets`: how messages name the resource.
    pub fn resource(&self) -> String {
        match self.group.as_str() {
            "" => self.names.plural.clone(),
            group => format!("{}.{group}", self.names.plural),
        }
    }

    /// `Agent.quartermaster.dev`, or `Secret`: how messages name what is invalid.
    pub fn qualified(&self) -> String {
        match self.told_group() {
            "" => self.names.kind.clone(),
            group => format!("{}.{group}", self.names.kind),
        }
    }

    /// The group that is named where an object is refused: of Events it is core's.
    pub fn told_group(&self) -> &str {
        match self.nature {
            Nature::NewEvent => "",
            Nature::Custom
            | Nature::Namespace
            | Nature::Secret
            | Nature::ConfigMap
            | Nature::ServiceAccount
            | Nature::Event
            | Nature::Lease
            | Nature::Role
            | Nature::RoleBinding
            | Nature::Definition
            | Nature::Review(_) => &self.group,
        }
    }

    /// Under which name its objects are stored: both kinds of Event share one.
    pub fn storage(&self) -> String {
        match self.nature {
            Nature::NewEvent => "events".to_owned(),
            Nature::Custom
            | Nature::Namespace
            | Nature::Secret
            | Nature::ConfigMap
            | Nature::ServiceAccount
            | Nature::Event
            | Nature::Lease
            | Nature::Role
            | Nature::RoleBinding
            | Nature::Definition
            | Nature::Review(_) => self.resource(),
        }
    }

    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    pub fn has_status(&self) -> bool {
        self.subresources.contains(&Subresource::Status)
    }

    pub fn offers(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }
}

impl Verb {
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

impl Subresource {
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Finalize => "finalize",
            Self::Token => "token",
        }
    }
}

/// Everything that is served, by group, version and plural.
#[derive(Debug, Clone)]
pub struct Kinds(Arc<BTreeMap<(String, String, String), Arc<Kind>>>);

impl Kinds {
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let by_name = kinds.into_iter().map(|kind| {
            let key = (
                kind.group.clone(),
                kind.version.clone(),
                kind.names.plural.clone(),
            );
            (key, Arc::new(kind))
        });
        Self(Arc::new(by_name.collect()))
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.0
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// By the words of an object or an owner reference.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        self.all()
            .find(|served| served.names.kind == kind && served.api_version() == api_version)
    }

    /// In the order of group, version and plural.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.0.values()
    }
}
