//! PURE. Bodies that kubectl sends in protobuf: `kubectl create`, `auth can-i` and `create token` speak nothing else to the
//! kinds they know. Read into the JSON that they stand for; nothing is ever answered in it.
//!
//! A table says what each field is, as in Kubernetes' own `generated.proto`; what is not in it is skipped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(super) const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// Before every body.
const MAGIC: &[u8] = b"k8s\0";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the body is no Kubernetes protobuf")]
    NoMagic,
    #[error("the body ends in the middle of a field")]
    Cut,
    #[error("field {0} of the body is not of its type")]
    WrongType(u64),
    #[error("kind {0:?} is not taken in protobuf: send JSON")]
    UnknownKind(String),
    #[error("the body holds text that is no UTF-8")]
    NoText,
}

/// Kind, API version and fields as JSON.
pub(super) fn read(body: &[u8]) -> Result<Value, Unreadable> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Unreadable::NoMagic)?;
    let (mut kind, mut api_version, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Fields(envelope) {
        match field? {
            (1, Wire::Bytes(bytes)) => {
                for field in Fields(bytes) {
                    match field? {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let table = table_of(&kind).ok_or_else(|| Unreadable::UnknownKind(kind.clone()))?;
    let mut fields = message(table, raw)?;
    fields.insert("kind".to_owned(), json!(kind));
    fields.insert("apiVersion".to_owned(), json!(api_version));
    Ok(Value::Object(fields))
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Is {
    /// Go writes absent texts as empty ones.
    Text,
    Texts,
    Number,
    Flag,
    Time,
    /// JSON in bytes: what owns which fields.
    Json,
    One(Table),
    Many(Table),
    TextMap,
    BytesMap,
}

/// Field number, name in JSON, what it holds.
type Table = &'static [(u64, &'static str, Is)];

fn table_of(kind: &str) -> Option<Table> {
    Some(match kind {
        "Namespace" => NAMESPACE,
        "Secret" => SECRET,
        "ConfigMap" => CONFIG_MAP,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => ROLE_BINDING,
        "TokenRequest" => TOKEN_REQUEST,
        "TokenReview" => TOKEN_REVIEW,
        "SelfSubjectReview" => METADATA_ONLY,
        "SelfSubjectAccessReview" => OWN_ACCESS,
        "SelfSubjectRulesReview" => OWN_RULES,
        "SubjectAccessReview" | "LocalSubjectAccessReview" => ACCESS,
        "Lease" => LEASE,
        "DeleteOptions" => DELETE_OPTIONS,
        _ => return None,
    })
}

const METADATA: Table = &[
    (1, "name", Is::Text),
    (2, "generateName", Is::Text),
    (3, "namespace", Is::Text),
    (5, "uid", Is::Text),
    (6, "resourceVersion", Is::Text),
    (8, "creationTimestamp", Is::Time),
    (9, "deletionTimestamp", Is::Time),
    (10, "deletionGracePeriodSeconds", Is::Number),
    (11, "labels", Is::TextMap),
    (12, "annotations", Is::TextMap),
    (13, "ownerReferences", Is::Many(OWNER)),
    (14, "finalizers", Is::Texts),
    (17, "managedFields", Is::Many(MANAGED)),
];
const OWNER: Table = &[
    (1, "kind", Is::Text),
    (3, "name", Is::Text),
    (4, "uid", Is::Text),
    (5, "apiVersion", Is::Text),
    (6, "controller", Is::Flag),
    (7, "blockOwnerDeletion", Is::Flag),
];
const MANAGED: Table = &[
    (1, "manager", Is::Text),
    (2, "operation", Is::Text),
    (3, "apiVersion", Is::Text),
    (4, "time", Is::Time),
    (6, "fieldsType", Is::Text),
    (7, "fieldsV1", Is::Json),
    (8, "subresource", Is::Text),
];
const NAMESPACE: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (2, "spec", Is::One(&[(1, "finalizers", Is::Texts)])),
    (3, "status", Is::One(&[(1, "phase", Is::Text)])),
];
const SECRET: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (2, "data", Is::BytesMap),
    (3, "type", Is::Text),
    (4, "stringData", Is::TextMap),
    (5, "immutable", Is::Flag),
];
const CONFIG_MAP: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (2, "data", Is::TextMap),
    (3, "binaryData", Is::BytesMap),
    (4, "immutable", Is::Flag),
];
const SERVICE_ACCOUNT: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (3, "imagePullSecrets", Is::Many(&[(1, "name", Is::Text)])),
    (4, "automountServiceAccountToken", Is::Flag),
];
const ROLE: Table = &[(1, "metadata", Is::One(METADATA)), (2, "rules", Is::Many(RULE))];
const RULE: Table = &[
    (1, "verbs", Is::Texts),
    (2, "apiGroups", Is::Texts),
    (3, "resources", Is::Texts),
    (4, "resourceNames", Is::Texts),
    (5, "nonResourceURLs", Is::Texts),
];
const ROLE_BINDING: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (2, "subjects", Is::Many(SUBJECT)),
    (3, "roleRef", Is::One(ROLE_REF)),
];
const SUBJECT: Table = &[
    (1, "kind", Is::Text),
    (2, "apiGroup", Is::Text),
    (3, "name", Is::Text),
    (4, "namespace", Is::Text),
];
const ROLE_REF: Table = &[
    (1, "apiGroup", Is::Text),
    (2, "kind", Is::Text),
    (3, "name", Is::Text),
];
const METADATA_ONLY: Table = &[(1, "metadata", Is::One(METADATA))];
const TOKEN_REQUEST: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (
        2,
        "spec",
        Is::One(&[
            (1, "audiences", Is::Texts),
            (3, "boundObjectRef", Is::One(BOUND)),
            (4, "expirationSeconds", Is::Number),
        ]),
    ),
];
const BOUND: Table = &[
    (1, "kind", Is::Text),
    (2, "apiVersion", Is::Text),
    (3, "name", Is::Text),
    (4, "uid", Is::Text),
];
const TOKEN_REVIEW: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (
        2,
        "spec",
        Is::One(&[(1, "token", Is::Text), (2, "audiences", Is::Texts)]),
    ),
];
const RESOURCE_ATTRIBUTES: Table = &[
    (1, "namespace", Is::Text),
    (2, "verb", Is::Text),
    (3, "group", Is::Text),
    (4, "version", Is::Text),
    (5, "resource", Is::Text),
    (6, "subresource", Is::Text),
    (7, "name", Is::Text),
];
const PATH_ATTRIBUTES: Table = &[(1, "path", Is::Text), (2, "verb", Is::Text)];
const OWN_ACCESS: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (
        2,
        "spec",
        Is::One(&[
            (1, "resourceAttributes", Is::One(RESOURCE_ATTRIBUTES)),
            (2, "nonResourceAttributes", Is::One(PATH_ATTRIBUTES)),
        ]),
    ),
];
const OWN_RULES: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (2, "spec", Is::One(&[(1, "namespace", Is::Text)])),
];
const ACCESS: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (
        2,
        "spec",
        Is::One(&[
            (1, "resourceAttributes", Is::One(RESOURCE_ATTRIBUTES)),
            (2, "nonResourceAttributes", Is::One(PATH_ATTRIBUTES)),
            (3, "user", Is::Text),
            (4, "groups", Is::Texts),
            (6, "uid", Is::Text),
        ]),
    ),
];
const LEASE: Table = &[
    (1, "metadata", Is::One(METADATA)),
    (
        2,
        "spec",
        Is::One(&[
            (1, "holderIdentity", Is::Text),
            (2, "leaseDurationSeconds", Is::Number),
            (3, "acquireTime", Is::Time),
            (4, "renewTime", Is::Time),
            (5, "leaseTransitions", Is::Number),
        ]),
    ),
];
const DELETE_OPTIONS: Table = &[
    (1, "gracePeriodSeconds", Is::Number),
    (
        2,
        "preconditions",
        Is::One(&[(1, "uid", Is::Text), (2, "resourceVersion", Is::Text)]),
    ),
    (3, "orphanDependents", Is::Flag),
    (4, "propagationPolicy", Is::Text),
    (5, "dryRun", Is::Texts),
];

