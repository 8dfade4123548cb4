//! What a real API server said, a line for each case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::answer::Answer;

/// So many of the mutated objects are recorded; the differential goes on from there.
pub const SEEDS: u64 = 600;

pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/schema/said.jsonl")
}

pub fn read() -> BTreeMap<String, Answer> {
    let text =
        std::fs::read_to_string(path()).unwrap_or_else(|error| panic!("{}: {error}", path().display()));
    text.lines()
        .map(|line| serde_json::from_str::<(String, Answer)>(line).expect("a line of the record"))
        .collect()
}

/// Two tests of one run record: one at a time.
pub fn add(answers: impl Iterator<Item = (String, Answer)>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().expect("nobody failed meanwhile");
    let mut record = if path().exists() { read() } else { BTreeMap::new() };
    record.extend(answers);
    write(&record);
}

fn write(answers: &BTreeMap<String, Answer>) {
    let lines: Vec<String> = answers
        .iter()
        .map(|answer| json!(answer).to_string() + "\n")
        .collect();
    std::fs::write(path(), lines.concat()).expect("the record is written");
}

/// What is kept is long; of it only what was not sent so is recorded.
pub fn shortened(answer: Answer, sent: &Value) -> Answer {
    match answer {
        Answer::Kept(kept) => Answer::Kept(difference(sent, &kept)),
        Answer::Undecoded(_) | Answer::Invalid(_) => answer,
    }
}

/// As a merge patch, but that a null which is kept cannot be told from a field that is not.
fn difference(sent: &Value, kept: &Value) -> Value {
    let (Value::Object(sent), Value::Object(kept)) = (sent, kept) else {
        return kept.clone();
    };
    let gone = sent
        .keys()
        .filter(|key| !kept.contains_key(*key) && *key != "metadata");
    let other = kept.iter().filter(|(key, value)| sent.get(*key) != Some(value));
    gone.map(|key| (key.clone(), Value::Null))
        .chain(other.map(|(key, value)| {
            (
                key.clone(),
                difference(sent.get(key).unwrap_or(&Value::Null), value),
            )
        }))
        .collect()
}
