//! The kinds that are served, as tables: what kubectl and we need of Kubernetes, and ours as their definitions say.

pub mod cells;
mod published;

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event as NewEvent;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::kind::{Cell, Column, Kind, Kinds, Names, Nature, Review, Scope, Shows, Subresource, Verb};
use super::patch::Subject;
use super::schema::{Schema, SchemaError};

use Verb::{Create, Delete, DeleteCollection, Get, List, Patch, Update, Watch};

const ALL: &[Verb] = &[Create, Delete, DeleteCollection, Get, List, Patch, Update, Watch];
/// A namespace is deleted one at a time.
const NO_COLLECTION: &[Verb] = &[Create, Delete, Get, List, Patch, Update, Watch];
const READ: &[Verb] = &[Get, List, Watch];
const ASK: &[Verb] = &[Create];

/// Everything: Kubernetes' and those of `definitions`. Err: a schema that cannot be kept; tests see that ours can.
pub fn served(definitions: &[CustomResourceDefinition]) -> Result<Kinds, SchemaError> {
    let mut kinds = built_in()?;
    for definition in definitions {
        kinds.extend(custom(definition)?);
    }
    Ok(Kinds::new(kinds))
}

/// One of ours. None: it has no served version with a schema.
fn custom(definition: &CustomResourceDefinition) -> Result<Option<Kind>, SchemaError> {
    let spec = &definition.spec;
    let version = spec.versions.iter().find(|version| version.served);
    let schema = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let (Some(version), Some(schema)) = (version, schema) else {
        return Ok(None);
    };
    let names = &spec.names;
    let Ok(open_api) = serde_json::to_value(schema) else {
        return Ok(None);
    };
    let has_status = version
        .subresources
        .as_ref()
        .is_some_and(|subresources| subresources.status.is_some());
    let mut columns = vec![column("Name", "string", "name", NAME, Cell::Name)];
    for own in version.additional_printer_columns.iter().flatten() {
        columns.push(Column {
            name: own.name.clone(),
            kind: own.type_.clone(),
            format: own.format.clone().unwrap_or_default(),
            description: own
                .description
                .clone()
                .filter(|words| !words.is_empty())
                .unwrap_or_else(|| {
                    format!(
                        "Custom resource definition column (in JSONPath format): {}",
                        own.json_path
                    )
                }),
            priority: own.priority.unwrap_or(0),
            shows: Shows::Path(own.json_path.clone()),
        });
    }
    Ok(Some(Kind {
        group: spec.group.clone(),
        version: version.name.clone(),
        names: Names {
            kind: names.kind.clone(),
            list: names
                .list_kind
                .clone()
                .unwrap_or_else(|| format!("{}List", names.kind)),
            plural: names.plural.clone(),
            singular: names
                .singular
                .clone()
                .unwrap_or_else(|| names.kind.to_lowercase()),
            short: names.short_names.clone().unwrap_or_default(),
            categories: names.categories.clone().unwrap_or_default(),
        },
        scope: match spec.scope.as_str() {
            "Namespaced" => Scope::Namespaced,
            _ => Scope::Cluster,
        },
        verbs: ALL,
        subresources: if has_status { &[Subresource::Status] } else { &[] },
        nature: Nature::Custom,
        columns,
        schema: Schema::compile(&open_api)?,
        subject: Subject::custom(
            &spec.group,
            &version.name,
            &names.kind,
            &names.plural,
            has_status,
            &open_api,
        ),
        open_api,
    }))
}

/// What every object's metadata holds, as it is published.
pub fn object_meta() -> Value {
    published::metadata()
}

/// What is said of every name.
const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may \
                    allow a client to request the generation of an appropriate name automatically. Name is primarily intended \
                    for creation idempotence and configuration definition. Cannot be updated. More info: \
                    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
/// What 1.36 says; the descriptions that we carry are older.
const ROLE_REF: &str = "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the \
                        RoleRef cannot be resolved, the Authorizer must return an error.";

/// A row of the table below.
struct Row {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    scope: Scope,
    verbs: &'static [Verb],
    subresources: &'static [Subresource],
    nature: Nature,
    columns: Vec<Column>,
    open_api: Value,
}

