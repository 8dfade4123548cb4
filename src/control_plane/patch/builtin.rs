//! The shapes of the kinds that are built in, as tables: one line a field, and `metadata`, which all kinds have.

use super::shape::{Map, Place, Scalar, Shape, ToldApart};

/// Of a field in the tables.
enum Is {
    Text,
    Number,
    Truth,
    /// A time, of any form.
    Time,
    /// A map from words to words, in which each entry may belong to another.
    Words,
    /// A map that is one thing.
    One(Fields),
    /// A list that is one thing.
    Each(&'static Is),
    /// What is never looked into.
    Opaque,
    /// A set of words.
    Set,
    Struct(Fields),
    /// A list of maps that are told apart by this field.
    By(&'static str, &'static Is),
    Metadata,
}

type Fields = &'static [(&'static str, Is)];

use Is::{By, Each, Metadata, Number, One, Opaque, Set, Struct, Text, Time, Truth, Words};

const METADATA: Fields = &[
    ("annotations", Words),
    ("creationTimestamp", Time),
    ("deletionGracePeriodSeconds", Number),
    ("deletionTimestamp", Time),
    ("finalizers", Set),
    ("generateName", Text),
    ("generation", Number),
    ("labels", Words),
    ("managedFields", Opaque),
    ("name", Text),
    ("namespace", Text),
    ("ownerReferences", By("uid", &One(OWNER))),
    ("resourceVersion", Text),
    ("selfLink", Text),
    ("uid", Text),
];

const OWNER: Fields = &[
    ("apiVersion", Text),
    ("blockOwnerDeletion", Truth),
    ("controller", Truth),
    ("kind", Text),
    ("name", Text),
    ("uid", Text),
];

const REFERENCE: Fields = &[
    ("apiVersion", Text),
    ("fieldPath", Text),
    ("kind", Text),
    ("name", Text),
    ("namespace", Text),
    ("resourceVersion", Text),
    ("uid", Text),
];

const EVENT_SOURCE: Fields = &[("component", Text), ("host", Text)];
const EVENT_SERIES: Fields = &[("count", Number), ("lastObservedTime", Time)];
const ROLE_REF: Fields = &[("apiGroup", Text), ("kind", Text), ("name", Text)];
const AGGREGATION: Fields = &[("clusterRoleSelectors", Each(&One(SELECTOR)))];

const SUBJECT: Fields = &[
    ("apiGroup", Text),
    ("kind", Text),
    ("name", Text),
    ("namespace", Text),
];

const RULE: Fields = &[
    ("apiGroups", Each(&Text)),
    ("nonResourceURLs", Each(&Text)),
    ("resourceNames", Each(&Text)),
    ("resources", Each(&Text)),
    ("verbs", Each(&Text)),
];

const SELECTOR: Fields = &[
    ("matchExpressions", Each(&Struct(REQUIREMENT))),
    ("matchLabels", Words),
];
const REQUIREMENT: Fields = &[("key", Text), ("operator", Text), ("values", Each(&Text))];

const CONDITION: Fields = &[
    ("lastTransitionTime", Time),
    ("message", Text),
    ("reason", Text),
    ("status", Text),
    ("type", Text),
];

