//! Every object that both are asked about.

use serde_json::Value;

use super::super::overlay::merged;
use super::super::samples::{tables, whole_objects};
use super::mutation::{Chance, mutate};

pub struct Case {
    pub name: String,
    pub kind: String,
    /// What must be stored before, where it is a change.
    pub before: Option<Value>,
    pub sent: Sent,
    pub strict: bool,
    /// What is written: `spec`, with everything but the status, or `status`.
    pub part: &'static str,
}

/// A change is laid over what is stored, which only who stored it knows.
pub enum Sent {
    Whole(String),
    LaidOver(Value),
    /// Mutated with this seed.
    Mutated(u64),
}

impl Case {
    /// The body, as text: a field may be there twice.
    pub fn text(&self, stored: Option<&Value>) -> String {
        match &self.sent {
            Sent::Whole(text) => text.clone(),
            Sent::LaidOver(over) => merged(stored.expect("it is stored"), over).to_string(),
            Sent::Mutated(seed) => {
                let mut chance = Chance::of(*seed);
                mutate(stored.expect("it is stored"), self.part, &mut chance)
            }
        }
    }
}

/// Those that a person wrote down, legal and illegal.
pub fn written_down() -> Vec<Case> {
    let mut cases = Vec::new();
    for table in tables() {
        for (number, row) in table.rules.iter().enumerate() {
            let legal = row.legal.iter().map(|case| ("legal", case));
            let illegal = row.illegal.iter().map(|case| ("illegal", case));
            for (which, (side, over)) in legal.chain(illegal).enumerate() {
                let base = table.base(number);
                let before = row.before.as_ref().map(|before| merged(&base, before));
                cases.push(Case {
                    name: format!("{}: {} ({side} {which})", table.kind, row.name),
                    kind: table.kind.clone(),
                    sent: match before {
                        Some(_) => Sent::LaidOver(over.clone()),
                        None => Sent::Whole(merged(&base, over).to_string()),
                    },
                    before,
                    strict: true,
                    part: "spec",
                });
            }
        }
    }
    cases
}

/// One for each seed, made from what is legal by one to three small changes: created, or written over what is stored.
pub fn mutated(seeds: std::ops::Range<u64>) -> Vec<Case> {
    let originals = originals();
    seeds
        .map(|seed| {
            let mut chance = Chance::of(seed);
            let original = chance.one_of(&originals).clone();
            let kind = original["kind"].as_str().expect("a kind").to_owned();
            let (is_change, strict) = (chance.once_in(2), chance.once_in(2));
            let (before, sent) = if is_change {
                (Some(original), Sent::Mutated(seed))
            } else {
                (None, Sent::Whole(mutate(&original, "spec", &mut chance)))
            };
            Case {
                name: format!("seed {seed}"),
                kind,
                before,
                sent,
                strict,
                part: "spec",
            }
        })
        .collect()
}

/// The same for the status of objects that have every field.
pub fn mutated_statuses(seeds: std::ops::Range<u64>) -> Vec<Case> {
    let mut originals = whole_objects();
    originals.retain(|original| original["status"].is_object());
    seeds
        .map(|seed| {
            let mut chance = Chance::of(seed);
            let original = chance.one_of(&originals).clone();
            Case {
                name: format!("status, seed {seed}"),
                kind: original["kind"].as_str().expect("a kind").to_owned(),
                before: Some(original),
                sent: Sent::Mutated(seed),
                strict: chance.once_in(2),
                part: "status",
            }
        })
        .collect()
}

/// Objects with every field, and all legal cases that are not changes.
fn originals() -> Vec<Value> {
    let mut originals = whole_objects();
    for table in tables() {
        for (number, row) in table
            .rules
            .iter()
            .enumerate()
            .filter(|(_, row)| row.before.is_none())
        {
            let base = table.base(number);
            // Each under its own name: they are stored side by side.
            let legal = row.legal.iter().enumerate().map(|(which, case)| {
                let mut object = merged(&base, case);
                object["metadata"]["name"] = format!("row-{number}-{which}").into();
                object
            });
            originals.extend(legal);
        }
    }
    for original in &mut originals {
        original.as_object_mut().expect("an object").remove("status");
    }
    originals
}
