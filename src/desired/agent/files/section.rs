//! Marked sections: what is ours in a file.
//!
//! A mark is a line of its own, an HTML comment that names Quartermaster. Whoever writes the text between two marks (a
//! user, an agent, a board's objective) may write such a line too; it is spoiled before it goes in, so that nothing can
//! end our section early or pretend to be another one.

use std::ops::Range;

const BEGIN: &str =
    "<!-- quartermaster: begin; kept by Quartermaster, what you change up to the end is put back -->";
const END: &str = "<!-- quartermaster: end -->";

/// One document inside a file of ours.
pub(super) fn carried(name: &str, text: &str) -> String {
    format!(
        "<!-- quartermaster: {name} -->\n{}\n<!-- quartermaster: end of {name} -->\n",
        text.trim_end()
    )
}

/// The text without anything that could pass for a mark.
pub(super) fn spoiled(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        safe.push_str(before);
        safe.push_str("<!--");
        let word: String = after.trim_start().chars().take(OURS.len()).collect();
        if word.eq_ignore_ascii_case(OURS) {
            safe.push_str(" not");
        }
        rest = after;
    }
    safe.push_str(rest);
    safe
}

const OURS: &str = "quartermaster";

/// The file with our section: in the place where it is, else at the top, since prompts cut files at their ends. Not a byte
/// outside of it is changed. A second section, which somebody may have copied, is taken out: it holds an old token.
pub(super) fn put(ours: &str, file: &str) -> String {
    let section = format!("{BEGIN}\n{}\n{END}\n", ours.trim_end());
    let found = sections(file);
    let Some((first, copies)) = found.split_first() else {
        return if file.is_empty() {
            section
        } else {
            format!("{section}\n{file}")
        };
    };
    let mut whole = String::new();
    whole.push_str(file.get(..first.start).unwrap_or_default());
    whole.push_str(&section);
    let mut after = first.end;
    for copy in copies {
        whole.push_str(file.get(after..copy.start).unwrap_or_default());
        after = copy.end;
    }
    whole.push_str(file.get(after..).unwrap_or_default());
    whole
}

/// From a begin to the end that follows. A begin without an end is nobody's: what is below it may be anyone's.
pub(super) fn sections(file: &str) -> Vec<Range<usize>> {
    let (mut found, mut begin, mut at) = (Vec::new(), None, 0);
    for line in file.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match (line.trim(), begin) {
            (BEGIN, _) => begin = Some(start),
            (END, Some(begun)) => {
                found.push(begun..at);
                begin = None;
            }
            _ => {}
        }
    }
    found
}
