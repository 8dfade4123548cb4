//! PURE. What is served, as clients ask for it: group by group as of old, or all at once.

use serde_json::{Map, Value, json};

use crate::control_plane::kind::{Kind, Kinds, Nature, Scope, Subresource, Verb};

/// Whether discovery answers this path; the words of it are the path's parts.
pub(super) fn answer(kinds: &Kinds, path: &[&str], aggregated: bool) -> Option<Value> {
    match path {
        ["api"] if aggregated => Some(all_at_once(kinds, |group| group.is_empty())),
        ["apis"] if aggregated => Some(all_at_once(kinds, |group| !group.is_empty())),
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        })),
        ["apis"] => {
            let groups: Vec<Value> = groups(kinds)
                .iter()
                .map(|(name, version)| group(name, version))
                .collect();
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["api", version] => resources(kinds, "", version),
        ["apis", name] => {
            let (name, version) = groups(kinds).into_iter().find(|(group, _)| group == name)?;
            let mut answer = group(&name, &version);
            if let Some(answer) = answer.as_object_mut() {
                answer.insert("kind".to_owned(), json!("APIGroup"));
                answer.insert("apiVersion".to_owned(), json!("v1"));
            }
            Some(answer)
        }
        ["apis", name, version] => resources(kinds, name, version),
        _ => None,
    }
}

/// Each group once; all have one version.
fn groups(kinds: &Kinds) -> Vec<(String, String)> {
    let mut groups: Vec<(String, String)> = kinds
        .all()
        .filter(|kind| !kind.group.is_empty())
        .map(|kind| (kind.group.clone(), kind.version.clone()))
        .collect();
    groups.dedup();
    groups
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({ "name": name, "versions": [version], "preferredVersion": version })
}

fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let served: Vec<_> = kinds
        .all()
        .filter(|kind| kind.group == group && kind.version == version)
        .collect();
    let api_version = served.first()?.api_version();
    let mut resources = Vec::new();
    for kind in served {
        resources.push(resource(kind));
        resources.extend(
            kind.subresources
                .iter()
                .map(|subresource| below(kind, *subresource)),
        );
    }
    // As the API server answers of kinds that are defined at run time and of its own.
    let mut answer = json!({ "kind": "APIResourceList" });
    if let Some(answer) = answer.as_object_mut() {
        // The oldest group does not say of which version its answer is.
        if !group.is_empty() {
            answer.insert("apiVersion".to_owned(), json!("v1"));
        }
        answer.insert("groupVersion".to_owned(), json!(api_version));
        answer.insert("resources".to_owned(), json!(resources));
    }
    Some(answer)
}

fn resource(kind: &Kind) -> Value {
    let mut entry = Map::new();
    entry.insert("name".to_owned(), json!(kind.names.plural));
    entry.insert("singularName".to_owned(), json!(kind.names.singular));
    entry.insert("namespaced".to_owned(), json!(kind.is_namespaced()));
    entry.insert("kind".to_owned(), json!(kind.names.kind));
    entry.insert("verbs".to_owned(), json!(verbs(kind)));
    names(&mut entry, kind);
    Value::Object(entry)
}

/// Short names and categories, where there are any.
fn names(entry: &mut Map<String, Value>, kind: &Kind) {
    if !kind.names.short.is_empty() {
        entry.insert("shortNames".to_owned(), json!(kind.names.short));
    }
    if !kind.names.categories.is_empty() {
        entry.insert("categories".to_owned(), json!(kind.names.categories));
    }
}

fn verbs(kind: &Kind) -> Vec<&'static str> {
    if kind.nature == Nature::Custom {
        return vec![
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "create",
            "update",
            "watch",
        ];
    }
    kind.verbs.iter().map(|verb: &Verb| verb.name()).collect()
}

fn below(kind: &Kind, subresource: Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", kind.names.plural, subresource.name()),
        "singularName": "",
        "namespaced": kind.is_namespaced(),
        "kind": kind_below(kind, subresource),
        "verbs": verbs_below(subresource),
    });
    if let (Subresource::Token, Some(entry)) = (subresource, entry.as_object_mut()) {
        entry.insert("group".to_owned(), json!("authentication.k8s.io"));
        entry.insert("version".to_owned(), json!("v1"));
    }
    entry
}

