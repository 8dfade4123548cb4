//! The way of a request through the store: read what is there, let the registry decide, write it if nobody else did
//! meanwhile. Knows no HTTP.

use std::num::NonZeroUsize;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ControlPlane;
use super::call::{Call, FieldValidation, Options, VersionMatch};
use super::event_forms;
use super::kind::{Kind, Nature, Subresource, Verb};
use super::object::Object;
use super::patch::{self, Patch};
use super::registry::{self, Body, By, DeleteOptions, Deletion, Moment, Updated};
use super::selector::Selector;
use super::status::{Cause, Status};
use super::store::{
    Change, Expected, Key, LARGEST, NotWritten, OutOfReach, Paging, Prefix, Premise, ResourceName, Revision,
    Stored,
};

/// An object, and what the sender is warned of.
pub struct Answer {
    pub shown: Shown,
    pub created: bool,
    pub warnings: Vec<String>,
}

/// An object that is answered.
pub enum Shown {
    /// As it is stored: its bytes are what is served, and nothing is parsed for it.
    Stored(Stored),
    /// In the words of the kind that was asked for.
    Object(Object),
}

/// What a change is made with.
pub enum Sent {
    Whole(Body),
    Patch {
        patch: Patch,
        /// What the patch says twice: `duplicate field "spec.foo"`.
        twice: Vec<String>,
    },
}

pub struct Listed {
    pub items: Vec<Stored>,
    pub revision: Revision,
    /// Asks for the next page.
    pub go_on: Option<String>,
    /// How many come after this page; not known where a selector has its say.
    pub remaining: Option<usize>,
}

pub enum Deleted {
    /// It is gone, and this is its last state.
    Gone(Object),
    /// It waits for its finalizers.
    Waits(Object),
}

/// As many others may win in a row before we give up; each of them has made progress.
const TRIES: usize = 100;

impl ControlPlane {
    pub fn get(&self, call: &Call) -> Result<Stored, Status> {
        if let Some(version) = &call.options.resource_version
            && version.parse::<u64>().is_err()
        {
            return Err(Status::unexplained(format!(
                "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
            )));
        }
        self.stored(call)?.ok_or_else(|| not_found(call))
    }

    pub fn list(&self, call: &Call) -> Result<Listed, Status> {
        let kind = &call.kind;
        let options = &call.options;
        let selector = selector_of(call)?;
        let prefix = self.prefix(call)?;
        let (mut after, at) = beginning(call, &prefix)?;
        // Who takes any version from some on is answered in one piece.
        let whole = options.resource_version.is_some() && at.is_none() && options.go_on.is_none();
        let limit = options.limit.filter(|_| !whole);
        let mut items = Vec::new();
        let (mut revision, mut remaining, mut last);
        let mut at = at;
        // With a selector a page may need many looks.
        loop {
            let wanted = limit.map(|limit| limit.saturating_sub(items.len()).max(1));
            let paging = Paging {
                after: after.clone(),
                limit: wanted.and_then(NonZeroUsize::new),
                at,
            };
            let page = self
                .store()
                .list(&prefix, &paging)
                .map_err(|error| out_of_reach(error, options.go_on.as_deref().unwrap_or_default()))?;
            revision = page.revision;
            remaining = page.remaining;
            last = page.items.last().map(|(key, _)| key.clone());
            for (_, stored) in page.items {
                if selector.is_empty() || selector.selects(&event_forms::shown(kind, read(&stored)?)) {
                    items.push(stored);
                }
            }
            let full = limit.is_none_or(|limit| items.len() >= limit);
            if remaining == 0 || full {
                break;
            }
            after = last.clone();
            at = Some(revision);
        }
        let go_on = last
            .filter(|_| remaining > 0)
            .map(|last| Continue::after(&last, revision));
        let remaining = (remaining > 0 && selector.is_empty()).then_some(remaining);
        Ok(Listed {
            items,
            revision,
            go_on,
            remaining,
        })
    }

    pub async fn create(&self, call: &Call, sent: Body, manager: &str) -> Result<Answer, Status> {
        self.make(call, sent, By::Put, manager).await
    }

