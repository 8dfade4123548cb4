//! Deletion: at once where nothing holds the object, else marked and left to whoever holds it.

use serde_json::{Value, json};

use super::{Moment, metadata, natural};
use crate::control_plane::call::{Call, Propagation};
use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::object::Object;
use crate::control_plane::status::Status;

/// What the body of a deletion says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub propagation: Option<Propagation>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// Nothing holds it. This is its last state.
    Gone(Object),
    /// It waits for its finalizers.
    Marked(Object),
    /// It has been marked before.
    Waits,
}

impl DeleteOptions {
    /// The body is optional, and counts more than the query.
    pub fn of(body: Option<&Value>, call: &Call) -> Result<Self, Status> {
        let mut options = Self {
            propagation: call.options.propagation,
            dry_run: call.options.dry_run,
            ..Self::default()
        };
        let Some(body) = body else { return Ok(options) };
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        options.uid = text("/preconditions/uid");
        options.resource_version = text("/preconditions/resourceVersion");
        let orphan = body.get("orphanDependents").and_then(Value::as_bool);
        if let Some(word) = text("/propagationPolicy") {
            if orphan.is_some() {
                return Err(Status::invalid_delete_options(&format!(
                    "Invalid value: \"{word}\": orphanDependents and deletionPropagation cannot be both set"
                )));
            }
            options.propagation = Some(Propagation::parse(&word)?);
        } else if let Some(orphan) = orphan {
            options.propagation = Some(if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            });
        }
        let dry = body
            .get("dryRun")
            .and_then(Value::as_array)
            .is_some_and(|words| !words.is_empty());
        options.dry_run |= dry;
        Ok(options)
    }
}

/// What deleting `stored` comes to.
pub fn delete(
    kind: &Kind,
    stored: &Object,
    options: &DeleteOptions,
    moment: &Moment,
) -> Result<Deletion, Status> {
    let name = stored.name().unwrap_or_default();
    if let Some(uid) = &options.uid
        && stored.uid() != Some(uid)
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted \
             and then recreated",
            stored.uid().unwrap_or_default()
        );
        return Err(Status::conflict_of_kind(kind, name, &why));
    }
    if let Some(version) = &options.resource_version
        && stored.resource_version() != Some(version)
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The \
             object might have been modified",
            stored.resource_version().unwrap_or_default()
        );
        return Err(Status::conflict_of_kind(kind, name, &why));
    }
    if kind.nature == Nature::Namespace {
        return namespace(kind, stored, moment);
    }
    let mut object = stored.clone();
    let holds = hold(&mut object, options.propagation);
    if !holds {
        return Ok(Deletion::Gone(object));
    }
    if stored.is_being_deleted() {
        return Ok(if object == *stored {
            Deletion::Waits
        } else {
            Deletion::Marked(object)
        });
    }
    mark(kind, &mut object, moment);
    Ok(Deletion::Marked(object))
}

/// Sets or takes off the collector's finalizers, and says whether anything holds the object now.
fn hold(object: &mut Object, propagation: Option<Propagation>) -> bool {
    let mut finalizers: Vec<String> = object.finalizers().map(str::to_owned).collect();
    let before = finalizers.clone();
    let wanted = match propagation {
        Some(Propagation::Foreground) => Some("foregroundDeletion"),
        Some(Propagation::Orphan) => Some("orphan"),
        Some(Propagation::Background) => None,
        // Nobody says: what an earlier deletion said stays.
        None => return !finalizers.is_empty(),
    };
    finalizers.retain(|finalizer| !matches!(finalizer.as_str(), "foregroundDeletion" | "orphan"));
    finalizers.extend(wanted.map(str::to_owned));
    if finalizers != before {
        if finalizers.is_empty() {
            object.metadata_mut().remove("finalizers");
        } else {
            object
                .metadata_mut()
                .insert("finalizers".to_owned(), json!(finalizers));
        }
    }
    !finalizers.is_empty()
}

fn mark(kind: &Kind, object: &mut Object, moment: &Moment) {
    let generation = object.generation();
    let metadata = object.metadata_mut();
    metadata.insert(
        "deletionTimestamp".to_owned(),
        json!(metadata::seconds(moment.now)),
    );
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
    if let Some(generation) = generation.filter(|_| kind.nature == Nature::Custom) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
}

/// A namespace ends when what is in it has ended: the collector empties it.
fn namespace(kind: &Kind, stored: &Object, moment: &Moment) -> Result<Deletion, Status> {
    let name = stored.name().unwrap_or_default();
    if natural::PERMANENT_NAMESPACES.contains(&name) {
        return Err(Status::forbidden(kind, name, "this namespace may not be deleted"));
    }
    if stored.is_being_deleted() {
        return Ok(
            if natural::may_go(kind, stored) && stored.finalizers().next().is_none() {
                Deletion::Gone(stored.clone())
            } else {
                Deletion::Waits
            },
        );
    }
    let mut object = stored.clone();
    object.metadata_mut().insert(
        "deletionTimestamp".to_owned(),
        json!(metadata::seconds(moment.now)),
    );
    object
        .fields_mut()
        .insert("status".to_owned(), json!({ "phase": "Terminating" }));
    Ok(Deletion::Marked(object))
}
