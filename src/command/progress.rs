//! One line in a terminal that is painted over while something goes on; elsewhere nothing.

use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use super::screen::{cut, one_line};

pub(super) struct Progress {
    /// What stands there now. None: standard error is no terminal, or one that cannot move its cursor.
    shown: Option<String>,
}

impl Progress {
    pub(super) fn on_stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            shown: (io::stderr().is_terminal() && !dumb).then(String::new),
        }
    }

    pub(super) fn show(&mut self, line: &str) {
        let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        // The last column stays free, or some terminals go on to the next line.
        let columns = if columns == 0 {
            79
        } else {
            columns.saturating_sub(1)
        };
        let line = cut(&one_line(line), columns);
        if self.shown.as_ref().is_some_and(|shown| *shown != line) {
            paint(&line);
            self.shown = Some(line);
        }
    }

    /// The line is empty again.
    pub(super) fn clear(&mut self) {
        if self.shown.as_ref().is_some_and(|shown| !shown.is_empty()) {
            paint("");
            self.shown = Some(String::new());
        }
    }
}

fn paint(line: &str) {
    let mut out = io::stderr().lock();
    // Who no longer looks misses nothing but the picture.
    let _unseen = write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush());
}
