//! A watch as a stream of lines, one event each.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use futures::stream;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::accept::Form;
use super::room::Place;
use super::show;
use crate::control_plane::ControlPlane;
use crate::control_plane::call::{Call, VersionMatch};
use crate::control_plane::event_forms;
use crate::control_plane::kind::Nature;
use crate::control_plane::object::Object;
use crate::control_plane::objects::{read, revision_of, selector_of};
use crate::control_plane::registry;
use crate::control_plane::selector::Selector;
use crate::control_plane::status::{Cause, Status};
use crate::control_plane::store::{Beginning, Event, EventKind, Notice, OutOfReach, Revision, Stored, Watch};

/// What the API server does for a client that wants to know how far it has seen.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch lives that does not say: so long, up to twice.
const LIFE: Duration = Duration::from_secs(1800);
/// More may be asked for than a clock can count.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

pub(super) fn answer(
    control_plane: &ControlPlane,
    call: &Call,
    form: Form,
    place: Place,
) -> Result<Response<Body>, Status> {
    let options = &call.options;
    let selector = selector_of(call)?;
    let initial = initial_events(call)?;
    let prefix = control_plane.prefix(call)?;
    let beginning = match options.resource_version.as_deref() {
        Some(_) if initial == Some(true) => Beginning::WithPresent,
        None | Some("0") if initial == Some(false) => Beginning::After(control_plane.store().revision()),
        None | Some("0") => Beginning::WithPresent,
        Some(version) => Beginning::After(revision_of(version).map_err(|_| {
            Status::unexplained(format!(
                "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
            ))
        })?),
    };
    let life = options
        .timeout
        .unwrap_or_else(|| LIFE + rand::rng().random_range(Duration::ZERO..LIFE))
        .min(LONGEST_LIFE);
    let telling = Telling {
        control_plane: control_plane.clone(),
        call: call.clone(),
        form,
        selector,
        marks_the_end: initial == Some(true),
        end: Instant::now() + life,
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        _place: place,
    };
    let body = match control_plane.store().watch(&prefix, beginning) {
        Ok(watch) => Body::from_stream(stream::unfold(
            (telling, watch),
            async |(mut telling, mut watch)| {
                let line = telling.next(&mut watch).await?;
                Some((Ok::<_, std::convert::Infallible>(line), (telling, watch)))
            },
        )),
        // Too late for a code: clients look for it here.
        Err(OutOfReach::Expired {
            asked,
            complete_since,
        }) => {
            let status = Status::expired(format!("too old resource version: {asked} ({complete_since})"));
            Body::from(line("ERROR", &status.to_json()))
        }
        Err(OutOfReach::Ahead { asked, current }) => {
            return Err(Status::too_large_version(asked.0, current.0));
        }
    };
    let mut response = Response::new(body);
    let media = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}

