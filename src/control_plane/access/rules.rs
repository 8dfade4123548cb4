//! PURE. Roles and their bindings, and what they allow.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};

use super::{AUTHENTICATED, Deed, MASTERS, UNAUTHENTICATED, User};

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
        user.is_in(MASTERS)
            || granted_to_all(user, deed)
            || self.rules_of(user, namespace).any(|rule| allows(rule, deed))
    }

    /// By what it is allowed, in the API server's words. None: it is not.
    pub fn reason(&self, user: &User, deed: &Deed) -> Option<String> {
        let namespace = match deed {
            Deed::Objects { namespace, .. } => namespace.as_deref(),
            Deed::Path { .. } => None,
        };
        let allowed =
            |role: &RoleRef, place: Option<&str>| self.rules_in(role, place).any(|rule| allows(rule, deed));
        let to = |subjects: Option<&Vec<Subject>>, place: Option<&str>| {
            let mut subjects = subjects.into_iter().flatten();
            subjects
                .find(|subject| is(user, subject, place))
                .map(|subject| match &subject.namespace {
                    Some(namespace) => format!("{} \"{}/{namespace}\"", subject.kind, subject.name),
                    None => format!("{} \"{}\"", subject.kind, subject.name),
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
        let role = match deed {
            Deed::Objects { .. } => "system:basic-user",
            Deed::Path { path, .. } if is_health(path) => "system:public-info-viewer",
            Deed::Path { .. } => "system:discovery",
        };
        granted_to_all(user, deed).then(|| {
            format!("RBAC: allowed by ClusterRoleBinding {role:?} of ClusterRole {role:?} to Group {AUTHENTICATED:?}")
        })
    }

    /// The rules that bind a user in a namespace (None: across all).
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
        everywhere
            .chain(here)
            .flat_map(|(role, place)| self.rules_in(role, place))
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

fn is_health(path: &str) -> bool {
    ["/healthz", "/livez", "/readyz", "/version"]
        .iter()
        .any(|root| is_below(path, root))
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What everybody may: see what is served, and ask about themselves.
fn granted_to_all(user: &User, deed: &Deed) -> bool {
    match deed {
        Deed::Path { verb, path } => {
            let discovery = ["/api", "/apis", "/openapi"];
            let below = |root: &&str| is_below(path, root);
            let known = user.is_in(AUTHENTICATED);
            verb == "get"
                && (is_health(path) && (known || user.is_in(UNAUTHENTICATED))
                    || discovery.iter().any(below) && known)
        }
        Deed::Objects {
            verb,
            group,
            resource,
            ..
        } => {
            let own = [
                "selfsubjectaccessreviews",
                "selfsubjectrulesreviews",
                "selfsubjectreviews",
            ];
            verb == "create"
                && group.ends_with(".k8s.io")
                && own.contains(&resource.as_str())
                && user.is_in(AUTHENTICATED)
        }
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

fn allows(rule: &PolicyRule, deed: &Deed) -> bool {
    let listed = |list: &Option<Vec<String>>, word: &str| {
        list.iter().flatten().any(|entry| entry == "*" || entry == word)
    };
    let verbs = |verb: &str| rule.verbs.iter().any(|entry| entry == "*" || entry == verb);
    match deed {
        Deed::Objects {
            verb,
            group,
            resource,
            namespace: _,
            name,
        } => {
            let of_any_kind = resource.split_once('/').is_some_and(|(_, subresource)| {
                listed_exactly(rule.resources.as_ref(), &format!("*/{subresource}"))
            });
            verbs(verb)
                && listed(&rule.api_groups, group)
                && (listed(&rule.resources, resource) || of_any_kind)
                && named(rule, name.as_deref())
        }
        Deed::Path { verb, path } => {
            let fits = |pattern: &String| match pattern.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => pattern == path,
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

/// The rules of `wanted` that the user does not hold already: nobody grants more than they may.
pub fn beyond<'a>(held: &[&PolicyRule], wanted: &'a [PolicyRule]) -> Vec<&'a PolicyRule> {
    wanted
        .iter()
        .filter(|rule| !every_deed(rule).all(|deed| held.iter().any(|own| allows(own, &deed))))
        .collect()
}

/// What a rule allows, one deed at a time. Wildcards stand for themselves.
fn every_deed(rule: &PolicyRule) -> impl Iterator<Item = Deed> {
    let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
    let (groups, resources, urls) = (
        list(&rule.api_groups),
        list(&rule.resources),
        list(&rule.non_resource_urls),
    );
    let names: Vec<Option<String>> = match rule.resource_names.clone().unwrap_or_default() {
        names if names.is_empty() => vec![None],
        names => names.into_iter().map(Some).collect(),
    };
    let mut deeds = Vec::new();
    for verb in &rule.verbs {
        for (group, resource) in groups
            .iter()
            .flat_map(|group| resources.iter().map(move |resource| (group, resource)))
        {
            deeds.extend(names.iter().map(|name| Deed::Objects {
                verb: verb.clone(),
                group: group.clone(),
                resource: resource.clone(),
                namespace: None,
                name: name.clone(),
            }));
        }
        deeds.extend(urls.iter().map(|path| Deed::Path {
            verb: verb.clone(),
            path: path.clone(),
        }));
    }
    deeds.into_iter()
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
        assert!(may(
            &account,
            "create",
            "authorization.k8s.io",
            "selfsubjectaccessreviews",
            None,
            None
        ));
    }

    #[test]
    fn nobody_grants_more_than_they_may() {
        let policy = policy();
        let account = User::service_account("a", "sa", "uid");
        let held: Vec<&PolicyRule> = policy.rules_of(&account, Some("a")).collect();
        let rule = |verbs: &[&str], resource: &str| PolicyRule {
            api_groups: Some(vec!["quartermaster.dev".to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
            ..PolicyRule::default()
        };
        assert!(beyond(&held, &[rule(&["get"], "agents")]).is_empty());
        assert_eq!(beyond(&held, &[rule(&["get", "delete"], "agents")]).len(), 1);
        assert_eq!(beyond(&held, &[rule(&["*"], "agents")]).len(), 1);
        assert_eq!(beyond(&held, &[rule(&["get"], "*")]).len(), 1);
    }
}
