//! The texts of a fresh workspace, and the one that the gateway writes into later: IDENTITY.md.
//!
//! The texts are stand-ins; only what the gateway itself does with them is as recorded: which files there are, and that
//! a line such as `- **Name:**` becomes `- Name: ...`.

use super::contract::Contract;

/// Which files a new workspace gets, and their texts.
pub(super) fn seeds(contract: Contract) -> &'static [(&'static str, &'static str)] {
    match contract {
        Contract::V2026_9_6 => NEW,
        Contract::V2026_7_35 | Contract::V2026_2_9 => OLD,
    }
}

const NEW: &[(&str, &str)] = &[
    ("AGENTS.md", AGENTS),
    ("SOUL.md", SOUL),
    ("USER.md", USER),
    ("IDENTITY.md", IDENTITY),
    ("BOOTSTRAP.md", BOOTSTRAP),
];

const OLD: &[(&str, &str)] = &[
    ("AGENTS.md", AGENTS),
    ("SOUL.md", SOUL),
    ("TOOLS.md", "# TOOLS.md\n\nNotes about the tools of this place.\n"),
    ("USER.md", USER),
    ("IDENTITY.md", IDENTITY),
    ("HEARTBEAT.md", "# HEARTBEAT.md\n\n# Nothing to do.\n"),
    ("BOOTSTRAP.md", BOOTSTRAP),
];

const AGENTS: &str = "# AGENTS.md\n\nA simulated gateway seeded this workspace.\n";
const SOUL: &str = "# SOUL.md\n\nNo character yet.\n";
const USER: &str = "# USER.md\n\nNothing known yet.\n";
const BOOTSTRAP: &str = "# BOOTSTRAP.md\n\nFind out who you are, then delete this file.\n";
const IDENTITY: &str = "# IDENTITY.md\n\n- **Name:**\n  _(not chosen)_\n- **Creature:**\n- **Vibe:**\n- **Emoji:**\n  _(not chosen)_\n- **Avatar:**\n";

/// Puts the given values into an IDENTITY.md: into the line of each label, or else below the others.
pub(super) fn merged(text: &str, values: &[(&str, Option<&str>)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (label, value) in values {
        let Some(value) = value else { continue };
        let line = format!("- {label}: {value}");
        match lines.iter().position(|line| is_labelled(line, label)) {
            Some(at) => {
                if let Some(found) = lines.get_mut(at) {
                    *found = line;
                }
            }
            None => {
                let last = lines.iter().rposition(|line| line.starts_with("- "));
                lines.insert(last.map_or(lines.len(), |at| at + 1), line);
            }
        }
    }
    let mut merged = lines.join("\n");
    merged.push('\n');
    merged
}

fn is_labelled(line: &str, label: &str) -> bool {
    let Some(rest) = line.trim_start().strip_prefix("- ") else {
        return false;
    };
    let plain = rest.replace("**", "");
    plain
        .split_once(':')
        .is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_line_and_what_follows_it() {
        let text = "# I\n\n- **Name:**\n  _(pick)_\n- **Vibe:**\n";
        let merged = merged(
            text,
            &[("Name", Some("Ada")), ("Emoji", Some("🛠")), ("Avatar", None)],
        );
        assert_eq!(
            merged,
            "# I\n\n- Name: Ada\n  _(pick)_\n- **Vibe:**\n- Emoji: 🛠\n"
        );
    }
}
