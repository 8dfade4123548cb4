//! How one value differs from another.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::field_set::{FieldSet, Step};
use super::super::shape::{self, List, Scalar, Shape, ToldApart};
use super::{Form, Taken, as_list, as_map, is_bare, step_to, value};

/// No field is in more than one of them.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) removed: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) added: FieldSet,
}

impl Difference {
    fn put(&mut self, step: &Step, below: Self) {
        let Self {
            removed,
            modified,
            added,
        } = below;
        let sets = [
            (&mut self.removed, removed),
            (&mut self.modified, modified),
            (&mut self.added, added),
        ];
        for (set, below) in sets {
            if !below.is_empty() {
                set.put(step.clone(), below);
            }
        }
    }

    pub(crate) fn drop_trees(&mut self, ignored: &FieldSet) {
        for set in [&mut self.removed, &mut self.modified, &mut self.added] {
            set.remove_trees(ignored);
        }
    }
}

pub(crate) fn compare(shape: &Shape, old: &Value, new: &Value) -> Difference {
    let mut difference = between(shape, Some(old), Some(new));
    // Nobody owns the whole object.
    for set in [
        &mut difference.removed,
        &mut difference.modified,
        &mut difference.added,
    ] {
        set.member = false;
    }
    difference
}

fn between(shape: &Shape, old: Option<&Value>, new: Option<&Value>) -> Difference {
    let mut found = Difference::default();
    let (was, is) = (shape.form(old), shape.form(new));
    let leaf = if new.is_none() {
        compare_as(shape, was, old, new, &mut found)
    } else {
        if old.is_some() && was != is {
            // It was another kind of thing: as that one it went, as this one it came.
            compare_as(shape, was, old, new, &mut found);
        }
        compare_as(shape, is, old, new, &mut found)
    };
    if leaf == Leaf::No {
        found.added.member |= old.is_none();
        found.removed.member |= old.is_some() && new.is_none();
    }
    found
}

/// Whether a value was compared as one thing.
#[derive(PartialEq, Eq)]
enum Leaf {
    Yes,
    No,
}

fn compare_as(
    shape: &Shape,
    form: Form,
    old: Option<&Value>,
    new: Option<&Value>,
    found: &mut Difference,
) -> Leaf {
    match shape.taken_as(form) {
        Taken::Scalar(Scalar::Any | Scalar::Text | Scalar::Number | Scalar::Truth) => {
            compare_leaf(old, new, found)
        }
        Taken::Map(map) => {
            let (before, after) = (as_map(old), as_map(new));
            let both_bare =
                is_bare(before, serde_json::Map::is_empty) && is_bare(after, serde_json::Map::is_empty);
            if map.atomic || both_bare {
                return compare_leaf(old, new, found);
            }
            compare_fields(map, before, after, found);
            Leaf::No
        }
        Taken::List(list) => {
            let (before, after) = (as_list(old), as_list(new));
            let both_bare = is_bare(before, Vec::is_empty) && is_bare(after, Vec::is_empty);
            if list.told_apart == ToldApart::Atomic || both_bare {
                return compare_leaf(old, new, found);
            }
            compare_items(list, before, after, found);
            Leaf::No
        }
        Taken::Nothing => Leaf::No,
    }
}

fn compare_leaf(old: Option<&Value>, new: Option<&Value>, found: &mut Difference) -> Leaf {
    match (old, new) {
        (None, _) => found.added.member = true,
        (Some(_), None) => found.removed.member = true,
        (Some(old), Some(new)) => found.modified.member |= !value::equal(old, new),
    }
    Leaf::Yes
}

type Fields = serde_json::Map<String, Value>;

fn compare_fields(map: &shape::Map, before: Option<&Fields>, after: Option<&Fields>, found: &mut Difference) {
    let mut visit = |name: &String, old: Option<&Value>, new: Option<&Value>| {
        if let Some(place) = map.place(name) {
            let below = between(place.shape(), old, new);
            found.put(&Step::field(name), below);
        }
    };
    for (name, old) in before.into_iter().flatten() {
        visit(name, Some(old), after.and_then(|after| after.get(name)));
    }
    for (name, new) in after.into_iter().flatten() {
        if before.is_none_or(|before| !before.contains_key(name)) {
            visit(name, None, Some(new));
        }
    }
}

fn compare_items(
    list: &List,
    before: Option<&Vec<Value>>,
    after: Option<&Vec<Value>>,
    found: &mut Difference,
) {
    let mut items: BTreeMap<Step, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for item in before.into_iter().flatten() {
        if let Ok(step) = step_to(list, item) {
            items.entry(step).or_default().0.push(item);
        }
    }
    for item in after.into_iter().flatten() {
        if let Ok(step) = step_to(list, item) {
            items.entry(step).or_default().1.push(item);
        }
    }
    for (step, (old, new)) in items {
        let shape = list.item.shape();
        let mut below = Difference::default();
        match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => below = between(shape, old.first().copied(), new.first().copied()),
            // What stands there twice is compared as one thing, and owned as one.
            ([_, _, ..], [_, _, ..]) => {
                let same =
                    old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| value::equal(old, new));
                below.modified.member = !same;
            }
            ([_, _, ..], rest) => {
                if let Some(new) = rest.first() {
                    below = between(shape, None, Some(new));
                }
                below.removed.member = true;
            }
            (rest, [_, _, ..]) => {
                if let Some(old) = rest.first() {
                    below = between(shape, Some(old), None);
                }
                below.added.member = true;
            }
        }
        found.put(&step, below);
    }
}
