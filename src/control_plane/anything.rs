//! Whatever a client may send as a patch, done to whatever may be stored: what the fuzz targets in `fuzz/` and the tests below
//! share. Nothing of it may panic, refuse in another form than clients know, or make an object that cannot be read back.
//!
//! The input is a digit for the kind, the stored object as JSON, a tab, and the body: as the lines of `fuzz/patches.txt`.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value;

use super::kinds;
use super::object::Object;
use super::patch::{self, Options, Patch, Subject};
use super::schema::body;
use super::status::Status;
use crate::resource;

/// Built-in kinds with maps of texts, with lists that are merged and with such as are not; and one of ours.
static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let kinds = kinds::served(&resource::definitions()).ok();
    let of = |kind: &str| {
        let mut all = kinds.as_ref()?.all();
        all.find(|served| served.names.kind == kind)
            .map(|served| served.subject.clone())
    };
    let wanted = ["ConfigMap", "ServiceAccount", "Role", "Agent"];
    wanted.into_iter().filter_map(of).collect()
});

struct Taken<'a> {
    subject: &'static Subject,
    stored: Object,
    body: &'a [u8],
}

impl<'a> Taken<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let subject = SUBJECTS.get(usize::from(*kind) % SUBJECTS.len().max(1))?;
        let tab = rest.iter().position(|byte| *byte == b'\t')?;
        let (stored, body) = (rest.get(..tab)?, rest.get(tab + 1..)?);
        // Nothing is stored that this does not read.
        let stored = Object::of(body::read(stored).ok()?.value)?;
        Some(Self {
            subject,
            stored,
            body,
        })
    }

    fn read(&self, content_type: &str) -> Option<Patch> {
        let options = Options {
            field_manager: Some("fuzz".to_owned()),
            force: None,
        };
        match Patch::read(self.subject, content_type, &options, self.body) {
            Ok(Ok(patch)) => Some(patch),
            Ok(Err(status)) | Err(status) => {
                check_refusal(&status);
                None
            }
        }
    }
}

/// A JSON patch, a merge patch and a strategic one, and who owns what after it.
pub fn patch(bytes: &[u8]) {
    let Some(taken) = Taken::of(bytes) else { return };
    let Taken { subject, stored, .. } = &taken;
    for content_type in [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ] {
        let Some(Patch::Change(change)) = taken.read(content_type) else {
            continue;
        };
        match change.onto(subject, stored) {
            Ok(changed) => {
                check_made(&changed);
                let mut tracked = patch::track(
                    subject,
                    Some(stored),
                    changed,
                    "fuzz",
                    None,
                    Timestamp::UNIX_EPOCH,
                );
                patch::keep_times(stored, &mut tracked);
            }
            Err(status) => check_refusal(&status),
        }
    }
}

/// A server-side apply: where nothing is, on what is there, and once more.
pub fn apply(bytes: &[u8]) {
    let Some(taken) = Taken::of(bytes) else { return };
    let Taken { subject, stored, .. } = &taken;
    let Some(Patch::Apply(config)) = taken.read("application/apply-patch+yaml") else {
        return;
    };
    let apply = |live: Option<&Object>| {
        let applied = patch::apply(subject, live, &config, None, Timestamp::UNIX_EPOCH);
        applied.inspect_err(check_refusal).ok()
    };
    for live in [None, Some(stored)] {
        let Some(once) = apply(live) else { continue };
        check_made(&once);
        // What was applied is already so, unless what is stored makes no sense to begin with.
        let twice = apply(Some(&once));
        if live.is_none() {
            assert_eq!(twice.as_ref().map(without_owners), Some(without_owners(&once)));
        }
    }
}

fn without_owners(object: &Object) -> Value {
    let mut fields = object.fields().clone();
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Value::Object(fields)
}

fn check_refusal(status: &Status) {
    let json = status.to_json();
    assert!((400..600).contains(&status.code), "{json}");
    assert!(!status.message.is_empty(), "{json}");
    assert_eq!(json.get("kind").and_then(Value::as_str), Some("Status"));
}

