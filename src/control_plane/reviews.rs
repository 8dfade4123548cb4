//! Questions that are answered and not stored: whose token is this, may they, who am I.

use serde_json::{Value, json};

use super::ControlPlane;
use super::access::{Deed, MASTERS, User};
use super::call::Call;
use super::kind::Review;
use super::object::Object;
use super::patch::{self, Subject};
use super::status::{Cause, Status};

impl ControlPlane {
    /// The question with its answer in `status`.
    pub fn review(
        &self,
        call: &Call,
        review: Review,
        question: Object,
        manager: &str,
    ) -> Result<Object, Status> {
        let spec = question.fields().get("spec").cloned().unwrap_or_default();
        check_question(call, review, &question, &spec)?;
        let status = match review {
            Review::Token => self.token_review(&spec),
            Review::OwnName => json!({ "userInfo": call.user }),
            Review::OwnSubject => self.access(&call.user, &spec)?,
            Review::Subject | Review::LocalSubject => {
                let user = asked_about(&spec);
                self.access(&user, &spec)?
            }
            Review::OwnRules => self.rules(&call.user, &spec),
        };
        // Whoever asks what he may gets an answer that is about nobody in particular.
        if review == Review::OwnRules {
            let (kind, version) = (&call.kind.names.kind, call.kind.api_version());
            let answer = json!({
                "kind": kind, "apiVersion": version, "metadata": {}, "spec": {}, "status": status,
            });
            return Ok(Object::of(answer).unwrap_or_default());
        }
        let mut question = self.owned(&call.kind.subject, json!({}), question, manager, None);
        if review == Review::OwnName {
            let now = json!(shown(self.now()));
            question
                .metadata_mut()
                .insert("creationTimestamp".to_owned(), now);
        }
        question.fields_mut().insert("status".to_owned(), status);
        Ok(question)
    }

    /// A question says who asked it, as everything that is written does.
    pub(super) fn owned(
        &self,
        subject: &Subject,
        blank_spec: Value,
        mut question: Object,
        manager: &str,
        subresource: Option<&str>,
    ) -> Object {
        let mut blank = subject.blank();
        blank.fields_mut().insert("spec".to_owned(), blank_spec);
        for (name, value) in [
            ("kind", json!(subject.kind)),
            ("apiVersion", json!(subject.api_version())),
        ] {
            question.fields_mut().insert(name.to_owned(), value);
        }
        question.metadata_mut();
        question.fields_mut().remove("status");
        patch::track(subject, Some(&blank), question, manager, subresource, self.now())
    }

    fn token_review(&self, spec: &Value) -> Value {
        let token = spec.get("token").and_then(Value::as_str).unwrap_or_default();
        let wanted: Vec<String> = spec
            .get("audiences")
            .and_then(|audiences| serde_json::from_value(audiences.clone()).ok())
            .unwrap_or_default();
        match self.holder(token, &wanted) {
            Ok((user, audiences)) => json!({ "authenticated": true, "user": user, "audiences": audiences }),
            Err(wrong) => json!({ "user": {}, "error": wrong.to_string() }),
        }
    }

    fn access(&self, user: &User, spec: &Value) -> Result<Value, Status> {
        let deed = deed_of(spec).unwrap_or(Deed::Path {
            verb: String::new(),
            path: String::new(),
        });
        if user.is_in(MASTERS) {
            return Ok(json!({ "allowed": true }));
        }
        Ok(match self.policy().reason(user, &deed) {
            Some(reason) => json!({ "allowed": true, "reason": reason }),
            None => json!({ "allowed": false }),
        })
    }

