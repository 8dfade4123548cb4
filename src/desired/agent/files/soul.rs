//! Which soul fits an agent's role: `soul: {role: true}`.

use std::cmp::Reverse;

use k8s_openapi::ByteString;

use super::super::obstacle::Obstacle;
use super::super::snapshot::Snapshot;
use super::asked::as_text;
use crate::fact::Fact;
use crate::template::Body;

/// The soul whose key is the role, else the one that shares most words with it.
pub(super) fn found(snapshot: &Snapshot) -> Result<(String, Body<'_>), Obstacle> {
    let identity = snapshot.agent.spec.identity.as_ref();
    let role = identity.and_then(|identity| identity.role.as_deref());
    let role = role.unwrap_or_default();
    let directories = match &snapshot.texts.souls {
        Fact::Known(directories) => directories,
        Fact::Unknown => {
            return Err(Obstacle::Unreadable {
                what: "the ConfigMaps labelled quartermaster.dev/souls".to_owned(),
            });
        }
        Fact::Absent => {
            return Err(Obstacle::SoulNotFound {
                role: role.to_owned(),
                directories: Vec::new(),
            });
        }
    };
    let keys = directories
        .iter()
        .flat_map(|(name, document)| document.data.iter().map(move |(key, text)| (name, key, text)));
    let best = keys
        .filter_map(|(name, key, text)| Some((fit(role, key)?, name, key, text)))
        .min_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)));
    let Some((_, name, key, ByteString(bytes))) = best else {
        return Err(Obstacle::SoulNotFound {
            role: role.to_owned(),
            directories: directories.keys().cloned().collect(),
        });
    };
    let text = as_text(bytes).map_err(|why| Obstacle::TextInvalid {
        field: format!("ConfigMap {name}, key {key}"),
        why,
    })?;
    Ok((format!("ConfigMap {name}, key {key}"), Body::Given(text)))
}

/// How well a key fits, the smallest best: by words in common, then by words too many. None: not at all. One word in common is
/// not enough for a role of several: `Site Reliability Engineer` is no `sales-engineer`.
fn fit(role: &str, key: &str) -> Option<(Reverse<usize>, usize)> {
    let (role, key) = (words(role), words(key.strip_suffix(".md").unwrap_or(key)));
    if role.is_empty() {
        return None;
    }
    if role == key {
        return Some((Reverse(usize::MAX), 0));
    }
    let common = role.iter().filter(|word| key.contains(word)).count();
    (common >= role.len().min(2)).then_some((Reverse(common), key.len()))
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'a>(role: &str, keys: &[&'a str]) -> Option<&'a str> {
        let fits = keys.iter().filter_map(|key| Some((fit(role, key)?, *key)));
        fits.min().map(|(_, key)| key)
    }

    #[test]
    fn the_exact_one_wins_then_the_nearest() {
        let keys = [
            "technical-editor",
            "chief-technical-editor",
            "sales-engineer",
            "editor",
        ];
        assert_eq!(best("Technical Editor", &keys), Some("technical-editor"));
        assert_eq!(best("technical, editor!", &keys), Some("technical-editor"));
        assert_eq!(
            best("Technical Editor", &keys[1..]),
            Some("chief-technical-editor")
        );
        assert_eq!(
            best("Chief Technical Editor of Maps", &keys),
            Some("chief-technical-editor")
        );
        assert_eq!(best("Editor", &keys), Some("editor"));
        assert_eq!(best("Editor", &keys[..3]), Some("technical-editor"));
    }

    #[test]
    fn one_word_of_several_is_no_fit() {
        assert_eq!(
            best("Site Reliability Engineer", &["sales-engineer", "editor.md"]),
            None
        );
        assert_eq!(best("", &["editor"]), None);
        assert_eq!(best("Editor", &["editor.md"]), Some("editor.md"));
    }
}
