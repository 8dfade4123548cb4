//! What is said to the user. Who closes the other end of a pipe (`quartermaster get ocagent | head -1`) has read enough.

use std::io::{self, Write};

use anyhow::Context;

/// Nobody reads any more. It ends a command that only shows something, and is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
pub(super) struct Enough;

/// What was asked for: it must arrive.
pub(super) fn show(line: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Enough.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// What is told along the way. The work goes on also where nobody listens.
pub(super) fn tell(line: &str) {
    let _unheard = writeln!(io::stdout(), "{line}");
}

/// What went wrong or is worth a thought, beside what was asked for.
pub(super) fn complain(line: &str) {
    let _unheard = writeln!(io::stderr(), "{line}");
}
