//! The control plane's patches beside those of a real API server: the same random requests to both, one after the other,
//! and after each the answer and the object with its managed fields must be the same.
//!
//! `PATCH_SEED=.. PATCH_STEPS=..` runs one sequence again.

mod chance;
mod compare;
mod generate;
mod ours;
mod theirs;

pub use chance::Chance;
use compare::compare;
use generate::Generator;
use ours::{Answer, Kind, kinds};
use serde_json::Value;
use theirs::Server;

use crate::bed::{evidence, shared_cluster};
use crate::schema;

/// Requests to one object, then the next.
const STEPS_OF_ONE: usize = 60;

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
    let (mut done, mut refused, mut unforeseen) = (0, 0, 0);
    let mut object = 0;
    while done < steps {
        for kind in &kinds {
            object += 1;
            let name = format!("o{object}");
            let mut generator = Generator::new(kind, &name, namespace.name(), &owners);
            let mut stored: Option<Value> = None;
            for _ in 0..STEPS_OF_ONE {
                let request = generator.next(&mut chance, stored.as_ref());
                let before = theirs::now();
                let theirs = server.ask(kind, &name, &request).await;
                let after = theirs::now();
                let ours = kind.answer(&name, stored.as_ref(), &request);
                done += 1;
                let differ = match (&ours, &theirs) {
                    // What is valid is not the question here.
                    (Ok(_), Err(refusal)) if is_validation(refusal) => {
                        unforeseen += 1;
                        None
                    }
                    (ours, theirs) => compare(ours, theirs, (before, after)),
                };
                if let Some(differ) = differ {
                    panic!(
                        "PATCH_SEED={seed} PATCH_STEPS={steps}, request {done}, {} {name}: {differ}\n\nrequest: {request:#?}\n\n\
                         stored: {}\n\nours: {}\n\ntheirs: {}",
                        kind.name(),
                        stored.unwrap_or_default(),
                        shown(&ours),
                        shown(&theirs),
                    );
                }
                match theirs {
                    Ok(object) => stored = Some(object),
                    Err(_) => refused += 1,
                }
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