fn kind_below(kind: &Kind, subresource: Subresource) -> &str {
    match subresource {
        Subresource::Status | Subresource::Finalize => &kind.names.kind,
        Subresource::Token => "TokenRequest",
    }
}

fn verbs_below(subresource: Subresource) -> &'static [&'static str] {
    match subresource {
        Subresource::Status => &["get", "patch", "update"],
        Subresource::Finalize => &["update"],
        Subresource::Token => &["create"],
    }
}

/// `APIGroupDiscoveryList`: one answer for all groups.
fn all_at_once(kinds: &Kinds, wanted: impl Fn(&str) -> bool) -> Value {
    let mut items: Vec<Value> = Vec::new();
    let mut groups: Vec<(&str, &str)> = kinds
        .all()
        .filter(|kind| wanted(&kind.group))
        .map(|kind| (kind.group.as_str(), kind.version.as_str()))
        .collect();
    groups.dedup();
    for (group, version) in groups {
        let resources: Vec<Value> = kinds
            .all()
            .filter(|kind| kind.group == group && kind.version == version)
            .map(|kind| discovered(kind))
            .collect();
        let metadata = if group.is_empty() {
            json!({})
        } else {
            json!({ "name": group })
        };
        let version = json!({ "version": version, "resources": resources, "freshness": "Current" });
        items.push(json!({ "metadata": metadata, "versions": [version] }));
    }
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    })
}

fn discovered(kind: &Kind) -> Value {
    // Kinds of the system leave group and version to where they stand.
    let (group, version) = if kind.nature == Nature::Custom {
        (kind.group.as_str(), kind.version.as_str())
    } else {
        ("", "")
    };
    let mut entry = Map::new();
    entry.insert("resource".to_owned(), json!(kind.names.plural));
    let response = json!({ "group": group, "version": version, "kind": kind.names.kind });
    entry.insert("responseKind".to_owned(), response);
    let scope = match kind.scope {
        Scope::Namespaced => "Namespaced",
        Scope::Cluster => "Cluster",
    };
    entry.insert("scope".to_owned(), json!(scope));
    entry.insert("singularResource".to_owned(), json!(kind.names.singular));
    entry.insert("verbs".to_owned(), json!(verbs(kind)));
    names(&mut entry, kind);
    let below: Vec<Value> = kind
        .subresources
        .iter()
        .map(|subresource| {
            let response = match subresource {
                Subresource::Token => json!({
                    "group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest",
                }),
                Subresource::Status | Subresource::Finalize => {
                    json!({ "group": group, "version": version, "kind": kind.names.kind })
                }
            };
            json!({
                "subresource": subresource.name(), "responseKind": response, "verbs": verbs_below(*subresource),
            })
        })
        .collect();
    if !below.is_empty() {
        entry.insert("subresources".to_owned(), json!(below));
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::kinds;

    #[test]
    fn both_ways_tell_of_the_same_resources() {
        let kinds = kinds::served(&crate::resource::definitions()).unwrap();
        let list = answer(&kinds, &["apis", "quartermaster.dev", "v1alpha1"], false).unwrap();
        let names: Vec<&str> = list["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|resource| resource["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "agents",
                "agents/status",
                "boards",
                "boards/status",
                "gateways",
                "gateways/status",
                "templatesyncs",
                "templatesyncs/status"
            ]
        );
        let all = answer(&kinds, &["apis"], true).unwrap();
        let groups = all["items"].as_array().unwrap();
        assert_eq!(
            groups.len(),
            answer(&kinds, &["apis"], false).unwrap()["groups"]
                .as_array()
                .unwrap()
                .len()
        );
        let ours = groups
            .iter()
            .find(|group| group["metadata"]["name"] == "quartermaster.dev")
            .unwrap();
        assert_eq!(ours["versions"][0]["resources"].as_array().unwrap().len(), 4);
        assert_eq!(answer(&kinds, &["apis", "nope"], false), None);
        assert_eq!(answer(&kinds, &["api", "v2"], false), None);
    }
}