    /// Asked for by whatever verb: who makes must be allowed to create. A `create` is judged at the door, by the name in its
    /// path; everything else is judged here, when it is known that it makes something, as the API server does.
    async fn make(&self, call: &Call, sent: Body, by: By, manager: &str) -> Result<Answer, Status> {
        let kind = &call.kind;
        let name = sent.object.name().filter(|name| !name.is_empty());
        let name = name.or_else(|| sent.object.metadata()?.get("generateName")?.as_str());
        let namespace = self.namespace(call, name.unwrap_or_default())?;
        let made = registry::create(call, sent, by, manager, &self.moment())?;
        let registry::Made { object, warnings } = made;
        self.admit(call, &object, None)?;
        if call.verb != Verb::Create {
            self.check(&call.user, &call.creation())?;
        }
        let object = event_forms::stored(kind, object);
        let name = object.name().unwrap_or_default().to_owned();
        let key = self.key(kind, call.namespace.as_deref(), &name)?;
        let shown = if call.options.dry_run {
            if let Some(found) = self.store().get(&key) {
                return Err(taken(kind, &name, &found));
            }
            Shown::Object(event_forms::shown(kind, object))
        } else {
            match self
                .store()
                .write_upon(namespace, key, Expected::Absent, Change::Put(object))
                .await
            {
                Ok(stored) => Shown::Stored(stored),
                Err(NotWritten::Unfounded { present }) => {
                    return Err(self.no_namespace(call, &name, present.as_ref()));
                }
                Err(NotWritten::Changed { .. }) => {
                    let key = self.key(kind, call.namespace.as_deref(), &name)?;
                    return Err(match self.store().get(&key) {
                        Some(found) => taken(kind, &name, &found),
                        None => Status::already_exists(kind, &name),
                    });
                }
                Err(error) => return Err(not_written(&error)),
            }
        };
        Ok(Answer {
            shown,
            created: true,
            warnings,
        })
    }

    /// A whole object or a patch. Some may make a new object of it where there is none.
    pub async fn change(&self, call: &Call, sent: &Sent, manager: &str) -> Result<Answer, Status> {
        if let Sent::Whole(body) = sent {
            registry::check_sent(call, body)?;
        }
        for _ in 0..TRIES {
            let found = self.stored(call)?;
            let Some(found) = found else {
                return match self.first(call, sent, manager).await {
                    // Somebody was faster: then it is a change after all.
                    Err(status) if status.code == 409 && matches!(sent, Sent::Patch { .. }) => continue,
                    made => made,
                };
            };
            let stored = event_forms::shown(&call.kind, read(&found)?);
            let (by, next) = match sent {
                Sent::Whole(body) => (By::Put, body.clone()),
                Sent::Patch {
                    patch: Patch::Change(change),
                    twice,
                } => {
                    let object = change.onto(&call.kind.subject, &stored)?;
                    let twice = twice.clone();
                    (By::Patch, Body { object, twice })
                }
                Sent::Patch {
                    patch: Patch::Apply(config),
                    twice,
                } => {
                    let subresource = call.subresource.map(Subresource::name);
                    let subject = &call.kind.subject;
                    let applied = patch::apply(subject, Some(&stored), config, subresource, self.now())?;
                    check_said_once(call, twice)?;
                    (By::Apply, Body::of(applied))
                }
            };
            let (updated, warnings) = registry::update(call, &stored, next, by, manager, &self.moment())?;
            let answer = |shown| Answer {
                shown,
                created: false,
                warnings,
            };
            let (gone, shown) = match updated {
                Updated::Same => return Ok(answer(Shown::Stored(found))),
                Updated::Put(object) => (false, object),
                Updated::Gone(object) => (true, object),
            };
            self.admit(call, &shown, Some(&stored))?;
            if call.options.dry_run {
                return Ok(answer(Shown::Object(shown)));
            }
            let key = self.key_of(call)?;
            // The answer to the last change of an object that goes is what it was before.
            let last = gone.then(|| shown.clone());
            let object = event_forms::stored(&call.kind, shown);
            let change = if gone {
                Change::Delete(object)
            } else {
                Change::Put(object)
            };
            match self
                .store()
                .write(key, Expected::At(found.revision), change)
                .await
            {
                Ok(written) => {
                    return Ok(answer(last.map_or(Shown::Stored(written), Shown::Object)));
                }
                Err(NotWritten::Changed { .. }) => {}
                Err(error) => return Err(not_written(&error)),
            }
        }
        Err(Status::modified(
            &call.kind,
            call.name.as_deref().unwrap_or_default(),
        ))
    }

