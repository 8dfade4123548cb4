//! Who may use whom, as a table, checked by reading every file in `src/`. A room that needs a new neighbour says so here,
//! where a reviewer sees it.
//!
//! Rules look at full paths: `use` trees are taken apart, names are followed to what they were imported as, and `crate`,
//! `self` and `super` to where the file lies. The last tests feed each rule what it must complain of.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may name. What is not listed is forbidden.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("main",       &["command"]),
    ("resource",   &[]),
    ("fact",       &[]),
    ("gateway",    &[]),
    // Nothing of ours, so that client and simulation check one another.
    ("simulated_gateway", &[]),
    ("control_plane", &["resource"]),
    ("template",   &["resource"]),
    ("desired",    &["resource", "fact", "gateway", "template"]),
    ("observed",   &["resource", "desired", "fact", "gateway", "sessions", "deposits", "turns"]),
    ("plan",       &["resource", "fact", "gateway", "desired", "observed", "deposits"]),
    ("sessions",   &["resource", "fact", "gateway"]),
    ("turns",      &["resource"]),
    ("deposits",   &["resource", "gateway", "turns"]),
    ("execute",    &["resource", "gateway", "desired", "observed", "plan", "cluster", "sessions", "deposits", "turns", "fact"]),
    ("status",     &["resource", "fact", "gateway", "template", "desired", "observed", "plan", "execute"]),
    ("cluster",    &["resource", "fact", "desired", "status", "telemetry"]),
    ("authenticator", &["resource", "fact", "desired"]),
    ("controller", &["authenticator", "resource", "fact", "gateway", "desired", "observed", "plan", "execute", "status", "cluster", "sessions", "deposits", "turns", "telemetry"]),
    ("http",       &["cluster", "telemetry"]),
    ("telemetry",  &["resource", "gateway"]),
    ("command",    &["resource", "fact", "gateway", "simulated_gateway", "control_plane", "template", "desired", "observed", "plan", "status", "cluster", "controller", "sessions", "deposits", "http", "telemetry"]),
];

/// Inside the control plane: the pure ones, and which of its rooms they may name. None of these is the store or HTTP.
#[rustfmt::skip]
const IN_CONTROL_PLANE: &[(&str, &[&str])] = &[
    ("object",      &[]),
    ("status",      &["access", "kind"]),
    ("kind",        &["patch", "schema"]),
    ("kinds",       &["object", "kind", "patch", "schema"]),
    ("selector",    &["object", "status", "registry"]),
    ("call",        &["status", "kind", "patch", "access", "selector"]),
    ("event_forms", &["object", "kind"]),
    ("schema",      &["object", "status"]),
    ("patch",       &["object", "status", "schema"]),
    ("registry",    &["object", "status", "kind", "call", "schema", "patch"]),
    ("access",      &[]),
];

/// Rooms whose answers depend on their arguments alone.
const PURE: &[&str] = &[
    "resource",
    "fact",
    "template",
    "desired",
    "plan",
    "status",
    "control_plane::object",
    "control_plane::status",
    "control_plane::kind",
    "control_plane::kinds",
    "control_plane::selector",
    "control_plane::call",
    "control_plane::event_forms",
    "control_plane::schema",
    "control_plane::patch",
    "control_plane::registry",
    "control_plane::access",
];

/// What a pure room may not name: a runtime, a client, a clock, chance, the file system, the network.
const IMPURE: &[&str] = &[
    "tokio",
    "futures",
    "kube::Client",
    "kube::client",
    "kube::Api",
    "kube::api",
    "kube::runtime",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "rand",
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
];

/// What only these rooms may name.
const ONLY: &[(&str, &[&str])] = &[
    ("tungstenite", &["gateway", "simulated_gateway"]),
    ("tokio_tungstenite", &["gateway", "simulated_gateway"]),
    ("crate::gateway::frame", &["gateway"]),
    ("kube::Api", &["cluster", "control_plane"]),
    ("kube::api", &["cluster", "control_plane"]),
    ("println!", &["command"]),
    ("eprintln!", &["command"]),
];

