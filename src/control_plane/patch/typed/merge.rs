//! Two values in one: what is applied wins, and nothing is taken away.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::super::field_set::Step;
use super::super::shape::{self, List, Shape, ToldApart};
use super::{Taken, as_list, as_map, is_bare, step_to};

pub(crate) fn merge(shape: &Shape, live: &Value, applied: &Value) -> Value {
    both(shape, Some(live), Some(applied)).unwrap_or(Value::Null)
}

fn both(shape: &Shape, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let form = shape.form(applied.or(live));
    let the_later = || applied.or(live).cloned();
    match shape.taken_as(form) {
        Taken::Scalar(_) => the_later(),
        Taken::Map(map) => {
            let (before, after) = (as_map(live), as_map(applied));
            let both_bare = is_bare(before, Map::is_empty) && is_bare(after, Map::is_empty);
            if map.atomic || both_bare {
                return the_later();
            }
            both_fields(map, before, after)
        }
        Taken::List(list) => {
            let (before, after) = (as_list(live), as_list(applied));
            let both_bare = is_bare(before, Vec::is_empty) && is_bare(after, Vec::is_empty);
            if list.told_apart == ToldApart::Atomic || both_bare {
                return the_later();
            }
            both_items(list, before, after)
        }
        Taken::Nothing => None,
    }
}

fn both_fields(
    map: &shape::Map,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Option<Value> {
    let mut merged = Map::new();
    let mut visit = |name: &String, live: Option<&Value>, applied: Option<&Value>| {
        let value = match (map.place(name), applied) {
            (Some(place), Some(_)) => both(place.shape(), live, applied),
            // Nothing to merge with: the walk would only copy it. (A list in which two items are one, too.)
            (Some(_), None) => live.cloned(),
            (None, _) => None,
        };
        if let Some(value) = value {
            merged.insert(name.clone(), value);
        }
    };
    for (name, live) in before.into_iter().flatten() {
        visit(name, Some(live), after.and_then(|after| after.get(name)));
    }
    for (name, applied) in after.into_iter().flatten() {
        if before.is_none_or(|before| !before.contains_key(name)) {
            visit(name, None, Some(applied));
        }
    }
    (!merged.is_empty()).then_some(Value::Object(merged))
}

/// The items that both have come in the order of what is applied; those of the live list alone keep their place before
/// the next item that both have.
fn both_items(list: &List, before: Option<&Vec<Value>>, after: Option<&Vec<Value>>) -> Option<Value> {
    let live = Items::of(list, before);
    let applied = Items::of(list, after);
    let shape = list.item.shape();
    let mut shared: VecDeque<&Step> = applied
        .steps
        .iter()
        .map(|(step, _)| step)
        .filter(|step| live.by_step.contains_key(*step))
        .collect();
    let mut next_shared = shared.pop_front();
    let mut done: BTreeSet<&Step> = BTreeSet::new();
    let mut merged = Vec::with_capacity(live.steps.len().max(applied.steps.len()));
    let mut take = |live: Option<&Value>, applied: Option<&Value>| {
        merged.extend(both(shape, live, applied));
    };
    let (mut l, mut r) = (0, 0);
    loop {
        let (left, right) = (live.steps.get(l), applied.steps.get(r));
        if left.is_none() && right.is_none() {
            break;
        }
        if let (Some((left, _)), Some((right, _))) = (left, right) {
            if left == right {
                done.insert(right);
                take(live.at(left), applied.at(left));
                l += 1;
                r += 1;
                next_shared = shared.pop_front();
                continue;
            }
            if applied.by_step.contains_key(left) && next_shared.is_some_and(|next| next != left) {
                // Both have it, but another one comes first.
                l += 1;
                continue;
            }
        }
        if let Some((left, item)) = left {
            if !applied.by_step.contains_key(left) {
                take(Some(item), None);
                l += 1;
                continue;
            }
            if done.contains(left) {
                l += 1;
            }
        }
        if let Some((right, _)) = right {
            done.insert(right);
            take(live.at(right), applied.at(right));
            r += 1;
            if next_shared == Some(right) {
                next_shared = shared.pop_front();
            }
        }
    }
    (!merged.is_empty()).then_some(Value::Array(merged))
}

struct Items<'a> {
    steps: Vec<(Step, &'a Value)>,
    by_step: BTreeMap<Step, &'a Value>,
}

static NULL: Value = Value::Null;

impl<'a> Items<'a> {
    /// Items that stand there twice are not merged with anything.
    fn of(list: &List, items: Option<&'a Vec<Value>>) -> Self {
        let mut found = Self {
            steps: Vec::new(),
            by_step: BTreeMap::new(),
        };
        for item in items.into_iter().flatten() {
            let Ok(step) = step_to(list, item) else {
                continue;
            };
            let kept = if found.by_step.contains_key(&step) {
                &NULL
            } else {
                item
            };
            found.by_step.insert(step.clone(), kept);
            found.steps.push((step, item));
        }
        found
    }

    fn at(&self, step: &Step) -> Option<&'a Value> {
        self.by_step.get(step).copied()
    }
}
