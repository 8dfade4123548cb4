//! The control plane's patches beside those of a real API server: the same random requests to both, one after the other,
//! and after each the answer and the object with its managed fields must be the same. We are asked for the second in which
//! the API server was: whether a time is new may depend on the other times, by which the managers are sorted.
//!
//! `PATCH_SEED=.. PATCH_STEPS=..` runs one sequence again.

mod chance;
mod compare;
mod generate;
mod ours;
mod theirs;

use std::ops::RangeInclusive;

pub use chance::Chance;
use compare::compare;
use generate::Generator;
use ours::{Answer, Kind, kinds};
use serde_json::{Value, json};
use theirs::Server;

use crate::bed::{evidence, shared_cluster};
use crate::schema;

/// Requests to one object. Each object is asked in turn, and most turns begin with a new second: managed fields know the
/// time by the second, so that only then it shows who has got a new one. The others show what is done within one second,
/// in which managers are sorted by their names: who would only get a new time keeps his old one unless it sorts him anew.
const STEPS_OF_ONE: usize = 60;

struct Object<'a> {
    kind: &'a Kind,
    name: String,
    chance: Chance,
    /// The last of its patches, some of which are made again: often nothing is to be done then.
    asked: Vec<Request>,
    stored: Option<Value>,
}

const LAST: usize = 4;

/// One request, as both are asked it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub subresource: Option<&'static str>,
    pub field_manager: Option<String>,
    pub force: Option<bool>,
    pub user_agent: String,
    pub body: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Create,
    Update,
    /// By its content type.
    Patch(&'static str),
}

