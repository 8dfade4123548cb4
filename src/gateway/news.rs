//! What a gateway tells without being asked, boiled down to what somebody here acts on.
//!
//! An event is a hint to read again and never a fact: what it says is not believed, and it may be missing (of one
//! agents.delete in five a 2026.9.6 told nothing). So of each kind only a count is kept, in one value that is watched: a
//! flood of events costs no memory, whoever is busy meanwhile finds one change, and the socket waits for nobody.

use std::time::Duration;

use serde::Deserialize;

use super::credentials::Secrets;

/// Counted from the beginning of a connection. Another number than the one that was seen last means: read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// The configuration was written, by us or by somebody else. Told by gateways whose contract says
    /// [`tells_of_changes`](super::Contract::tells_of_changes); of the others nothing tells it.
    pub configuration: u64,
    /// An agent came, went or was changed. Told by the same gateways.
    pub agents: u64,
    /// A session was changed or reset, or an agent's turn has ended.
    pub sessions: u64,
    /// The gateway is about to close the connection by itself.
    pub leaving: Option<Leaving>,
}

/// A restart or a shutdown that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    pub reason: String,
    /// When it thinks to be back, where it says so.
    pub back_in: Option<Duration>,
}

#[derive(Deserialize, Default)]
struct Turn {
    state: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Shutdown {
    reason: Option<String>,
    restart_expected_ms: Option<u64>,
}

/// More is no restart that one waits for.
const LONGEST_ABSENCE: Duration = Duration::from_secs(60);

impl News {
    /// Whether this event is news to anybody.
    pub(super) fn hear(&mut self, event: &str, payload: &str, secrets: &Secrets) -> bool {
        match event {
            "config.changed" => self.configuration += 1,
            // After every write that touches agents or models: the list to choose from in a chat is another.
            "chat.metadata.changed" => self.agents += 1,
            "sessions.changed" => self.sessions += 1,
            // Told for every piece of an answer, too; only the last one says that the turn is over.
            "chat" => {
                let Turn { state } = serde_json::from_str(payload).unwrap_or_default();
                if !matches!(state.as_deref(), Some("final" | "error" | "aborted")) {
                    return false;
                }
                self.sessions += 1;
            }
            "shutdown" => {
                let Shutdown {
                    reason,
                    restart_expected_ms,
                } = serde_json::from_str(payload).unwrap_or_default();
                self.leaving = Some(Leaving {
                    reason: secrets.tame(&reason.unwrap_or_default()),
                    back_in: restart_expected_ms.map(|ms| Duration::from_millis(ms).min(LONGEST_ABSENCE)),
                });
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::credentials::Token;

    #[test]
    fn each_kind_is_counted_and_the_rest_is_nobodys_news() {
        let mut news = News::default();
        for (event, payload) in [
            ("config.changed", json!({"path": "/x", "hash": "h", "ts": 1})),
            ("config.changed", Value::Null),
            ("chat.metadata.changed", json!({})),
            (
                "sessions.changed",
                json!({"sessionKey": "agent:a:main", "reason": "reset"}),
            ),
            ("chat", json!({"state": "error", "runId": "r"})),
        ] {
            assert!(
                news.hear(event, &payload.to_string(), &Secrets::default()),
                "{event}"
            );
        }
        for (event, payload) in [
            ("tick", json!({"ts": 1})),
            ("health", json!({})),
            ("chat", json!({"state": "delta"})),
            ("chat", json!(7)),
            ("made.up", json!([])),
        ] {
            assert!(
                !news.hear(event, &payload.to_string(), &Secrets::default()),
                "{event}"
            );
        }
        let counted = News {
            configuration: 2,
            agents: 1,
            sessions: 2,
            leaving: None,
        };
        assert_eq!(news, counted);
    }

    #[test]
    fn an_announced_restart_is_bounded_in_words_and_time() {
        let mut news = News::default();
        news.hear(
            "shutdown",
            r#"{"reason": "gateway restarting, was hunter2", "restartExpectedMs": 1500}"#,
            &Secrets::of([Token::from_bytes(b"hunter2").ok()]),
        );
        let leaving = Leaving {
            reason: "gateway restarting, was …".into(),
            back_in: Some(Duration::from_millis(1500)),
        };
        assert_eq!(news.leaving, Some(leaving));
        news.hear(
            "shutdown",
            &json!({"reason": "x\n".repeat(9000), "restartExpectedMs": u64::MAX}).to_string(),
            &Secrets::default(),
        );
        let leaving = news.leaving.unwrap();
        assert_eq!(leaving.back_in, Some(LONGEST_ABSENCE));
        assert!(leaving.reason.chars().count() <= 301 && !leaving.reason.contains('\n'));
    }
}
