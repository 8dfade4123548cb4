//! PURE. What a new cluster grants to everybody: to see what is served, and to ask about oneself. The one table of it: what is
//! allowed and what a review lists are both read from here.

use std::sync::LazyLock;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{AUTHENTICATED, UNAUTHENTICATED, User};

/// A ClusterRole and its ClusterRoleBinding, which have one name.
#[derive(Debug)]
pub struct Grant {
    pub name: &'static str,
    groups: &'static [&'static str],
    pub rules: Vec<PolicyRule>,
}

impl Grant {
    /// By being in which group a user has it.
    pub fn held_by(&self, user: &User) -> Option<&'static str> {
        self.groups.iter().copied().find(|group| user.is_in(group))
    }
}

static GRANTS: LazyLock<[Grant; 3]> = LazyLock::new(|| {
    [
        Grant {
            name: "system:basic-user",
            groups: &[AUTHENTICATED],
            rules: vec![
                ask(
                    "authorization.k8s.io",
                    &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                ),
                ask("authentication.k8s.io", &["selfsubjectreviews"]),
            ],
        },
        Grant {
            name: "system:discovery",
            groups: &[AUTHENTICATED],
            rules: vec![look(&[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ])],
        },
        Grant {
            name: "system:public-info-viewer",
            groups: &[AUTHENTICATED, UNAUTHENTICATED],
            rules: vec![look(&["/healthz", "/livez", "/readyz", "/version", "/version/"])],
        },
    ]
});

pub fn grants() -> &'static [Grant] {
    GRANTS.as_slice()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn ask(group: &str, reviews: &[&str]) -> PolicyRule {
    PolicyRule {
        verbs: words(&["create"]),
        api_groups: Some(words(&[group])),
        resources: Some(words(reviews)),
        ..PolicyRule::default()
    }
}

fn look(urls: &[&str]) -> PolicyRule {
    PolicyRule {
        verbs: words(&["get"]),
        non_resource_urls: Some(words(urls)),
        ..PolicyRule::default()
    }
}
