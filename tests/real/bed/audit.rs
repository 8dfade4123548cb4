//! What the API server says was asked of it, by whom, and with what answer: the audit log.
//!
//! It is the only witness that does not depend on the asker. Tests of "no write at all once stable" and of RBAC
//! read it instead of believing the operator.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

/// All requests, once each, when they are complete (a watch when it ends); without bodies.
pub const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules:
- level: Metadata
";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// `admin`, or `system:serviceaccount:<namespace>:<name>`
    pub user: String,
    pub verb: String,
    /// Empty for a request that is not about a resource (`/readyz`).
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// The HTTP status.
    pub code: u16,
    /// When the request came in.
    pub time: Timestamp,
    pub user_agent: String,
}

impl AuditEvent {
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    fn from_line(line: &str) -> Option<Self> {
        // The last line may be half written.
        let event: Value = serde_json::from_str(line).ok()?;
        let text = |pointer: &str| {
            event
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Some(Self {
            user: text("/user/username"),
            verb: text("/verb"),
            resource: text("/objectRef/resource"),
            subresource: text("/objectRef/subresource"),
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            code: event
                .pointer("/responseStatus/code")
                .and_then(Value::as_u64)?
                .try_into()
                .ok()?,
            time: text("/requestReceivedTimestamp").parse().ok()?,
            user_agent: text("/userAgent"),
        })
    }
}

pub fn read(log: &Path) -> Vec<AuditEvent> {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(AuditEvent::from_line)
        .collect()
}
