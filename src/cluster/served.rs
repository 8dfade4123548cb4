//! What an API server serves, by the names that people use: `ocagent`, `agents`, `Agent`, `agents.quartermaster.dev`, and
//! the category `openclaw`.

use kube::Client;
use kube::core::ApiResource;
use kube::core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery};
use kube::core::gvk::GroupVersionKind;

use super::{Error, within};
use crate::resource::names;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedKind {
    pub resource: ApiResource,
    pub namespaced: bool,
    /// The shortest name that people use for it.
    pub short: String,
    words: Vec<String>,
    categories: Vec<String>,
}

/// Read once in a command.
#[derive(Debug, Clone, Default)]
pub struct Served {
    kinds: Vec<ServedKind>,
}

impl Served {
    pub async fn read(client: &Client) -> Result<Self, Error> {
        let core = within(client.list_core_api_versions_aggregated()).await?;
        let groups = within(client.list_api_groups_aggregated()).await?;
        Ok(Self::of(core, groups))
    }

    /// Our group comes first, then Kubernetes' own: other groups have Gateways and Agents, too. Of each group the version
    /// that it prefers.
    fn of(core: APIGroupDiscoveryList, groups: APIGroupDiscoveryList) -> Self {
        let mut kinds = Vec::new();
        for found in core.items.into_iter().chain(groups.items) {
            let group = found
                .metadata
                .and_then(|metadata| metadata.name)
                .unwrap_or_default();
            // A kind may be there in one version and not in another: the first that has it is the preferred one.
            for version in found.versions {
                let name = version.version.unwrap_or_default();
                for resource in version.resources {
                    let Some(kind) = served_kind(&group, &name, resource) else {
                        continue;
                    };
                    kinds.push(kind);
                }
            }
        }
        kinds.sort_by_key(|kind: &ServedKind| {
            let group = kind.resource.group.as_str();
            (group != names::GROUP, !group.is_empty())
        });
        Self { kinds }
    }

    /// A kind, or those of a category. Empty: there is none of that name.
    pub fn called(&self, word: &str) -> Vec<&ServedKind> {
        let word = word.to_lowercase();
        if let Some(kind) = self.kinds.iter().find(|kind| kind.is_called(&word)) {
            return vec![kind];
        }
        let mut found: Vec<&ServedKind> = Vec::new();
        for kind in &self.kinds {
            let known = |other: &&ServedKind| other.is_same_kind_as(kind);
            if kind.categories.contains(&word) && !found.iter().any(known) {
                found.push(kind);
            }
        }
        found
    }

    /// What a manifest says that it is.
    pub fn exactly(&self, wanted: &GroupVersionKind) -> Option<&ServedKind> {
        self.kinds.iter().find(|kind| {
            let resource = &kind.resource;
            resource.group == wanted.group
                && resource.version == wanted.version
                && resource.kind == wanted.kind
        })
    }
}

impl ServedKind {
    #[cfg(test)]
    pub(super) fn for_tests(group: &str, plural: &str) -> Self {
        let kind = GroupVersionKind::gvk(group, "v1", plural);
        Self {
            resource: ApiResource::from_gvk_with_plural(&kind, plural),
            namespaced: true,
            short: plural.to_owned(),
            words: vec![plural.to_owned()],
            categories: Vec::new(),
        }
    }

    fn is_called(&self, word: &str) -> bool {
        let (name, group) = word.split_once('.').unwrap_or((word, ""));
        let names = self.words.iter().any(|known| known == name);
        names && (group.is_empty() || self.resource.group == group)
    }

    fn is_same_kind_as(&self, other: &Self) -> bool {
        self.resource.group == other.resource.group && self.resource.kind == other.resource.kind
    }
}

/// None: it cannot be listed, as what is only asked (TokenReview).
fn served_kind(group: &str, version: &str, found: APIResourceDiscovery) -> Option<ServedKind> {
    let APIResourceDiscovery {
        resource,
        response_kind,
        scope,
        singular_resource,
        verbs,
        short_names,
        categories,
        subresources: _,
    } = found;
    let plural = resource?;
    let kind = response_kind?.kind?;
    if !verbs.iter().any(|verb| verb == "get") {
        return None;
    }
    let short = short_names.first().or(singular_resource.as_ref()).cloned();
    let mut words = vec![plural.to_lowercase(), kind.to_lowercase()];
    words.extend(singular_resource);
    words.extend(short_names);
    let kind = GroupVersionKind::gvk(group, version, &kind);
    Some(ServedKind {
        short: short.unwrap_or_else(|| plural.clone()),
        resource: ApiResource::from_gvk_with_plural(&kind, &plural),
        namespaced: scope.as_deref() == Some("Namespaced"),
        words,
        categories,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn served() -> Served {
        let resource = |plural: &str, kind: &str, short: &str, category: &str| {
            json!({
                "resource": plural, "responseKind": { "kind": kind }, "scope": "Namespaced",
                "singularResource": kind.to_lowercase(), "verbs": ["get", "list"], "shortNames": [short],
                "categories": [category],
            })
        };
        let group = |name: &str, resources: serde_json::Value| json!({ "metadata": { "name": name }, "versions": [{ "version": "v1", "resources": resources }] });
        let core = json!({ "items": [group("", json!([
            resource("configmaps", "ConfigMap", "cm", ""),
            { "resource": "bindings", "responseKind": { "kind": "Binding" }, "verbs": ["create"] },
        ]))] });
        let groups = json!({ "items": [
            group("gateway.networking.k8s.io", json!([resource("gateways", "Gateway", "gtw", "gateway-api")])),
            group("quartermaster.dev", json!([
                resource("agents", "Agent", "ocagent", "openclaw"), resource("gateways", "Gateway", "ocgw", "openclaw"),
            ])),
        ] });
        Served::of(
            serde_json::from_value(core).unwrap(),
            serde_json::from_value(groups).unwrap(),
        )
    }

    #[test]
    fn a_kind_has_many_names_and_ours_come_first() {
        let served = served();
        let found = |word: &str| -> Vec<String> {
            let kinds = served.called(word);
            kinds
                .iter()
                .map(|kind| format!("{}.{}", kind.resource.plural, kind.resource.group))
                .collect()
        };
        for word in [
            "ocgw",
            "gateway",
            "gateways",
            "Gateway",
            "gateways.quartermaster.dev",
        ] {
            assert_eq!(found(word), ["gateways.quartermaster.dev"], "{word}");
        }
        assert_eq!(
            found("gateways.gateway.networking.k8s.io"),
            ["gateways.gateway.networking.k8s.io"]
        );
        assert_eq!(
            found("openclaw"),
            ["agents.quartermaster.dev", "gateways.quartermaster.dev"]
        );
        assert_eq!(found("cm"), ["configmaps."]);
        assert!(found("bindings").is_empty() && found("nothing").is_empty());
    }
}
