//! PURE. Roles and their bindings, and what they allow.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};

use super::{Deed, MASTERS, User, everybody};

/// All that is granted to anybody, as it is now.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub roles: Vec<Role>,
    pub cluster_roles: Vec<ClusterRole>,
    pub role_bindings: Vec<RoleBinding>,
    pub cluster_role_bindings: Vec<ClusterRoleBinding>,
}

impl Policy {
    pub fn allows(&self, user: &User, deed: &Deed) -> bool {
        let namespace = match deed {
            Deed::Objects { namespace, .. } => namespace.as_deref(),
            Deed::Path { .. } => None,
        };
        let part = Part::of(deed);
        user.is_in(MASTERS) || self.rules_of(user, namespace).any(|rule| allows(rule, &part))
    }

    /// By what it is allowed, in the API server's words. None: it is not.
    pub fn reason(&self, user: &User, deed: &Deed) -> Option<String> {
        let namespace = match deed {
            Deed::Objects { namespace, .. } => namespace.as_deref(),
            Deed::Path { .. } => None,
        };
        let part = Part::of(deed);
        let allowed =
            |role: &RoleRef, place: Option<&str>| self.rules_in(role, place).any(|rule| allows(rule, &part));
        let to = |subjects: Option<&Vec<Subject>>, place: Option<&str>| {
            let mut subjects = subjects.into_iter().flatten();
            subjects
                .find(|subject| is(user, subject, place))
                .map(|subject| match subject.kind.as_str() {
                    "ServiceAccount" => {
                        let namespace = subject.namespace.as_deref().or(place).unwrap_or_default();
                        format!("{} \"{}/{namespace}\"", subject.kind, subject.name)
                    }
                    _ => format!("{} \"{}\"", subject.kind, subject.name),
                })
        };
        for binding in &self.cluster_role_bindings {
            if let Some(to) = to(binding.subjects.as_ref(), None)
                && allowed(&binding.role_ref, None)
            {
                let name = binding.metadata.name.as_deref().unwrap_or_default();
                let role = &binding.role_ref;
                return Some(format!(
                    "RBAC: allowed by ClusterRoleBinding {name:?} of {} {:?} to {to}",
                    role.kind, role.name
                ));
            }
        }
        let here = self
            .role_bindings
            .iter()
            .filter(|binding| namespace.is_some() && binding.metadata.namespace.as_deref() == namespace);
        for binding in here {
            let place = binding.metadata.namespace.as_deref();
            if let Some(to) = to(binding.subjects.as_ref(), place)
                && allowed(&binding.role_ref, place)
            {
                let name = binding.metadata.name.as_deref().unwrap_or_default();
                let role = &binding.role_ref;
                return Some(format!(
                    "RBAC: allowed by RoleBinding \"{name}/{}\" of {} {:?} to {to}",
                    place.unwrap_or_default(),
                    role.kind,
                    role.name
                ));
            }
        }
        everybody::grants().iter().find_map(|grant| {
            let group = grant.held_by(user)?;
            let allowed = grant.rules.iter().any(|rule| allows(rule, &part));
            let name = grant.name;
            allowed.then(|| {
                format!(
                    "RBAC: allowed by ClusterRoleBinding {name:?} of ClusterRole {name:?} to Group {group:?}"
                )
            })
        })
    }

    /// The rules that bind a user in a namespace (None: across all), those of everybody among them.
    pub fn rules_of<'a>(
        &'a self,
        user: &'a User,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a PolicyRule> {
        let everywhere = self.cluster_role_bindings.iter().filter(|binding| {
            let subjects = binding.subjects.iter().flatten();
            subjects.into_iter().any(|subject| is(user, subject, None))
        });
        let here = self.role_bindings.iter().filter(move |binding| {
            let place = binding.metadata.namespace.as_deref();
            let subjects = binding.subjects.iter().flatten();
            namespace.is_some()
                && place == namespace
                && subjects.into_iter().any(|subject| is(user, subject, place))
        });
        let everywhere = everywhere.map(|binding| (&binding.role_ref, None));
        let here = here.map(|binding| (&binding.role_ref, binding.metadata.namespace.as_deref()));
        let granted = everybody::grants()
            .iter()
            .filter(|grant| grant.held_by(user).is_some());
        granted.flat_map(|grant| &grant.rules).chain(
            everywhere
                .chain(here)
                .flat_map(|(role, place)| self.rules_in(role, place)),
        )
    }

    fn rules_in<'a>(
        &'a self,
        role: &'a RoleRef,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a PolicyRule> {
        let named = |metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
            metadata.name.as_deref() == Some(role.name.as_str())
        };
        let of_cluster = self
            .cluster_roles
            .iter()
            .filter(move |found| role.kind == "ClusterRole" && named(&found.metadata))
            .flat_map(|found| found.rules.iter().flatten());
        let of_namespace = self
            .roles
            .iter()
            .filter(move |found| {
                role.kind == "Role"
                    && named(&found.metadata)
                    && found.metadata.namespace.as_deref() == namespace
            })
            .flat_map(|found| found.rules.iter().flatten());
        of_cluster.chain(of_namespace)
    }
}