impl Row {
    fn kind(self) -> Result<Kind, SchemaError> {
        let Self {
            group,
            kind,
            plural,
            short,
            scope,
            verbs,
            subresources,
            nature,
            columns,
            open_api,
        } = self;
        let categories: &[&str] = match nature {
            Nature::Definition => &["api-extensions"],
            Nature::Custom
            | Nature::Namespace
            | Nature::Secret
            | Nature::ConfigMap
            | Nature::ServiceAccount
            | Nature::Event
            | Nature::NewEvent
            | Nature::Lease
            | Nature::Role
            | Nature::RoleBinding
            | Nature::Review(_) => &[],
        };
        Ok(Kind {
            group: group.to_owned(),
            version: "v1".to_owned(),
            names: Names {
                kind: kind.to_owned(),
                list: format!("{kind}List"),
                plural: plural.to_owned(),
                singular: kind.to_lowercase(),
                short: short.iter().map(|&name| name.to_owned()).collect(),
                categories: categories.iter().map(|&name| name.to_owned()).collect(),
            },
            scope,
            verbs,
            subresources,
            nature,
            columns,
            schema: published::checked(&open_api)?,
            subject: Subject::built_in(group, "v1", kind, plural)
                .unwrap_or_else(|| Subject::custom(group, "v1", kind, plural, false, &open_api)),
            open_api,
        })
    }
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

#[rustfmt::skip]
fn built_in() -> Result<Vec<Kind>, SchemaError> {
    use Nature as N;
    use Scope::{Cluster, Namespaced};
    use published::of;
    let rows = [
        ("", "Namespace", "namespaces", &["ns"][..], Cluster, NO_COLLECTION, &[Subresource::Finalize, Subresource::Status][..], N::Namespace, vec![name(), column("Status", "string", "", "The status of the namespace", Cell::NamespacePhase), age()], of::<Namespace>()),
        ("", "Secret", "secrets", &[], Namespaced, ALL, &[], N::Secret, vec![name(), column("Type", "string", "", "/type", Cell::SecretType), column("Data", "string", "", "/data", Cell::DataCount), age()], of::<Secret>()),
        ("", "ConfigMap", "configmaps", &["cm"], Namespaced, ALL, &[], N::ConfigMap, vec![name(), column("Data", "string", "", "/data", Cell::DataCount), age()], of::<ConfigMap>()),
        ("", "ServiceAccount", "serviceaccounts", &["sa"], Namespaced, ALL, &[Subresource::Token], N::ServiceAccount, vec![name(), age()], of::<ServiceAccount>()),
        ("", "Event", "events", &["ev"], Namespaced, ALL, &[], N::Event, event_columns(), of::<Event>()),
        ("events.k8s.io", "Event", "events", &["ev"], Namespaced, ALL, &[], N::NewEvent, event_columns(), of::<NewEvent>()),
        ("coordination.k8s.io", "Lease", "leases", &[], Namespaced, ALL, &[], N::Lease, vec![name(), column("Holder", "string", "", "/spec/holderIdentity", Cell::LeaseHolder), age()], of::<Lease>()),
        (RBAC, "Role", "roles", &[], Namespaced, ALL, &[], N::Role, vec![name(), created()], of::<Role>()),
        (RBAC, "ClusterRole", "clusterroles", &[], Cluster, ALL, &[], N::Role, vec![name(), created()], of::<ClusterRole>()),
        (RBAC, "RoleBinding", "rolebindings", &[], Namespaced, ALL, &[], N::RoleBinding, binding_columns("roleBinding"), of::<RoleBinding>()),
        (RBAC, "ClusterRoleBinding", "clusterrolebindings", &[], Cluster, ALL, &[], N::RoleBinding, binding_columns("clusterRoleBinding"), of::<ClusterRoleBinding>()),
        ("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", &["crd", "crds"], Cluster, READ, &[], N::Definition, vec![name(), created()], published::definition()),
        (AUTHENTICATION, "TokenReview", "tokenreviews", &[], Cluster, ASK, &[], N::Review(Review::Token), Vec::new(), of::<TokenReview>()),
        (AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews", &[], Cluster, ASK, &[], N::Review(Review::OwnName), Vec::new(), of::<SelfSubjectReview>()),
        (AUTHORIZATION, "SubjectAccessReview", "subjectaccessreviews", &[], Cluster, ASK, &[], N::Review(Review::Subject), Vec::new(), of::<SubjectAccessReview>()),
        (AUTHORIZATION, "LocalSubjectAccessReview", "localsubjectaccessreviews", &[], Namespaced, ASK, &[], N::Review(Review::LocalSubject), Vec::new(), of::<LocalSubjectAccessReview>()),
        (AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews", &[], Cluster, ASK, &[], N::Review(Review::OwnSubject), Vec::new(), of::<SelfSubjectAccessReview>()),
        (AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews", &[], Cluster, ASK, &[], N::Review(Review::OwnRules), Vec::new(), of::<SelfSubjectRulesReview>()),
    ];
    let kinds = rows.into_iter().map(|(group, kind, plural, short, scope, verbs, subresources, nature, columns, open_api)| {
        Row { group, kind, plural, short, scope, verbs, subresources, nature, columns, open_api }.kind()
    });
    kinds.map(|kind| kind.map(described)).collect()
}

/// A description that begins with `/` is that of the field there.
fn described(mut kind: Kind) -> Kind {
    for column in &mut kind.columns {
        if let Some(path) = column.description.strip_prefix('/') {
            let at = format!("/properties/{}/description", path.replace('/', "/properties/"));
            let words = kind.open_api.pointer(&at).and_then(Value::as_str);
            column.description = words.unwrap_or_default().to_owned();
        }
    }
    kind
}

fn column(name: &str, kind: &str, format: &str, description: &str, cell: Cell) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: format.to_owned(),
        description: description.to_owned(),
        priority: 0,
        shows: Shows::Cell(cell),
    }
}

fn wide(name: &str, kind: &str, description: &str, cell: Cell) -> Column {
    Column {
        priority: 1,
        ..column(name, kind, "", description, cell)
    }
}

fn name() -> Column {
    column("Name", "string", "name", "/metadata/name", Cell::Name)
}

fn age() -> Column {
    column("Age", "string", "", "/metadata/creationTimestamp", Cell::Age)
}

fn created() -> Column {
    column(
        "Created At",
        "date",
        "",
        "/metadata/creationTimestamp",
        Cell::CreatedAt,
    )
}

fn binding_columns(kind: &str) -> Vec<Column> {
    vec![
        name(),
        column("Role", "string", "", ROLE_REF, Cell::RoleRef),
        age(),
        wide("Users", "string", &format!("Users in the {kind}"), Cell::Users),
        wide("Groups", "string", &format!("Groups in the {kind}"), Cell::Groups),
        wide(
            "ServiceAccounts",
            "string",
            &format!("ServiceAccounts in the {kind}"),
            Cell::ServiceAccounts,
        ),
    ]
}

/// The words are the core group's in both groups.
fn event_columns() -> Vec<Column> {
    let text = |name: &str, description: &str, cell| column(name, "string", "", description, cell);
    let mut columns = vec![
        text(
            "Last Seen",
            "The time at which the most recent occurrence of this event was recorded.",
            Cell::EventLastSeen,
        ),
        text("Type", "/type", Cell::EventType),
        text("Reason", "/reason", Cell::EventReason),
        text("Object", "/involvedObject", Cell::EventObject),
        wide(
            "Subobject",
            "string",
            "/involvedObject/fieldPath",
            Cell::EventSubobject,
        ),
        wide("Source", "string", "/source", Cell::EventSource),
        text("Message", "/message", Cell::EventMessage),
        wide("First Seen", "string", "/firstTimestamp", Cell::EventFirstSeen),
        wide("Count", "string", "/count", Cell::EventCount),
        Column {
            priority: 1,
            ..name()
        },
    ];
    let schema = published::of::<Event>();
    for column in &mut columns {
        if let Some(path) = column.description.strip_prefix('/') {
            let at = format!("/properties/{}/description", path.replace('/', "/properties/"));
            let words = schema.pointer(&at).and_then(Value::as_str);
            column.description = words.unwrap_or_default().to_owned();
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_kubectl_asks_for_is_served() {
        let kinds = served(&crate::resource::definitions()).unwrap();
        for (group, version, plural) in [
            ("", "v1", "namespaces"),
            ("", "v1", "secrets"),
            ("events.k8s.io", "v1", "events"),
            ("quartermaster.dev", "v1alpha1", "agents"),
            ("quartermaster.dev", "v1alpha1", "templatesyncs"),
        ] {
            assert!(kinds.find(group, version, plural).is_some(), "{plural}.{group}");
        }
        assert_eq!(kinds.all().count(), 18 + 4);
    }

    #[test]
    fn every_column_is_explained_and_every_schema_describes_its_metadata() {
        for kind in served(&crate::resource::definitions()).unwrap().all() {
            for column in &kind.columns {
                // Printer columns of ours need no description; those of the system have one.
                if matches!(column.shows, Shows::Cell(_)) {
                    assert!(
                        !column.description.is_empty(),
                        "{}: {}",
                        kind.resource(),
                        column.name
                    );
                }
            }
        }
    }
}