#[tokio::test]
async fn patches_and_managed_fields_are_the_api_servers() {
    let cluster = real!(shared_cluster());
    schema::install(cluster);
    let namespace = cluster.namespace("patches");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("PATCH_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    });
    let steps = usize::try_from(number("PATCH_STEPS").unwrap_or(2_400)).unwrap();
    let server = Server::new(cluster.client().await, namespace.name());
    let owners = server.owners().await;
    let kinds = kinds();

    let mut chance = Chance::new(seed);
    let mut objects: Vec<Object<'_>> = (1..=steps.div_ceil(STEPS_OF_ONE))
        .map(|number| Object {
            kind: &kinds[number % kinds.len()],
            name: format!("o{number}"),
            chance: Chance::new(chance.next()),
            asked: Vec::new(),
            stored: None,
        })
        .collect();
    let (mut done, mut refused, mut unforeseen) = (0, 0, 0);
    for _ in 0..STEPS_OF_ONE {
        if chance.percent(60) {
            theirs::next_second().await;
        }
        for object in &mut objects {
            let Object {
                kind,
                name,
                chance,
                asked,
                stored,
            } = object;
            let request = if !asked.is_empty() && chance.percent(15) {
                chance.one(asked).clone()
            } else {
                Generator::new(kind, name, namespace.name(), &owners).next(chance, stored.as_ref())
            };
            if let Method::Patch(_) = request.method {
                asked.push(request.clone());
                asked.drain(..asked.len().saturating_sub(LAST));
            }
            let before = theirs::now();
            let theirs = server.ask(kind, name, &request).await;
            let within = before..=theirs::now();
            done += 1;
            // What is valid is not the question here.
            if let Err(refusal) = &theirs
                && is_validation(refusal)
                && kind.answer(name, stored.as_ref(), &request, before).is_ok()
            {
                unforeseen += 1;
            } else if let Some((ours, differ)) =
                ours_beside(kind, name, stored.as_ref(), &request, &theirs, &within)
            {
                panic!(
                    "PATCH_SEED={seed} PATCH_STEPS={steps}, request {done}, {} {name}: {differ}\n\nrequest, made within \
                     {within:?}: {request:#?}\n\nstored: {}\n\nours: {}\n\ntheirs: {}",
                    kind.name(),
                    stored.take().unwrap_or_default(),
                    shown(&ours),
                    shown(&theirs),
                );
            }
            match theirs {
                Ok(object) => *stored = Some(object),
                Err(_) => refused += 1,
            }
        }
    }
    let note = format!("seed {seed}; {refused} refused by both, {unforeseen} invalid objects");
    evidence::say(&format!("{done} patches, {note}"));
    evidence::record("control plane", "patches as the API server's", done as u64, &note);
    assert!(refused * 2 < done, "most requests must change something: {note}");
    assert!(
        unforeseen * 20 < done,
        "the requests are to be about ownership: {note}"
    );
}

/// Our answer and in what it differs, if it does for each second in which the request was made.
fn ours_beside(
    kind: &Kind,
    name: &str,
    stored: Option<&Value>,
    request: &Request,
    theirs: &Answer,
    within: &RangeInclusive<i64>,
) -> Option<(Answer, String)> {
    let mut wrong = None;
    for now in within.clone() {
        let ours = kind.answer(name, stored, request, now);
        let differ = compare(&ours, theirs, within)?;
        wrong = Some((ours, differ));
    }
    wrong
}

fn is_validation(refusal: &Value) -> bool {
    let of_the_object = refusal["details"]["kind"] != "" && refusal["details"]["name"] != "";
    refusal["code"] == 422 && refusal["reason"] == "Invalid" && of_the_object
}

fn shown(answer: &Answer) -> String {
    match answer {
        Ok(object) => object.to_string(),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

/// An apply that changes nothing has a new time only where this sorts its manager behind another one: not in the second
/// in which the other one got his. A sequence by chance seldom comes upon it.
#[tokio::test]
async fn a_new_time_is_kept_where_it_sorts_a_manager_anew() {
    let cluster = real!(shared_cluster());
    schema::install(cluster);
    let namespace = cluster.namespace("patch-times");
    let server = Server::new(cluster.client().await, namespace.name());
    let kinds = kinds();
    let kind = kinds.iter().find(|kind| kind.is_custom()).unwrap();
    let (mut kept, mut new) = (false, false);
    // A slow machine may need several tries to make two requests in one second.
    for number in 0..20 {
        let name = format!("o{number}");
        let request = |method, subresource, manager: &str, part: Value| {
            let mut body = json!({"apiVersion": kind.subject.api_version(), "kind": kind.name(),
                "metadata": {"name": name, "namespace": namespace.name()}});
            body.as_object_mut()
                .unwrap()
                .extend(part.as_object().unwrap().clone());
            Request {
                method,
                subresource,
                field_manager: Some(manager.to_owned()),
                force: None,
                user_agent: "user/1".to_owned(),
                body,
            }
        };
        let apply = |manager, status| {
            // That it applies a spec too comes to nothing in a request for the status, but is a change until then.
            let part = json!({"spec": {"model": "m1"}, "status": status});
            request(
                Method::Patch("application/apply-patch+yaml"),
                Some("status"),
                manager,
                part,
            )
        };
        let create = request(
            Method::Create,
            None,
            "user",
            json!({"spec": {"boardRef": {"name": "board"}}}),
        );
        let beta = apply("beta", json!({"observedGeneration": 1}));
        let gamma = apply("gamma", json!({"driftedFiles": 1}));
        let mut stored = None;
        for (is_later, request) in [
            (false, create),
            (false, beta.clone()),
            (true, gamma),
            (false, beta.clone()),
            (true, beta),
        ] {
            if is_later {
                theirs::next_second().await;
            }
            let before = theirs::now();
            let theirs = server.ask(kind, &name, &request).await;
            let within = before..=theirs::now();
            let differ = ours_beside(kind, &name, stored.as_ref(), &request, &theirs, &within);
            assert_eq!(differ.map(|(_, differ)| differ), None, "{request:?}");
            let theirs = theirs.unwrap();
            if let Some(stored) = &stored
                && request.field_manager.as_deref() == Some("beta")
                && owner(stored, "beta").is_some()
            {
                let is_kept = owner(stored, "beta") == owner(&theirs, "beta");
                kept |= is_kept && owner(stored, "gamma") == Some(time_text(before));
                new |= !is_kept;
            }
            stored = Some(theirs);
        }
        if kept && new {
            return;
        }
    }
    panic!("kept in the same second: {kept}, new in another: {new}");
}

fn owner(object: &Value, manager: &str) -> Option<String> {
    let mut entries = object["metadata"]["managedFields"].as_array()?.iter();
    let entry = entries.find(|entry| entry["manager"] == manager)?;
    Some(entry["time"].as_str()?.to_owned())
}

fn time_text(second: i64) -> String {
    jiff::Timestamp::from_second(second).unwrap().to_string()
}