/// Whether the client wants what is there as events. Asking for it has conditions.
fn initial_events(call: &Call) -> Result<Option<bool>, Status> {
    let options = &call.options;
    match (options.send_initial_events, options.resource_version_match) {
        (Some(_), Some(VersionMatch::NotOlderThan)) | (None, None) => Ok(options.send_initial_events),
        (Some(_), Some(VersionMatch::Exact | VersionMatch::Other) | None) => {
            const FIELD: &str = "resourceVersionMatch";
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let mut causes = vec![Cause::forbidden(FIELD, why)];
            if let Some(word) = &options.resource_version_match_word {
                causes.push(Cause::unsupported(FIELD, &format!("{word:?}"), &["NotOlderThan"]));
            }
            Err(Status::invalid_options("ListOptions", causes))
        }
        (None, Some(_)) => Err(Status::invalid_list_options(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
    }
}

struct Telling {
    control_plane: ControlPlane,
    call: Call,
    form: Form,
    selector: Selector,
    /// The client waits for the bookmark after what was there.
    marks_the_end: bool,
    end: Instant,
    next_bookmark: Instant,
    _place: Place,
}

impl Telling {
    /// None: the watch is over.
    async fn next(&mut self, watch: &mut Watch) -> Option<Bytes> {
        loop {
            let bookmarks = self.call.options.bookmarks;
            tokio::select! {
                biased;
                notice = watch.next() => {
                    let told = match notice? {
                        Notice::Event(event) => self.event(&event),
                        Notice::InitialEventsEnd(revision) if bookmarks && self.marks_the_end => {
                            Some(self.bookmark(revision, true))
                        }
                        Notice::InitialEventsEnd(_) => None,
                    };
                    if told.is_some() {
                        return told;
                    }
                }
                () = sleep_until(self.end) => return None,
                () = sleep_until(self.next_bookmark), if bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    if let Some(revision) = watch.bookmark() {
                        return Some(self.bookmark(revision, false));
                    }
                }
            }
        }
    }

    /// What an event means to this watcher: what is no longer selected is gone for it.
    fn event(&self, event: &Event) -> Option<Bytes> {
        if self.selector.is_empty() {
            let kind = match event.kind {
                EventKind::Added => "ADDED",
                EventKind::Modified => "MODIFIED",
                EventKind::Deleted => return self.lost(event),
            };
            return self.told(kind, &event.stored);
        }
        let selects = |stored: &Stored| {
            read(stored).is_ok_and(|object| {
                self.selector
                    .selects(&event_forms::shown(&self.call.kind, object))
            })
        };
        let before = event.previous.as_ref().is_some_and(selects);
        let after = match event.kind {
            EventKind::Added | EventKind::Modified => selects(&event.stored),
            EventKind::Deleted => false,
        };
        match (before, after) {
            (false, false) => None,
            (false, true) => self.told("ADDED", &event.stored),
            (true, true) => self.told("MODIFIED", &event.stored),
            (true, false) => self.lost(event),
        }
    }

    /// What is gone, or no longer selected, is told as it was last seen, at the version at which that was over.
    fn lost(&self, event: &Event) -> Option<Bytes> {
        let Some(previous) = &event.previous else {
            return self.told("DELETED", &event.stored);
        };
        let mut object = event_forms::shown(&self.call.kind, read(previous).ok()?);
        let version = event.stored.revision.to_string();
        object
            .metadata_mut()
            .insert("resourceVersion".to_owned(), json!(version));
        Some(self.line("DELETED", object, event.stored.revision))
    }

    fn told(&self, kind: &str, stored: &Stored) -> Option<Bytes> {
        if self.form == Form::Json && self.call.kind.nature != Nature::NewEvent {
            let mut text = format!("{{\"type\":\"{kind}\",\"object\":").into_bytes();
            text.extend_from_slice(&stored.bytes);
            text.extend_from_slice(b"}\n");
            return Some(text.into());
        }
        let object = event_forms::shown(&self.call.kind, read(stored).ok()?);
        Some(self.line(kind, object, stored.revision))
    }

    fn line(&self, kind: &str, object: Object, revision: Revision) -> Bytes {
        let value = match self.form {
            Form::Table => {
                let metadata = json!({ "resourceVersion": revision.to_string() });
                show::table(&self.call, &metadata, vec![object], self.control_plane.now())
            }
            Form::Metadata => show::metadata_of(&object),
            Form::Json | Form::Yaml | Form::AllGroups => object.into_value(),
        };
        line(kind, &value)
    }

    fn bookmark(&self, revision: Revision, initial_end: bool) -> Bytes {
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if let (true, Some(metadata)) = (initial_end, metadata.as_object_mut()) {
            metadata.insert(
                "annotations".to_owned(),
                json!({ "k8s.io/initial-events-end": "true" }),
            );
        }
        let kind = &self.call.kind;
        let object = match self.form {
            Form::Table => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": null, "rows": [],
            }),
            Form::Metadata => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            }),
            Form::Json | Form::Yaml | Form::AllGroups => {
                let mut blank = registry::blank(kind).into_value();
                if let Some(blank) = blank.as_object_mut() {
                    blank.insert("metadata".to_owned(), metadata);
                }
                blank
            }
        };
        line("BOOKMARK", &object)
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into()
}
