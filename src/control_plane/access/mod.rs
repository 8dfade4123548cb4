//! Who is it, and may they: bearer tokens, and Roles with their bindings. Nothing is allowed but by a rule; members of
//! `system:masters` may all.

pub mod everybody;
pub mod grant;
pub mod rules;
pub mod token;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use rules::Policy;
pub use token::Tokens;

/// Somebody whose token is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct User {
    #[serde(rename = "username")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Which token it was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

pub const MASTERS: &str = "system:masters";
pub const AUTHENTICATED: &str = "system:authenticated";
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

impl User {
    /// Who holds the admin token.
    pub fn admin() -> Self {
        Self::with("admin", &[MASTERS])
    }

    /// Somebody without a token: may ask whether the server is well, and no more.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            uid: String::new(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            extra: BTreeMap::new(),
        }
    }

    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = [
            "system:serviceaccounts",
            &format!("system:serviceaccounts:{namespace}"),
        ];
        Self {
            uid: uid.to_owned(),
            ..Self::with(&format!("system:serviceaccount:{namespace}:{name}"), &groups)
        }
    }

    /// By the token of this id.
    #[must_use]
    pub fn by_token(mut self, id: &str) -> Self {
        const NAME: &str = "authentication.kubernetes.io/credential-id";
        self.extra.insert(NAME.to_owned(), vec![format!("JTI={id}")]);
        self
    }

    fn with(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().chain(&[AUTHENTICATED]);
        Self {
            name: name.to_owned(),
            uid: String::new(),
            groups: groups.map(|&group| group.to_owned()).collect(),
            extra: BTreeMap::new(),
        }
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    Objects {
        verb: String,
        group: String,
        /// `agents`, or `agents/status`.
        resource: String,
        namespace: Option<String>,
        name: Option<String>,
    },
    /// A path that is no object: `/version`.
    Path { verb: String, path: String },
}

impl Deed {
    /// As refusals say it.
    pub fn refused(&self, user: &User) -> String {
        let who = &user.name;
        match self {
            Self::Objects {
                verb,
                group,
                resource,
                namespace,
                name: _,
            } => {
                let place = match namespace {
                    Some(namespace) => format!("in the namespace \"{namespace}\""),
                    None => "at the cluster scope".to_owned(),
                };
                format!(
                    "User \"{who}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"
                )
            }
            Self::Path { verb, path } => format!("User \"{who}\" cannot {verb} path \"{path}\""),
        }
    }
}
