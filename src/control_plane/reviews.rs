//! Questions that are answered and not stored: whose token is this, may they, who am I; and tokens for ServiceAccounts.

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::ControlPlane;
use super::access::token::{AUDIENCE, Claims};
use super::access::{Deed, MASTERS, User};
use super::call::Call;
use super::kind::Review;
use super::object::Object;
use super::status::Status;

impl ControlPlane {
    /// The question with its answer in `status`.
    pub fn review(&self, call: &Call, review: Review, mut question: Object) -> Result<Object, Status> {
        let spec = question.fields().get("spec").cloned().unwrap_or_default();
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
        let fields = question.fields_mut();
        fields.insert("kind".to_owned(), json!(call.kind.names.kind));
        fields.insert("apiVersion".to_owned(), json!(call.kind.api_version()));
        fields.insert("status".to_owned(), status);
        question.metadata_mut();
        Ok(question)
    }

    fn token_review(&self, spec: &Value) -> Value {
        let token = spec.get("token").and_then(Value::as_str).unwrap_or_default();
        match self.user_of(token) {
            Some(user) => json!({ "authenticated": true, "user": user, "audiences": [AUDIENCE] }),
            None => json!({ "user": {}, "error": "[invalid bearer token]" }),
        }
    }

    fn access(&self, user: &User, spec: &Value) -> Result<Value, Status> {
        let deed = deed_of(spec).ok_or_else(|| {
            Status::bad_request(
                "spec.resourceAttributes or spec.nonResourceAttributes is required: say what is to be done",
            )
        })?;
        let allowed = self.may(user, &deed);
        Ok(if allowed {
            json!({ "allowed": true })
        } else {
            json!({ "allowed": false })
        })
    }

    /// What somebody may in a namespace: what `kubectl auth can-i --list` shows.
    fn rules(&self, user: &User, spec: &Value) -> Value {
        let namespace = spec.get("namespace").and_then(Value::as_str);
        let policy = self.policy();
        let mut resources = vec![json!({
            "verbs": ["create"],
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        })];
        let mut urls = vec![json!({
            "verbs": ["get"],
            "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version"],
        })];
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

    /// A token for the ServiceAccount that the call names.
    pub fn token_request(&self, call: &Call, mut question: Object) -> Result<Object, Status> {
        const SHORTEST: i64 = 600;
        const USUAL: i64 = 3600;
        // Longer ones are made shorter, as the API server may.
        const LONGEST: i64 = 365 * 24 * 3600;
        let account = self.get(call)?;
        let spec = question.fields().get("spec").cloned().unwrap_or_default();
        let asked = spec
            .get("expirationSeconds")
            .and_then(Value::as_i64)
            .unwrap_or(USUAL);
        if asked < SHORTEST {
            let cause = super::status::Cause::invalid(
                "spec.expirationSeconds",
                &json!(asked),
                "may not specify a duration less than 10 minutes",
            );
            return Err(Status::invalid_token_request(cause));
        }
        let audiences: Vec<String> = spec
            .get("audiences")
            .and_then(|audiences| serde_json::from_value(audiences.clone()).ok())
            .filter(|audiences: &Vec<String>| !audiences.is_empty())
            .unwrap_or_else(|| vec![AUDIENCE.to_owned()]);
        let now = self.now();
        let until = now + SignedDuration::from_secs(asked.min(LONGEST));
        let claims = Claims {
            namespace: account.namespace().unwrap_or_default().to_owned(),
            name: account.name().unwrap_or_default().to_owned(),
            uid: account.uid().unwrap_or_default().to_owned(),
            audiences: audiences.clone(),
            until,
        };
        let token = self.tokens().sign(&claims, now);
        let metadata = json!({
            "name": claims.name, "namespace": claims.namespace, "creationTimestamp": shown(now),
        });
        let fields = question.fields_mut();
        fields.insert("kind".to_owned(), json!("TokenRequest"));
        fields.insert("apiVersion".to_owned(), json!("authentication.k8s.io/v1"));
        fields.insert("metadata".to_owned(), metadata);
        fields.insert(
            "spec".to_owned(),
            json!({ "audiences": audiences, "expirationSeconds": asked.min(LONGEST), "boundObjectRef": null }),
        );
        fields.insert(
            "status".to_owned(),
            json!({ "token": token.expose_secret(), "expirationTimestamp": shown(until) }),
        );
        Ok(question)
    }
}

fn shown(time: jiff::Timestamp) -> String {
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