/// All fields of a kind but `apiVersion`, `kind` and `metadata`.
const KINDS: &[(&str, &str, Fields)] = &[
    (
        "v1",
        "ConfigMap",
        &[("binaryData", Words), ("data", Words), ("immutable", Truth)],
    ),
    (
        "v1",
        "Secret",
        &[
            ("data", Words),
            ("immutable", Truth),
            ("stringData", Words),
            ("type", Text),
        ],
    ),
    (
        "v1",
        "ServiceAccount",
        &[
            ("automountServiceAccountToken", Truth),
            ("imagePullSecrets", Each(&One(&[("name", Text)]))),
            ("secrets", By("name", &One(REFERENCE))),
        ],
    ),
    (
        "v1",
        "Namespace",
        &[
            ("spec", Struct(&[("finalizers", Each(&Text))])),
            (
                "status",
                Struct(&[("conditions", By("type", &Struct(CONDITION))), ("phase", Text)]),
            ),
        ],
    ),
    (
        "v1",
        "Event",
        &[
            ("action", Text),
            ("count", Number),
            ("eventTime", Time),
            ("firstTimestamp", Time),
            ("involvedObject", One(REFERENCE)),
            ("lastTimestamp", Time),
            ("message", Text),
            ("reason", Text),
            ("related", One(REFERENCE)),
            ("reportingComponent", Text),
            ("reportingInstance", Text),
            ("series", Struct(EVENT_SERIES)),
            ("source", Struct(EVENT_SOURCE)),
            ("type", Text),
        ],
    ),
    (
        "events.k8s.io/v1",
        "Event",
        &[
            ("action", Text),
            ("deprecatedCount", Number),
            ("deprecatedFirstTimestamp", Time),
            ("deprecatedLastTimestamp", Time),
            ("deprecatedSource", Struct(EVENT_SOURCE)),
            ("eventTime", Time),
            ("note", Text),
            ("reason", Text),
            ("regarding", One(REFERENCE)),
            ("related", One(REFERENCE)),
            ("reportingController", Text),
            ("reportingInstance", Text),
            ("series", Struct(EVENT_SERIES)),
            ("type", Text),
        ],
    ),
    (
        "coordination.k8s.io/v1",
        "Lease",
        &[(
            "spec",
            Struct(&[
                ("acquireTime", Time),
                ("holderIdentity", Text),
                ("leaseDurationSeconds", Number),
                ("leaseTransitions", Number),
                ("preferredHolder", Text),
                ("renewTime", Time),
                ("strategy", Text),
            ]),
        )],
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "Role",
        &[("rules", Each(&Struct(RULE)))],
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        &[
            ("aggregationRule", Struct(AGGREGATION)),
            ("rules", Each(&Struct(RULE))),
        ],
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        &[("roleRef", One(ROLE_REF)), ("subjects", Each(&One(SUBJECT)))],
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        &[("roleRef", One(ROLE_REF)), ("subjects", Each(&One(SUBJECT)))],
    ),
];

/// None: it is not built in.
pub(super) fn shape(api_version: &str, kind: &str) -> Option<Shape> {
    let (.., fields) = KINDS
        .iter()
        .find(|(version, name, _)| *version == api_version && *name == kind)?;
    let mut map = Struct(fields).shape();
    let known = [("apiVersion", Text), ("kind", Text), ("metadata", Metadata)];
    if let Some(map) = &mut map.map {
        for (name, is) in &known {
            map.fields.insert((*name).to_owned(), is.place().into());
        }
    }
    Some(map)
}

pub(super) fn metadata() -> Shape {
    Struct(METADATA).shape()
}

impl Is {
    fn place(&self) -> Place {
        match self {
            Metadata => Place::Metadata,
            Text | Number | Truth | Time | Words | One(_) | Each(_) | Opaque | Set | Struct(_) | By(..) => {
                self.shape().into()
            }
        }
    }

    fn shape(&self) -> Shape {
        match self {
            Text => Shape::scalar(Scalar::Text),
            Number => Shape::scalar(Scalar::Number),
            Truth => Shape::scalar(Scalar::Truth),
            Time => Shape::scalar(Scalar::Any),
            Words => Shape::map(Map {
                atomic: false,
                fields: [].into(),
                rest: Some(Shape::scalar(Scalar::Text).into()),
            }),
            Each(item) => Shape::list(ToldApart::Atomic, item.place()),
            Opaque => Place::Untyped.shape().clone(),
            Set => Shape::list(ToldApart::ByValue, Shape::scalar(Scalar::Text)),
            By(key, item) => Shape::list(ToldApart::ByKeys(vec![(*key).to_owned()]), item.place()),
            One(fields) | Struct(fields) => Shape::map(Map {
                atomic: matches!(self, One(_)),
                fields: fields
                    .iter()
                    .map(|(name, is)| ((*name).to_owned(), is.place().into()))
                    .collect(),
                rest: None,
            }),
            Metadata => metadata(),
        }
    }
}
