//! What the operator calls a gateway with, sorted. What is not known here counts as a write.

use std::collections::BTreeMap;

/// How often each method was called.
pub type Calls = BTreeMap<String, f64>;

const READS: [&str; 9] = [
    "agents.files.get",
    "agents.files.list",
    "agents.list",
    "chat.history",
    "config.get",
    "config.schema",
    "config.schema.lookup",
    "connect",
    "gateway.identity.get",
];
const OTHER_WRITES: [&str; 3] = ["agents.files.set", "chat.send", "sessions.reset"];

pub fn reads(calls: &Calls) -> f64 {
    sum(calls, is_read)
}

pub fn writes(calls: &Calls) -> f64 {
    sum(calls, |method| !is_read(method))
}

pub fn config_writes(calls: &Calls) -> f64 {
    sum(calls, |method| {
        !is_read(method) && !OTHER_WRITES.contains(&method)
    })
}

/// What was called more often by now.
pub fn since(before: &Calls, now: &Calls) -> Calls {
    let more = |(method, count): (&String, &f64)| {
        (
            method.clone(),
            count - before.get(method).copied().unwrap_or_default(),
        )
    };
    now.iter().map(more).filter(|(_, count)| *count > 0.0).collect()
}

/// `agents.files.get 336, config.get 10`
pub fn words(calls: &Calls) -> String {
    let each = calls.iter().map(|(method, count)| format!("{method} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

fn is_read(method: &str) -> bool {
    READS.contains(&method)
}

fn sum(calls: &Calls, counts: impl Fn(&str) -> bool) -> f64 {
    let counted = calls.iter().filter(|(method, _)| counts(method));
    // Not `sum`, which is -0 where there is nothing.
    counted.fold(0.0, |sum, (_, count)| sum + count)
}
