//! What is told in the same words of every kind: what Ready's reason came to, how an object goes, what somebody asked for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

use super::News;
use super::condition::{Finding, Truth, find, fit};
use super::reason::Reason;
use crate::desired::hold_on::Deletion;
use crate::resource::condition;

/// Ready's reason is the story: told when it changes, but not the moments between two chapters.
pub(super) fn news(before: &[Condition], ready: &Finding) -> Vec<News> {
    of_condition(before, condition::READY, ready)
}

/// The same of another condition.
pub(super) fn of_condition(before: &[Condition], kind: &str, finding: &Finding) -> Vec<News> {
    let told = find(before, kind);
    let same = told.is_some_and(|told| told.reason == finding.reason.to_string());
    if same || finding.truth == Truth::Unknown {
        return Vec::new();
    }
    vec![News {
        // Nothing is wrong with going.
        warning: finding.truth == Truth::False && finding.reason != Reason::Deleting,
        reason: finding.reason,
        note: finding.message.clone(),
    }]
}

/// Why an object that is being deleted is still there.
pub(super) fn leaving(deletion: &Deletion, kind: &str) -> Finding {
    let Deletion {
        users,
        forced,
        suspended,
    } = deletion;
    let (reason, message) = if *forced {
        (
            Reason::Deleting,
            "being deleted; quartermaster.dev/force-delete lets it go".to_owned(),
        )
    } else if !users.is_empty() {
        (
            Reason::InUse,
            format!(
                "being deleted, but still used by {}: it goes once they are deleted or refer to another {kind}",
                some(users)
            ),
        )
    } else if *suspended {
        (
            Reason::Suspended,
            "being deleted, but suspended: set spec.suspend to false to let it go".to_owned(),
        )
    } else {
        (Reason::Deleting, "being deleted".to_owned())
    };
    Finding::new(Truth::False, reason, message)
}

/// Of an object that went because somebody forced it.
pub(super) fn forced(kind: &str, left: &[String]) -> News {
    let what = if left.is_empty() {
        "nothing that we know of was left behind".to_owned()
    } else {
        format!("left behind: {}", some(left))
    };
    News {
        warning: true,
        reason: Reason::ForceDeleted,
        note: format!("this {kind} was let go by quartermaster.dev/force-delete; {what}"),
    }
}

/// What an annotation asks for, as it is answered.
pub(super) fn asked(object: &impl Resource, annotation: &str) -> Option<String> {
    const LONGEST: usize = 1024;
    object
        .annotations()
        .get(annotation)
        .map(|asked| fit(asked, LONGEST))
}

/// A list for a sentence: there may be thousands.
pub(super) fn some(words: &[String]) -> String {
    const MOST: usize = 12;
    let shown = words.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match words.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        Some(_) | None => shown,
    }
}
