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
        pub mod cases;
        pub mod mutation;
        pub mod recorded;
    }
}

use serde_json::Value;

use schema::same::answer::{Answer, Ours};
use schema::same::cases::{Case, mutated, written_down};
use schema::same::recorded::{self, SEEDS};

#[test]
fn schemas_answer_what_a_real_api_server_answered() {
    let ours = Ours::compile();
    let recorded = recorded::read();
    let mut different = Vec::new();
    let cases: Vec<Case> = written_down().into_iter().chain(mutated(0..SEEDS)).collect();
    for case in &cases {
        let theirs = recorded
            .get(&case.name)
            .unwrap_or_else(|| panic!("{} is not recorded: SCHEMA_RECORD=1 records it", case.name));
        let answer = answer(&ours, case);
        if answer != *theirs {
            different.push(format!(
                "{}\n  the API server: {theirs}\n  ours: {answer}",
                case.name
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
    assert_eq!(
        recorded.len(),
        cases.len(),
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
