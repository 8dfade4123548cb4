//! The rules for Events: lenient for who writes the old ones, strict for who writes them in `events.k8s.io`.

use serde_json::Value;

use super::metadata;
use crate::control_plane::kind::Kind;
use crate::control_plane::object::Object;
use crate::control_plane::status::Cause;

fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object
        .fields()
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// What holds for every Event. `about` and `reporter` are fields that each group calls otherwise.
pub(super) fn legacy(object: &Object, about: &str, reporter: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let here = object.namespace().unwrap_or_default();
    let there = object
        .fields()
        .get(about)
        .and_then(|about| about.get("namespace")?.as_str())
        .unwrap_or_default();
    let elsewhere = || {
        let why = "does not match event.namespace";
        Cause::invalid("involvedObject.namespace", &Value::from(there), why)
    };
    if object.fields().get("eventTime").is_none_or(Value::is_null) {
        let fits = if there.is_empty() {
            here == "default"
        } else {
            here == there
        };
        if !fits {
            causes.push(elsewhere());
        }
        return causes;
    }
    if there.is_empty() && !matches!(here, "default" | "kube-system") {
        causes.push(elsewhere());
    }
    let controller = text(object, reporter);
    if controller.is_empty() {
        causes.push(Cause::required(reporter, ""));
    }
    let wrong = metadata::wrong_with_key(controller).into_iter();
    causes.extend(wrong.map(|why| Cause::invalid(reporter, &Value::from(controller), &why)));
    for (field, most) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        let word = text(object, field);
        if word.is_empty() {
            causes.push(Cause::required(field, ""));
        }
        if word.len() > most {
            causes.push(too_long(field, most));
        }
    }
    let message = if about == "regarding" { "note" } else { "message" };
    if text(object, message).len() > 1024 {
        causes.push(too_long("message", 1024));
    }
    causes
}

fn too_long(field: &str, most: usize) -> Cause {
    Cause::unfit(field, "\"\"", &format!("can have at most {most} characters"))
}

/// A new Event, or a changed one.
pub(super) fn check(kind: &Kind, object: &Object, stored: Option<&Object>) -> Vec<Cause> {
    let mut causes = legacy(object, "regarding", "reportingController");
    let series = object.fields().get("series");
    if stored.is_some() {
        if stored.and_then(|stored| stored.fields().get("series")) != series {
            causes.extend(wrong_series(series));
        }
        return causes;
    }
    causes.extend(metadata::check(kind, object));
    causes.extend(wrong_series(series));
    let is_there = |field: &str| object.fields().contains_key(field);
    if !is_there("eventTime") {
        causes.push(Cause::required("eventTime", ""));
    }
    let word = text(object, "type");
    if !matches!(word, "Normal" | "Warning") {
        causes.push(Cause::unfit(
            "type",
            "\"\"",
            &format!("has invalid value: {word}"),
        ));
    }
    for (old, named) in [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("deprecatedSource", "source"),
    ] {
        if is_there(old) {
            causes.push(Cause::unfit(named, "\"\"", "needs to be unset"));
        }
    }
    causes
}

fn wrong_series(series: Option<&Value>) -> Vec<Cause> {
    let Some(series) = series else { return Vec::new() };
    let mut causes = Vec::new();
    if series.get("count").and_then(Value::as_i64).unwrap_or_default() < 2 {
        causes.push(Cause::unfit("series.count", "\"\"", "should be at least 2"));
    }
    if series.get("lastObservedTime").is_none_or(Value::is_null) {
        causes.push(Cause::required("series.lastObservedTime", ""));
    }
    causes
}

/// What is empty is not said.
fn said<'a>(object: &'a Object, field: &str) -> Option<&'a Value> {
    object
        .fields()
        .get(field)
        .filter(|value| !super::typed::is_empty(value))
}

/// What was told stays told.
pub(super) fn fixed(object: &Object, stored: &Object) -> Vec<Cause> {
    let fields = [
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("reason", "reason"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ];
    fields
        .into_iter()
        .filter(|(field, _)| said(object, field) != said(stored, field))
        .map(|(field, named)| {
            let value = object
                .fields()
                .get(field)
                .cloned()
                .unwrap_or_else(|| Value::from(""));
            Cause::invalid(named, &value, "field is immutable")
        })
        .collect()
}
