//! Documents become files: each its own where the gateway takes it, else a section of AGENTS.md.

use std::collections::BTreeMap;

use super::asked::Wanted;
use super::section::{carried, spoiled};
use super::{File, Rendering, Text};
use crate::resource::settings::FilePolicy;
use crate::template::Document;

pub(super) struct Folded {
    pub(super) files: BTreeMap<String, File>,
    pub(super) carried: BTreeMap<String, String>,
    /// What HEARTBEAT.md says, wherever it is.
    pub(super) heartbeat: String,
    pub(super) warnings: Vec<String>,
}

pub(super) fn fold(rendering: Rendering<'_>, documents: Vec<(&Wanted<'_>, String)>) -> Folded {
    let agents = Document::Agents.name();
    let mut folded = Folded {
        files: BTreeMap::new(),
        carried: BTreeMap::new(),
        heartbeat: String::new(),
        warnings: Vec::new(),
    };
    let mut home = None;
    let mut body = String::new();
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for (wanted, text) in documents {
        if wanted.is(Document::Heartbeat) {
            folded.heartbeat.clone_from(&text);
        }
        if wanted.is(Document::Agents) {
            home = Some(wanted);
            body = text;
        } else if is_a_file(rendering, wanted) {
            let file = file(wanted, Text::Whole(text));
            folded.files.insert(wanted.name.to_owned(), file);
        } else if wanted.policy != FilePolicy::Ignored {
            folded.carried.insert(wanted.name.to_owned(), agents.to_owned());
            if wanted.policy == FilePolicy::SeedOnce && wanted.policy_is_given {
                folded.warnings.push(format!(
                    "{} is a section of AGENTS.md here, which is kept as written: its policy SeedOnce has no effect.",
                    wanted.name
                ));
            }
            // The token first: a prompt cuts a file at its end.
            let part = if wanted.is(Document::Tools) {
                &mut above
            } else {
                &mut below
            };
            if !text.is_empty() {
                part.push(carried(wanted.name, &spoiled(&text)));
            }
        }
    }
    // Every role has AGENTS.md.
    if let Some(home) = home {
        let whole = [above, vec![spoiled(&body)], below].concat();
        let whole: Vec<String> = whole.into_iter().filter(|part| !part.is_empty()).collect();
        let whole = whole.join("\n");
        let text = match (home.policy, rendering.place.adopted && !home.policy_is_given) {
            (FilePolicy::Ignored, _) => Text::Whole(String::new()),
            (FilePolicy::Managed | FilePolicy::SeedOnce, false) => Text::Whole(whole),
            (FilePolicy::Managed | FilePolicy::SeedOnce, true) => Text::Section(whole),
        };
        let file = file(home, text);
        folded.warnings.extend(lost(&file, &folded.carried));
        folded.files.insert(agents.to_owned(), file);
    }
    folded.warnings.extend(without_token(rendering, &folded));
    folded
}

/// Whether the document is a file of its own. An adopted agent's TOOLS.md is its own, too: ours would not be written where
/// there is one, and the token would reach nobody.
fn is_a_file(rendering: Rendering<'_>, wanted: &Wanted<'_>) -> bool {
    let is_taken = rendering.contract.documents.contains(&wanted.name);
    let is_theirs = rendering.place.adopted
        && wanted.is(Document::Tools)
        && !(wanted.policy_is_given && wanted.policy == FilePolicy::Managed);
    is_taken && !is_theirs
}

fn file(wanted: &Wanted<'_>, text: Text) -> File {
    File {
        text,
        policy: wanted.policy,
        drift: wanted.drift,
        consumed: wanted.is(Document::Bootstrap),
    }
}

/// What is carried goes where AGENTS.md goes, and that may be nowhere.
fn lost(agents: &File, carried: &BTreeMap<String, String>) -> Option<String> {
    let why = match agents.policy {
        FilePolicy::Managed => return None,
        FilePolicy::SeedOnce => "is written once only, so later changes of",
        FilePolicy::Ignored => "is not written, so",
    };
    let names: Vec<&str> = carried.keys().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!(
            "AGENTS.md {why} {} do not reach the agent: this gateway takes them only as sections of it.",
            names.join(", ")
        )
    })
}

/// A template of the user's own may have left it out.
fn without_token(rendering: Rendering<'_>, folded: &Folded) -> Option<String> {
    let mut files = folded.files.values();
    let is_there = files.any(|file| file.text.ours().contains(rendering.token));
    (!is_there).then(|| {
        "No file carries the agent's token, so it cannot report: its TOOLS.md needs AUTH_TOKEN=\"{{ auth_token }}\".".to_owned()
    })
}
