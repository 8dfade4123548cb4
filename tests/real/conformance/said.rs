//! What the real gateways said, by case and version: the files in `said/`, one a theme.
//!
//! They are data, not code, so that the three versions stand beside each other and a difference can be read:
//!
//! ```text
//! ## agents::a_second_create_is_refused
//! -- 2026.9.6 2026.7.35 2026.2.9
//! again: INVALID_REQUEST "agent \"twice\" already exists"
//! ```
//!
//! `CONFORMANCE_RECORD=1 cargo test --test real conformance::real` writes them anew, from real gateways only; the
//! diff is then reviewed as prose. A run against a simulated gateway never writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use super::subject::Contract;

/// What was said in one theme: case, then version, then lines. A version is kept by its place in `Contract::ALL`.
type Theme = BTreeMap<String, BTreeMap<Contract, String>>;

static WRITING: Mutex<()> = Mutex::new(());

pub fn expected(theme: &str) -> Theme {
    let file = file(theme);
    let text = fs::read_to_string(&file).unwrap_or_default();
    parse(&text).unwrap_or_else(|line| panic!("{}: {line:?} is in no case or version", file.display()))
}

/// Puts what was seen in place of what was said before by this version.
pub fn record(theme: &str, contract: Contract, seen: &[(String, String)]) {
    let _one_at_a_time = WRITING.lock().unwrap();
    let mut all = expected(theme);
    for (case, text) in seen {
        all.entry(case.clone())
            .or_default()
            .insert(contract, text.clone());
    }
    fs::write(file(theme), print(theme, &all)).expect("said/ can be written");
}

fn file(theme: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/real/conformance/said")
        .join(format!("{theme}.txt"))
}

fn parse(text: &str) -> Result<Theme, String> {
    let mut all = Theme::new();
    let mut case = None;
    let mut versions: Vec<Contract> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("## ") {
            case = Some(name.rsplit("::").next().unwrap_or(name).to_owned());
            versions.clear();
        } else if let Some(named) = line.strip_prefix("-- ") {
            versions = named.split(' ').filter_map(Contract::named).collect();
        } else {
            let Some(case) = case.as_ref().filter(|_| !versions.is_empty()) else {
                return Err(line.to_owned());
            };
            for version in &versions {
                let said = all.entry(case.clone()).or_default().entry(*version).or_default();
                said.push_str(line);
                said.push('\n');
            }
        }
    }
    Ok(all)
}

fn print(theme: &str, all: &Theme) -> String {
    let mut text = String::new();
    for (case, by_version) in all {
        text.push_str(&format!("## {theme}::{case}\n"));
        let mut printed: Vec<Contract> = Vec::new();
        for (version, said) in by_version {
            if printed.contains(version) {
                continue;
            }
            let same: Vec<Contract> = by_version
                .iter()
                .filter_map(|(other, its)| (its == said).then_some(*other))
                .collect();
            let names: Vec<&str> = same.iter().map(|version| version.version()).collect();
            text.push_str(&format!("-- {}\n{said}", names.join(" ")));
            printed.extend(same);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let mut all = Theme::new();
        let by_version = all.entry("a".to_owned()).or_default();
        by_version.insert(Contract::V2026_9_6, "x: 1\n".to_owned());
        by_version.insert(Contract::V2026_7_35, "x: 2\ny: 3\n".to_owned());
        by_version.insert(Contract::V2026_2_9, "x: 1\n".to_owned());
        let text = print("t", &all);
        assert_eq!(
            text,
            "## t::a\n-- 2026.9.6 2026.2.9\nx: 1\n-- 2026.7.35\nx: 2\ny: 3\n\n"
        );
        assert_eq!(parse(&text), Ok(all));
        assert_eq!(parse("lost\n"), Err("lost".to_owned()));
    }
}
