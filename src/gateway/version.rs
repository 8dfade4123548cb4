//! OpenClaw's calendar versions, `2026.9.6`. Only for the user's `minimumVersion`: what a gateway can do is
//! asked of its [`Contract`](super::Contract), never of its version.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    year: u16,
    month: u16,
    patch: u16,
}

impl Version {
    /// Reads `2026.9.6`, also zero-padded (`2026.02.9`, as the documents write it) and with a suffix such as
    /// `-beta.1`, which does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next()?;
        let mut parts = core.split('.').map(|part| part.parse().ok());
        let version = Self {
            year: parts.next()??,
            month: parts.next()??,
            patch: parts.next()??,
        };
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, patch } = self;
        write!(out, "{year}.{month}.{patch}")
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// What a gateway says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// The gateway's own word, for people: `2026.9.6`, or `dev` from a 2026.2.9.
    pub reported: String,
    /// The comparable version: the reported one, else the one that last wrote the gateway's configuration.
    pub known: Option<Version>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let parse = |text| Version::parse(text).unwrap();
        assert!(parse("2026.7.35") < parse("2026.9.6"));
        assert!(parse("2026.9.6") < parse("2026.10.1"));
        assert_eq!(parse("2026.02.9"), parse("2026.2.9"));
        assert_eq!(parse("2026.9.6-beta.1"), parse("2026.9.6"));
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in [
            "dev",
            "",
            "2026",
            "2026.9",
            "2026.9.6.1",
            "v2026.9.6",
            "2026.-1.0",
            "99999999.1.1",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
