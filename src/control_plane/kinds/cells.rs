//! What the columns of `kubectl get` show, as the API server works them out.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::control_plane::Object;
use crate::control_plane::kind::{Cell, Column, Shows};

/// One row: a cell for each column.
pub fn row(columns: &[Column], object: &Object, now: Timestamp) -> Vec<Value> {
    let cells = columns.iter().map(|column| match &column.shows {
        Shows::Cell(cell) => built_in(*cell, object, now),
        Shows::Path(path) => own(path, &column.kind, object, now),
    });
    cells.collect()
}

fn built_in(cell: Cell, object: &Object, now: Timestamp) -> Value {
    let text = |pointer: &str| at(object, pointer).and_then(Value::as_str).unwrap_or_default();
    match cell {
        Cell::Name => json!(object.name().unwrap_or_default()),
        Cell::Age => json!(age(text("/metadata/creationTimestamp"), now)),
        Cell::CreatedAt => json!(text("/metadata/creationTimestamp")),
        Cell::NamespacePhase => json!(text("/status/phase")),
        Cell::SecretType => json!(text("/type")),
        Cell::DataCount => {
            let count = |name| {
                at(object, name)
                    .and_then(Value::as_object)
                    .map_or(0, |data| data.len())
            };
            json!(count("/data") + count("/binaryData"))
        }
        Cell::LeaseHolder => json!(text("/spec/holderIdentity")),
        Cell::RoleRef => json!(format!("{}/{}", text("/roleRef/kind"), text("/roleRef/name"))),
        Cell::Users => json!(subjects(object, "User")),
        Cell::Groups => json!(subjects(object, "Group")),
        Cell::ServiceAccounts => json!(subjects(object, "ServiceAccount")),
        Cell::EventType => json!(text("/type")),
        Cell::EventReason => json!(text("/reason")),
        Cell::EventMessage => json!(text("/message").trim()),
        Cell::EventSubobject => json!(text("/involvedObject/fieldPath")),
        Cell::EventObject => {
            let kind = text("/involvedObject/kind").to_lowercase();
            match text("/involvedObject/name") {
                "" => json!(kind),
                name => json!(format!("{kind}/{name}")),
            }
        }
        Cell::EventSource => json!(source(object)),
        Cell::EventFirstSeen => match text("/firstTimestamp") {
            "" => json!(age(text("/eventTime"), now)),
            first => json!(age(first, now)),
        },
        Cell::EventLastSeen => json!(age(last_seen(object), now)),
        Cell::EventCount => json!(event_count(object)),
    }
}

fn event_count(object: &Object) -> i64 {
    let number = |pointer: &str| at(object, pointer).and_then(Value::as_i64);
    match number("/series/count") {
        Some(count) => count,
        None => number("/count").filter(|count| *count > 0).unwrap_or(1),
    }
}

