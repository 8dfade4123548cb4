//! What a resource asks for, worked out in full: a [`Snapshot`](gateway::Snapshot) of resources in, plain data
//! out. Pure: no clock, no client, no randomness; the same snapshot gives the same answer.

pub mod agent;
pub mod board;
pub mod document;
pub mod errand;
pub mod gateway;
pub mod hold_on;
pub mod leaving;
pub mod main_agent;
pub mod roster;
pub mod template_sync;

use std::time::Duration;

/// A whole number with s, m or h, as the schema lets it pass.
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}