fn is(user: &User, subject: &Subject, namespace: Option<&str>) -> bool {
    match subject.kind.as_str() {
        "User" => subject.name == user.name,
        "Group" => user.is_in(&subject.name),
        "ServiceAccount" => {
            let place = subject.namespace.as_deref().or(namespace).unwrap_or_default();
            user.name == format!("system:serviceaccount:{place}:{}", subject.name)
        }
        _ => false,
    }
}

/// What a rule is asked about: a deed without its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Objects {
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        name: Option<&'a str>,
    },
    Path {
        verb: &'a str,
        path: &'a str,
    },
}

impl<'a> Part<'a> {
    fn of(deed: &'a Deed) -> Self {
        match deed {
            Deed::Objects {
                verb,
                group,
                resource,
                namespace: _,
                name,
            } => Self::Objects {
                verb,
                group,
                resource,
                name: name.as_deref(),
            },
            Deed::Path { verb, path } => Self::Path { verb, path },
        }
    }
}

pub(super) fn allows(rule: &PolicyRule, part: &Part<'_>) -> bool {
    let listed = |list: &Option<Vec<String>>, word: &str| {
        list.iter().flatten().any(|entry| entry == "*" || entry == word)
    };
    let verbs = |verb: &str| rule.verbs.iter().any(|entry| entry == "*" || entry == verb);
    match *part {
        Part::Objects {
            verb,
            group,
            resource,
            name,
        } => {
            let of_any_kind = || {
                let below = resource.split_once('/');
                below.is_some_and(|(_, subresource)| {
                    listed_exactly(rule.resources.as_ref(), &format!("*/{subresource}"))
                })
            };
            verbs(verb)
                && listed(&rule.api_groups, group)
                && (listed(&rule.resources, resource) || of_any_kind())
                && named(rule, name)
        }
        Part::Path { verb, path } => {
            let fits = |pattern: &String| {
                pattern == path || pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*'))
            };
            verbs(verb) && rule.non_resource_urls.iter().flatten().any(fits)
        }
    }
}

fn listed_exactly(list: Option<&Vec<String>>, word: &str) -> bool {
    list.into_iter().flatten().any(|entry| entry == word)
}

