//! Where two answers differ, in lines that a person can read.

use serde_json::Value;

pub fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", ours, theirs, &mut lines);
    lines
}

fn walk(at: &str, ours: &Value, theirs: &Value, lines: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => walk(&format!("{at}/{name}"), one, other, lines),
                    (Some(one), None) => lines.push(format!("{at}/{name}: only ours: {}", short(one))),
                    (None, Some(other)) => lines.push(format!("{at}/{name}: only theirs: {}", short(other))),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                walk(&format!("{at}/{index}"), one, other, lines);
            }
        }
        (one, other) if one == other => {}
        (one, other) => lines.push(format!(
            "{at}:\n        ours   {}\n        theirs {}",
            short(one),
            short(other)
        )),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= 400 {
        return text;
    }
    format!("{} ..", &text[..text.floor_char_boundary(400)])
}
