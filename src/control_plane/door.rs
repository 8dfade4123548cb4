//! Who comes in, and what they may do: tokens are looked up, Roles are read from the store as they are now.

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ControlPlane;
use super::access::token::{AUDIENCE, Bearer, Claims, Wrong};
use super::access::{Deed, MASTERS, Policy, User, grant};
use super::call::Call;
use super::kind::{Kind, Nature};
use super::object::Object;
use super::status::Status;
use super::store::{Key, Paging, Prefix, ResourceName};

const RBAC: &str = "rbac.authorization.k8s.io";

impl ControlPlane {
    /// None: the token opens nothing here.
    pub fn user_of(&self, token: &str) -> Option<User> {
        self.holder(token, &[]).ok().map(|(user, _)| user)
    }

    /// Who holds a token, and for which of the wanted audiences it is good (none wanted: ours). A ServiceAccount's is good
    /// for as long as that account is there, and the Secret that it is bound to.
    pub(super) fn holder(&self, token: &str, wanted: &[String]) -> Result<(User, Vec<String>), Wrong> {
        let ours = [AUDIENCE.to_owned()];
        let wanted = if wanted.is_empty() { &ours } else { wanted };
        let (user, made_for) = match self.tokens().check(token, self.now())? {
            Bearer::Admin(user) => (user, ours.to_vec()),
            Bearer::Account(claims) => (self.account_of(&claims)?, claims.audiences),
        };
        let good: Vec<String> = made_for
            .iter()
            .filter(|audience| wanted.contains(audience))
            .cloned()
            .collect();
        if good.is_empty() {
            let wanted = wanted.to_vec();
            return Err(Wrong::ForOthers { made_for, wanted });
        }
        Ok((user, good))
    }

    fn account_of(&self, claims: &Claims) -> Result<User, Wrong> {
        let uid_of = |resource: &str, name: &str| {
            let resource = ResourceName::new(resource).ok()?;
            let key = Key::new(&resource, Some(&claims.namespace), name).ok()?;
            let object = self.store().get(&key)?.object().ok()?;
            object.uid().map(str::to_owned)
        };
        let name = claims.name.clone();
        let is = uid_of("serviceaccounts", &name).ok_or(Wrong::NoAccount { name })?;
        if is != claims.uid {
            let said = claims.uid.clone();
            return Err(Wrong::AnotherAccount { is, said });
        }
        if let Some((secret, said)) = &claims.secret {
            let is = uid_of("secrets", secret).ok_or(Wrong::SecretIsGone)?;
            if is != *said {
                let said = said.clone();
                return Err(Wrong::AnotherSecret { is, said });
            }
        }
        Ok(User::service_account(&claims.namespace, &claims.name, &claims.uid).by_token(&claims.id))
    }

    pub fn may(&self, user: &User, deed: &Deed) -> bool {
        // Roles need not be read for who may all.
        user.is_in(MASTERS) || self.policy().allows(user, deed)
    }

