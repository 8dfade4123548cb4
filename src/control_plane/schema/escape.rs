//! Names of fields as rules write them: CEL has no `-`, `.` and `/` in a name, and words of its own.

const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// None: rules cannot name it.
pub(super) fn escaped(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut escaped = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '_' if rest.starts_with('_') => {
                rest = rest.get(1..).unwrap_or_default();
                escaped.push_str("__underscores__");
            }
            '.' => escaped.push_str("__dot__"),
            '-' => escaped.push_str("__dash__"),
            '/' => escaped.push_str("__slash__"),
            '_' => escaped.push('_'),
            c if c.is_ascii_alphanumeric() => escaped.push(c),
            _ => return None,
        }
    }
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn names_are_escaped_as_the_api_server_does() {
        for (name, in_cel) in [
            ("boardRef", Some("boardRef")),
            ("my_field", Some("my_field")),
            ("a__b", Some("a__underscores__b")),
            ("my.key-a/b", Some("my__dot__key__dash__a__slash__b")),
            ("namespace", Some("__namespace__")),
            ("9lives", None),
            ("gr\u{fc}n", None),
        ] {
            assert_eq!(escaped(name).as_deref(), in_cel);
        }
    }
}
