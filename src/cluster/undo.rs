//! What agents had made of their own files before a TemplateSync wrote over them: in a Secret beside the token's, since an
//! agent may have noted anything there.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use serde_json::{Map, Value, json};

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
    /// What is kept for this TemplateSync already stays: what it wrote over a second time is nothing that anybody misses.
    /// What is too large for a Secret is not kept; the status has its hash.
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
        let there: BTreeMap<&String, usize> = of_this
            .and_then(|found| found.data.as_ref())
            .into_iter()
            .flatten()
            .map(|(file, ByteString(content))| (file, content.len()))
            .collect();
        let mut room = MOST.saturating_sub(there.values().sum());
        let mut data = BTreeMap::new();
        for (file, content) in files.iter().filter(|(file, _)| !there.contains_key(file)) {
            if content.len() <= room {
                room -= content.len();
                data.insert(file.clone(), ByteString(content.as_bytes().to_vec()));
            }
        }
        if data.is_empty() {
            return Ok(Kept::Kept);
        }
        let notes = BTreeMap::from([(names::SYNC.to_owned(), sync.to_owned())]);
        match &found {
            // Without the label of the Secrets whose data stays in memory.
            None => self.create_owned(agent, name, data, (notes, None)).await?,
            Some(found) => {
                // Of an earlier TemplateSync nothing stays: it could be more than a Secret takes.
                let earlier = found.data.iter().flatten().filter(|_| of_this.is_none());
                let mut changes: Map<String, Value> =
                    earlier.map(|(file, _)| (file.clone(), Value::Null)).collect();
                changes.extend(data.iter().map(|(file, content)| (file.clone(), json!(content))));
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