    /// What somebody may in a namespace: what `kubectl auth can-i --list` shows.
    fn rules(&self, user: &User, spec: &Value) -> Value {
        let namespace = spec.get("namespace").and_then(Value::as_str);
        let policy = self.policy();
        let (mut resources, mut urls) = (Vec::new(), Vec::new());
        if user.is_in(MASTERS) {
            resources.push(json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }));
            urls.push(json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }));
        }
        for rule in policy.rules_of(user, namespace) {
            if rule
                .non_resource_urls
                .as_ref()
                .is_some_and(|urls| !urls.is_empty())
            {
                urls.push(json!({ "verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls }));
            } else {
                let mut shown = json!({
                    "verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources,
                });
                if let (Some(names), Some(shown)) = (&rule.resource_names, shown.as_object_mut()) {
                    shown.insert("resourceNames".to_owned(), json!(names));
                }
                resources.push(shown);
            }
        }
        json!({ "resourceRules": resources, "nonResourceRules": urls, "incomplete": false })
    }
}

/// What must be said to get an answer.
fn check_question(call: &Call, review: Review, question: &Object, spec: &Value) -> Result<(), Status> {
    match review {
        Review::Token => {
            let token = spec.get("token").and_then(Value::as_str).unwrap_or_default();
            if token.is_empty() {
                return Err(Status::bad_request(
                    "token is required for TokenReview in authentication",
                ));
            }
            return Ok(());
        }
        Review::OwnName | Review::OwnRules => return Ok(()),
        Review::Subject | Review::LocalSubject | Review::OwnSubject => {}
    }
    let is_there = |name: &str| spec.get(name).is_some_and(Value::is_object);
    let mut causes = Vec::new();
    match (is_there("resourceAttributes"), is_there("nonResourceAttributes")) {
        (true, true) => {
            let word = |name: &str| {
                let about = spec.get("nonResourceAttributes");
                about
                    .and_then(|about| about.get(name))
                    .cloned()
                    .unwrap_or_else(|| json!(""))
            };
            let shown = format!("{{\"Path\":{},\"Verb\":{}}}", word("path"), word("verb"));
            let why = "cannot be specified in combination with resourceAttributes";
            causes.push(Cause::unfit("spec.nonResourceAttributes", &shown, why));
        }
        (false, false) => causes.push(Cause::invalid(
            "spec.resourceAttributes",
            &Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        (true, false) | (false, true) => {}
    }
    let user = spec.get("user").and_then(Value::as_str).unwrap_or_default();
    let groups = spec
        .get("groups")
        .and_then(Value::as_array)
        .is_some_and(|groups| !groups.is_empty());
    if review != Review::OwnSubject && user.is_empty() && !groups {
        let why = "at least one of user or group must be specified";
        causes.push(Cause::invalid("spec.user", &json!(""), why));
    }
    if review == Review::LocalSubject {
        let about = spec
            .get("resourceAttributes")
            .and_then(|about| about.get("namespace")?.as_str());
        let here = question.namespace().or(call.namespace.as_deref());
        if about.is_some() && about != here {
            let why = "must match metadata.namespace";
            causes.push(Cause::invalid(
                "spec.resourceAttributes.namespace",
                &json!(about),
                why,
            ));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid_question(causes))
}

pub(super) fn shown(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whom a SubjectAccessReview is about.
fn asked_about(spec: &Value) -> User {
    let text = |name: &str| {
        spec.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let groups = spec
        .get("groups")
        .and_then(|groups| serde_json::from_value(groups.clone()).ok());
    User {
        name: text("user"),
        uid: text("uid"),
        groups: groups.unwrap_or_default(),
        ..User::default()
    }
}

fn deed_of(spec: &Value) -> Option<Deed> {
    if let Some(about) = spec.get("resourceAttributes").filter(|about| about.is_object()) {
        let text = |name: &str| {
            about
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let some = |name: &str| Some(text(name)).filter(|word| !word.is_empty());
        let resource = match some("subresource") {
            Some(subresource) => format!("{}/{subresource}", text("resource")),
            None => text("resource"),
        };
        return Some(Deed::Objects {
            verb: text("verb"),
            group: text("group"),
            resource,
            namespace: some("namespace"),
            name: some("name"),
        });
    }
    let about = spec
        .get("nonResourceAttributes")
        .filter(|about| about.is_object())?;
    let text = |name: &str| {
        about
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some(Deed::Path {
        verb: text("verb"),
        path: text("path"),
    })
}
