//! Conditions, built so that nothing changes where nothing happened: the time of a condition moves only with its
//! status, and the list keeps its order.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::reason::Reason;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// One aspect as a pass found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub truth: Truth,
    pub reason: Reason,
    pub message: String,
}

impl Finding {
    pub fn new(truth: Truth, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            truth,
            reason,
            message: message.into(),
        }
    }

    /// As it was told before. None: in words that are none of ours.
    pub fn told(condition: &Condition) -> Option<Self> {
        let reason = Reason::ALL
            .iter()
            .find(|reason| reason.to_string() == condition.reason)?;
        let truth = match condition.status.as_str() {
            "True" => Truth::True,
            "False" => Truth::False,
            _ => Truth::Unknown,
        };
        Some(Self::new(truth, *reason, condition.message.clone()))
    }
}

/// Writes findings over the conditions that were there before.
#[derive(Clone, Copy)]
pub struct Book<'a> {
    pub before: &'a [Condition],
    pub generation: Option<i64>,
    pub now: Timestamp,
}

impl Book<'_> {
    pub fn write(&self, kind: &str, finding: &Finding) -> Condition {
        let Finding {
            truth,
            reason,
            message,
        } = finding;
        let status = match truth {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        };
        let since = find(self.before, kind)
            .filter(|before| before.status == status)
            .map_or_else(|| Time(self.now), |before| before.last_transition_time.clone());
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_string(),
            message: fit(message, 4_000),
            last_transition_time: since,
            observed_generation: self.generation,
        }
    }
}

/// At most so many characters: a status that its schema refuses could never be written again.
pub fn fit(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// The API server keeps whole seconds; a moment with fractions would differ from what is read back, and a pass
/// that changes nothing would write for ever.
pub fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
