//! Formats of strings, as the API server holds values to them.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    DateTime,
    Date,
    Uuid,
    ShortName,
    LongName,
    /// Any text.
    Password,
}

/// Formats that the API server holds values to and we do not. None of the kinds here has one.
const NOT_HERE: [&str; 20] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "duration",
];

/// The API server would check it, and this program cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotHere;

impl Format {
    /// None: a name that the API server does not know either, and ignores.
    pub(super) fn named(name: &str) -> Result<Option<Self>, NotHere> {
        match name.replace('-', "").as_str() {
            "datetime" => Ok(Some(Self::DateTime)),
            "date" => Ok(Some(Self::Date)),
            "uuid" => Ok(Some(Self::Uuid)),
            "k8sshortname" => Ok(Some(Self::ShortName)),
            "k8slongname" => Ok(Some(Self::LongName)),
            "password" => Ok(Some(Self::Password)),
            other if NOT_HERE.contains(&other) => Err(NotHere),
            _ => Ok(None),
        }
    }

    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Self::DateTime => is_date_time(text),
            Self::Date => is_date(text),
            Self::Uuid => has_form(&UUID, text),
            Self::ShortName => text.len() <= 63 && has_form(&SHORT_NAME, text),
            Self::LongName => text.len() <= 253 && has_form(&LONG_NAME, text),
            Self::Password => true,
        }
    }
}

type Form = LazyLock<Option<Regex>>;

static TIME: Form = LazyLock::new(|| {
    Regex::new(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})$").ok()
});
static UUID: Form = LazyLock::new(|| {
    Regex::new(r"^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$").ok()
});
static SHORT_NAME: Form = LazyLock::new(|| Regex::new("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").ok());
static LONG_NAME: Form =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());

fn has_form(form: &Form, text: &str) -> bool {
    form.as_ref().is_some_and(|form| form.is_match(text))
}

/// Laxer than RFC 3339 in what may stand before the fraction, stricter in leap seconds.
fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    let matched = TIME.as_ref().and_then(|form| form.captures(time));
    let at_most = |group, most| {
        matched
            .as_ref()
            .and_then(|found| found.get(group))
            .is_some_and(|found| found.as_str() <= most)
    };
    is_date(date) && at_most(1, "23") && at_most(2, "59") && at_most(3, "59")
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |digits: usize| -> Option<i16> {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok())?
    };
    let (year, month, day) = (number(4), number(2), number(2));
    let (Some(year), Some(Ok(month)), Some(Ok(day)), None) =
        (year, month.map(i8::try_from), day.map(i8::try_from), parts.next())
    else {
        return false;
    };
    Date::new(year, month, day).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_what_the_api_server_accepts() {
        for (format, yes, no) in [
            (Format::DateTime, "2026-02-28T23:59:59Z", "2026-02-30T00:00:00Z"),
            (
                Format::DateTime,
                "2026-02-28t23:59:59.5+01:00",
                "2026-02-28 23:59:59Z",
            ),
            (Format::DateTime, "2026-02-28T23:59:59,5z", "2026-02-28T23:59:60Z"),
            (Format::Date, "2024-02-29", "2023-02-29"),
            (Format::Date, "0000-01-01", "2023-2-2"),
            (Format::Uuid, "0191E2B6-0000-7000-8000-00000000000f", "0191e2b6"),
            (Format::ShortName, "a-b", "a.b"),
            (Format::LongName, "a-b.c", "a..c"),
        ] {
            assert!(format.accepts(yes), "{format:?} {yes}");
            assert!(!format.accepts(no), "{format:?} {no}");
        }
        assert_eq!(Format::named("date-time"), Ok(Some(Format::DateTime)));
        assert_eq!(Format::named("email"), Err(NotHere));
        assert_eq!(Format::named("of-our-own"), Ok(None));
    }
}