/// What the room `gateway` may not name: it knows no Kubernetes.
const KUBERNETES: &[&str] = &["kube", "kube_lease_manager", "k8s_openapi"];

#[test]
fn every_room_uses_only_its_neighbours() {
    assert_no_complaint(stranger);
}

#[test]
fn every_pure_room_of_the_control_plane_uses_only_its_neighbours() {
    for room in PURE
        .iter()
        .filter_map(|room| room.strip_prefix("control_plane::"))
    {
        let listed = IN_CONTROL_PLANE.iter().any(|(name, _)| *name == room);
        assert!(listed, "the table does not list {room}");
    }
    assert_no_complaint(inner_stranger);
}

#[test]
fn pure_rooms_are_pure() {
    assert_no_complaint(impure);
}

#[test]
fn each_side_keeps_its_language_to_itself() {
    assert_no_complaint(foreign);
}

#[test]
fn no_room_of_the_table_is_empty() {
    let modules: Vec<_> = sources().into_iter().map(|source| source.module).collect();
    let inner = IN_CONTROL_PLANE
        .iter()
        .map(|(room, _)| format!("control_plane::{room}"));
    let outer = MAY_USE.iter().map(|(room, _)| (*room).to_owned());
    let pure = PURE.iter().map(|room| (*room).to_owned());
    for room in outer.chain(inner).chain(pure) {
        assert!(
            modules.iter().any(|module| is_in(module, &room)),
            "the table lists {room}, which does not exist"
        );
    }
}

/// A rule says what is wrong with one path in a file of that module: `control_plane::registry::delete`.
type Rule = fn(module: &str, path: &Name) -> Option<String>;

fn room_of(module: &str) -> &str {
    module.split("::").next().unwrap()
}