fn check_made(object: &Object) {
    let text = Value::Object(object.fields().clone()).to_string();
    assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// Patches that tests have sent, a line each.
    const SENT: &str = include_str!("../../fuzz/patches.txt");

    /// What hurts patches.
    const SPLINTERS: &[&str] = &[
        "[[[[[[[[",
        "{\"a\":",
        "1e999",
        "-0",
        "99999999999999999999",
        "null",
        "\"$patch\":\"delete\",",
        "\"$patch\":\"replace\",",
        "\"$retainKeys\":[],",
        "\"$setElementOrder/secrets\":[{\"name\":\"a\"}],",
        "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/x\"},",
        "/-",
        "/-1",
        "~0",
        "~1",
        "\"f:data\":{}",
        "\"k:{\\\"name\\\":\\\"a\\\"}\":{}",
        "\"v:\\\"a\\\"\":{}",
        "\"i:0\":{}",
        "\".\":{}",
        "\"managedFields\":[{}],",
        "\"managedFields\":[],",
        "\"finalizers\":[\"a\",\"a\"],",
        "\\u0000",
        "\"",
        "}",
        "]",
    ];

    #[derive(Debug, Clone)]
    enum Harm {
        Flip(Index, u8),
        Cut(Index, usize),
        Repeat(Index, usize),
        Insert(Index, Index),
        /// A part of another.
        Graft(Index, Index, Index, usize),
    }

    fn harm() -> impl Strategy<Value = Harm> {
        let at = any::<Index>;
        prop_oneof![
            (at(), any::<u8>()).prop_map(|(at, byte)| Harm::Flip(at, byte)),
            (at(), 1..40usize).prop_map(|(at, length)| Harm::Cut(at, length)),
            (at(), 1..80usize).prop_map(|(at, length)| Harm::Repeat(at, length)),
            (at(), at()).prop_map(|(at, which)| Harm::Insert(at, which)),
            (at(), at(), at(), 1..60usize)
                .prop_map(|(at, line, from, length)| Harm::Graft(at, line, from, length)),
        ]
    }

    fn line(which: Index) -> &'static str {
        let lines: Vec<&str> = SENT.lines().collect();
        which.get::<&str>(&lines)
    }

    fn harmed() -> impl Strategy<Value = Vec<u8>> {
        let harms = prop::collection::vec(harm(), 0..6);
        (any::<Index>(), any::<u8>(), harms).prop_map(|(which, kind, harms)| {
            let mut bytes = line(which).as_bytes().to_vec();
            if kind > 200 {
                bytes[0] = kind;
            }
            for harm in harms {
                bytes.push(b' ');
                let length = bytes.len();
                let range = |at: Index, count: usize| {
                    let start = at.index(length);
                    start..(start + count).min(length)
                };
                match harm {
                    Harm::Flip(at, byte) => bytes[at.index(length)] ^= byte,
                    Harm::Cut(at, count) => drop(bytes.drain(range(at, count))),
                    Harm::Repeat(at, count) => {
                        let piece = bytes[range(at, count)].to_vec();
                        bytes.splice(range(at, 0), piece);
                    }
                    Harm::Insert(at, which) => {
                        bytes.splice(range(at, 0), which.get(SPLINTERS).bytes());
                    }
                    Harm::Graft(at, which, from, count) => {
                        let other = line(which).as_bytes();
                        let start = from.index(other.len());
                        let piece = &other[start..(start + count).min(other.len())];
                        bytes.splice(range(at, 0), piece.iter().copied());
                    }
                }
            }
            bytes
        })
    }

    #[test]
    fn every_line_is_taken() {
        for line in SENT.lines() {
            assert!(Taken::of(line.as_bytes()).is_some(), "{line}");
            patch(line.as_bytes());
            apply(line.as_bytes());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_sent(bytes in harmed()) {
            patch(&bytes);
            apply(&bytes);
        }
    }
}
