//! A Secret or ConfigMap that a resource refers to, as data.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;

/// The data of a Secret or ConfigMap, and which writing of it this is.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    pub version: String,
    pub data: BTreeMap<String, ByteString>,
}

/// Without the values: many are secrets.
impl std::fmt::Debug for Document {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "Document({}, keys {:?})",
            self.version,
            self.data.keys().collect::<Vec<_>>()
        )
    }
}
