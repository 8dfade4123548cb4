//! A fleet that comes up, shown to who looks: a table that redraws itself in a terminal; else one line for each change.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthChar;

use super::standing::{Standing, State};

/// A log line has come below the table: where that is painted again, it would paint over the line.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// For the log.
pub(super) fn stderr() -> io::Stderr {
    let stderr = io::stderr();
    if stderr.is_terminal() {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    stderr
}

/// The terminal has written ^C where the cursor stood.
pub(super) fn leave_the_line() {
    if io::stdout().is_terminal() {
        super::say::tell("");
    }
}

pub(super) struct Screen {
    /// None: it is no terminal, or one that cannot move its cursor.
    drawn: Option<Vec<String>>,
    told: BTreeMap<String, State>,
}

/// Of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

impl Screen {
    pub(super) fn of_stdout() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            drawn: (io::stdout().is_terminal() && !dumb).then(Vec::new),
            told: BTreeMap::new(),
        }
    }

    pub(super) fn show(&mut self, standings: &[Standing]) {
        if self.drawn.is_some() {
            let size = size();
            self.draw(size, frame(standings, size));
        } else {
            self.tell(standings);
        }
    }

    /// Nothing moves any more: now it may be longer than the screen, and what is wrong is told to the end.
    pub(super) fn end(&mut self, standings: &[Standing]) {
        if self.drawn.is_some() {
            let size = size();
            let all_well = !standings.iter().any(|standing| standing.state.is_awaited());
            let whole = Size {
                rows: usize::MAX,
                columns: if all_well { size.columns } else { usize::MAX },
            };
            self.draw(size, frame(standings, whole));
        } else {
            self.tell(standings);
        }
    }

    fn draw(&mut self, size: Size, lines: Vec<String>) {
        let Some(drawn) = &mut self.drawn else {
            return;
        };
        let mut text = String::new();
        if INTERRUPTED.swap(false, Ordering::Relaxed) {
            drawn.clear();
        } else if *drawn == lines {
            return;
        }
        // A terminal that became narrower has broken what was there into more lines.
        let up: usize = drawn.iter().map(|line| height(line, size.columns)).sum();
        if up > 0 {
            text.push_str(&format!("\x1b[{up}A\r\x1b[J"));
        }
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        *drawn = lines;
        let mut out = io::stdout().lock();
        // Who no longer looks misses nothing but the picture.
        let _unseen = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// What is Ready now, and what is told to be wrong. That somebody is at it is said by silence.
    fn tell(&mut self, standings: &[Standing]) {
        for Standing {
            kind: _,
            shown,
            state,
        } in standings
        {
            if self.told.get(shown) == Some(state) {
                continue;
            }
            let line = match state {
                State::Ready(said) => format!("{shown} is Ready: {said}"),
                State::NotReady(said) | State::Failed(said) => format!("{shown} is not Ready: {said}"),
                State::Gone => format!("{shown} is gone"),
                State::OnItsWay(_) | State::Working(_) | State::Unseen | State::OnlyKept | State::Silent => {
                    continue;
                }
            };
            self.told.insert(shown.clone(), state.clone());
            super::say::tell(&line);
        }
    }
}

fn size() -> Size {
    let size = tcgetwinsize(io::stdout()).ok();
    // Some that are no real terminals say 0.
    let or = |number: Option<u16>, usual: usize| match number {
        None | Some(0) => usual,
        Some(number) => usize::from(number),
    };
    Size {
        columns: or(size.map(|size| size.ws_col), 80),
        rows: or(size.map(|size| size.ws_row), 24),
    }
}

/// The table as it fits: lines no wider than the screen, and fewer than it has. Where there is no room for all, what is not
/// Ready comes first, and the rest is counted.
fn frame(standings: &[Standing], size: Size) -> Vec<String> {
    let mut rows: Vec<&Standing> = standings
        .iter()
        .filter(|standing| standing.state != State::OnlyKept)
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    // The head, the line that counts, and the one where the cursor stands.
    let room = size.rows.saturating_sub(3).max(1);
    let mut more = None;
    if rows.len() > room + 1 {
        rows.sort_by_key(|standing| !standing.state.is_awaited());
        let (rest, all) = (rows.split_off(room), standings.len());
        let ready = |standing: &&&Standing| matches!(standing.state, State::Ready(_));
        let here = rest.iter().filter(ready).count();
        more = Some(format!(
            "  and {} more of {all}, {here} of them Ready",
            rest.len()
        ));
    }
    let mut cells = vec![["OBJECT".to_owned(), "READY".to_owned(), "STATUS".to_owned()]];
    cells.extend(rows.iter().map(|standing| {
        [
            standing.shown.clone(),
            standing.ready().to_owned(),
            one_line(&standing.state.words()),
        ]
    }));
    let widest = |column: usize| {
        let widths = cells
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| width(cell));
        widths.max().unwrap_or(0)
    };
    let (first, second) = (widest(0), widest(1));
    let mut lines: Vec<String> = cells
        .iter()
        .map(|[name, ready, status]| {
            let pad = " ".repeat(first.saturating_sub(width(name)));
            cut(
                &format!("  {name}{pad}   {ready:<second$}   {status}"),
                size.columns,
            )
        })
        .collect();
    lines.extend(more.map(|more| cut(&more, size.columns)));
    lines
}

pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn width(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

/// How many lines of the screen it takes.
fn height(text: &str, columns: usize) -> usize {
    width(text).div_ceil(columns.max(1)).max(1)
}

/// What is missing at the end is three dots.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let text = text.trim_end();
    if width(text) <= columns {
        return text.to_owned();
    }
    const DOTS: &str = "...";
    let room = columns.saturating_sub(DOTS.len());
    let mut used = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    let mut cut = format!("{}{DOTS}", kept.trim_end());
    cut.truncate(cut.char_indices().nth(columns).map_or(cut.len(), |(at, _)| at));
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(name: &str, state: State) -> Standing {
        Standing {
            kind: "Gateway".to_owned(),
            shown: format!("ocgw/{name}"),
            state,
        }
    }

    fn fleet() -> Vec<Standing> {
        vec![
            standing(
                "harbour",
                State::Ready("connected to OpenClaw 2026.9.6".to_owned()),
            ),
            standing("b", State::NotReady("HostNotFound: cannot resolve\nb".to_owned())),
            standing("pier", State::Unseen),
            standing("kept", State::OnlyKept),
        ]
    }

    const WIDE: Size = Size {
        columns: 80,
        rows: 24,
    };

    #[test]
    fn a_table_has_a_line_for_each_that_is_acted_on() {
        let expected = [
            "  OBJECT         READY     STATUS",
            "  ocgw/harbour   True      connected to OpenClaw 2026.9.6",
            "  ocgw/b         False     HostNotFound: cannot resolve b",
            "  ocgw/pier      Unknown   nobody has looked at it yet",
        ];
        assert_eq!(frame(&fleet(), WIDE), expected);
        assert!(frame(&fleet()[3..], WIDE).is_empty());
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        for columns in 0..80 {
            for line in frame(&fleet(), Size { columns, rows: 24 }) {
                assert!(width(&line) <= columns, "{columns}: {line:?}");
            }
        }
        let narrow = frame(
            &fleet(),
            Size {
                columns: 40,
                rows: 24,
            },
        );
        assert_eq!(narrow[1], "  ocgw/harbour   True      connected...");
        // Signs that take two places.
        let wide = [standing("x", State::Ready("港港港港港港".to_owned()))];
        let lines = frame(
            &wide,
            Size {
                columns: 27,
                rows: 24,
            },
        );
        assert_eq!(lines[1], "  ocgw/x   True    港港...");
    }

    #[test]
    fn a_fleet_longer_than_the_screen_shows_first_what_is_missing() {
        let mut fleet: Vec<Standing> = (0..50)
            .map(|number| standing(&number.to_string(), State::Ready("yes".to_owned())))
            .collect();
        fleet[40].state = State::Unseen;
        let lines = frame(
            &fleet,
            Size {
                columns: 80,
                rows: 10,
            },
        );
        assert!(lines.len() < 10, "{}", lines.len());
        assert!(lines[1].starts_with("  ocgw/40 "), "{}", lines[1]);
        assert_eq!(lines[8], "  and 43 more of 50, 43 of them Ready");
        // At the end nothing is left out, and the order is that of the names again.
        let all = frame(
            &fleet,
            Size {
                columns: 80,
                rows: usize::MAX,
            },
        );
        assert_eq!(all.len(), 51);
        assert!(all[1].starts_with("  ocgw/0 "));
    }

    #[test]
    fn a_line_that_a_narrower_screen_has_broken_counts_as_often() {
        assert_eq!(height("", 10), 1);
        assert_eq!(height("0123456789", 10), 1);
        assert_eq!(height("0123456789a", 10), 2);
    }
}