    /// What is not there yet is made by an apply, and of some kinds by a whole object.
    async fn first(&self, call: &Call, sent: &Sent, manager: &str) -> Result<Answer, Status> {
        let body = match sent {
            Sent::Patch {
                patch: Patch::Apply(config),
                twice,
            } if call.subresource.is_none() => {
                let subject = &call.kind.subject;
                let mut made = patch::apply(subject, None, config, None, self.now())?;
                check_said_once(call, twice)?;
                let name = call.name.as_deref().unwrap_or_default();
                patch::check_created(subject, name, &made)?;
                registry::check_name(call, &mut made)?;
                return self.make(call, Body::of(made), By::Apply, manager).await;
            }
            Sent::Whole(body) if call.subresource.is_none() && may_begin_by_put(&call.kind) => {
                let mut body = body.clone();
                // A dry run answers what was sent.
                if !call.options.dry_run {
                    body.object.metadata_mut().remove("resourceVersion");
                }
                body
            }
            Sent::Whole(_) | Sent::Patch { .. } => return Err(not_found(call)),
        };
        self.create(call, body, manager).await
    }

    pub async fn delete(&self, call: &Call, options: &DeleteOptions) -> Result<Deleted, Status> {
        for _ in 0..TRIES {
            let found = self.stored(call)?.ok_or_else(|| not_found(call))?;
            if let Some(done) = self
                .delete_one(call, &found, &self.key_of(call)?, options)
                .await?
            {
                return Ok(done);
            }
        }
        Err(Status::modified(
            &call.kind,
            call.name.as_deref().unwrap_or_default(),
        ))
    }

    /// Everything that is selected. The answer is what was selected, as it was.
    pub async fn delete_all(&self, call: &Call, options: &DeleteOptions) -> Result<Listed, Status> {
        let listed = self.list(call)?;
        for stored in &listed.items {
            let object = read(stored)?;
            let key = self.key(&call.kind, object.namespace(), object.name().unwrap_or_default())?;
            for _ in 0..TRIES {
                let Some(found) = self.store().get(&key) else {
                    break;
                };
                if self.delete_one(call, &found, &key, options).await?.is_some() {
                    break;
                }
            }
        }
        Ok(listed)
    }

    /// None: somebody else wrote it meanwhile.
    async fn delete_one(
        &self,
        call: &Call,
        found: &Stored,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Option<Deleted>, Status> {
        let stored = read(found)?;
        let kind = &call.kind;
        let deletion = registry::delete(kind, &stored, options, &self.moment())?;
        let shown = |object| event_forms::shown(kind, object);
        let (change, gone) = match deletion {
            Deletion::Waits => return Ok(Some(Deleted::Waits(shown(stored)))),
            Deletion::Gone(object) if options.dry_run => return Ok(Some(Deleted::Gone(shown(object)))),
            Deletion::Marked(object) if options.dry_run => return Ok(Some(Deleted::Waits(shown(object)))),
            Deletion::Gone(object) => (Change::Delete(object.clone()), Some(object)),
            Deletion::Marked(object) => (Change::Put(object), None),
        };
        match self
            .store()
            .write(key.clone(), Expected::At(found.revision), change)
            .await
        {
            Ok(written) => Ok(Some(match gone {
                Some(mut object) => {
                    let version = written.revision.to_string();
                    object
                        .metadata_mut()
                        .insert("resourceVersion".to_owned(), Value::from(version));
                    Deleted::Gone(shown(object))
                }
                None => Deleted::Waits(shown(read(&written)?)),
            })),
            Err(NotWritten::Changed { .. }) => Ok(None),
            Err(error) => Err(not_written(&error)),
        }
    }

    /// New objects need a namespace that is not about to end. The store looks again when it writes one: an object that came
    /// in between would stay for ever.
    fn namespace(&self, call: &Call, name: &str) -> Result<Option<Premise>, Status> {
        let Some(namespace) = call.namespace.as_deref() else {
            return Ok(None);
        };
        let Some(kind) = self.kinds().find("", "v1", "namespaces") else {
            return Ok(None);
        };
        let key = self.key(kind, None, namespace)?;
        match self.store().get(&key) {
            Some(found) if goes_on(&found) => Ok(Some(Premise {
                key,
                seen: found.revision,
                holds: goes_on,
            })),
            found => Err(self.no_namespace(call, name, found.as_ref())),
        }
    }

    fn no_namespace(&self, call: &Call, name: &str, found: Option<&Stored>) -> Status {
        let namespace = call.namespace.as_deref().unwrap_or_default();
        match (found, self.kinds().find("", "v1", "namespaces")) {
            (None, Some(kind)) => Status::not_found(kind, namespace),
            (Some(_), _) | (None, None) => Status::terminating(&call.kind, name, namespace),
        }
    }

    fn moment(&self) -> Moment {
        let (uid, suffix) = self.fresh_words();
        Moment {
            now: self.now(),
            uid,
            suffix,
        }
    }

    fn stored(&self, call: &Call) -> Result<Option<Stored>, Status> {
        Ok(self.store().get(&self.key_of(call)?))
    }

    fn key_of(&self, call: &Call) -> Result<Key, Status> {
        self.key(
            &call.kind,
            call.namespace.as_deref(),
            call.name.as_deref().unwrap_or_default(),
        )
    }

    fn key(&self, kind: &Kind, namespace: Option<&str>, name: &str) -> Result<Key, Status> {
        Key::new(&resource_of(kind)?, namespace, name).map_err(|_| Status::not_found(kind, name))
    }

    pub(super) fn prefix(&self, call: &Call) -> Result<Prefix, Status> {
        let resource = resource_of(&call.kind)?;
        Ok(match call.namespace.as_deref() {
            Some(namespace) => Prefix::namespace(&resource, namespace),
            None => Prefix::all(&resource),
        })
    }
}

fn resource_of(kind: &Kind) -> Result<ResourceName, Status> {
    ResourceName::new(&kind.storage()).map_err(Status::internal)
}

fn not_found(call: &Call) -> Status {
    Status::not_found(&call.kind, call.name.as_deref().unwrap_or_default())
}

/// An apply is a document of its own: what it says twice is no part of the object any more.
fn check_said_once(call: &Call, twice: &[String]) -> Result<(), Status> {
    match (call.options.field_validation, twice) {
        (FieldValidation::Strict, [first, ..]) => Err(Status::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: {first}"
        ))),
        (FieldValidation::Strict | FieldValidation::Warn | FieldValidation::Ignore, _) => Ok(()),
    }
}

