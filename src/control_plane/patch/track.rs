//! Who owns what after a write.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::owners::{self, Manager, Operation, Owned, Owners, Said};
use super::subject::Subject;
use super::typed::{self, Difference, Duplicates, Wrong, value};
use crate::control_plane::Object;

/// Nobody owns these: the API server sets them, or they say which object it is.
static OWNED_BY_NOBODY: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// The name of a client that gives no `fieldManager`: the first word of its user agent.
pub fn manager_of(user_agent: &str) -> String {
    let mut name = String::new();
    let word = user_agent.split('/').next().unwrap_or_default();
    for c in word.chars().filter(|c| value::is_printable(*c)) {
        if name.len() + c.len_utf8() > super::MANAGER_MAX {
            break;
        }
        name.push(c);
    }
    name
}

/// The object as it is to be stored after a create, an update or a patch that is no apply. `new` may hold managed fields:
/// the client's, which count if they can be read. Nothing can fail: where owners cannot be worked out, there are none.
pub fn track(
    subject: &Subject,
    live: Option<&Object>,
    mut new: Object,
    manager: &str,
    subresource: Option<&str>,
    now: Timestamp,
) -> Object {
    let owners = owners_before(live, &new, subresource);
    owners::remove(&mut new);
    let is_create = live.and_then(Object::uid).is_none();
    // Whom nobody tracked so far is tracked from the first apply on.
    let owners = if owners.is_empty() && !is_create {
        owners
    } else {
        let blank;
        let live = match live {
            Some(live) => live,
            None => {
                blank = subject.blank();
                &blank
            }
        };
        updated(subject, live, &new, owners, manager, subresource, now).unwrap_or_default()
    };
    owners.write(&mut new);
    new
}

/// The client's word, or what is stored: a client that knows nothing of managed fields must not delete them.
fn owners_before(live: Option<&Object>, new: &Object, subresource: Option<&str>) -> Owners {
    let stored = || match live.map(owners::said) {
        Some(Said::Owners(owners)) => owners,
        Some(Said::Nothing | Said::Forget | Said::Unreadable(_)) | None => Owners::default(),
    };
    if subresource.is_some() {
        return stored();
    }
    match owners::said(new) {
        Said::Forget => Owners::default(),
        Said::Owners(owners) if !owners.is_empty() => owners,
        Said::Owners(_) | Said::Nothing | Said::Unreadable(_) => stored(),
    }
}

/// `new` without managed fields.
pub(super) fn updated(
    subject: &Subject,
    live: &Object,
    new: &Object,
    owners: Owners,
    manager: &str,
    subresource: Option<&str>,
    now: Timestamp,
) -> Result<Owners, String> {
    let (live, new) = (as_value(live), as_value(new));
    for (which, value) in [("new", &new), ("live", &live)] {
        typed::check(&subject.shape, value, Duplicates::Allowed).map_err(|wrong| {
            format!(
                "failed to convert {which} object to smd typed: {}",
                Wrong::message(&wrong)
            )
        })?;
    }
    let mut owners = reconciled(subject, owners)?;
    let mut difference = typed::compare(&subject.shape, &live, &new);
    difference.drop_trees(subject.reset_by(subresource));
    settle(&mut owners, None, &difference);
    let Difference {
        removed: _,
        modified,
        added,
    } = difference;
    let taken = modified.with(added).without(&OWNED_BY_NOBODY);
    if !taken.is_empty() {
        let me = Manager::new(manager, Operation::Update, &subject.api_version(), subresource);
        let mine = owners.0.entry(me).or_insert_with(|| Owned {
            fields: FieldSet::default(),
            api_version: subject.api_version(),
            time: None,
        });
        mine.fields.add(taken);
        mine.time = Some(now);
    }
    owners.limit();
    Ok(owners)
}

