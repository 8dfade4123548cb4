//! What a machine lacks for a real test, in one line with the remedy.
//!
//! A test that quietly does nothing looks like a test that passed. So a missing part is a value that can only be
//! turned into the end of the test by [`real!`], which writes the line to stderr and to the evidence, and which
//! fails the test when `REQUIRE_REAL=1` says that this machine must have everything (CI does).

use std::process::{Command, Stdio};

use super::evidence;

#[derive(Debug, Clone)]
pub struct Missing(String);

impl Missing {
    /// `what` is missing; `remedy` is what a person does about it.
    pub fn new(what: &str, remedy: &str) -> Self {
        Self(format!("{what} is missing: {remedy}"))
    }

    /// Ends the test that asked for the part. Called by [`real!`] only.
    pub fn skip(&self, asked_in: &str) {
        let Self(line) = self;
        // Asked in a function that several tests share, the thread knows which test it is, unless it is the only one.
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or(asked_in);
        assert!(
            std::env::var("REQUIRE_REAL").as_deref() != Ok("1"),
            "{line} (REQUIRE_REAL=1 makes a skipped test a failed one)"
        );
        evidence::say(&format!("skipped {test}: {line}"));
        evidence::skipped(test, line);
    }
}

/// Asks for a program by running it, since a file of that name may still be for another machine.
pub fn need_program(program: &str, arguments: &[&str], remedy: &str) -> Result<(), Missing> {
    let asked = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match asked {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err(Missing::new(&format!("`{program}`"), remedy)),
    }
}

/// The value of a real part, or the recorded end of this test: `let cluster = real!(shared_cluster());`
macro_rules! real {
    ($part:expr) => {
        match $part {
            Ok(part) => part,
            Err(missing) => {
                missing.skip(test_name!());
                return;
            }
        }
    };
}

/// The name that `cargo test -- --exact` knows this test by. The thread's name will not do: with one test thread
/// it is `main`.
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::bed::name_from_path(std::any::type_name_of_val(&here))
    }};
}

/// `real::beds::a_test::{{closure}}::here` is the test `beds::a_test`.
pub fn name_from_path(path: &'static str) -> &'static str {
    let inside = path.split_once("::").map_or(path, |(_crate, rest)| rest);
    let test = inside.strip_suffix("::here").unwrap_or(inside);
    test.split("::{{closure}}").next().unwrap_or(test)
}