fn is_in(module: &str, room: &str) -> bool {
    let rest = module.strip_prefix(room);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn stranger(module: &str, path: &Name) -> Option<String> {
    let room = room_of(module);
    let Some((_, neighbours)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
        return Some(format!("room {room} is not in the table"));
    };
    let [root, used, ..] = path.0.as_slice() else {
        return None;
    };
    let is_room = MAY_USE.iter().any(|(name, _)| name == used) || used == "*";
    let allowed = used == room || neighbours.contains(&used.as_str());
    (root == "crate" && is_room && !allowed).then(|| format!("{room} may not use {used}"))
}

/// What is pure in the control plane stays so in what it calls.
fn inner_stranger(module: &str, path: &Name) -> Option<String> {
    let (room, neighbours) = IN_CONTROL_PLANE
        .iter()
        .find(|(room, _)| is_in(module, &format!("control_plane::{room}")))?;
    let [root, control_plane, used, ..] = path.0.as_slice() else {
        return None;
    };
    let is_inner = root == "crate" && control_plane == "control_plane";
    // What the control plane gives on by its own name.
    let used = match used.as_str() {
        "Object" => "object",
        "Status" | "Cause" => "status",
        used => used,
    };
    let allowed = used == *room || neighbours.contains(&used);
    (is_inner && !allowed).then(|| format!("control_plane::{room} may not use control_plane::{used}"))
}

fn impure(module: &str, path: &Name) -> Option<String> {
    let word = IMPURE.iter().find(|word| path.names(word))?;
    let room = PURE.iter().find(|room| is_in(module, room))?;
    Some(format!("{room} is pure and names {word}"))
}

fn foreign(module: &str, path: &Name) -> Option<String> {
    let room = room_of(module);
    if room == "gateway" && KUBERNETES.iter().any(|word| path.names(word)) {
        return Some("gateway knows no Kubernetes".to_owned());
    }
    let (word, rooms) = ONLY
        .iter()
        .find(|(word, rooms)| path.names(word) && !rooms.contains(&room))?;
    Some(format!("only {rooms:?} may name {word}"))
}

fn assert_no_complaint(rule: Rule) {
    let wrong: Vec<String> = sources()
        .iter()
        .flat_map(|source| source.complaints(rule))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A full path as it is meant: `crate::status::Reason`, `std::fs::read`, `println!`, `kube::*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name(Vec<String>);

impl Name {
    /// Whether these words stand in it side by side, or may be among what its `*` brings in.
    fn names(&self, words: &str) -> bool {
        let words: Vec<&str> = words.split("::").collect();
        let brings = match self.0.split_last() {
            Some((last, before)) if last == "*" => words.starts_with(&as_str(before)),
            Some(_) | None => false,
        };
        brings || as_str(&self.0).windows(words.len()).any(|part| part == words)
    }
}

fn as_str(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

struct Source {
    /// `control_plane::registry::delete`
    module: String,
    /// Inside `src/`.
    path: PathBuf,
    names: Vec<Name>,
}

impl Source {
    fn read(path: &Path, text: &str) -> Self {
        let mut module: Vec<String> = path
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        // The tests at a file's end may use anything; `mod tests;` is a file that nobody reads here.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        Self {
            module: module.join("::"),
            path: path.to_owned(),
            names: names(&tokens(code), &module),
        }
    }

    fn complaints(&self, rule: Rule) -> Vec<String> {
        let mut wrong: Vec<String> = self
            .names
            .iter()
            .filter_map(|name| rule(&self.module, name))
            .map(|complaint| format!("{}: {complaint}", self.path.display()))
            .collect();
        wrong.dedup();
        wrong
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    found
        .iter()
        .filter(|path| !path.ends_with("lib.rs"))
        .map(|path| {
            Source::read(
                path.strip_prefix(&root).unwrap(),
                &fs::read_to_string(path).unwrap(),
            )
        })
        .collect()
}

/// All but what is called `tests`.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Words, `::`, and every other sign alone; without comments and without what stands in quotes.
fn tokens(code: &str) -> Vec<String> {
    let code: Vec<char> = code.chars().collect();
    let at = |index: usize| code.get(index).copied().unwrap_or('\n');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut i) = (Vec::new(), 0);
    while i < code.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => i += (i..).take_while(|&i| at(i) != '\n').count(),
            // A lifetime has no second quote.
            '\'' if at(i + 1) != '\\' && at(i + 2) != '\'' => i += 1,
            quote @ ('"' | '\'') => {
                let raw = (1..=start)
                    .map_while(|back| code.get(start - back))
                    .take_while(|c| **c == '#')
                    .count();
                let is_raw = quote == '"' && start > raw && at(start - raw - 1) == 'r';
                let ends = |i: usize| at(i) == quote && (!is_raw || (1..=raw).all(|k| at(i + k) == '#'));
                i += 1;
                while i < code.len() && !ends(i) {
                    i += if at(i) == '\\' && !is_raw { 2 } else { 1 };
                }
                i += 1;
            }
            ':' if at(i + 1) == ':' => {
                found.push("::".to_owned());
                i += 2;
            }
            c if is_word(c) => {
                i += (i..).take_while(|&i| is_word(at(i))).count();
                found.push((start..i).map(at).collect());
            }
            c => {
                if !c.is_whitespace() {
                    found.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    found
}

/// Every path in a file, of its `use` lines and of its code.
fn names(tokens: &[String], module: &[String]) -> Vec<Name> {
    let (mut imports, mut inline, mut modules) = (Vec::new(), Vec::new(), Vec::new());
    let (mut rest, mut before) = (tokens, "");
    while let Some((token, after)) = rest.split_first() {
        let next = after.first().map_or("", String::as_str);
        let is_word = token.starts_with(|c: char| c.is_alphabetic() || c == '_');
        rest = after;
        if token == "use" && next != "<" {
            rest = take_tree(after, &[], &mut imports);
        } else if token == "mod" {
            modules.push(next.to_owned());
        } else if is_word && before != "." {
            let mut path = vec![token.clone()];
            while let [colons, word, after @ ..] = rest
                && colons == "::"
                && word.starts_with(|c: char| c.is_alphabetic() || c == '_')
            {
                path.push(word.clone());
                rest = after;
            }
            if rest.first().is_some_and(|sign| sign == "!") {
                path.last_mut().unwrap().push('!');
                inline.push(path);
            } else if path.len() > 1 {
                inline.push(path);
            }
        }
        before = token;
    }
    let rooted = |path: &[String]| -> Vec<String> {
        let (first, tail) = path.split_first().unwrap();
        let root = || vec!["crate".to_owned()];
        match first.as_str() {
            "crate" | "quartermaster" => [&root(), tail].concat(),
            "self" if tail.first().is_none_or(|next| next != "super") => [&root(), module, tail].concat(),
            "self" | "super" => {
                let path = if first == "self" { tail } else { path };
                let ups = path.iter().take_while(|word| *word == "super").count();
                let kept = module.iter().take(module.len().saturating_sub(ups)).cloned();
                root()
                    .into_iter()
                    .chain(kept)
                    .chain(path.iter().skip(ups).cloned())
                    .collect()
            }
            name if modules.iter().any(|module| module == name) => [&root(), module, path].concat(),
            _ => path.to_vec(),
        }
    };
    let known: BTreeMap<&str, Vec<String>> = imports
        .iter()
        .map(|(path, name)| (name.as_str(), rooted(path)))
        .collect();
    let paths = imports.iter().map(|(path, _)| path).chain(&inline);
    paths
        .map(|path| {
            let (first, tail) = path.split_first().unwrap();
            Name(match known.get(first.as_str()) {
                Some(meant) => [meant, tail].concat(),
                None => rooted(path),
            })
        })
        .collect()
}

/// Takes `a::{b as c, d::*}` apart: each full path with the name that it brings. Gives what follows the tree.
fn take_tree<'a>(
    mut rest: &'a [String],
    prefix: &[String],
    found: &mut Vec<(Vec<String>, String)>,
) -> &'a [String] {
    let mut path = prefix.to_vec();
    let mut alias = None;
    while let Some((token, after)) = rest.split_first() {
        match token.as_str() {
            "," | "}" | ";" => break,
            "{" => {
                rest = after;
                while rest.first().is_some_and(|token| token != "}") {
                    rest = take_tree(rest, &path, found);
                    rest = rest.strip_prefix(&[",".to_owned()]).unwrap_or(rest);
                }
                return rest.get(1..).unwrap_or_default();
            }
            "as" => alias = after.first().cloned(),
            "::" => {}
            "self" if !path.is_empty() => {}
            _ if alias.is_some() => {}
            word => path.push(word.to_owned()),
        }
        rest = after;
    }
    if let Some(last) = path.last() {
        let name = alias.unwrap_or_else(|| last.clone());
        found.push((path, name));
    }
    rest
}

/// What each rule must complain of, in a file of that place.
#[rustfmt::skip]
const WRONG: &[(Rule, &str, &str)] = &[
    (stranger, "unheard_of.rs",     "fn main() { a::b }"),
    (stranger, "plan/gateway.rs",   "use crate::cluster::Cluster;"),
    (stranger, "plan/gateway.rs",   "use crate::{fact::Fact, cluster::{Cluster, Scope}};"),
    (stranger, "plan/gateway.rs",   "fn f() { crate::cluster::write() }"),
    (stranger, "plan/gateway.rs",   "use super::super::cluster;"),
    (stranger, "plan/mod.rs",       "use super::{fact, status as s};"),
    (stranger, "plan/gateway.rs",   "use crate as all;\nfn f() { all::http::serve() }"),
    (stranger, "plan/mod.rs",       "use crate::*;"),
    (stranger, "fact.rs",           "use self::super::cluster::Cluster;"),
    (stranger, "main.rs",           "use quartermaster::http;"),
    (impure,   "plan/gateway.rs",   "use std::{fs, fmt};"),
    (impure,   "plan/gateway.rs",   "use std::{env};"),
    (impure,   "plan/gateway.rs",   "use std as s;\nfn f() { s::process::exit(1) }"),
    (impure,   "plan/gateway.rs",   "use std::*;"),
    (impure,   "status/verdict.rs", "use rand;"),
    (impure,   "status/verdict.rs", "fn f() -> u8 { ::rand::random() }"),
    (impure,   "status/verdict.rs", "use kube::{Client, Resource};"),
    (impure,   "status/verdict.rs", "use kube::{runtime::events::Event};"),
    (impure,   "desired/mod.rs",    "use std::time;\nfn f() { time::Instant::now() }"),
    (impure,   "desired/mod.rs",    "use k8s_openapi::jiff::Timestamp as T;\nfn f() { T::now() }"),
    (impure,   "resource/agent.rs", "async fn f() { tokio::task::yield_now().await }"),
    (impure,   "control_plane/registry/delete.rs", "use std::time::Instant;"),
    (impure,   "control_plane/call.rs", "fn f() -> u8 { rand::random() }"),
    (inner_stranger, "control_plane/registry/mod.rs", "use super::store::Store;"),
    (inner_stranger, "control_plane/patch/apply.rs", "use crate::control_plane::{Object, http::Service};"),
    (inner_stranger, "control_plane/call.rs", "use super::ControlPlane;"),
    (inner_stranger, "control_plane/kind.rs", "use super::*;"),
    (foreign,  "controller/mod.rs", "use kube::{Resource, Api};"),
    (foreign,  "controller/mod.rs", "use kube::api::{Api, PatchParams};"),
    (foreign,  "controller/mod.rs", "use kube as k;\nfn f() { k::Api::all(client) }"),
    (foreign,  "sessions.rs",       "use crate::gateway::{Link, frame};"),
    (foreign,  "http/mod.rs",       "use tokio_tungstenite::tungstenite::Message;"),
    (foreign,  "gateway/dial.rs",   "use {k8s_openapi::api::core::v1::Secret};"),
    (foreign,  "plan/gateway.rs",   "fn f() { std::println!(\"x\") }"),
];

/// What lies just beside it and is right.
#[rustfmt::skip]
const RIGHT: &[(&str, &str)] = &[
    ("plan/gateway.rs",   "use crate::fact::Fact; use super::mod_of_its_own; use self::tokio_like::x;"),
    ("plan/gateway.rs",   "// use tokio;\nconst A: &str = \"std::fs\"; const B: &str = r#\"a \" rand::x\"#; const C: char = '\"';"),
    ("plan/gateway.rs",   "fn f<'a>(x: &'a X) -> &'a str { x.rand.println() }"),
    ("plan/gateway.rs",   "use k8s_openapi::jiff::Timestamp; use std::time::Duration; use kube::ResourceExt;"),
    ("cluster/watch.rs",  "fn f() -> impl A + use<K> {} use kube::{Api, Client}; use super::Health;"),
    ("gateway/commit/mod.rs", "mod patch; use patch::Patch; use super::frame; use super::super::gateway::frame;"),
    ("control_plane/registry/delete.rs", "use super::metadata; use super::super::{Object, status::Status}; use crate::control_plane::call::Call;"),
    ("control_plane/collect.rs", "use super::store::Store; use tokio::time::sleep;"),
    ("control_plane/call_of_another_name.rs", "use super::store::Store;"),
    ("plan/gateway.rs",   "use crate::fact;\n#[cfg(test)]\nmod tests {\n use std::fs; }"),
];

#[test]
fn every_rule_complains_of_what_is_wrong() {
    for (rule, path, code) in WRONG {
        let said = Source::read(Path::new(path), code).complaints(*rule);
        assert!(!said.is_empty(), "nobody complains of {code} in {path}");
    }
}

#[test]
fn no_rule_complains_of_what_is_right() {
    for (path, code) in RIGHT {
        for rule in [stranger, inner_stranger, impure, foreign] {
            assert_eq!(
                Source::read(Path::new(path), code).complaints(rule),
                [""; 0],
                "{code}"
            );
        }
    }
}
