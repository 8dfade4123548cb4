//! Who may use whom, as a table, checked by reading the `use` lines of every file in `src/`. A room that needs a new
//! neighbour says so here, where a reviewer sees it.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may name. What is not listed is forbidden.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["command"]),
    ("resource", &[]),
    ("fact", &[]),
    ("gateway", &[]),
    // Nothing of ours: the client and the simulation check one another.
    ("simulated_gateway", &[]),
    ("desired", &["resource", "fact", "gateway"]),
    ("observed", &["desired", "fact", "gateway"]),
    ("plan", &["resource", "fact", "gateway", "desired", "observed"]),
    (
        "execute",
        &[
            "resource",
            "fact",
            "gateway",
            "desired",
            "plan",
            "cluster",
            "controller",
        ],
    ),
    (
        "status",
        &["resource", "fact", "gateway", "desired", "observed", "execute"],
    ),
    ("cluster", &["resource", "fact", "desired", "status", "telemetry"]),
    (
        "controller",
        &[
            "resource",
            "fact",
            "gateway",
            "desired",
            "observed",
            "plan",
            "execute",
            "status",
            "cluster",
            "telemetry",
        ],
    ),
    ("http", &["cluster", "telemetry"]),
    ("telemetry", &["resource", "gateway"]),
    (
        "command",
        &[
            "resource",
            "gateway",
            "cluster",
            "controller",
            "http",
            "telemetry",
            "simulated_gateway",
        ],
    ),
];

/// Rooms whose answers depend on their arguments alone.
const PURE: &[&str] = &["resource", "fact", "desired", "plan", "status"];

/// What a pure room may not name: a runtime, a client, a clock, chance, the file system, the network.
const IMPURE: &[&str] = &[
    "tokio",
    "kube::Client",
    "kube::Api",
    "kube::runtime",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "rand::",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
];

#[test]
fn every_room_uses_only_its_neighbours() {
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for Source { room, path, code } in sources() {
        let Some(neighbours) = allowed.get(room.as_str()) else {
            wrong.push(format!("{}: room {room} is not in the table", path.display()));
            continue;
        };
        for used in rooms_named(&code) {
            if used != room && allowed.contains_key(used.as_str()) && !neighbours.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} may not use {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_are_pure() {
    let mut wrong = Vec::new();
    for Source { room, path, code } in sources() {
        for word in IMPURE.iter().filter(|_| PURE.contains(&room.as_str())) {
            if code.contains(word) {
                wrong.push(format!("{}: {room} is pure and names {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_side_keeps_its_language_to_itself() {
    let mut wrong = Vec::new();
    for Source { room, path, code } in sources() {
        let mut only = |word: &str, rooms: &[&str]| {
            if code.contains(word) && !rooms.contains(&room.as_str()) {
                wrong.push(format!("{}: only {rooms:?} may name {word}", path.display()));
            }
        };
        only("tungstenite", &["gateway", "simulated_gateway"]);
        only("gateway::frame", &["gateway"]);
        only("kube::Api", &["cluster"]);
        only("Api<", &["cluster"]);
        only("PatchParams", &["cluster"]);
    }
    for Source { room, path, code } in sources() {
        if room == "gateway" && (code.contains("kube") || code.contains("k8s_openapi")) {
            wrong.push(format!("{}: gateway knows no Kubernetes", path.display()));
        }
        let speaks = code.contains("println!(") || code.contains("eprintln!(");
        if speaks && room != "command" {
            wrong.push(format!("{}: only command speaks to the user", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_room_of_the_table_is_empty() {
    let rooms: Vec<_> = sources().into_iter().map(|source| source.room).collect();
    for (room, _) in MAY_USE {
        assert!(
            rooms.contains(&(*room).to_owned()),
            "the table lists {room}, which does not exist"
        );
    }
}

struct Source {
    room: String,
    path: PathBuf,
    /// Without comments and without the tests at its end.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    found
        .into_iter()
        .filter(|path| !path.ends_with("lib.rs"))
        // Tests may cross rooms, in a file of their own too.
        .filter(|path| !path.iter().any(|part| part == "tests"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            let inside = path.strip_prefix(&root).unwrap();
            let room = inside
                .iter()
                .next()
                .unwrap()
                .to_string_lossy()
                .trim_end_matches(".rs")
                .to_owned();
            Source {
                room,
                path: inside.to_owned(),
                code,
            }
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms in `crate::a`, `crate::{a, b::c}` and `quartermaster::a`, wherever they are named.
fn rooms_named(code: &str) -> Vec<String> {
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rooms = Vec::new();
    for root in ["crate::", "quartermaster::"] {
        for (at, _) in flat.match_indices(root) {
            let rest = &flat[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                rooms.extend(first_words_of_group(group));
            } else {
                rooms.push(word(rest));
            }
        }
    }
    rooms
}

/// The first word of each item of a `{a, b::{c, d}}` group whose brace is already open.
fn first_words_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut words) = (1, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => words.push(word(std::mem::take(&mut item).trim())),
            c => item.push(c),
        }
        if depth == 0 {
            break;
        }
    }
    words.push(word(item.trim()));
    words
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn the_reader_of_use_lines_sees_groups() {
    assert_eq!(rooms_named("use crate::{a, b::{c, d},\n e::f};"), ["a", "b", "e"]);
    assert_eq!(
        rooms_named("let x = crate::gateway::Guard::default();"),
        ["gateway"]
    );
}
