//! Server-side apply: a manager says all that he wants, and with it what he no longer wants.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::field_set::FieldSet;
use super::owners::{self, Manager, Operation, Owned, Owners, Said};
use super::refusal;
use super::subject::Subject;
use super::track::{as_value, conflicts, reconciled, settle, strip, updated};
use super::typed::{self, Duplicates, Wrong, value};
use crate::control_plane::{Cause, Object, Status};

/// What somebody wants of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub object: Object,
    pub manager: String,
    /// Takes from others what it changes.
    pub force: bool,
}

/// Where kubectl's own apply kept what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Of all annotations together, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager of kubectl's server-side apply, who inherits what its own apply owned.
const KUBECTL: &str = "kubectl";

/// The object with its managed fields, to be read, defaulted and validated as any other before it is stored.
/// `live`: None creates it.
pub fn apply(
    subject: &Subject,
    live: Option<&Object>,
    config: &Config,
    subresource: Option<&str>,
    now: Timestamp,
) -> Result<Object, Status> {
    let live = live.cloned().unwrap_or_else(|| subject.blank());
    let before = match owners::said(&live) {
        Said::Owners(owners) => owners,
        Said::Nothing | Said::Forget => Owners::default(),
        Said::Unreadable(why) => {
            return Err(refusal::internal(format!(
                "failed to decode managed fields: {why}"
            )));
        }
    };
    check_kind(subject, &config.object)?;
    let before = owners_so_far(subject, &live, before, subresource, now)?;
    let wanted = check(subject, config)?;
    let apply = Apply {
        subject,
        live: as_value(&live),
        wanted,
        me: Manager::new(&config.manager, Operation::Apply, "", subresource),
        subresource,
    };
    let Merged {
        object,
        mut owners,
        mut conflicts,
    } = apply.merge(before)?;
    if !config.force && !conflicts.is_empty() {
        if config.manager == KUBECTL {
            conflicts = conflicts_beyond(conflicts, &inherited(subject, &live));
        }
        if !conflicts.is_empty() {
            return Err(conflict(&conflicts));
        }
    }
    let mut object = match object {
        Some(object) => {
            if let Some(mine) = owners.0.get_mut(&apply.me) {
                mine.time = Some(now);
            }
            object
        }
        None => live,
    };
    if config.manager == KUBECTL {
        renew_last_applied(&mut object, &config.object);
    }
    if owners.is_empty() {
        owners::remove(&mut object);
    }
    owners.write(&mut object);
    Ok(object)
}

fn check_kind(subject: &Subject, wanted: &Object) -> Result<(), Status> {
    let word = |name: &str| {
        wanted
            .fields()
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (api_version, kind) = (word("apiVersion"), word("kind"));
    if api_version == subject.api_version() && kind == subject.kind {
        return Ok(());
    }
    Err(refusal::bad_request(format!(
        "invalid object type: {}",
        full_kind(api_version, kind)
    )))
}

/// `/v1, Kind=ConfigMap`
fn full_kind(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

fn check(subject: &Subject, config: &Config) -> Result<Value, Status> {
    let managed = config
        .object
        .metadata()
        .and_then(|metadata| metadata.get("managedFields"));
    if managed.is_some_and(Value::is_array) {
        return Err(refusal::bad_request("metadata.managedFields must be nil"));
    }
    let wanted = as_value(&config.object);
    typed::check(&subject.shape, &wanted, Duplicates::Forbidden).map_err(|wrong| {
        refusal::internal(format!(
            "failed to create typed patch object ({}/{}; {}): {}",
            config.object.namespace().unwrap_or_default(),
            config.object.name().unwrap_or_default(),
            full_kind(&subject.api_version(), &subject.kind),
            Wrong::message(&wrong)
        ))
    })?;
    Ok(wanted)
}

/// An object that nobody applied and nobody tracked: all that is in it belongs to who was there before.
fn owners_so_far(
    subject: &Subject,
    live: &Object,
    owners: Owners,
    subresource: Option<&str>,
    now: Timestamp,
) -> Result<Owners, Status> {
    if !owners.is_empty() {
        return Ok(owners);
    }
    let mut bare = live.clone();
    owners::remove(&mut bare);
    let blank = subject.blank();
    updated(
        subject,
        &blank,
        &bare,
        owners,
        BEFORE_FIRST_APPLY,
        subresource,
        now,
    )
    .map_err(|why| refusal::internal(format!("failed to create manager for existing fields: {why}")))
}

struct Apply<'a> {
    subject: &'a Subject,
    live: Value,
    wanted: Value,
    me: Manager,
    subresource: Option<&'a str>,
}

struct Merged {
    /// None: as it was.
    object: Option<Object>,
    owners: Owners,
    /// What others lost, if nothing stops it.
    conflicts: Vec<(Manager, FieldSet)>,
}

impl Apply<'_> {
    fn merge(&self, before: Owners) -> Result<Merged, Status> {
        let Self {
            subject,
            live,
            wanted,
            me,
            subresource,
        } = self;
        let shape = &subject.shape;
        let mut owners = reconciled(subject, before).map_err(refusal::internal)?;
        let merged = typed::merge(shape, live, wanted);
        let mut mine = typed::fields(shape, wanted);
        mine.remove_trees(subject.reset_by(*subresource));
        let owned = Owned {
            fields: mine,
            api_version: subject.api_version(),
            time: owners.0.get(me).and_then(|owned| owned.time),
        };
        let last = owners.0.insert(me.clone(), owned);
        let new = match last {
            Some(last) if !last.fields.is_empty() => self.prune(&merged, &last.fields, &owners),
            Some(_) | None => merged,
        };
        let mut difference = typed::compare(shape, live, &new);
        difference.drop_trees(subject.reset_by(*subresource));
        let mut conflicts: Vec<_> = conflicts(&owners, me, &difference).into_iter().collect();
        conflicts.sort_by_cached_key(|(manager, _)| manager.identity());
        settle(&mut owners, Some(me), &difference);
        if let Some(mine) = owners.0.remove(me) {
            let fields = strip(mine.fields);
            if !fields.is_empty() {
                owners.0.insert(me.clone(), Owned { fields, ..mine });
            }
        }
        let object = if value::equal(live, &new) {
            None
        } else {
            Object::of(new)
        };
        Ok(Merged {
            object,
            owners,
            conflicts,
        })
    }

    /// Without what this manager applied last time and now no longer does, unless somebody owns it.
    fn prune(&self, merged: &Value, last: &FieldSet, owners: &Owners) -> Value {
        let shape = &self.subject.shape;
        let last = typed::name_parents(shape, last);
        let owned = owners
            .0
            .values()
            .fold(FieldSet::default(), |all, owned| all.with(owned.fields.clone()));
        let owned = typed::name_parents(shape, &owned);
        let named_fields = |value: &Value| typed::name_parents(shape, &typed::fields(shape, value));
        let all = named_fields(merged);

        let pruned = typed::remove(shape, merged, &last);
        // What somebody owns comes back ...
        let kept = named_fields(&pruned).with(owned);
        let pruned = typed::remove(shape, merged, &all.clone().without(&kept));
        // ... and what was lost with a place above it without ever having been this manager's.
        let gone = all.without(&named_fields(&pruned)).common(&last);
        typed::remove(shape, merged, &gone)
    }
}

