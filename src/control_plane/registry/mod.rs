//! PURE. What create, update and delete make of an object: the stored one and what was sent go in, what is to be stored or
//! a refusal comes out. A patch is an update whose object was worked out by `patch`.

mod delete;
mod event;
mod metadata;
mod natural;
mod roles;
mod typed;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::{Call, FieldValidation};
use super::kind::{Kind, Nature, Subresource};
use super::object::Object;
use super::patch;
use super::schema::body;
use super::status::Status;
pub use delete::{DeleteOptions, Deletion, delete};
pub(super) use metadata::{wrong_with_key, wrong_with_label};
pub use typed::blank;

/// An object as it came, and what of its text was ambiguous.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub object: Object,
    /// `duplicate field "spec.foo"`: the last one counts.
    pub twice: Vec<String>,
}

impl Body {
    pub fn of(object: Object) -> Self {
        Self {
            object,
            twice: Vec::new(),
        }
    }
}

/// What a decision depends on beside the objects.
#[derive(Debug, Clone)]
pub struct Moment {
    pub now: Timestamp,
    /// For an object that is made.
    pub uid: String,
    /// Five letters and digits: what `generateName` gets.
    pub suffix: String,
}

/// An object as it shall be stored, and what the sender is warned of.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub object: Object,
    pub warnings: Vec<String>,
}

/// What an update comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Updated {
    /// As it was: nothing is written.
    Same,
    Put(Object),
    /// Its last finalizer is gone, and so is it.
    Gone(Object),
}

/// Makes a new object of what was sent.
pub fn create(call: &Call, sent: Body, by: By, manager: &str, moment: &Moment) -> Result<Made, Status> {
    let (sent, mut warnings) = understand(&call.kind, sent, call.options.field_validation)?;
    warnings.extend(natural::warnings(&call.kind, &sent, None));
    match begin(call, sent, by, manager, moment) {
        Ok(object) => Ok(Made { object, warnings }),
        Err(status) => Err(status.warning_of(&warnings)),
    }
}

