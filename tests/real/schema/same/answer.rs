//! What comes of an object: the real answer and ours, in one form.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use quartermaster::control_plane::schema::{Schema, body, joined};
use quartermaster::control_plane::{Cause, Object};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::schemas::kinds;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// What is kept, without `metadata`.
    Kept(Value),
    /// It was not even decoded: `strict decoding error: unknown field "spec.foo"`
    Undecoded(String),
    /// Sorted: among the fields of an object the API server has no order.
    Invalid(Vec<Said>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Said {
    pub field: String,
    pub reason: String,
    pub message: String,
}

impl Answer {
    /// Of a `Status`, as the API server sends it. Panics where its parts do not fit one another as ours would.
    pub fn of_status(status: &Value) -> Self {
        let message = status["message"].as_str().unwrap_or_default();
        if status["reason"] != "Invalid" {
            let (_, said) = message
                .split_once("strict decoding error: ")
                .unwrap_or_else(|| panic!("another refusal: {status}"));
            return Self::Undecoded(format!("strict decoding error: {said}"));
        }
        let causes = status["details"]["causes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut said: Vec<Said> = causes
            .iter()
            .map(|cause| serde_json::from_value(cause.clone()).expect("a cause"))
            .collect();
        let sentence = sentence(&said);
        assert!(
            message.ends_with(&format!(" is invalid: {sentence}")),
            "{message}\nis not\n{sentence}"
        );
        // `metadata` is not the schemas' business.
        said.retain(|said| !said.field.starts_with("metadata."));
        said.sort();
        Self::Invalid(said)
    }

    pub fn of_object(object: &Value) -> Self {
        let mut kept = object.clone();
        kept.as_object_mut().expect("an object").remove("metadata");
        Self::Kept(kept)
    }

    fn of_causes(causes: &[Cause]) -> Self {
        let mut said: Vec<Said> = causes
            .iter()
            .map(|cause| Said {
                field: cause.field.clone(),
                reason: cause.reason.to_owned(),
                message: cause.message.clone(),
            })
            .collect();
        said.sort();
        Self::Invalid(said)
    }
}

fn sentence(said: &[Said]) -> String {
    let causes: Vec<Cause> = said
        .iter()
        .map(|said| Cause {
            reason: "",
            message: said.message.clone(),
            field: said.field.clone(),
        })
        .collect();
    joined(&causes)
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(kept) => write!(f, "kept {kept}"),
            Self::Undecoded(why) => f.write_str(why),
            Self::Invalid(said) => {
                for Said {
                    field,
                    reason,
                    message,
                } in said
                {
                    write!(f, "\n      {field} | {reason} | {message}")?;
                }
                Ok(())
            }
        }
    }
}

/// The schemas of our kinds, as the embedded API server compiles them.
pub struct Ours(BTreeMap<String, Schema>);

impl Ours {
    pub fn compile() -> Self {
        let compiled = kinds().iter().map(|kind| {
            let schema =
                Schema::compile(&kind.schema).unwrap_or_else(|error| panic!("{}: {error}", kind.kind));
            (kind.kind.clone(), schema)
        });
        Self(compiled.collect())
    }

    pub fn create(&self, kind: &str, text: &str, strict: bool) -> Answer {
        write(&self.0[kind], text, strict, None)
    }

    /// `part` is `spec` or `status`.
    pub fn replace(&self, kind: &str, part: &str, text: &str, strict: bool, old: &Value) -> Answer {
        let schema = &self.0[kind];
        if part == "status" {
            write_status(schema, text, strict, old)
        } else {
            write(schema, text, strict, Some(old))
        }
    }
}

/// What the registry will do, as far as schemas are concerned.
pub fn write(schema: &Schema, text: &str, strict: bool, old: Option<&Value>) -> Answer {
    let mut object = match decode(schema, text, strict) {
        Ok(object) => object,
        Err(refused) => return refused,
    };
    object.fields_mut().remove("status");
    let old = old.map(|old| Object::of(old.clone()).expect("an object"));
    if let Some(status) = old.as_ref().and_then(|old| old.fields().get("status")) {
        object.fields_mut().insert("status".to_owned(), status.clone());
    }
    let causes = schema.validate(&object, old.as_ref());
    settled(object, &causes)
}

fn write_status(schema: &Schema, text: &str, strict: bool, old: &Value) -> Answer {
    let mut sent = match decode(schema, text, strict) {
        Ok(sent) => sent,
        Err(refused) => return refused,
    };
    let old = Object::of(old.clone()).expect("an object");
    let mut object = old.clone();
    object.fields_mut().remove("status");
    if let Some(status) = sent.fields_mut().remove("status") {
        object.fields_mut().insert("status".to_owned(), status);
    }
    let causes = schema.validate_status(Vec::new(), &object, &old);
    settled(object, &causes)
}

fn decode(schema: &Schema, text: &str, strict: bool) -> Result<Object, Answer> {
    let read = body::read(text.as_bytes()).expect("JSON");
    let mut object = Object::of(read.value).expect("an object");
    let unknown = schema.prune(&mut object);
    let twice = read.duplicates.iter().map(body::duplicate);
    let wrong: Vec<String> = twice.chain(unknown.iter().map(body::unknown)).collect();
    if strict && !wrong.is_empty() {
        return Err(Answer::Undecoded(body::strict_decoding_error(&wrong)));
    }
    schema.default(&mut object);
    Ok(object)
}

fn settled(object: Object, causes: &[Cause]) -> Answer {
    if !causes.is_empty() {
        return Answer::of_causes(causes);
    }
    let mut kept = object.into_value();
    body::settle_numbers(&mut kept);
    Answer::of_object(&kept)
}

/// A request's answer, or its Status.
pub fn of_response(response: Result<Value, kube::Error>) -> Answer {
    match response {
        Ok(object) => Answer::of_object(&object),
        Err(kube::Error::Api(status)) => Answer::of_status(&json!(status)),
        Err(error) => panic!("{error}"),
    }
}