/// A rule may be about some names only; then it says nothing of deeds without one.
fn named(rule: &PolicyRule, name: Option<&str>) -> bool {
    match rule.resource_names.as_deref() {
        None | Some([]) => true,
        Some(names) => name.is_some_and(|name| names.iter().any(|allowed| allowed == name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy() -> Policy {
        let read = |value| serde_json::from_value(value).unwrap();
        Policy {
            roles: vec![
                serde_json::from_value(json!({ "metadata": { "name": "reader", "namespace": "a" }, "rules": [
                    { "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["token"] },
                    { "apiGroups": ["quartermaster.dev"], "resources": ["agents", "agents/status"], "verbs": ["get", "patch"] },
                ] }))
                .unwrap(),
            ],
            cluster_roles: vec![
                serde_json::from_value(json!({ "metadata": { "name": "all" }, "rules": [
                    { "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] },
                    { "nonResourceURLs": ["/metrics", "/debug/*"], "verbs": ["get"] },
                ] }))
                .unwrap(),
            ],
            role_bindings: vec![read(json!({
                "metadata": { "name": "x", "namespace": "a" }, "roleRef": { "apiGroup": "", "kind": "Role", "name": "reader" },
                "subjects": [{ "kind": "ServiceAccount", "name": "sa" }, { "kind": "Group", "name": "readers" }],
            }))],
            cluster_role_bindings: vec![
                serde_json::from_value(json!({
                    "metadata": { "name": "y" }, "roleRef": { "apiGroup": "", "kind": "ClusterRole", "name": "all" },
                    "subjects": [{ "kind": "User", "name": "root" }],
                }))
                .unwrap(),
            ],
        }
    }

    fn may(
        user: &User,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        policy().allows(
            user,
            &Deed::Objects {
                verb: verb.to_owned(),
                group: group.to_owned(),
                resource: resource.to_owned(),
                namespace: namespace.map(str::to_owned),
                name: name.map(str::to_owned),
            },
        )
    }

    #[test]
    fn a_role_counts_in_its_namespace() {
        let account = User::service_account("a", "sa", "uid");
        let ours = "quartermaster.dev";
        assert!(may(&account, "get", ours, "agents", Some("a"), Some("x")));
        assert!(may(
            &account,
            "patch",
            ours,
            "agents/status",
            Some("a"),
            Some("x")
        ));
        assert!(!may(&account, "delete", ours, "agents", Some("a"), Some("x")));
        assert!(!may(&account, "get", ours, "agents", Some("b"), Some("x")));
        assert!(!may(&account, "get", ours, "agents", None, None));
        assert!(!may(
            &User::service_account("b", "sa", "uid"),
            "get",
            ours,
            "agents",
            Some("a"),
            None
        ));
    }

    #[test]
    fn a_rule_about_names_is_about_those_only() {
        let account = User::service_account("a", "sa", "uid");
        assert!(may(&account, "get", "", "secrets", Some("a"), Some("token")));
        assert!(!may(&account, "get", "", "secrets", Some("a"), Some("other")));
        assert!(!may(&account, "list", "", "secrets", Some("a"), None));
    }

    #[test]
    fn a_cluster_role_counts_everywhere_and_masters_need_none() {
        let root = User {
            name: "root".to_owned(),
            ..User::default()
        };
        assert!(may(&root, "delete", "x.y", "anything/status", Some("z"), None));
        let debug = |path: &str| Deed::Path {
            verb: "get".to_owned(),
            path: path.to_owned(),
        };
        assert!(policy().allows(&root, &debug("/debug/pprof")) && !policy().allows(&root, &debug("/logs")));
        assert!(may(&User::admin(), "delete", "", "secrets", None, None));
        assert!(!may(&User::anonymous(), "get", "", "secrets", Some("a"), None));
    }

    #[test]
    fn everybody_known_may_look_around_and_ask_about_themselves() {
        let account = User::service_account("z", "nobody", "uid");
        let get = |path: &str| Deed::Path {
            verb: "get".to_owned(),
            path: path.to_owned(),
        };
        assert!(policy().allows(&account, &get("/apis/quartermaster.dev")));
        assert!(!policy().allows(&account, &get("/apisx")));
        assert!(!policy().allows(&User::anonymous(), &get("/apis")));
        assert!(policy().allows(&User::anonymous(), &get("/livez")));
        assert!(!policy().allows(&account, &get("/livez/ping")));
        assert!(!policy().allows(&account, &get("/versionx")));
        assert!(may(
            &account,
            "create",
            "authorization.k8s.io",
            "selfsubjectaccessreviews",
            None,
            None
        ));
        // Of the very group, not of any that ends alike.
        for group in ["rbac.authorization.k8s.io", "authentication.k8s.io", "x.k8s.io"] {
            assert!(!may(
                &account,
                "create",
                group,
                "selfsubjectaccessreviews",
                None,
                None
            ));
        }
    }

    #[test]
    fn what_everybody_is_granted_is_listed_as_it_is_allowed() {
        let account = User::service_account("z", "nobody", "uid");
        let none = Policy::default();
        let listed: Vec<&PolicyRule> = none.rules_of(&account, Some("z")).collect();
        assert_eq!(listed.len(), 4);
        for path in listed
            .iter()
            .flat_map(|rule| rule.non_resource_urls.iter().flatten())
        {
            let deed = Deed::Path {
                verb: "get".to_owned(),
                path: path.clone(),
            };
            assert!(
                none.allows(&account, &deed) && none.reason(&account, &deed).is_some(),
                "{path}"
            );
        }
    }
}