/// What the store holds, parsed. It wrote it itself.
pub(super) fn read(stored: &Stored) -> Result<Object, Status> {
    stored.object().map_err(Status::internal)
}

/// Whether new objects may come into a namespace.
fn goes_on(namespace: &Stored) -> bool {
    read(namespace).is_ok_and(|namespace| !namespace.is_being_deleted())
}

/// The name is another's, who may be about to go.
fn taken(kind: &Kind, name: &str, found: &Stored) -> Status {
    let mut status = Status::already_exists(kind, name);
    if read(found).is_ok_and(|object| object.is_being_deleted()) {
        status.message = format!("object is being deleted: {}", status.message);
    }
    status
}

/// Why the store did not take an object, where nobody was faster.
fn not_written(error: &NotWritten) -> Status {
    match error {
        NotWritten::Storage(trouble) => Status::unavailable(trouble.to_string()),
        NotWritten::TooLarge { .. } => {
            Status::too_large(format!("Request entity too large: limit is {LARGEST}"))
        }
        NotWritten::Changed { .. } | NotWritten::Unfounded { .. } | NotWritten::Unreadable(_) => {
            Status::bad_request(error.to_string())
        }
    }
}

fn may_begin_by_put(kind: &Kind) -> bool {
    match kind.nature {
        Nature::Event | Nature::NewEvent | Nature::Lease | Nature::Role | Nature::RoleBinding => true,
        Nature::Custom
        | Nature::Namespace
        | Nature::Secret
        | Nature::ConfigMap
        | Nature::ServiceAccount
        | Nature::Definition
        | Nature::Review(_) => false,
    }
}

/// The selectors of a request. A name in the path selects as well.
pub(super) fn selector_of(call: &Call) -> Result<Selector, Status> {
    let known = call.kind.nature.selectable_fields();
    let plain = call.kind.nature.is_selected_plainly();
    Selector::parse(
        &call.options.label_selector,
        &call.options.field_selector,
        known,
        plain,
    )
}

impl Nature {
    /// Whether nobody wrote down fields for it: another sentence says so.
    fn is_selected_plainly(self) -> bool {
        match self {
            Self::ConfigMap | Self::ServiceAccount | Self::Lease | Self::Role | Self::RoleBinding => true,
            Self::Custom
            | Self::Namespace
            | Self::Secret
            | Self::Event
            | Self::NewEvent
            | Self::Definition
            | Self::Review(_) => false,
        }
    }

    fn selectable_fields(self) -> &'static [&'static str] {
        match self {
            Self::Event => &[
                "metadata.name",
                "metadata.namespace",
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type",
            ],
            Self::NewEvent => &[
                "metadata.name",
                "metadata.namespace",
                "regarding.kind",
                "regarding.namespace",
                "regarding.name",
                "regarding.uid",
                "reason",
                "reportingController",
                "type",
            ],
            Self::Namespace => &["metadata.name", "status.phase"],
            Self::Secret => &["metadata.name", "metadata.namespace", "type"],
            Self::Custom
            | Self::ConfigMap
            | Self::ServiceAccount
            | Self::Lease
            | Self::Role
            | Self::RoleBinding
            | Self::Definition
            | Self::Review(_) => &["metadata.name", "metadata.namespace"],
        }
    }
}

