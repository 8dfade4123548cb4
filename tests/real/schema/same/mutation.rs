//! Small changes to a legal object: what people get wrong, and what only a machine would try.

use serde_json::{Map, Value, json};

use super::super::schemas::kind;

/// The same for the same seed for ever: what was recorded must be made again. (xorshift64*)
pub struct Chance(u64);

impl Chance {
    pub fn of(seed: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..4 {
            chance.below(2);
        }
        chance
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).expect("31 bits") % end
    }

    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn one_of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len())]
    }
}

/// The body: JSON in which a field may be there twice. What is changed is in this part of it.
pub fn mutate(original: &Value, part: &str, chance: &mut Chance) -> String {
    let mut object = original.clone();
    let schema = &kind(original["kind"].as_str().expect("a kind")).schema;
    for _ in 0..=chance.below(3) {
        let mut place = &mut object[part];
        let mut schema = &schema["properties"][part];
        // Down to some place, more often deep than not.
        while !chance.once_in(5) {
            let Some((name, below)) = step(place, schema, chance) else {
                break;
            };
            schema = below;
            place = match name {
                Step::Field(name) => &mut place[name],
                Step::Item(index) => &mut place[index],
            };
        }
        change(place, schema, chance);
    }
    let text = object.to_string();
    if chance.once_in(12) {
        twice(&text, &object, chance)
    } else {
        text
    }
}

enum Step {
    Field(String),
    Item(usize),
}

fn step<'s>(value: &Value, schema: &'s Value, chance: &mut Chance) -> Option<(Step, &'s Value)> {
    if let Value::Array(items) = value {
        let below = &schema["items"];
        return (!items.is_empty()).then(|| (Step::Item(chance.below(items.len())), below));
    }
    let names: Vec<&String> = value.as_object()?.keys().collect();
    if names.is_empty() {
        return None;
    }
    let name = (*chance.one_of(&names)).clone();
    let named = &schema["properties"][&name];
    let below = if named.is_null() {
        &schema["additionalProperties"]
    } else {
        named
    };
    Some((Step::Field(name), below))
}

fn change(value: &mut Value, schema: &Value, chance: &mut Chance) {
    match (chance.below(8), value) {
        (0 | 1, value) => *value = anything(chance),
        (2, Value::Object(fields)) if !fields.is_empty() => {
            let names: Vec<String> = fields.keys().cloned().collect();
            fields.remove(chance.one_of(&names));
        }
        (3, Value::Object(fields)) => {
            let name = ["unknown", "name", "a.b", "apiVersion", "x-y", ""][chance.below(6)];
            fields.insert(name.to_owned(), anything(chance));
        }
        (2..=5, Value::Object(fields)) => add_known(fields, schema, chance),
        (2..=4, Value::Array(items)) if !items.is_empty() => {
            let item = chance.one_of(items).clone();
            let most = schema["maxItems"].as_u64().map_or(0, |most| most as usize);
            let times = if chance.once_in(3) {
                most + 1 - items.len().min(most)
            } else {
                1
            };
            (0..times).for_each(|_| items.push(item.clone()));
        }
        (2 | 3, Value::Array(items)) => items.push(anything(chance)),
        (2..=4, Value::String(text)) => {
            let odd = [
                "\n",
                "\"",
                "\u{e9}",
                "<&>",
                "\u{0}",
                "\u{1F600}",
                " ",
                "\\",
                "/../",
                "\u{ad}",
                "X",
                "0",
                ".",
                "@",
            ];
            let at = chance.below(text.chars().count() + 1);
            let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
            text.insert_str(at, odd[chance.below(odd.len())]);
        }
        (_, value) => *value = at_the_edge(schema, chance),
    }
}

fn anything(chance: &mut Chance) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(7),
        json!(1.0),
        json!(1.5),
        json!(1e300),
        json!(9_223_372_036_854_775_808_u64),
        json!(i64::MAX),
        json!(3_000_000_000_i64),
        json!(""),
        json!("x"),
        json!("null"),
        json!("2026-01-01T00:00:00Z"),
        json!([]),
        json!({}),
        json!([null]),
        json!([1, "a"]),
        json!([{}]),
        json!({"x": 1}),
        json!({"name": "x"}),
        json!([["a"]]),
        json!({"name": null}),
    ];
    chance.one_of(&values).clone()
}

fn add_known(fields: &mut Map<String, Value>, schema: &Value, chance: &mut Chance) {
    let Some(properties) = schema["properties"].as_object() else {
        let key = ["key", "a.b", "A", "role"][chance.below(4)];
        fields.insert(
            key.to_owned(),
            at_the_edge(&schema["additionalProperties"], chance),
        );
        return;
    };
    let names: Vec<&String> = properties.keys().collect();
    let name = *chance.one_of(&names);
    let value = if chance.once_in(4) {
        anything(chance)
    } else {
        at_the_edge(&properties[name], chance)
    };
    fields.insert(name.clone(), value);
}

/// Of the right type more often than not: within its bounds, on them, and just beyond.
fn at_the_edge(schema: &Value, chance: &mut Chance) -> Value {
    if let Some(allowed) = schema["enum"].as_array() {
        return if chance.once_in(4) {
            json!("Other")
        } else {
            chance.one_of(allowed).clone()
        };
    }
    match schema["type"].as_str() {
        Some("string") => {
            let (least, most) = (&schema["minLength"], &schema["maxLength"]);
            let lengths = [
                least.as_u64().unwrap_or(1),
                least.as_u64().unwrap_or(1).saturating_sub(1),
                most.as_u64().unwrap_or(10),
                most.as_u64().unwrap_or(10) + 1,
                2,
            ];
            let length = *chance.one_of(&lengths) as usize;
            json!(chance.one_of(&["a", "\u{e9}", "1"]).repeat(length))
        }
        Some("integer" | "number") => {
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            let (least, most) = (least.unwrap_or(0.0) as i64, most.unwrap_or(100.0) as i64);
            json!(chance.one_of(&[least, least - 1, most, most + 1, 5]))
        }
        Some("boolean") => json!(chance.once_in(2)),
        Some("array") => {
            let item = at_the_edge(&schema["items"], chance);
            Value::Array(vec![item; chance.below(3)])
        }
        Some("object") => {
            let mut fields = Map::new();
            (0..chance.below(3)).for_each(|_| add_known(&mut fields, schema, chance));
            Value::Object(fields)
        }
        _ => anything(chance),
    }
}

/// Some field of the spec, or of the object, is there a second time.
fn twice(text: &str, object: &Value, chance: &mut Chance) -> String {
    let fields: Vec<&String> = object["spec"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .collect();
    match fields.is_empty() || chance.once_in(3) {
        true => text.replacen('{', "{\"spec\":{\"a\":1,\"a\":[{\"b\":1,\"b\":2}]},", 1),
        false => {
            let name = chance.one_of(&fields);
            text.replacen(
                "\"spec\":{",
                &format!("\"spec\":{{\"{name}\":7,\"{name}\":null,"),
                1,
            )
        }
    }
}
