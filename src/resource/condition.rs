//! Conditions: what every status says in the same shape, so that `kubectl wait`, Flux and Argo CD need no lesson.
//! The types are plain words; their reasons are listed in the catalogue of reasons, not here.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Every kind: what the object asks for is so.
pub const READY: &str = "Ready";
/// Every kind: work is going on, or waits for something that may come by itself. Absent otherwise.
pub const RECONCILING: &str = "Reconciling";
/// Every kind: a person must act; nothing is tried again before that. Absent otherwise.
pub const STALLED: &str = "Stalled";

/// Gateway: its host answers.
pub const REACHABLE: &str = "Reachable";
/// Gateway: it accepted the token.
pub const AUTHENTICATED: &str = "Authenticated";
/// Gateway: it accepted our device, or needs none.
pub const PAIRED: &str = "Paired";
/// Gateway: its version is one that we can serve.
pub const COMPATIBLE: &str = "Compatible";
/// Gateway: its certificate is checked; False while `allowInsecureTls` is set.
pub const TLS_VERIFIED: &str = "TlsVerified";

/// Gateway: the Agent that stands for its main agent is there and as wanted.
pub const MAIN_AGENT: &str = "MainAgent";

/// Agent: its entry is in the gateway's configuration as wanted.
pub const PROVISIONED: &str = "Provisioned";
/// Agent: every managed file was read back and is as wanted.
pub const FILES_IN_SYNC: &str = "FilesInSync";
/// Agent: the token in its files is the one that we accept.
pub const TOKEN_CURRENT: &str = "TokenCurrent";
/// Agent: the wake-up message that is due was sent.
pub const WOKEN: &str = "Woken";
/// Agent: it has reported since it was woken.
pub const CHECKED_IN: &str = "CheckedIn";

/// TemplateSync, as with a Job: every selected agent was done.
pub const COMPLETE: &str = "Complete";
/// TemplateSync, as with a Job: it ended and some agents were not done.
pub const FAILED: &str = "Failed";

/// The list as a map keyed by `type`: several writers may then apply conditions without erasing each other's.
/// The limits are those of Kubernetes' own `metav1.Condition`.
pub(super) fn list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the object's state.",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "description": "The aspect, for example Ready."},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it is so."},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "Why, as one word that a program can compare."},
                "message": {"type": "string", "maxLength": 32768, "description": "Why, and what to do, in a sentence for people."},
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "When status last changed."},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0, "description": "The metadata.generation that this was true of."}
            }
        }
    })
}