/// Where a list begins, and of which revision it is.
fn beginning(call: &Call, prefix: &Prefix) -> Result<(Option<Key>, Option<Revision>), Status> {
    let options = &call.options;
    if options.send_initial_events.is_some() {
        return Err(Status::invalid_list_options(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        ));
    }
    check_match(options)?;
    if let Some(token) = &options.go_on {
        let (key, revision) = Continue::read(token, prefix)?;
        return Ok((Some(key), revision));
    }
    let Some(version) = &options.resource_version else {
        return Ok((None, None));
    };
    let revision = revision_of(version)?;
    match options.resource_version_match {
        Some(VersionMatch::Exact) => Ok((None, Some(revision))),
        // What is present is never older than what was asked for, unless that has not come yet.
        // A page is of the version that is named, as it always was.
        None if options.limit.is_some() && revision.0 > 0 => Ok((None, Some(revision))),
        Some(VersionMatch::NotOlderThan | VersionMatch::Other) | None => Ok((None, None)),
    }
}

fn check_match(options: &Options) -> Result<(), Status> {
    const FIELD: &str = "resourceVersionMatch";
    let Some(word) = &options.resource_version_match_word else {
        return Ok(());
    };
    let mut causes = Vec::new();
    if options.resource_version.is_none() {
        let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        causes.push(Cause::forbidden(FIELD, why));
    }
    if options.go_on.is_some() {
        let why = "resourceVersionMatch is forbidden when continue is provided";
        causes.push(Cause::forbidden(FIELD, why));
    }
    match options.resource_version_match {
        Some(VersionMatch::Other) => {
            const KNOWN: [&str; 3] = ["Exact", "NotOlderThan", ""];
            causes.push(Cause::unsupported(FIELD, &format!("{word:?}"), &KNOWN));
        }
        Some(VersionMatch::Exact) if options.resource_version.as_deref() == Some("0") => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(Cause::forbidden(FIELD, why));
        }
        Some(VersionMatch::Exact | VersionMatch::NotOlderThan) | None => {}
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid_options("ListOptions", causes))
}

pub(super) fn revision_of(version: &str) -> Result<Revision, Status> {
    version.parse().map_err(|_| {
        Status::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: \"{version}\": strconv.ParseUint: parsing \
             \"{version}\": invalid syntax"
        ))
    })
}

/// `page`: the token by which a later page was asked for, if one was.
fn out_of_reach(error: OutOfReach, page: &str) -> Status {
    match error {
        OutOfReach::Ahead { asked, current } => Status::too_large_version(asked.0, current.0),
        OutOfReach::Expired { .. } if !page.is_empty() => {
            let mut status = Status::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list \
                 without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
                 results. Continuing with the provided token results in an inconsistent list - objects that were created, \
                 modified, or deleted between the time the first chunk was returned and now may show up in the list.",
            );
            status.go_on = Continue::regardless(page);
            status
        }
        OutOfReach::Expired { .. } => {
            Status::expired("The resourceVersion for the provided list is too old.")
        }
    }
}

/// What a page says about the next one.
#[derive(Serialize, Deserialize)]
struct Continue {
    v: String,
    /// -1: whatever there is now.
    rv: i64,
    start: String,
}

impl Continue {
    fn after(key: &Key, revision: Revision) -> String {
        let start = match key.namespace() {
            Some(namespace) => format!("{namespace}/{}", key.name()),
            None => key.name().to_owned(),
        };
        let token = Self {
            v: "meta.k8s.io/v1".to_owned(),
            rv: i64::try_from(revision.0).unwrap_or(i64::MAX),
            start,
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_string(&token).unwrap_or_default())
    }

    /// The same page, as it is now.
    fn regardless(token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let token: Self = serde_json::from_slice(&bytes).ok()?;
        let token = Self { rv: -1, ..token };
        Some(URL_SAFE_NO_PAD.encode(serde_json::to_string(&token).ok()?))
    }

    fn read(token: &str, prefix: &Prefix) -> Result<(Key, Option<Revision>), Status> {
        let wrong = |why: &str| {
            Status::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|error| wrong(&error.to_string()))?;
        let Self { v, rv, start } =
            serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
        if v != "meta.k8s.io/v1" {
            return Err(wrong(&format!(
                "server does not recognize this encoded version {v:?}"
            )));
        }
        let (namespace, name) = match start.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, start.as_str()),
        };
        let key = Key::new(prefix.resource(), namespace, name).map_err(|error| wrong(&error.to_string()))?;
        Ok((key, u64::try_from(rv).ok().map(Revision)))
    }
}
