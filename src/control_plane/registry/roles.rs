//! The rules for Roles and their bindings.

use serde_json::{Value, json};

use super::metadata::{wrong_with_path_segment, wrong_with_subdomain};
use crate::control_plane::kind::Kind;
use crate::control_plane::object::Object;
use crate::control_plane::status::Cause;

const GROUP: &str = "rbac.authorization.k8s.io";

fn items<'a>(object: &'a Object, field: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    let list = object.fields().get(field).and_then(Value::as_array);
    list.into_iter().flatten().enumerate()
}

pub(super) fn wrong_rules(kind: &Kind, object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, rule) in items(object, "rules") {
        let at = |field: &str| format!("rules[{index}].{field}");
        let is_there = |field: &str| {
            let list = rule.get(field).and_then(Value::as_array);
            list.is_some_and(|list| !list.is_empty())
        };
        if !is_there("verbs") {
            causes.push(Cause::required(
                at("verbs"),
                "verbs must contain at least one value",
            ));
        }
        if is_there("nonResourceURLs") {
            let urls = rule.get("nonResourceURLs").cloned().unwrap_or_default();
            let mut refuse = |why: &str| causes.push(Cause::invalid(at("nonResourceURLs"), &urls, why));
            if kind.is_namespaced() {
                refuse("namespaced rules cannot apply to non-resource URLs");
            }
            if ["apiGroups", "resources", "resourceNames"]
                .iter()
                .any(|field| is_there(field))
            {
                refuse("rules cannot apply to both regular resources and non-resource URLs");
            }
            continue;
        }
        if !is_there("apiGroups") {
            let why = "resource rules must supply at least one api group";
            causes.push(Cause::required(at("apiGroups"), why));
        }
        if !is_there("resources") {
            let why = "resource rules must supply at least one resource";
            causes.push(Cause::required(at("resources"), why));
        }
    }
    causes
}

pub(super) fn wrong_binding(kind: &Kind, object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let role = object.fields().get("roleRef").cloned().unwrap_or_default();
    let word = |name: &str| {
        role.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let group = word("apiGroup");
    if group != GROUP {
        let shown = format!("{group:?}");
        causes.push(Cause::unsupported("roleRef.apiGroup", &shown, &[GROUP]));
    }
    let kinds: &[&str] = if kind.is_namespaced() {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    let named = word("kind");
    if !kinds.contains(&named.as_str()) {
        causes.push(Cause::unsupported("roleRef.kind", &format!("{named:?}"), kinds));
    }
    let name = word("name");
    if name.is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    } else {
        let wrong = wrong_with_path_segment(&name).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid("roleRef.name", &json!(name), &why)));
    }
    for (index, subject) in items(object, "subjects") {
        causes.extend(wrong_subject(kind, subject, &format!("subjects[{index}]")));
    }
    causes
}

fn wrong_subject(kind: &Kind, subject: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let word = |name: &str| subject.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, group) = (word("name"), word("apiGroup"));
    if name.is_empty() {
        causes.push(Cause::required(format!("{at}.name"), ""));
    }
    let group_at = format!("{at}.apiGroup");
    match word("kind") {
        "ServiceAccount" => {
            let wrong = wrong_with_subdomain(name)
                .into_iter()
                .filter(|_| !name.is_empty());
            causes.extend(wrong.map(|why| Cause::invalid(format!("{at}.name"), &json!(name), &why)));
            if !group.is_empty() {
                causes.push(Cause::unsupported(group_at, &format!("{group:?}"), &[""]));
            }
            if !kind.is_namespaced() && word("namespace").is_empty() {
                causes.push(Cause::required(format!("{at}.namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                causes.push(Cause::unsupported(group_at, &format!("{group:?}"), &[GROUP]));
            }
        }
        other => {
            let known = ["ServiceAccount", "User", "Group"];
            causes.push(Cause::unsupported(
                format!("{at}.kind"),
                &format!("{other:?}"),
                &known,
            ));
        }
    }
    causes
}
