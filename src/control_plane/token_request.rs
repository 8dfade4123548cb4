//! Tokens for ServiceAccounts, made on request: for whom, until when, and with which Secret they end.

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::ControlPlane;
use super::access::token::{AUDIENCE, Claims};
use super::call::Call;
use super::object::Object;
use super::objects::read;
use super::patch::Subject;
use super::reviews::shown;
use super::status::{Cause, Status};
use super::store::{Key, ResourceName};

const KIND: &str = "TokenRequest";

/// In seconds.
const SHORTEST: i64 = 600;
const USUAL: i64 = 3600;
/// Longer ones are made shorter, as the API server may.
const LONGEST: i64 = 365 * 24 * 3600;

impl ControlPlane {
    /// A token for the ServiceAccount that the call names.
    pub fn token_request(&self, call: &Call, mut question: Object, manager: &str) -> Result<Object, Status> {
        let account = read(&self.get(call)?)?;
        let spec = question.fields().get("spec").cloned().unwrap_or_default();
        let lasts = spec.get("expirationSeconds").and_then(Value::as_i64);
        let lasts = lasts.unwrap_or(USUAL);
        check(call, &question, lasts)?;
        let bound = spec.get("boundObjectRef").filter(|bound| !bound.is_null());
        let namespace = account.namespace().unwrap_or_default();
        let secret = match bound {
            Some(bound) => Some(self.bound_to(namespace, bound)?),
            None => None,
        };
        let audiences: Vec<String> = spec
            .get("audiences")
            .and_then(|audiences| serde_json::from_value(audiences.clone()).ok())
            .filter(|audiences: &Vec<String>| !audiences.is_empty())
            .unwrap_or_else(|| vec![AUDIENCE.to_owned()]);
        let answered = json!({
            "audiences": audiences, "expirationSeconds": lasts.min(LONGEST), "boundObjectRef": bound,
        });
        let now = self.now();
        let until = now + SignedDuration::from_secs(lasts.min(LONGEST));
        let claims = Claims {
            namespace: namespace.to_owned(),
            name: account.name().unwrap_or_default().to_owned(),
            uid: account.uid().unwrap_or_default().to_owned(),
            audiences,
            until,
            id: self.fresh_words().0,
            secret,
        };
        let token = self.tokens().sign(&claims, now);
        let mut sent = spec;
        if let Some(sent) = sent.as_object_mut() {
            sent.entry("expirationSeconds").or_insert_with(|| json!(USUAL));
        } else {
            sent = json!({ "expirationSeconds": USUAL });
        }
        question.fields_mut().insert("spec".to_owned(), sent);
        let mut question = self.owned(
            &subject(),
            json!({ "boundObjectRef": {} }),
            question,
            manager,
            Some("token"),
        );
        for (name, value) in [
            ("uid", claims.uid),
            ("name", claims.name),
            ("namespace", claims.namespace),
            ("creationTimestamp", shown(now)),
        ] {
            question.metadata_mut().insert(name.to_owned(), json!(value));
        }
        let fields = question.fields_mut();
        fields.insert("spec".to_owned(), answered);
        fields.insert(
            "status".to_owned(),
            json!({ "token": token.expose_secret(), "expirationTimestamp": shown(until) }),
        );
        Ok(question)
    }

    /// Name and uid of the Secret that a token shall end with.
    fn bound_to(&self, namespace: &str, bound: &Value) -> Result<(String, String), Status> {
        let word = |name: &str| bound.get(name).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = word("apiVersion")
            .split_once('/')
            .unwrap_or(("", word("apiVersion")));
        let (kind, name) = (word("kind"), word("name"));
        let resource = match (group, kind) {
            ("", "Secret") => "secrets",
            // There are none here.
            ("", "Pod") => return Err(Status::nothing_named("pods", name)),
            ("", "Node") => return Err(Status::nothing_named("nodes", name)),
            (_, _) => {
                return Err(Status::bad_request(format!(
                    "cannot bind token to object of type {group}/{version}, Kind={kind}"
                )));
            }
        };
        let key = ResourceName::new(resource).and_then(|resource| Key::new(&resource, Some(namespace), name));
        let found = key.ok().and_then(|key| self.store().get(&key));
        let found = found.ok_or_else(|| Status::nothing_named(resource, name))?;
        let found = found.object().map_err(Status::internal)?;
        let uid = found.uid().unwrap_or_default();
        if !word("uid").is_empty() && word("uid") != uid {
            let why = format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The object might have been \
                 deleted and then recreated",
                word("uid")
            );
            return Err(Status::conflict_named(kind, name, &why));
        }
        Ok((name.to_owned(), uid.to_owned()))
    }
}

fn check(call: &Call, question: &Object, lasts: i64) -> Result<(), Status> {
    let word = |name: &str| {
        let word = question.fields().get(name).and_then(Value::as_str);
        word.unwrap_or_default()
    };
    if !matches!(word("kind"), "" | KIND) {
        return Err(Status::bad_request(format!(
            "{} in version {:?} cannot be handled as a {KIND}: unknown conversion",
            word("kind"),
            word("apiVersion")
        )));
    }
    let named = question.name().unwrap_or_default();
    if !named.is_empty() && call.name.as_deref() != Some(named) {
        let why = "must match the service account name if specified";
        let cause = Cause::invalid("metadata.name", &json!(named), why);
        let name = call.name.as_deref().unwrap_or_default();
        return Err(Status::invalid_token_request(name, cause));
    }
    let why = if lasts < SHORTEST {
        "may not specify a duration less than 10 minutes"
    } else if lasts > 1 << 32 {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    let cause = Cause::invalid("spec.expirationSeconds", &json!(lasts), why);
    Err(Status::invalid_token_request("", cause))
}

fn subject() -> Subject {
    let text = json!({ "type": "string" });
    let schema = json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": {
        "audiences": { "type": "array", "items": text },
        "expirationSeconds": { "type": "integer" },
        "boundObjectRef": { "type": "object", "properties": {
            "apiVersion": text, "kind": text, "name": text, "uid": text,
        } },
    } } } });
    Subject::custom(
        "authentication.k8s.io",
        "v1",
        KIND,
        "tokenrequests",
        false,
        &schema,
    )
}
