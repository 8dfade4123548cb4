//! What differs where drift was found and left, bounded, with secrets masked.

use std::time::Duration;

use similar::TextDiff;

use crate::desired::agent::{AgentToken, Desired, Text};
use crate::execute::agent::Outcome;
use crate::fact::Fact;
use crate::observed::agent::{Found, Observed};
use crate::resource::agent::{AgentStatus, Difference};
use crate::status::condition::fit;

/// The schema's limits.
const MOST: usize = 16;
const LONGEST: usize = 4096;
/// Of two long texts that have nothing in common.
const LONGEST_COMPARISON: Duration = Duration::from_millis(50);
const MASK: &str = "[masked]";

pub(super) fn of(
    desired: &Desired,
    observed: &Observed,
    outcome: &Outcome,
    before: &AgentStatus,
) -> Vec<Difference> {
    let Ok(content) = &desired.content else {
        return before.drift.clone();
    };
    let secrets: Vec<&str> = desired.token.all().map(AgentToken::reveal).collect();
    let mut all = Vec::new();
    for name in &outcome.plan.drifted {
        let Some(file) = content.files.files.get(name) else {
            continue;
        };
        let found = match observed.files.get(name) {
            Some(Fact::Known(Found {
                content: Some(found), ..
            })) => found.to_string(),
            Some(Fact::Absent) => String::new(),
            Some(Fact::Known(_) | Fact::Unknown) | None => {
                all.extend(before.drift.iter().find(|it| it.subject == *name).cloned());
                continue;
            }
        };
        let wanted = match &file.text {
            Text::Whole(wanted) => wanted.clone(),
            Text::Section(_) => file.text.wanted(Some(&found)).unwrap_or_else(|| found.clone()),
        };
        let diff = TextDiff::configure()
            .timeout(LONGEST_COMPARISON)
            .diff_lines(&wanted, &found);
        let diff = diff.unified_diff().context_radius(1).to_string();
        all.push(Difference {
            subject: name.clone(),
            diff: fit(&masked(&diff, &secrets), LONGEST),
        });
    }
    if let (true, Some(entry)) = (outcome.plan.entry_drifted, &outcome.plan.entry) {
        all.extend(entry.settings.keys().map(|key| Difference {
            subject: format!("entry.{}", fit(key, 200)),
            // Values of settings may be secrets: only which one is told.
            diff: "differs from what is wanted".to_owned(),
        }));
    }
    all.truncate(MOST);
    all
}

/// Tokens by value, and whatever looks like one: one from before is no less secret.
pub(super) fn masked(text: &str, secrets: &[&str]) -> String {
    // Whatever is as long and as meaningless as a token may be one: an old one, or a key that somebody has pasted.
    const SHORTEST: usize = 32;
    /// Of 256 random bits in base64; one in fifteen hundred has no digit.
    const OURS: usize = 43;
    let mut result = String::new();
    let mut word = String::new();
    let end = |word: &mut String, result: &mut String| {
        let has_digit = word.chars().any(|sign| sign.is_ascii_digit());
        let is_random = word.len() >= SHORTEST && has_digit || word.len() == OURS;
        result.push_str(if is_random { MASK } else { word });
        word.clear();
    };
    for sign in masked_by_name(text, secrets).chars() {
        if sign.is_ascii_alphanumeric() || ['-', '_', '+', '/', '='].contains(&sign) {
            word.push(sign);
        } else {
            end(&mut word, &mut result);
            result.push(sign);
        }
    }
    end(&mut word, &mut result);
    result
}

fn masked_by_name(text: &str, secrets: &[&str]) -> String {
    let text = secrets
        .iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, MASK));
    let lines = text
        .split_inclusive('\n')
        .map(|line| match line.split_once("AUTH_TOKEN=\"") {
            Some((head, tail)) => {
                let rest = tail.split_once('"').map_or("\n", |(_, rest)| rest);
                format!("{head}AUTH_TOKEN=\"{MASK}\"{rest}")
            }
            None => line.to_owned(),
        });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_get_into_a_status() {
        let secret = "s".repeat(43);
        let text = format!(
            "-x {secret}\n+AUTH_TOKEN=\"{}\"\n+AUTH_TOKEN=\"cut\n",
            "t".repeat(43)
        );
        let masked = masked(&text, &[&secret]);
        assert_eq!(
            masked,
            "-x [masked]\n+AUTH_TOKEN=\"[masked]\"\n+AUTH_TOKEN=\"[masked]\"\n"
        );
    }
}
