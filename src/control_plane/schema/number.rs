//! Numbers and their limits, as Go compares them: whole ones among themselves, all others as floating point.

use std::cmp::Ordering;

use serde_json::Number;

use super::node::{DataType, Limit, Node};
use super::printed;

/// A fraction that is none: `1.0`.
pub(super) fn is_whole(float: f64) -> bool {
    const MOST: f64 = 9_007_199_254_740_991.0;
    float.fract() == 0.0 && float.abs() <= MOST
}

pub(super) fn fits(node: &Node, number: &Number) -> bool {
    match (node.data_type, node.bounds.format_name.as_str()) {
        (Some(DataType::Integer), "int32") => {
            as_whole(number).is_some_and(|whole| i32::try_from(whole).is_ok())
        }
        (Some(DataType::Integer), _) => as_whole(number).is_some(),
        (Some(DataType::Number), "float") => number
            .as_f64()
            .is_some_and(|float| float.abs() <= f64::from(f32::MAX)),
        (
            None
            | Some(
                DataType::Object | DataType::Array | DataType::String | DataType::Number | DataType::Boolean,
            ),
            _,
        ) => true,
    }
}

fn as_whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let printed = number.as_f64().filter(|float| float.fract() == 0.0)?.to_string();
        printed.parse().ok()
    })
}

/// Whether it lies on that side of the limit.
pub(super) fn is_beyond(number: &Number, limit: Limit, side: Ordering) -> bool {
    let compared = match number.as_i64() {
        Some(whole) => Some(whole.cmp(&truncated(limit.value))),
        None => number.as_f64().and_then(|float| float.partial_cmp(&limit.value)),
    };
    compared == Some(side) || limit.exclusive && compared == Some(Ordering::Equal)
}

/// Whole numbers are compared with whole ones, and the message shows such a one.
pub(super) fn limit_as_printed(number: &Number, limit: f64) -> String {
    if number.is_i64() {
        truncated(limit).to_string()
    } else {
        printed::float(limit)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "as the API server does; beyond i64 it stays at its end"
)]
pub(super) fn truncated(limit: f64) -> i64 {
    limit as i64
}
