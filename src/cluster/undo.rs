//! What agents had made of their own files before a TemplateSync wrote over them: in a Secret beside the token's, since an
//! agent may have noted anything there.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::token::is_owned;
use super::{Cluster, Error, within};
use crate::resource::{Agent, names};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Kept,
    /// The Secret of that name is somebody else's.
    Occupied,
}

/// A Secret takes a mebibyte; in base64 all is a third larger.
const MOST: usize = 700_000;

impl Cluster {
    /// Whatever is kept already stays, under the file's name and, where that is something else, under the name with the hash
    /// that the status has: an agent may have gone on writing between two passes. Only where there is no more room, what
    /// earlier TemplateSyncs have written over goes. What is too large for a Secret is not kept; the status has its hash.
    pub async fn keep_replaced(
        &self,
        agent: &Agent,
        name: &str,
        sync: &str,
        files: &BTreeMap<String, Arc<str>>,
    ) -> Result<Kept, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &agent.namespace().unwrap_or_default());
        let found = within(api.get_opt(name)).await?;
        if found.as_ref().is_some_and(|found| !is_owned(agent, found)) {
            return Ok(Kept::Occupied);
        }
        let of_this = found
            .as_ref()
            .filter(|found| found.annotations().get(names::SYNC).map(String::as_str) == Some(sync));
        let there = found.as_ref().and_then(|found| found.data.as_ref());
        let there: BTreeMap<&str, &[u8]> = there
            .into_iter()
            .flatten()
            .map(|(key, ByteString(content))| (key.as_str(), content.as_slice()))
            .collect();
        let mut data: BTreeMap<String, ByteString> = files
            .iter()
            .filter_map(|(file, content)| {
                let key = key_for(file, content, &there)?;
                Some((key, ByteString(content.as_bytes().to_vec())))
            })
            .collect();
        let kept: usize = there.values().map(|content| content.len()).sum();
        let new: usize = data.values().map(|ByteString(content)| content.len()).sum();
        let makes_room = kept + new > MOST && of_this.is_none();
        let mut room = MOST.saturating_sub(if makes_room { 0 } else { kept });
        data.retain(|_, ByteString(content)| {
            let fits = content.len() <= room;
            room -= if fits { content.len() } else { 0 };
            fits
        });
        if data.is_empty() {
            return Ok(Kept::Kept);
        }
        let notes = BTreeMap::from([(names::SYNC.to_owned(), sync.to_owned())]);
        match &found {
            // Without the label of the Secrets whose data stays in memory.
            None => self.create_owned(agent, name, data, (notes, None)).await?,
            Some(found) => {
                let earlier = there.keys().filter(|_| makes_room);
                let mut changes: Map<String, Value> =
                    earlier.map(|key| ((*key).to_owned(), Value::Null)).collect();
                changes.extend(data.iter().map(|(key, content)| (key.clone(), json!(content))));
                let patch = json!({
                    "metadata": { "resourceVersion": found.resource_version(), "annotations": notes },
                    "data": changes,
                });
                self.patch_secret(agent, name, &patch).await?;
            }
        }
        Ok(Kept::Kept)
    }
}

/// None: it is kept already.
fn key_for(file: &str, content: &str, there: &BTreeMap<&str, &[u8]>) -> Option<String> {
    let hash: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let keys = [
        file.to_owned(),
        format!("{file}.{}", hash.get(..8).unwrap_or_default()),
    ];
    if keys
        .iter()
        .any(|key| there.get(key.as_str()) == Some(&content.as_bytes()))
    {
        return None;
    }
    keys.into_iter().find(|key| !there.contains_key(key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_kept_is_written_over() {
        let there: BTreeMap<&str, &[u8]> = BTreeMap::new();
        assert_eq!(key_for("MEMORY.md", "one", &there).unwrap(), "MEMORY.md");
        let there: BTreeMap<&str, &[u8]> = BTreeMap::from([("MEMORY.md", &b"one"[..])]);
        assert_eq!(key_for("MEMORY.md", "one", &there), None);
        let another = key_for("MEMORY.md", "one and more", &there).unwrap();
        assert!(another.starts_with("MEMORY.md.") && another.len() == "MEMORY.md.".len() + 8);
        let there = BTreeMap::from([("MEMORY.md", &b"one"[..]), (another.as_str(), b"one and more")]);
        assert_eq!(key_for("MEMORY.md", "one and more", &there), None);
    }
}
