//! Who comes in, and what they may do: tokens are looked up, Roles are read from the store as they are now.

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ControlPlane;
use super::access::token::{AUDIENCE, Bearer, Claims, Wrong};
use super::access::{Deed, MASTERS, Policy, User, rules};
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

    /// Nobody grants more than they may.
    pub(super) fn admit(&self, call: &Call, object: &Object) -> Result<(), Status> {
        let kind = &call.kind;
        let grants = match kind.nature {
            Nature::Role => rules_of(object.fields().get("rules")),
            Nature::RoleBinding => self.rules_behind(object, call.namespace.as_deref()),
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
        if call.user.is_in(MASTERS) || self.may_grant(call, object) {
            return Ok(());
        }
        let policy = self.policy();
        let held: Vec<&PolicyRule> = policy.rules_of(&call.user, call.namespace.as_deref()).collect();
        match rules::beyond(&held, &grants).as_slice() {
            [] => Ok(()),
            rules => Err(too_much(kind, object, &call.user, rules)),
        }
    }

    /// Some may grant what they have not: who may `escalate` Roles, or `bind` one.
    fn may_grant(&self, call: &Call, object: &Object) -> bool {
        let (verb, resource, name) = if call.kind.nature == Nature::Role {
            ("escalate", call.kind.names.plural.as_str(), object.name())
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

    fn rules_behind(&self, binding: &Object, namespace: Option<&str>) -> Vec<PolicyRule> {
        let role = binding.fields().get("roleRef").cloned().unwrap_or_default();
        let Ok(RoleRef { kind, name, .. }) = serde_json::from_value(role) else {
            return Vec::new();
        };
        let (resource, namespace) = match kind.as_str() {
            "ClusterRole" => (format!("clusterroles.{RBAC}"), None),
            _ => (format!("roles.{RBAC}"), namespace),
        };
        let found = ResourceName::new(&resource)
            .and_then(|resource| Key::new(&resource, namespace, &name))
            .ok()
            .and_then(|key| self.store().get(&key)?.object().ok());
        found
            .map(|role| rules_of(role.fields().get("rules")))
            .unwrap_or_default()
    }
}

fn rules_of(rules: Option<&Value>) -> Vec<PolicyRule> {
    rules
        .cloned()
        .and_then(|rules| serde_json::from_value(rules).ok())
        .unwrap_or_default()
}

fn too_much(kind: &Kind, object: &Object, user: &User, rules: &[&PolicyRule]) -> Status {
    let mut rules: Vec<String> = rules.iter().map(|rule| printed(rule)).collect();
    rules.sort();
    let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
    let why = format!(
        "user \"{}\" (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        rules.join("\n")
    );
    Status::forbidden(kind, object.name().unwrap_or_default(), &why)
}

fn printed(rule: &PolicyRule) -> String {
    let list = |name: &str, words: &Option<Vec<String>>| {
        let words = words.as_deref().unwrap_or_default();
        (!words.is_empty()).then(|| format!("{name}:{words:?}").replace("\", \"", "\" \""))
    };
    let parts: Vec<String> = [
        list("APIGroups", &rule.api_groups),
        list("Resources", &rule.resources),
        list("ResourceNames", &rule.resource_names),
        list("NonResourceURLs", &rule.non_resource_urls),
        list("Verbs", &Some(rule.verbs.clone())),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!("{{{}}}", parts.join(", "))
}