fn begin(call: &Call, mut sent: Object, by: By, manager: &str, moment: &Moment) -> Result<Object, Status> {
    let kind = &call.kind;
    metadata::place(&mut sent, call.namespace.as_deref())?;
    metadata::begin(&mut sent, kind, moment);
    if kind.has_status() && kind.nature == Nature::Custom {
        sent.fields_mut().remove("status");
    }
    natural::complete(kind, &mut sent);
    kind.schema.default(&mut sent);
    typed::bare(kind, &mut sent);

    let name = sent.name().unwrap_or_default().to_owned();
    let mut causes = metadata::check(kind, &sent);
    causes.extend(natural::check(kind, &sent, None));
    if kind.nature == Nature::Custom {
        causes = kind.schema.validate_after(causes, &sent, None);
    }
    if !causes.is_empty() {
        return Err(Status::invalid(kind, &name, causes));
    }
    // What is no version is none.
    let version = sent
        .resource_version()
        .and_then(|version| version.parse::<u64>().ok());
    if version.is_some_and(|version| version > 0) && !call.options.dry_run {
        return Err(Status::unexplained(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    typed::complete(kind, &mut sent);
    let mut object = match by {
        By::Apply => sent,
        By::Put | By::Patch => {
            let empty = blank(kind);
            patch::track(&kind.subject, Some(&empty), sent, manager, None, moment.now)
        }
    };
    natural::found(kind, &mut object);
    typed::settle(kind, &mut object);
    settle_numbers(&mut object);
    Ok(object)
}

/// Who asks for an update decides what it may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The whole object was sent; it must say which one it replaces.
    Put,
    /// The object was made of the stored one just now.
    Patch,
    /// As before, and the managed fields are its own business.
    Apply,
}

/// Makes the next state of `stored` of what was sent.
pub fn update(
    call: &Call,
    stored: &Object,
    sent: Body,
    by: By,
    manager: &str,
    moment: &Moment,
) -> Result<(Updated, Vec<String>), Status> {
    let kind = &call.kind;
    let is_written_anew = match by {
        By::Apply => {
            let subresource = call.subresource.map(Subresource::name);
            patch::writes_metadata_anew(&kind.subject, stored, &sent.object, subresource)
        }
        By::Put | By::Patch => false,
    };
    let sent = match by {
        By::Put | By::Apply => understand(kind, sent, call.options.field_validation)?,
        By::Patch => understand_patched(kind, stored, sent, call.options.field_validation)?,
    };
    let (sent, mut warnings) = sent;
    warnings.extend(natural::warnings(kind, &sent, Some(stored)));
    match go_on(call, stored, sent, by, manager, moment) {
        Ok(object) => Ok((settled(kind, stored, object, is_written_anew), warnings)),
        Err(status) => Err(status.warning_of(&warnings)),
    }
}

/// Whether a whole object is the one in the path.
pub fn check_name(call: &Call, object: &mut Object) -> Result<(), Status> {
    let name = call.name.as_deref().unwrap_or_default();
    metadata::same_name(object, name, call.namespace.as_deref())
}

/// Whether a whole object is one of the kind and of the path, before anybody looks what is there.
pub fn check_sent(call: &Call, sent: &Body) -> Result<(), Status> {
    let (mut sent, warnings) = understand(&call.kind, sent.clone(), call.options.field_validation)?;
    check_name(call, &mut sent).map_err(|status| status.warning_of(&warnings))
}

fn go_on(
    call: &Call,
    stored: &Object,
    mut sent: Object,
    by: By,
    manager: &str,
    moment: &Moment,
) -> Result<Object, Status> {
    let kind = &call.kind;
    let name = stored.name().unwrap_or_default();
    metadata::same_name(&mut sent, name, call.namespace.as_deref())?;
    metadata::same_object(kind, &sent, stored, by)?;
    let mut sent = only_its_part(call, stored, sent);
    metadata::go_on(&mut sent, stored);
    natural::complete(kind, &mut sent);
    kind.schema.default(&mut sent);
    typed::bare(kind, &mut sent);
    metadata::count_generation(kind, &mut sent, stored);

    let mut causes = natural::check_change(kind, &sent, stored);
    if kind.nature == Nature::Custom {
        causes = match call.subresource {
            Some(Subresource::Status) => kind.schema.validate_status(causes, &sent, stored),
            Some(Subresource::Finalize | Subresource::Token) | None => {
                kind.schema.validate_after(causes, &sent, Some(stored))
            }
        };
    }
    if !causes.is_empty() {
        return Err(Status::invalid(kind, name, causes));
    }
    typed::complete(kind, &mut sent);
    let subresource = call.subresource.map(Subresource::name);
    Ok(match by {
        By::Apply => sent,
        By::Put | By::Patch => patch::track(
            &kind.subject,
            Some(stored),
            sent,
            manager,
            subresource,
            moment.now,
        ),
    })
}

/// What is to be done about the object that came of it.
fn settled(kind: &Kind, stored: &Object, mut object: Object, is_written_anew: bool) -> Updated {
    if !is_written_anew {
        patch::keep_times(stored, &mut object);
    }
    typed::settle(kind, &mut object);
    if object == *stored {
        return Updated::Same;
    }
    // `1.0` where `1` was is a change all the same.
    settle_numbers(&mut object);
    let gone =
        object.is_being_deleted() && object.finalizers().next().is_none() && natural::may_go(kind, &object);
    if gone {
        Updated::Gone(object)
    } else {
        Updated::Put(object)
    }
}

/// What came of a patch: where it is no object of the kind, the patch is to blame.
fn understand_patched(
    kind: &Kind,
    stored: &Object,
    sent: Body,
    validation: FieldValidation,
) -> Result<(Object, Vec<String>), Status> {
    let result = sent.object.clone();
    if kind.nature == Nature::Custom {
        natural::still_itself(kind, stored, &sent.object)?;
    }
    understand(kind, sent, validation).map_err(|status| {
        let why = natural::why_undecodable(kind, &status.message);
        patch::invalid_result(&kind.subject, &result.into_value(), why)
    })
}

/// Checks what an object says it is, and drops fields that its kind does not have.
fn understand(
    kind: &Kind,
    Body {
        object: mut sent,
        twice,
    }: Body,
    validation: FieldValidation,
) -> Result<(Object, Vec<String>), Status> {
    typed::without_nulls(kind, &mut sent);
    natural::readable(kind, &mut sent)?;
    let unknown = kind.schema.prune(&mut sent);
    natural::whole_numbers(kind, &sent)?;
    let wrong: Vec<String> = twice
        .into_iter()
        .chain(unknown.iter().map(body::unknown))
        .collect();
    match validation {
        FieldValidation::Strict if !wrong.is_empty() => {
            Err(natural::undecodable(kind, &body::strict_decoding_error(&wrong)))
        }
        FieldValidation::Warn => Ok((sent, wrong)),
        FieldValidation::Strict | FieldValidation::Ignore => Ok((sent, Vec::new())),
    }
}

fn settle_numbers(object: &mut Object) {
    object.fields_mut().values_mut().for_each(body::settle_numbers);
}

/// A status is written alone, and everything but the status alone.
fn only_its_part(call: &Call, stored: &Object, mut sent: Object) -> Object {
    let status_of = |object: &Object| object.fields().get("status").cloned();
    match call.subresource {
        Some(Subresource::Status) => {
            let mut object = stored.clone();
            set(&mut object, "status", status_of(&sent));
            let managed = sent
                .metadata()
                .and_then(|metadata| metadata.get("managedFields"))
                .cloned();
            let metadata = object.metadata_mut();
            match managed {
                Some(managed) => metadata.insert("managedFields".to_owned(), managed),
                None => metadata.remove("managedFields"),
            };
            object
        }
        Some(Subresource::Finalize) => {
            let mut object = stored.clone();
            let spec = sent.fields().get("spec").cloned();
            set(&mut object, "spec", spec);
            object
        }
        Some(Subresource::Token) | None => {
            if call.kind.has_status() {
                set(&mut sent, "status", status_of(stored));
            }
            if call.kind.nature == Nature::Namespace {
                set(&mut sent, "spec", stored.fields().get("spec").cloned());
            }
            sent
        }
    }
}

fn set(object: &mut Object, field: &str, value: Option<Value>) {
    match value {
        Some(value) => object.fields_mut().insert(field.to_owned(), value),
        None => object.fields_mut().remove(field),
    };
}

/// The answer to a deletion that is done.
pub fn gone(kind: &Kind, object: &Object) -> Value {
    let group = Some(&kind.group).filter(|group| !group.is_empty());
    let mut details = json!({ "name": object.name(), "kind": kind.names.plural, "uid": object.uid() });
    if let (Some(group), Some(details)) = (group, details.as_object_mut()) {
        details.insert("group".to_owned(), json!(group));
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}
