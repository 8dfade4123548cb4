//! Ownership that was written under another schema: where somebody owned parts of what is now one thing, he owns the
//! thing.

use super::super::field_set::{FieldSet, Step};
use super::super::shape::{Map, Place, Scalar, Shape, ToldApart};

pub(crate) fn reconcile(shape: &Shape, set: FieldSet) -> FieldSet {
    if !has_parts_of_one(shape, &set) {
        return set;
    }
    made_whole(shape, set)
}

fn has_parts_of_one(shape: &Shape, set: &FieldSet) -> bool {
    if is_one(shape) {
        return set.has_below();
    }
    set.steps().any(|(step, below)| {
        place_of(shape, step).is_some_and(|place| has_parts_of_one(place.shape(), below))
    })
}

fn made_whole(shape: &Shape, set: FieldSet) -> FieldSet {
    if is_one(shape) {
        return if set.has_below() { FieldSet::leaf() } else { set };
    }
    let mut whole = FieldSet::place(set.member);
    for (step, below) in set.steps() {
        let below = match place_of(shape, step) {
            Some(place) => made_whole(place.shape(), below.clone()),
            None => below.clone(),
        };
        whole.put(step.clone(), below);
    }
    whole
}

fn is_one(shape: &Shape) -> bool {
    let Shape { scalar, list, map } = shape;
    match (map, scalar, list) {
        (Some(map), _, _) => map.atomic && !is_open(map),
        (None, Some(_), _) | (None, None, None) => false,
        (None, None, Some(list)) => list.told_apart == ToldApart::Atomic,
    }
}

/// None: nothing is known of what is there, or nothing is said of it: in what a schema leaves open nothing is one thing.
fn place_of<'a>(shape: &'a Shape, step: &Step) -> Option<&'a Place> {
    let Shape { scalar, list, map } = shape;
    match (map, scalar, list) {
        (Some(map), _, _) if is_open(map) => None,
        (Some(map), _, _) => match step {
            Step::Field(name) => map.place(name),
            Step::Key(_) | Step::Value(_) | Step::Index(_) => map.rest.as_ref(),
        },
        (None, Some(_), _) | (None, None, None) => None,
        (None, None, Some(list)) => Some(&list.item),
    }
}

fn is_open(map: &Map) -> bool {
    let is_open = |place: &Place| match place {
        Place::Deduced => true,
        Place::Own(shape) => shape.scalar == Some(Scalar::Any),
        Place::Untyped | Place::Metadata => false,
    };
    map.fields.is_empty() && map.rest.as_ref().is_some_and(is_open)
}