/// Ownership under today's schema. Entries of versions that are not served are dropped where the kind is built in; the
/// API server gives up on a custom kind.
pub(super) fn reconciled(subject: &Subject, owners: Owners) -> Result<Owners, String> {
    let api_version = subject.api_version();
    let mut reconciled = Owners::default();
    for (manager, owned) in owners.0 {
        if owned.api_version.matches('/').count() > 1 {
            return Err(format!("unexpected GroupVersion string: {}", owned.api_version));
        }
        if owned.api_version == api_version {
            let owned = Owned {
                fields: typed::reconcile(&subject.shape, owned.fields),
                ..owned
            };
            reconciled.0.insert(manager, owned);
        } else if subject.is_custom {
            return Err(format!(
                "request to convert CR to an invalid group/version: {}",
                owned.api_version
            ));
        }
    }
    Ok(reconciled)
}

/// What others would lose.
pub(super) fn conflicts(
    owners: &Owners,
    me: &Manager,
    difference: &Difference,
) -> BTreeMap<Manager, FieldSet> {
    let others = owners.0.iter().filter(|(manager, _)| *manager != me);
    others
        .map(|(manager, owned)| {
            let lost = owned
                .fields
                .common(&difference.modified)
                .with(owned.fields.common(&difference.added));
            (manager.clone(), lost)
        })
        .filter(|(_, lost)| !lost.is_empty())
        .collect()
}

/// Others own no more what was changed or removed. `me`: who keeps what he has.
pub(super) fn settle(owners: &mut Owners, me: Option<&Manager>, difference: &Difference) {
    let Difference {
        removed,
        modified,
        added,
    } = difference;
    owners.0.retain(|manager, owned| {
        if Some(manager) != me {
            for lost in [modified, added, removed] {
                owned.fields.remove(lost);
            }
        }
        !owned.fields.is_empty()
    });
}

pub(super) fn strip(set: FieldSet) -> FieldSet {
    set.without(&OWNED_BY_NOBODY)
}

pub(super) fn as_value(object: &Object) -> Value {
    Value::Object(object.fields().clone())
}

/// Whether an apply that changes nothing is written all the same, with a new time, each time it is made: the API server
/// compares the metadata of a custom object as it was applied, and only reading it from the store drops what is empty
/// (`labels: {}`, `finalizers: []`, a label that is null). `applied` is to be what [`super::apply()`] gave.
pub fn writes_metadata_anew(
    subject: &Subject,
    stored: &Object,
    applied: &Object,
    subresource: Option<&str>,
) -> bool {
    let (before, after) = (stored.metadata(), applied.metadata());
    let before = before
        .into_iter()
        .flat_map(|it| fields_but(&SET_BY_THE_SERVER, it));
    let after = after
        .into_iter()
        .flat_map(|it| fields_but(&SET_BY_THE_SERVER, it));
    subject.is_custom && subresource.is_none() && !before.eq(after)
}

/// Of the metadata: whatever a client says of them, an update sets them as they are stored, or as its owners are.
const SET_BY_THE_SERVER: [&str; 7] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
];

/// Gives the stored times back to an object that else would differ by them alone, so that it is not written. To be asked
/// last, when the object is as it would be stored. Where a new time sorts a manager behind another one, more than the
/// times differ, and it is kept.
pub fn keep_times(stored: &Object, new: &mut Object) {
    let (Some(before), Some(after)) = (entries(stored), entries(new)) else {
        return;
    };
    let is_as_before = before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|(before, after)| equal_but_for("time", before, after));
    if before != after && is_as_before && equal_but_for_owners(stored, new) {
        let before = Value::Array(before.clone());
        new.metadata_mut().insert("managedFields".to_owned(), before);
    }
}

fn entries(object: &Object) -> Option<&Vec<Value>> {
    object.metadata()?.get("managedFields")?.as_array()
}

fn equal_but_for_owners(one: &Object, other: &Object) -> bool {
    let (Some(of_one), Some(of_other)) = (one.metadata(), other.metadata()) else {
        return one == other;
    };
    fields_but(&["metadata"], one.fields()).eq(fields_but(&["metadata"], other.fields()))
        && fields_but(&["managedFields"], of_one).eq(fields_but(&["managedFields"], of_other))
}

fn equal_but_for(name: &str, one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => fields_but(&[name], one).eq(fields_but(&[name], other)),
        (one, other) => one == other,
    }
}

fn fields_but<'a>(
    names: &'a [&'a str],
    fields: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    fields
        .iter()
        .filter(move |(field, _)| !names.contains(&field.as_str()))
}