/// A message by its table. Tables nest four deep at most, and so do messages.
fn message(table: Table, bytes: &[u8]) -> Result<Map<String, Value>, Unreadable> {
    let mut fields = Map::new();
    for field in Fields(bytes) {
        let (number, wire) = field?;
        let Some((_, name, is)) = table.iter().find(|(known, _, _)| *known == number) else {
            continue;
        };
        let wrong = Unreadable::WrongType(number);
        match (is, wire) {
            (Is::Number, Wire::Number(number)) => put(&mut fields, name, json!(number.cast_signed())),
            (Is::Flag, Wire::Number(number)) => put(&mut fields, name, json!(number != 0)),
            (Is::Text, Wire::Bytes(bytes)) => {
                let text = text(bytes)?;
                if !text.is_empty() {
                    put(&mut fields, name, json!(text));
                }
            }
            (Is::Texts, Wire::Bytes(bytes)) => push(&mut fields, name, json!(text(bytes)?)),
            (Is::Time, Wire::Bytes(bytes)) => {
                if let Some(time) = time(bytes)? {
                    put(&mut fields, name, json!(time));
                }
            }
            (Is::Json, Wire::Bytes(bytes)) => {
                let raw = Fields(bytes).next().transpose()?;
                if let Some((1, Wire::Bytes(raw))) = raw {
                    let value: Value = serde_json::from_slice(raw).map_err(|_| wrong)?;
                    put(&mut fields, name, value);
                }
            }
            (Is::One(table), Wire::Bytes(bytes)) => {
                put(&mut fields, name, Value::Object(message(table, bytes)?));
            }
            (Is::Many(table), Wire::Bytes(bytes)) => {
                push(&mut fields, name, Value::Object(message(table, bytes)?));
            }
            (Is::TextMap, Wire::Bytes(bytes)) => {
                entry(&mut fields, name, bytes, |bytes| Ok(json!(text(bytes)?)))?;
            }
            (Is::BytesMap, Wire::Bytes(bytes)) => {
                entry(&mut fields, name, bytes, |bytes| {
                    Ok(json!(STANDARD.encode(bytes)))
                })?;
            }
            (_, _) => return Err(wrong),
        }
    }
    Ok(fields)
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    fields.insert(name.to_owned(), value);
}

