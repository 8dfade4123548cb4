//! The embedded API server's schemas against what a real API server said of the same objects, without a cluster:
//! `tests/real/schema/same/` asked it, and checks with each of its runs that it still says so.

#![expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test, and shared with those that need a cluster; clippy sees only #[test] functions as such"
)]

#[path = "real/schema"]
mod schema {
    pub mod overlay;
    pub mod samples;
    pub mod schemas;

    pub mod same {
        pub mod answer;
        pub mod beyond;
        pub mod cases;
        pub mod mutation;
        pub mod recorded;
    }
}

use quartermaster::control_plane::schema::Schema;
use serde_json::Value;

use schema::same::answer::{Answer, Ours};
use schema::same::beyond::Beyond;
use schema::same::cases::{Case, mutated, written_down};
use schema::same::recorded::{self, SEEDS};

#[test]
fn schemas_answer_what_a_real_api_server_answered() {
    let ours = Ours::compile();
    let cases: Vec<Case> = written_down().into_iter().chain(mutated(0..SEEDS)).collect();
    let of_our_kinds = cases.iter().map(|case| (case.name.clone(), answer(&ours, case)));
    let Beyond { schema, trials } = Beyond::read();
    let schema = Schema::compile(&schema).unwrap();
    let beyond = trials.iter().map(|trial| {
        let answer = recorded::shortened(trial.answer(&schema), &trial.after);
        (trial.name.clone(), answer)
    });
    let recorded = recorded::read();
    let mut different = Vec::new();
    for (name, answer) in of_our_kinds.chain(beyond) {
        match recorded.get(&name) {
            Some(theirs) if *theirs == answer => {}
            Some(theirs) => different.push(format!("{name}\n  the API server: {theirs}\n  ours: {answer}")),
            None => different.push(format!("{name} is not recorded: SCHEMA_RECORD=1 records it")),
        }
    }
    let count = cases.len() + trials.len();
    assert!(
        different.is_empty(),
        "{} of {count} differ:\n{}",
        different.len(),
        different.join("\n")
    );
    assert_eq!(
        recorded.len(),
        count,
        "the record holds what nobody asks any more"
    );
}

fn answer(ours: &Ours, case: &Case) -> Answer {
    let stored = case.before.as_ref().map(|before| {
        let Answer::Kept(mut stored) = ours.create(&case.kind, &before.to_string(), true) else {
            panic!("{}: what comes before is legal", case.name)
        };
        stored["metadata"] = before["metadata"].clone();
        stored
    });
    let text = case.text(stored.as_ref());
    let answer = match &stored {
        Some(stored) => ours.replace(&case.kind, case.part, &text, case.strict, stored),
        None => ours.create(&case.kind, &text, case.strict),
    };
    let sent: Value = serde_json::from_str(&text).expect("JSON");
    recorded::shortened(answer, &sent)
}