    pub fn check(&self, user: &User, deed: &Deed) -> Result<(), Status> {
        if self.may(user, deed) {
            return Ok(());
        }
        Err(Status::forbidden_deed(deed, &deed.refused(user)))
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            roles: self.all(&format!("roles.{RBAC}")),
            cluster_roles: self.all(&format!("clusterroles.{RBAC}")),
            role_bindings: self.all(&format!("rolebindings.{RBAC}")),
            cluster_role_bindings: self.all(&format!("clusterrolebindings.{RBAC}")),
        }
    }

    /// Everything of a kind; what cannot be read grants nothing.
    fn all<T: DeserializeOwned>(&self, resource: &str) -> Vec<T> {
        let Ok(resource) = ResourceName::new(resource) else {
            return Vec::new();
        };
        let page = self.store().list(&Prefix::all(&resource), &Paging::default());
        let items = page.map(|page| page.items).unwrap_or_default();
        items
            .iter()
            .filter_map(|(_, stored)| serde_json::from_slice(&stored.bytes).ok())
            .collect()
    }

    /// Nobody grants more than they may. `before` is what is changed.
    pub(super) fn admit(&self, call: &Call, object: &Object, before: Option<&Object>) -> Result<(), Status> {
        let kind = &call.kind;
        let is_role = match kind.nature {
            Nature::Role => true,
            Nature::RoleBinding => false,
            Nature::Custom
            | Nature::Namespace
            | Nature::Secret
            | Nature::ConfigMap
            | Nature::ServiceAccount
            | Nature::Event
            | Nature::NewEvent
            | Nature::Lease
            | Nature::Definition
            | Nature::Review(_) => return Ok(()),
        };
        let free = call.user.is_in(MASTERS)
            || before.is_some_and(|before| only_what_ends_it(before, object))
            || self.may_grant(call, object);
        if free {
            return Ok(());
        }
        let grants = if is_role {
            rules_of(object.fields().get("rules"))?
        } else {
            self.rules_behind(call, object)?
        };
        let policy = self.policy();
        let held: Vec<&PolicyRule> = policy.rules_of(&call.user, call.namespace.as_deref()).collect();
        grant::check(&held, &grants).map_err(|refused| too_much(kind, object, &call.user, refused))
    }

    /// Some may grant what they have not: who may `escalate` Roles, or `bind` one.
    fn may_grant(&self, call: &Call, object: &Object) -> bool {
        let (verb, resource, name) = if call.kind.nature == Nature::Role {
            // By the name in the path: a new one has none there.
            ("escalate", call.kind.names.plural.as_str(), call.name.as_deref())
        } else {
            let role = object.fields().get("roleRef");
            let word = |name: &str| role.and_then(|role| role.get(name)?.as_str());
            let resource = match word("kind") {
                Some("ClusterRole") => "clusterroles",
                Some(_) | None => "roles",
            };
            ("bind", resource, word("name"))
        };
        let deed = Deed::Objects {
            verb: verb.to_owned(),
            group: RBAC.to_owned(),
            resource: resource.to_owned(),
            namespace: call.namespace.clone(),
            name: name.map(str::to_owned),
        };
        self.may(&call.user, &deed)
    }

    /// Who binds a Role that is not there would grant what nobody has looked at. The refusal names it as a binding, as the API
    /// server's does.
    fn rules_behind(&self, call: &Call, binding: &Object) -> Result<Vec<PolicyRule>, Status> {
        let role = binding.fields().get("roleRef").cloned().unwrap_or(Value::Null);
        let RoleRef { kind, name, .. } = serde_json::from_value(role).map_err(Status::internal)?;
        let (plural, namespace) = match kind.as_str() {
            "ClusterRole" => ("clusterroles", None),
            "Role" => ("roles", call.namespace.as_deref()),
            other => {
                let why = format!("unsupported role reference kind: {other:?}");
                return Err(Status::internal(why));
            }
        };
        let resource = ResourceName::new(&format!("{plural}.{RBAC}")).map_err(Status::internal)?;
        let missing = || Status::not_found(&call.kind, &name);
        let key = Key::new(&resource, namespace, &name).map_err(|_| missing())?;
        let found = self.store().get(&key).ok_or_else(missing)?;
        let role = found.object().map_err(Status::internal)?;
        rules_of(role.fields().get("rules"))
    }
}

/// Rules that cannot be read may say anything.
fn rules_of(rules: Option<&Value>) -> Result<Vec<PolicyRule>, Status> {
    match rules {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(rules) => serde_json::from_value(rules.clone()).map_err(Status::internal),
    }
}

/// Whoever may change an object may let it go: finalizers and owners grant nothing.
fn only_what_ends_it(before: &Object, after: &Object) -> bool {
    let rest = |object: &Object| {
        let mut object = object.clone();
        for field in ["finalizers", "ownerReferences", "managedFields", "selfLink"] {
            object.metadata_mut().remove(field);
        }
        object
    };
    rest(before) == rest(after)
}

fn too_much(kind: &Kind, object: &Object, user: &User, refused: grant::Refused) -> Status {
    let why = match refused {
        grant::Refused::NotHeld(lines) => {
            let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
            format!(
                "user \"{}\" (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{lines}",
                user.name,
                groups.join(" "),
            )
        }
        grant::Refused::TooMany => format!(
            "its rules multiply to more than {} single permissions, which are not compared with what user \"{}\" holds: write \
             shorter lists, or let the administrator grant it",
            grant::MOST,
            user.name
        ),
    };
    Status::forbidden(kind, object.name().unwrap_or_default(), &why)
}