fn push(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let list = fields.entry(name).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

fn entry(
    fields: &mut Map<String, Value>,
    name: &str,
    bytes: &[u8],
    value_of: impl Fn(&[u8]) -> Result<Value, Unreadable>,
) -> Result<(), Unreadable> {
    let (mut key, mut value) = (String::new(), value_of(&[])?);
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(bytes)) => value = value_of(bytes)?,
            _ => {}
        }
    }
    let map = fields.entry(name).or_insert_with(|| json!({}));
    if let Some(map) = map.as_object_mut() {
        map.insert(key, value);
    }
    Ok(())
}

/// None: the time that Go calls zero.
fn time(bytes: &[u8]) -> Result<Option<String>, Unreadable> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => nanos = i32::try_from(number).unwrap_or(0),
            _ => {}
        }
    }
    if seconds == 0 {
        return Ok(None);
    }
    let time = Timestamp::new(seconds, nanos).map_err(|_| Unreadable::WrongType(1))?;
    Ok(Some(if nanos == 0 {
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }))
}

fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Unreadable::NoText)
}

/// One value as it lies on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a kind that no field here has.
    Other,
}

/// The fields of a message, by number.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Wire<'a>), Unreadable> {
        let tag = self.number()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.number()?),
            1 => self.take(8).map(|_| Wire::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| Unreadable::Cut)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Other)?,
            _ => return Err(Unreadable::WrongType(tag >> 3)),
        };
        Ok((tag >> 3, wire))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Unreadable::Cut)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable::Cut)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, u8::try_from(value.len()).unwrap()];
        field.extend_from_slice(value);
        field
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let what = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [
            MAGIC.to_vec(),
            bytes(1, &what),
            bytes(2, raw),
            bytes(3, b""),
            bytes(4, b""),
        ]
        .concat()
    }

    #[test]
    fn a_secret_is_read_as_its_json() {
        let entry = [bytes(1, b"token"), bytes(2, b"sesame")].concat();
        let metadata = [
            bytes(1, b"harbour-token"),
            bytes(2, b""),
            bytes(8, b""),
            bytes(11, &[bytes(1, b"app"), bytes(2, b"x")].concat()),
            bytes(14, b"q.dev/a"),
            bytes(14, b"q.dev/b"),
        ]
        .concat();
        let raw = [
            bytes(1, &metadata),
            bytes(2, &entry),
            bytes(3, b"Opaque"),
            vec![5 << 3, 1],
        ]
        .concat();
        assert_eq!(
            read(&body("Secret", &raw)).unwrap(),
            json!({
                "kind": "Secret", "apiVersion": "v1", "type": "Opaque", "immutable": true,
                "metadata": { "name": "harbour-token", "labels": { "app": "x" }, "finalizers": ["q.dev/a", "q.dev/b"] },
                "data": { "token": "c2VzYW1l" },
            })
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(read(b"{}"), Err(Unreadable::NoMagic));
        assert_eq!(read(b"k8s\0\x12\x7f"), Err(Unreadable::Cut));
        assert_eq!(
            read(&body("Pod", b"")),
            Err(Unreadable::UnknownKind("Pod".to_owned()))
        );
        assert_eq!(
            read(&body("Secret", &bytes(1, &[1 << 3, 5]))),
            Err(Unreadable::WrongType(1))
        );
        assert_eq!(read(&body("Secret", &bytes(3, b"\xff"))), Err(Unreadable::NoText));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(raw in proptest::collection::vec(any::<u8>(), 0..120), kind in "Secret|Namespace|Role|Lease") {
            read(&raw).ok();
            read(&body(&kind, &raw)).ok();
        }
    }
}