fn conflict(conflicts: &[(Manager, FieldSet)]) -> Status {
    let each: Vec<(String, Vec<String>)> = conflicts
        .iter()
        .map(|(manager, fields)| (manager.named(), fields.paths()))
        .collect();
    let causes: Vec<Cause> = each
        .iter()
        .flat_map(|(manager, paths)| {
            paths.iter().map(move |path| Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {manager}"),
                field: path.clone(),
            })
        })
        .collect();
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        several => {
            let lines: Vec<String> = each
                .iter()
                .flat_map(|(manager, paths)| {
                    let head = format!("conflicts with {manager}:");
                    std::iter::once(head).chain(paths.iter().map(|path| format!("- {path}")))
                })
                .collect();
            format!(
                "Apply failed with {} conflicts: {}",
                several.len(),
                lines.join("\n")
            )
        }
    };
    refusal::apply_conflict(message, causes)
}

fn conflicts_beyond(conflicts: Vec<(Manager, FieldSet)>, allowed: &FieldSet) -> Vec<(Manager, FieldSet)> {
    conflicts
        .into_iter()
        .map(|(manager, fields)| (manager, fields.without(allowed)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect()
}

/// What kubectl's own apply set and nobody changed since: its server-side apply may take it.
fn inherited(subject: &Subject, live: &Object) -> FieldSet {
    let Some(last) = annotation(live).and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return FieldSet::default();
    };
    let shape = &subject.shape;
    let is_ours = last.get("apiVersion").and_then(Value::as_str) == Some(&subject.api_version())
        && last.get("kind").and_then(Value::as_str) == Some(&subject.kind);
    let live = as_value(live);
    let is_sound = |value: &Value| typed::check(shape, value, Duplicates::Forbidden).is_ok();
    if !is_ours || !is_sound(&last) || !is_sound(&live) {
        return FieldSet::default();
    }
    let difference = typed::compare(shape, &last, &live);
    typed::fields(shape, &last)
        .without(&difference.modified)
        .without(&difference.added)
        .without(&difference.removed)
}

fn annotation(object: &Object) -> Option<&str> {
    let annotations = object.metadata()?.get("annotations")?;
    annotations
        .get(LAST_APPLIED)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// Where kubectl's own apply left its annotation, it is kept true, for those who still use it.
fn renew_last_applied(object: &mut Object, applied: &Object) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(annotations) = annotations_mut(&mut applied) {
        annotations.remove(LAST_APPLIED);
    }
    let text = value::json_text(&Value::Object(applied.fields().clone())) + "\n";
    if let Some(annotations) = annotations_mut(object) {
        annotations.insert(LAST_APPLIED.to_owned(), json!(text));
        let size: usize = annotations
            .iter()
            .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
            .sum();
        if size > ANNOTATIONS_MAX {
            annotations.remove(LAST_APPLIED);
        }
    }
}

fn annotations_mut(object: &mut Object) -> Option<&mut serde_json::Map<String, Value>> {
    let metadata = object.fields_mut().get_mut("metadata")?;
    metadata.get_mut("annotations")?.as_object_mut()
}
