//! Deletion: at once where nothing holds the object, else marked and left to whoever holds it.

use serde_json::{Value, json};

use super::{Moment, metadata, natural};
use crate::control_plane::call::{Call, Propagation, wrong_dry_run};
use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::object::Object;
use crate::control_plane::status::{Cause, Status};

/// What the body of a deletion says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub propagation: Option<Propagation>,
    pub dry_run: bool,
    /// Asked for in old words, not to orphan what it owns: such a deletion is answered as one that is still to come.
    pub accepted: bool,
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
    /// The body is optional; where there is one, the query says nothing.
    pub fn of(body: Option<&Value>, call: &Call) -> Result<Self, Status> {
        let Some(body) = body else {
            let options = &call.options;
            let wrong = options.wrong_dry_run();
            let spread = Spread {
                orphan: options.orphan,
                policy: options.propagation.as_deref(),
            };
            return spread.read(wrong, options.dry_run);
        };
        let kind = body.get("kind").and_then(Value::as_str).unwrap_or_default();
        if !matches!(kind, "" | "DeleteOptions") {
            let version = body.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            return Err(Status::bad_request(format!(
                "no kind \"{kind}\" is registered for version \"{version}\""
            )));
        }
        let text = |pointer: &str| match body.pointer(pointer) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(unreadable(pointer, other)),
        };
        let dry: Vec<String> = match body.get("dryRun") {
            None | Some(Value::Null) => Vec::new(),
            Some(words) => serde_json::from_value(words.clone()).map_err(|_| unreadable("/dryRun", words))?,
        };
        let orphan = match body.get("orphanDependents") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(orphan)) => Some(*orphan),
            Some(other) => return Err(unreadable("/orphanDependents", other)),
        };
        let policy = text("/propagationPolicy")?;
        let spread = Spread {
            orphan,
            policy: policy.as_deref(),
        };
        Ok(Self {
            uid: text("/preconditions/uid")?,
            resource_version: text("/preconditions/resourceVersion")?,
            ..spread.read(wrong_dry_run(&dry), !dry.is_empty())?
        })
    }
}

fn unreadable(pointer: &str, value: &Value) -> Status {
    let field = pointer.trim_start_matches('/').replace('/', ".");
    Status::bad_request(format!(
        "json: cannot unmarshal {value} into Go struct field DeleteOptions.{field}"
    ))
}

/// What shall become of what the object owns, in old words and in new ones.
struct Spread<'a> {
    orphan: Option<bool>,
    policy: Option<&'a str>,
}

impl Spread<'_> {
    fn read(self, wrong: Option<Cause>, dry_run: bool) -> Result<DeleteOptions, Status> {
        let Self { orphan, policy } = self;
        const FIELD: &str = "propagationPolicy";
        let mut causes = Vec::new();
        if let (Some(word), Some(_)) = (policy, orphan) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            causes.push(Cause::invalid(FIELD, &json!(word), why));
        }
        let propagation = match (policy, orphan) {
            (Some(word), _) => {
                let known = Propagation::parse(word);
                if known.is_none() {
                    const KNOWN: [&str; 4] = ["Foreground", "Background", "Orphan", "nil"];
                    causes.push(Cause::unsupported(FIELD, &format!("{word:?}"), &KNOWN));
                }
                known
            }
            (None, Some(true)) => Some(Propagation::Orphan),
            (None, Some(false)) => Some(Propagation::Background),
            (None, None) => None,
        };
        causes.extend(wrong);
        if !causes.is_empty() {
            return Err(Status::invalid_options("DeleteOptions", causes));
        }
        Ok(DeleteOptions {
            propagation,
            dry_run,
            accepted: orphan == Some(false),
            ..DeleteOptions::default()
        })
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
    // Events own nothing.
    let propagation = match kind.nature {
        Nature::Event | Nature::NewEvent => None,
        Nature::Custom
        | Nature::Namespace
        | Nature::Secret
        | Nature::ConfigMap
        | Nature::ServiceAccount
        | Nature::Lease
        | Nature::Role
        | Nature::RoleBinding
        | Nature::Definition
        | Nature::Review(_) => options.propagation,
    };
    let holds = hold(&mut object, propagation);
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
