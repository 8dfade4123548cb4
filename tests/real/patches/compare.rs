//! Whether two answers are the same, to the second.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::ours::Answer;

/// `asked`: the seconds within which they were asked; we were for one of them. Of almost all requests it is one second,
/// and everything can be told from it.
pub fn compare(ours: &Answer, theirs: &Answer, asked: &RangeInclusive<i64>) -> Option<String> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => objects(ours, theirs, asked),
        (Err(ours), Err(theirs)) => refusals(ours, theirs),
        (Ok(_), Err(_)) => Some("only they refuse it".to_owned()),
        (Err(_), Ok(_)) => Some("only we refuse it".to_owned()),
    }
}

fn refusals(ours: &Value, theirs: &Value) -> Option<String> {
    for field in ["code", "reason", "message"] {
        let word = |status: &Value| {
            if status[field].is_null() {
                json!("")
            } else {
                status[field].clone()
            }
        };
        if word(ours) != word(theirs) {
            return Some(format!("{field}: {} but {}", ours[field], theirs[field]));
        }
    }
    let causes = |status: &Value| {
        let mut causes: Vec<String> = status["details"]["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|cause| format!("{} {} {}", cause["reason"], cause["field"], cause["message"]))
            .collect();
        causes.sort();
        causes
    };
    (causes(ours) != causes(theirs)).then(|| format!("causes: {:?} but {:?}", causes(ours), causes(theirs)))
}

fn objects(ours: &Value, theirs: &Value, asked: &RangeInclusive<i64>) -> Option<String> {
    let bare = |object: &Value| {
        let mut object = object.clone();
        let metadata = object["metadata"].as_object_mut().unwrap();
        for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp"] {
            metadata.remove(field);
        }
        object
    };
    if bare(ours) != bare(theirs) {
        return Some("the objects differ".to_owned());
    }
    let (mut ours, mut theirs) = (entries(ours), entries(theirs));
    // One request may take two times, for what was there before the first apply and for the apply. If the second ends
    // between them, ours are in the order of another time.
    if asked.start() != asked.end() {
        ours.sort_by_key(timeless_text);
        theirs.sort_by_key(timeless_text);
    }
    if !ours.iter().map(timeless).eq(theirs.iter().map(timeless)) {
        return Some("the managed fields differ".to_owned());
    }
    for (entry, theirs) in ours.iter().zip(&theirs) {
        let is_new = |entry: &Value| {
            let time = entry["time"]
                .as_str()
                .and_then(|time| time.parse::<jiff::Timestamp>().ok());
            time.is_some_and(|time| asked.contains(&time.as_second()))
        };
        if entry["time"] != theirs["time"] && !(is_new(entry) && is_new(theirs)) {
            return Some(format!("the time of {} is {}", entry, theirs["time"]));
        }
    }
    // Not looked at: the resource version. A custom object in which null was stored is written again by a request that
    // changes nothing, since null is lost when it is read.
    None
}

fn timeless(entry: &Value) -> Value {
    let mut entry = entry.clone();
    entry.as_object_mut().unwrap().remove("time");
    entry
}

fn timeless_text(entry: &Value) -> String {
    timeless(entry).to_string()
}

fn entries(object: &Value) -> Vec<Value> {
    object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}
