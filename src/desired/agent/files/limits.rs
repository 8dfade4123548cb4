//! How large files may be: what gateways take, and what of it reaches a model.

use std::collections::BTreeMap;

use super::super::obstacle::Obstacle;
use super::File;
use crate::resource::settings::FilePolicy;
use crate::template::Document;

/// In bytes, as it is sent. A 2026.2.9 ends the connection at a message of 524,288 bytes; newer gateways take 25 MiB but
/// would give back no file above 16 MiB.
const LARGEST: usize = 500_000;

/// In characters: what of a file a gateway shows to the model, what of USER.md, and what of all files together.
const SHOWN_OF_A_FILE: usize = 20_000;
const SHOWN_OF_USER: usize = 4_000;
const SHOWN_IN_ALL: usize = 60_000;

pub(super) fn hard(files: &BTreeMap<String, File>) -> Result<(), Obstacle> {
    for (name, file) in files {
        let size = as_sent(file.text.ours());
        if size > LARGEST {
            return Err(Obstacle::FileTooLarge {
                file: name.clone(),
                size,
                limit: LARGEST,
            });
        }
    }
    Ok(())
}

pub(super) fn of_the_prompt(files: &BTreeMap<String, File>) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut all = 0;
    for (name, file) in files {
        if file.policy == FilePolicy::Ignored {
            continue;
        }
        let length = file.text.ours().chars().count();
        all += length;
        let shown = if name == Document::User.name() {
            SHOWN_OF_USER
        } else {
            SHOWN_OF_A_FILE
        };
        if length > shown {
            warnings.push(format!(
                "{name} has {length} characters, of which the first {shown} reach the model."
            ));
        }
    }
    if all > SHOWN_IN_ALL {
        warnings.push(format!(
            "The files have {all} characters together, of which {SHOWN_IN_ALL} reach the model."
        ));
    }
    warnings
}

/// The length of the text as a JSON string.
fn as_sent(text: &str) -> usize {
    let sign = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(sign).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_json_makes_it() {
        let all: String = (0..=0x300).filter_map(char::from_u32).collect();
        assert_eq!(as_sent(&all) + 2, serde_json::to_string(&all).unwrap().len());
    }
}
