//! How deep a value is. What is deeper than this could not be read back from the store.

use serde_json::Value;

/// serde_json reads 127 levels of lists and maps.
pub(super) const DEEPEST: usize = 127;

/// How many lists and maps are in one another here; a scalar is none. `budget`: one is taken from it for each value that
/// is looked at; None: there was not enough.
pub(super) fn depth(value: &Value, budget: &mut usize) -> Option<usize> {
    *budget = budget.checked_sub(1)?;
    let below: &mut dyn Iterator<Item = &Value> = match value {
        Value::Array(items) => &mut items.iter(),
        Value::Object(fields) => &mut fields.values(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Some(0),
    };
    let mut deepest = 0;
    for value in below {
        deepest = deepest.max(depth(value, budget)?);
    }
    Some(1 + deepest)
}
