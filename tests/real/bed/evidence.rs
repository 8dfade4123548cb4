//! What the tests proved, for the table at the end of `make test`.
//!
//! A green line says that a test ran, not what it showed. So a test says it itself: one line of four fields,
//! separated by tabs, appended to the file that `QUARTERMASTER_EVIDENCE` names. Without that variable nothing is
//! written and nothing is lost: `cargo test` alone works too.

use std::fs::OpenOptions;
use std::io::Write;

/// `record("conformance", "gateway 2026.9.6", 41, "cases")`
pub fn record(layer: &str, what: &str, count: u64, note: &str) {
    append(layer, what, &count.to_string(), note);
}

/// A test that this machine could not run, and why.
pub fn skipped(test: &str, why: &str) {
    append("skipped", test, "skipped", why);
}

/// A line that the person in front of the machine should see now. The print macros would be held back by the test
/// program until the test fails, and a build of five minutes without a word looks like a hang.
pub fn say(line: &str) {
    let _unheard = writeln!(std::io::stderr(), "[beds] {line}");
}

fn append(layer: &str, what: &str, count: &str, note: &str) {
    let Some(file) = std::env::var_os("QUARTERMASTER_EVIDENCE") else {
        return;
    };
    let field = |text: &str| text.replace(['\t', '\n'], " ");
    let line = format!(
        "{}\t{}\t{}\t{}\n",
        field(layer),
        field(what),
        field(count),
        field(note)
    );
    // One write in append mode: lines of several test programs do not run into one another.
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut f| f.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!(
            "evidence file {}: {error}; QUARTERMASTER_EVIDENCE must name a file that can be written",
            file.display()
        );
    }
}
