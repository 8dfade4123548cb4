//! How a resource points at another object: always in its own namespace, always by name.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::format;
use super::names::TOKEN_KEY;

/// An object of a known kind in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// metadata.name of the object, in this namespace.
    #[schemars(schema_with = "format::object_name")]
    pub name: String,
}

/// One key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// metadata.name of the Secret, in this namespace.
    #[schemars(schema_with = "format::object_name")]
    pub name: String,
    /// The key within the Secret.
    #[serde(default = "token_key")]
    #[schemars(schema_with = "format::data_key")]
    pub key: String,
}

/// One key of a ConfigMap in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// metadata.name of the ConfigMap, in this namespace.
    #[schemars(schema_with = "format::object_name")]
    pub name: String,
    /// The key within the ConfigMap.
    #[schemars(schema_with = "format::data_key")]
    pub key: String,
}

/// Certificates of a private certificate authority, PEM, in a ConfigMap or a Secret of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaBundleRef {
    /// ConfigMap or Secret.
    #[serde(default)]
    pub kind: CaBundleKind,
    /// metadata.name of that object, in this namespace.
    #[schemars(schema_with = "format::object_name")]
    pub name: String,
    /// The key within it that holds the PEM text.
    #[serde(default = "ca_key")]
    #[schemars(schema_with = "format::data_key")]
    pub key: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaBundleKind {
    #[default]
    ConfigMap,
    Secret,
}

/// A Jinja template: written here, or kept in a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.inline) != has(self.configMapKeyRef)")
    .message("give the template either as inline text or by configMapKeyRef: exactly one of the two"))]
pub struct TemplateSource {
    /// The template's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub inline: Option<String>,
    /// The ConfigMap key that holds the template's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
}

fn token_key() -> String {
    TOKEN_KEY.to_owned()
}

fn ca_key() -> String {
    "ca.crt".to_owned()
}
