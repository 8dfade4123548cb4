//! Objects and lists in the form that was asked for.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::accept::Form;
use crate::control_plane::call::{Call, Include};
use crate::control_plane::event_forms;
use crate::control_plane::kind::{Kind, Nature};
use crate::control_plane::kinds::cells;
use crate::control_plane::object::Object;
use crate::control_plane::objects::{self, Listed, Shown};
use crate::control_plane::status::Status;

pub(super) fn json(code: StatusCode, value: &Value) -> Response<Body> {
    // Three times as fast as `Value::to_string`; JSON can always be written.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    of_media(code, "application/json", bytes)
}

pub(super) fn plain(code: StatusCode, words: &'static str) -> Response<Body> {
    of_media(code, "text/plain; charset=utf-8", words)
}

pub(super) fn bytes(media: &'static str, bytes: Vec<u8>) -> Response<Body> {
    of_media(StatusCode::OK, media, bytes)
}

fn of_media(code: StatusCode, media: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    let media = axum::http::HeaderValue::from_static(media);
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

fn in_form(code: StatusCode, form: Form, value: &Value) -> Response<Body> {
    match form {
        Form::Yaml => match serde_saphyr::to_string(value) {
            Ok(text) => of_media(code, "application/yaml", text),
            Err(_) => json(code, value),
        },
        Form::Json | Form::Table | Form::Metadata | Form::AllGroups => json(code, value),
    }
}

pub(super) fn shown(
    code: StatusCode,
    call: &Call,
    shown: Shown,
    form: Form,
    now: Timestamp,
) -> Result<Response<Body>, Status> {
    let stored = match shown {
        Shown::Stored(stored) => stored,
        Shown::Object(shown) => return Ok(object(code, call, shown, form, now)),
    };
    if form == Form::Json && call.kind.nature != Nature::NewEvent {
        return Ok(of_media(code, "application/json", stored.bytes));
    }
    let shown = event_forms::shown(&call.kind, objects::read(&stored)?);
    Ok(object(code, call, shown, form, now))
}

pub(super) fn object(
    code: StatusCode,
    call: &Call,
    object: Object,
    form: Form,
    now: Timestamp,
) -> Response<Body> {
    let value = match form {
        Form::Table => {
            let version = object.resource_version().unwrap_or_default().to_owned();
            let metadata = json!({ "resourceVersion": version });
            table(call, &metadata, vec![object], now)
        }
        Form::Metadata => metadata_of(&object),
        Form::Json | Form::Yaml | Form::AllGroups => object.into_value(),
    };
    in_form(code, form, &value)
}

pub(super) fn list(
    call: &Call,
    listed: Listed,
    form: Form,
    now: Timestamp,
) -> Result<Response<Body>, Status> {
    let Listed {
        items,
        revision,
        go_on,
        remaining,
    } = listed;
    let kind = &call.kind;
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), json!(revision.to_string()));
    match go_on {
        Some(go_on) => {
            metadata.insert("continue".to_owned(), json!(go_on));
        }
        // A list of custom objects always says.
        None if form == Form::Json && kind.nature == Nature::Custom => {
            metadata.insert("continue".to_owned(), json!(""));
        }
        None => {}
    }
    if let Some(remaining) = remaining {
        metadata.insert("remainingItemCount".to_owned(), json!(remaining));
    }
    let metadata = Value::Object(metadata);
    if form == Form::Json && kind.nature == Nature::Custom {
        // What is stored is what is served: nothing is parsed.
        let mut body =
            format!("{{\"apiVersion\":{},\"items\":[", Value::from(kind.api_version())).into_bytes();
        for (index, stored) in items.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&stored.bytes);
        }
        let end = format!(
            "],\"kind\":{},\"metadata\":{metadata}}}",
            Value::from(kind.names.list.as_str())
        );
        body.extend_from_slice(end.as_bytes());
        return Ok(of_media(StatusCode::OK, "application/json", body));
    }
    let mut shown = Vec::with_capacity(items.len());
    for stored in &items {
        shown.push(event_forms::shown(kind, objects::read(stored)?));
    }
    let value = match form {
        Form::Table => table(call, &metadata, shown, now),
        Form::Metadata => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": shown.iter().map(metadata_of).collect::<Vec<_>>(),
        }),
        Form::Json | Form::Yaml | Form::AllGroups => json!({
            "kind": kind.names.list,
            "apiVersion": kind.api_version(),
            "metadata": metadata,
            "items": shown.into_iter().map(|object| item(kind, object)).collect::<Vec<_>>(),
        }),
    };
    Ok(in_form(StatusCode::OK, form, &value))
}

/// In a list of the system's kinds the items do not say what they are.
fn item(kind: &Kind, object: Object) -> Value {
    let mut value = object.into_value();
    if kind.nature != Nature::Custom
        && let Some(fields) = value.as_object_mut()
    {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    value
}

pub(super) fn metadata_of(object: &Object) -> Value {
    let metadata = object.metadata().cloned().unwrap_or_default();
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
}

/// What `kubectl get` prints.
pub(super) fn table(call: &Call, metadata: &Value, objects: Vec<Object>, now: Timestamp) -> Value {
    let columns = &call.kind.columns;
    let definitions: Vec<Value> = columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name, "type": column.kind, "format": column.format,
                "description": column.description, "priority": column.priority,
            })
        })
        .collect();
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let cells = cells::row(columns, &object, now);
            let mut row = json!({ "cells": cells });
            let carried = match call.options.include {
                Include::Nothing => Value::Null,
                Include::Metadata | Include::Unknown(_) => metadata_of(&object),
                Include::Object => object.into_value(),
            };
            if let Some(row) = row.as_object_mut() {
                row.insert("object".to_owned(), carried);
            }
            row
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}
