//! Regular expressions as the API server reads them: Go's syntax, compiled once.
//!
//! Go's `\d`, `\w`, `\s` and `\b` mean ASCII, and within `[...]` a `[` or a `&&` is nothing special. Rust's mean Unicode,
//! and sets.

use regex::{Regex, RegexBuilder};

/// What one pattern may take when compiled. A counted repetition of a counted repetition takes gigabytes.
const MOST_BYTES: usize = 4 << 20;

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(&translated(source))
            .size_limit(MOST_BYTES)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            source: source.to_owned(),
            regex,
        })
    }

    /// As it was written: messages quote it.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

fn translated(go: &str) -> String {
    let mut rust = String::with_capacity(go.len() + 16);
    let mut rest = go;
    // Where the open `[...]` begins.
    let mut class: Option<usize> = None;
    while let Some(c) = rest.chars().next() {
        let (head, tail) = rest.split_at(c.len_utf8());
        rest = tail;
        match (c, class) {
            ('\\', _) => rest = escape(rest, class.is_some(), &mut rust),
            ('[', None) => {
                rust.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    rust.push('^');
                    rest = after;
                }
                // A `]` right at the beginning is one of the characters.
                if let Some(after) = rest.strip_prefix(']') {
                    rust.push_str("\\]");
                    rest = after;
                }
                class = Some(rust.len());
            }
            ('[', Some(_)) => match rest.strip_prefix(':').and_then(|name| name.split_once(":]")) {
                Some((name, after)) if name.chars().all(|c| c == '^' || c.is_ascii_lowercase()) => {
                    rust.push_str("[:");
                    rust.push_str(name);
                    rust.push_str(":]");
                    rest = after;
                }
                Some(_) | None => rust.push_str("\\["),
            },
            (']', Some(_)) => {
                rust.push(']');
                class = None;
            }
            ('&' | '~', Some(_)) => {
                rust.push('\\');
                rust.push(c);
            }
            // At the beginning it is one of the characters; `+--` is what lies between + and -, not a difference of sets.
            ('-', Some(start)) if rust.len() == start => rust.push_str("\\-"),
            ('-', Some(_)) if rest.starts_with('-') => {
                rust.push_str("-\\-");
                rest = rest.get(1..).unwrap_or_default();
            }
            (_, Some(_) | None) => rust.push_str(head),
        }
    }
    rust
}

/// What stands after a backslash. Gives what follows it.
fn escape<'a>(rest: &'a str, in_class: bool, rust: &mut String) -> &'a str {
    let Some(c) = rest.chars().next() else {
        rust.push('\\');
        return rest;
    };
    let (head, tail) = rest.split_at(c.len_utf8());
    match c {
        'd' => rust.push_str("[0-9]"),
        'D' => rust.push_str("[^0-9]"),
        'w' => rust.push_str("[0-9A-Za-z_]"),
        'W' => rust.push_str("[^0-9A-Za-z_]"),
        's' => rust.push_str("[\\t\\n\\x0c\\r ]"),
        'S' => rust.push_str("[^\\t\\n\\x0c\\r ]"),
        'b' if !in_class => rust.push_str("(?-u:\\b)"),
        'B' if !in_class => rust.push_str("(?-u:\\B)"),
        'Q' if !in_class => {
            let (literal, after) = tail.split_once("\\E").unwrap_or((tail, ""));
            rust.push_str(&regex::escape(literal));
            return after;
        }
        _ => {
            rust.push('\\');
            rust.push_str(head);
        }
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, yes, no) in [
            (r"^\d+$", "12", "\u{661}"),
            (r"^\w+$", "a_1", "\u{e9}"),
            (r"^[\w.-]+$", "a-b.c", "a b"),
            (r"^[[a]+$", "[a", "b"),
            (r"^[]a]+$", "]a", "b"),
            (r"^[^]a]+$", "b", "]"),
            (r"^[a&&b]+$", "&", "c"),
            (r"^[+--]+$", "+,-", "."),
            (r"^[--/]+$", "-./", ","),
            (r"^[a-]+$", "a-", "b"),
            (r"^[[:alpha:]]+$", "ab", "1"),
            (r"^\Qa.b\E$", "a.b", "axb"),
            (r"^a$", "a", "a\n"),
            (r"\S", "x", " \t"),
        ] {
            let compiled = Pattern::compile(pattern).unwrap();
            assert!(compiled.is_match(yes), "{pattern} and {yes:?}");
            assert!(!compiled.is_match(no), "{pattern} and {no:?}");
        }
    }

    #[test]
    fn a_pattern_that_would_take_gigabytes_is_refused() {
        assert!(Pattern::compile("((a{1000}){1000}){1000}").is_err());
    }
}