fn last_seen(object: &Object) -> &str {
    let text = |pointer: &str| {
        at(object, pointer)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    text("/series/lastObservedTime")
        .or_else(|| text("/lastTimestamp"))
        .or_else(|| text("/firstTimestamp"))
        .or_else(|| text("/eventTime"))
        .unwrap_or_default()
}

fn source(object: &Object) -> String {
    let text = |pointer: &str| at(object, pointer).and_then(Value::as_str).unwrap_or_default();
    let component = match text("/source/component") {
        "" => text("/reportingComponent"),
        component => component,
    };
    let host = match text("/source/host") {
        "" => text("/reportingInstance"),
        host => host,
    };
    match host {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    }
}

fn subjects(object: &Object, kind: &str) -> String {
    let listed = at(object, "/subjects").and_then(Value::as_array);
    let names = listed
        .into_iter()
        .flatten()
        .filter(|subject| subject.get("kind").and_then(Value::as_str) == Some(kind))
        .map(|subject| {
            let name = subject.get("name").and_then(Value::as_str).unwrap_or_default();
            match subject.get("namespace").and_then(Value::as_str) {
                Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{name}"),
                Some(_) | None => name.to_owned(),
            }
        });
    names.collect::<Vec<_>>().join(", ")
}

/// A column of a definition: the first value that its path finds, as its type is printed.
fn own(path: &str, kind: &str, object: &Object, now: Timestamp) -> Value {
    let Some(found) = find(path, object) else {
        return Value::Null;
    };
    match (kind, found) {
        ("date", Value::String(time)) => json!(age(time, now)),
        ("integer", Value::Number(number)) => number.as_i64().map_or(Value::Null, |number| json!(number)),
        ("number", Value::Number(number)) => json!(number),
        ("boolean", Value::Bool(yes)) => json!(yes),
        ("string", Value::String(text)) => json!(text),
        ("string", Value::Bool(yes)) => json!(yes.to_string()),
        ("string", Value::Number(number)) => json!(number.to_string()),
        ("string", Value::Array(_) | Value::Object(_)) => json!(found.to_string()),
        (_, _) => Value::Null,
    }
}

/// The paths that definitions use: names, and one list filtered by `?(@.type=="Ready")`.
fn find<'a>(path: &str, object: &'a Object) -> Option<&'a Value> {
    let mut rest = path.strip_prefix('.').unwrap_or(path);
    let (first, more) = step(rest)?;
    let mut value = object.fields().get(first)?;
    rest = more;
    while !rest.is_empty() {
        if let Some(filter) = rest.strip_prefix("[?(@.") {
            let (condition, after) = filter.split_once(")]")?;
            let (field, wanted) = condition.split_once("==")?;
            let wanted = wanted.trim_matches(['"', '\'']);
            value = value
                .as_array()?
                .iter()
                .find(|item| item.get(field).and_then(Value::as_str) == Some(wanted))?;
            rest = after;
        } else {
            let (name, after) = step(rest.strip_prefix('.').unwrap_or(rest))?;
            value = value.get(name)?;
            rest = after;
        }
    }
    Some(value)
}

/// A name, and what comes after it.
fn step(path: &str) -> Option<(&str, &str)> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    path.split_at_checked(end)
}

/// How long ago, in the two largest units that say something: `5s`, `3m20s`, `2d4h`, `3y12d`.
pub fn age(time: &str, now: Timestamp) -> String {
    let Ok(then) = time.parse::<Timestamp>() else {
        return "<unknown>".to_owned();
    };
    let seconds = now.as_second().saturating_sub(then.as_second());
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let pair = |large: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, 'd', hours % 24, 'h'),
        _ if years < 2 => format!("{days}d"),
        _ if years < 8 => pair(years, 'y', days % 365, 'd'),
        _ => format!("{years}y"),
    }
}

fn at<'a>(object: &'a Object, pointer: &str) -> Option<&'a Value> {
    let mut names = pointer.trim_start_matches('/').split('/');
    let first = object.fields().get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (time, shown) in [
            ("2026-11-21T12:00:00Z", "0s"),
            ("2026-11-21T11:58:01Z", "119s"),
            ("2026-11-21T11:57:40Z", "2m20s"),
            ("2026-11-21T11:40:00Z", "20m"),
            ("2026-11-21T08:30:00Z", "3h30m"),
            ("2026-11-20T18:30:00Z", "17h"),
            ("2026-11-18T08:00:00Z", "3d4h"),
            ("2026-10-21T12:00:00Z", "31d"),
            ("2023-11-01T12:00:00Z", "3y21d"),
            ("2026-11-21T13:00:00Z", "<invalid>"),
            ("yesterday", "<unknown>"),
        ] {
            assert_eq!(age(time, now), shown, "{time}");
        }
    }

    #[test]
    fn a_path_finds_a_condition_by_its_type() {
        let object = Object::of(json!({ "status": { "conditions": [
            { "type": "Reconciling", "status": "False" }, { "type": "Ready", "status": "True" },
        ] } }))
        .unwrap();
        let ready = r#".status.conditions[?(@.type=="Ready")].status"#;
        assert_eq!(find(ready, &object), Some(&json!("True")));
        assert_eq!(find(".status.conditions[?(@.type=='No')].status", &object), None);
        assert_eq!(find(".spec.url", &object), None);
    }
}
