//! What a refused call means. Most provisioning errors carry no code of their own: the text is all there is, so it is
//! read here, in one table, and nowhere else.

use std::time::Duration;

use serde_json::Value;

use super::frame::Refusal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The agent is not in the gateway's configuration (or, on 2026.9.6, not visible for 0.2 s after `agents.create`).
    NoSuchAgent,
    AlreadyExists,
    /// `agents.files.*` does not take this name.
    UnsupportedFile,
    /// A symlink, or larger than 16 MiB.
    UnsafeFile,
    /// The file is not what `expectedHash` said.
    FileChanged,
    /// Somebody else wrote the configuration since it was read.
    ConfigChanged,
    /// The configuration would be invalid; which part, and why.
    InvalidConfig(Vec<Issue>),
    /// The configuration's file would be less than half of what it is.
    SizeDrop,
    /// Too many writes.
    OverBudget {
        retry_after: Duration,
    },
    /// 256 requests wait already, or the gateway is starting or draining.
    Busy {
        retry_after: Duration,
    },
    MissingScope,
    UnknownMethod,
    /// `chat.send`: the key was used with another text.
    OtherMessage,
    Other,
}

/// A part of the configuration that the gateway does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub path: String,
    pub message: String,
}

/// A batch has a hundred entries; what a hostile gateway lists beyond is not kept.
const MOST_ISSUES: usize = 200;
const A_WHILE: Duration = Duration::from_secs(1);

impl Refusal {
    pub fn meaning(&self) -> Meaning {
        let message = self.message.as_str();
        let detail = |key: &str| self.details.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = self.detail_code.as_deref().unwrap_or_default();
        match (self.code.as_str(), code) {
            (_, "MISSING_SCOPE") => Meaning::MissingScope,
            ("UNAVAILABLE", _) if message.starts_with("rate limit exceeded") => {
                // Without a hint the whole window: guessing shorter only spends more of the budget.
                Meaning::OverBudget {
                    retry_after: self.retry_after.unwrap_or(Duration::from_secs(60)),
                }
            }
            _ if detail("type") == "agent_file_conflict" => Meaning::FileChanged,
            _ if detail("reason") == "chat-request-conflict" => Meaning::OtherMessage,
            _ if message.starts_with("missing scope") => Meaning::MissingScope,
            _ if message.starts_with("unknown method") => Meaning::UnknownMethod,
            _ if message.starts_with("config changed since last load")
                || message.starts_with("config base hash required") =>
            {
                Meaning::ConfigChanged
            }
            _ if message.contains("size-drop:") => Meaning::SizeDrop,
            _ if message.contains("invalid config") || message.contains("Unrecognized key") => {
                Meaning::InvalidConfig(self.issues())
            }
            _ if message.starts_with("unsupported file") => Meaning::UnsupportedFile,
            _ if message.starts_with("unsafe workspace file") => Meaning::UnsafeFile,
            _ if message.contains("already exists") => Meaning::AlreadyExists,
            // In exactly these words: a schema's path, a job or a file may be "not found", too.
            _ if message.starts_with("agent \"") && message.ends_with("\" not found")
                || message.contains("unknown agent id")
                || message.contains("no longer exists") =>
            {
                Meaning::NoSuchAgent
            }
            ("UNAVAILABLE", _)
                if self.retry_after.is_some()
                    || message.contains("busy")
                    || message.contains("starting")
                    // A 2026.9.6 on a busy machine loses a lease of its own; the same call again does it.
                    || message.contains("OPENCLAW_STATE_LEASE_LOST") =>
            {
                Meaning::Busy {
                    retry_after: self.retry_after.unwrap_or(A_WHILE),
                }
            }
            _ => Meaning::Other,
        }
    }

    fn issues(&self) -> Vec<Issue> {
        let listed = self.details.get("issues").and_then(Value::as_array);
        let text = |issue: &Value, key: &str| issue.get(key).and_then(Value::as_str).map(super::frame::tame);
        listed
            .into_iter()
            .flatten()
            .take(MOST_ISSUES)
            .filter_map(|issue| {
                Some(Issue {
                    path: text(issue, "path")?,
                    message: text(issue, "message").unwrap_or_default(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::credentials::Secrets;
    use crate::gateway::frame::Incoming;

    fn meaning(error: &Value) -> Meaning {
        let frame = json!({ "type": "res", "id": "1", "ok": false, "error": error }).to_string();
        let Some(Incoming::Answer {
            result: Err(refusal), ..
        }) = Incoming::parse(&frame, &Secrets::default())
        else {
            panic!()
        };
        refusal.meaning()
    }

    #[test]
    fn recorded_refusals_mean_what_they_mean() {
        let invalid = |message: &str| json!({ "code": "INVALID_REQUEST", "message": message });
        for (message, expected) in [
            ("agent \"x\" not found", Meaning::NoSuchAgent),
            ("unknown agent id", Meaning::NoSuchAgent),
            (
                "Agent \"nope\" no longer exists in configuration",
                Meaning::NoSuchAgent,
            ),
            ("agent \"x\" already exists", Meaning::AlreadyExists),
            ("unsupported file \"BOARD.md\"", Meaning::UnsupportedFile),
            ("unsafe workspace file \"USER.md\"", Meaning::UnsafeFile),
            (
                "config changed since last load; re-run config.get and retry",
                Meaning::ConfigChanged,
            ),
            (
                "config base hash required for a.b; re-run config.get and retry with baseHash",
                Meaning::ConfigChanged,
            ),
            ("missing scope: operator.read", Meaning::MissingScope),
            ("unknown method: x", Meaning::UnknownMethod),
            ("config schema path not found", Meaning::Other),
            ("invalid cron.remove params: id not found", Meaning::Other),
            ("something new", Meaning::Other),
        ] {
            assert_eq!(meaning(&invalid(message)), expected, "{message}");
        }
        assert_eq!(
            meaning(
                &json!({"code": "UNAVAILABLE", "message": "rate limit exceeded for config.patch; retry after 59s",
                "retryAfterMs": 58_039, "details": {"method": "config.patch", "limit": "30 per 60s"}})
            ),
            Meaning::OverBudget {
                retry_after: Duration::from_millis(58_039)
            }
        );
        assert_eq!(
            meaning(
                &json!({"code": "UNAVAILABLE", "message": "The server is busy. Please try again in a moment."})
            ),
            Meaning::Busy { retry_after: A_WHILE }
        );
        let lost =
            "Error: gateway state lease core:agent-deletion/x was lost: code=OPENCLAW_STATE_LEASE_LOST";
        assert_eq!(
            meaning(&json!({"code": "UNAVAILABLE", "message": lost})),
            Meaning::Busy { retry_after: A_WHILE }
        );
        assert_eq!(
            meaning(
                &json!({"code": "INVALID_REQUEST", "message": "agent file \"AGENTS.md\" changed since it was read",
                "details": {"type": "agent_file_conflict", "name": "AGENTS.md", "currentHash": "x"}})
            ),
            Meaning::FileChanged
        );
    }

    #[test]
    fn the_guilty_part_of_a_configuration_is_named() {
        let refused = meaning(
            &json!({"code": "INVALID_REQUEST", "message": "invalid config: agents.entries.a: bad",
            "details": {"issues": [{"path": "agents.entries.a", "message": "Unrecognized key: \"x\""}, {"odd": 1}]}}),
        );
        let issue = Issue {
            path: "agents.entries.a".into(),
            message: "Unrecognized key: \"x\"".into(),
        };
        assert_eq!(refused, Meaning::InvalidConfig(vec![issue]));
    }
}
