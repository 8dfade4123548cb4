//! The Agent that stands for a gateway's main agent, as its Gateway wants it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::resource::agent::Role;
use crate::resource::gateway::MainAgent;
use crate::resource::names;
use crate::resource::reference::ObjectRef;
use crate::resource::settings::DeletionPolicy;
use crate::resource::{Agent, AgentSpec, Gateway};

/// `<gateway>-main`
pub fn name(gateway: &Gateway) -> String {
    format!("{}-main", gateway.name_any())
}

/// Whether this very Gateway made it, and not one of its name before.
pub fn is_ours(agent: &Agent, gateway: &Gateway) -> bool {
    let owners = agent.owner_references();
    gateway
        .uid()
        .is_some_and(|uid| owners.iter().any(|owner| owner.uid == uid))
}

pub fn main_agent(gateway: &Gateway) -> AgentSpec {
    let MainAgent {
        display_name,
        identity,
        heartbeat,
        soul,
        identity_template,
        files,
        model,
        config,
        // Read from the Gateway: an Agent has no such word.
        boards: _,
    } = gateway.spec.main_agent.clone();
    let display_name = display_name.unwrap_or_else(|| {
        const LONGEST: usize = 100;
        let name = gateway
            .spec
            .display_name
            .clone()
            .unwrap_or_else(|| gateway.name_any());
        const ROLE: &str = " Main";
        let kept: String = name.chars().take(LONGEST - ROLE.len()).collect();
        format!("{kept}{ROLE}")
    });
    AgentSpec {
        role: Role::Main,
        gateway_ref: Some(ObjectRef {
            name: gateway.name_any(),
        }),
        display_name: Some(display_name),
        identity,
        heartbeat,
        soul,
        identity_template,
        files,
        model,
        config,
        deletion_policy: deletion_policy(gateway),
        ..AgentSpec::default()
    }
}

/// What becomes of it in the gateway when the Gateway goes.
pub fn deletion_policy(gateway: &Gateway) -> Option<DeletionPolicy> {
    match gateway.spec.deletion_policy {
        Some(DeletionPolicy::Orphan) => Some(DeletionPolicy::Orphan),
        // Delete speaks of the device key, too; of the main agent it says what is so anyway.
        Some(DeletionPolicy::Delete) | None => None,
    }
}

/// What `spec.mainAgent` speaks of. The rest of the object (lifecycle, token.rotation, drift, ...) is its readers' to set.
const OURS: [&str; 11] = [
    "role",
    "gatewayRef",
    "displayName",
    "identity",
    "heartbeat",
    "soul",
    "identityTemplate",
    "files",
    "model",
    "config",
    "deletionPolicy",
];

/// The object as it is applied. It says itself what it was made from: a setting that is wanted no more is found by that,
/// since nobody can see in it whose it was.
pub fn object(gateway: &Gateway) -> Value {
    let mut spec = match serde_json::to_value(main_agent(gateway)) {
        Ok(Value::Object(spec)) => spec,
        Ok(_) | Err(_) => Map::new(),
    };
    spec.retain(|field, _| OURS.contains(&field.as_str()));
    let made_from = fingerprint(&spec);
    let labels = BTreeMap::from([
        (names::MANAGED_BY_LABEL, names::FIELD_MANAGER.to_owned()),
        (names::GATEWAY_LABEL, gateway.name_any()),
        (names::ROLE_LABEL, "main".to_owned()),
    ]);
    json!({
        "apiVersion": Agent::api_version(&()),
        "kind": Agent::kind(&()),
        "metadata": {
            "name": name(gateway),
            "namespace": gateway.namespace(),
            "labels": labels,
            "annotations": { names::APPLIED: made_from },
            "ownerReferences": [owner(gateway)],
        },
        "spec": spec,
    })
}

/// Without blockOwnerDeletion, which needs a right of its own and would hold the Gateway for the collector's sake.
fn owner(gateway: &Gateway) -> Option<OwnerReference> {
    gateway.controller_owner_ref(&()).map(|owner| OwnerReference {
        block_owner_deletion: None,
        ..owner
    })
}

/// Whether it is as it is applied: everything in it, and made from nothing else. What others have added stays.
pub fn is_as_wanted(agent: &Agent, gateway: &Gateway) -> bool {
    match serde_json::to_value(agent) {
        Ok(found) => holds(&found, &object(gateway)),
        Err(_) => false,
    }
}

/// Lists of named items are merged by name by the API server, so that others may have items in them.
fn holds(found: &Value, wanted: &Value) -> bool {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) if wanted.iter().all(|item| name(item).is_some()) => {
            wanted.iter().all(|wanted| {
                let same = |found: &&Value| name(found) == name(wanted);
                found.iter().find(same).is_some_and(|found| holds(found, wanted))
            })
        }
        (found, wanted) => found == wanted,
    }
}

fn fingerprint(spec: &Map<String, Value>) -> String {
    let digest = Sha256::digest(Value::Object(spec.clone()).to_string());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::GatewaySpec;
    use crate::resource::settings::{Identity, Soul};

    fn harbour() -> Gateway {
        let mut gateway = Gateway::new("harbour", GatewaySpec::default());
        gateway.metadata.namespace = Some("team".into());
        gateway.metadata.uid = Some("u1".into());
        gateway
    }

    fn applied(gateway: &Gateway) -> Agent {
        serde_json::from_value(object(gateway)).unwrap()
    }

    #[test]
    fn it_is_the_gateways_own_and_holds_nobody_up() {
        let agent = applied(&harbour());
        assert!(is_ours(&agent, &harbour()) && is_as_wanted(&agent, &harbour()));
        let [owner] = agent.owner_references() else {
            panic!("one owner")
        };
        assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), None));
        assert_eq!(agent.spec.display_name.as_deref(), Some("harbour Main"));
        let mut successor = harbour();
        successor.metadata.uid = Some("u2".into());
        assert!(!is_ours(&agent, &successor));
    }

    #[test]
    fn what_others_change_is_put_right_and_what_they_add_is_left() {
        let mut gateway = harbour();
        gateway.spec.main_agent.identity = Some(Identity {
            role: Some("Harbour master".into()),
            ..Identity::default()
        });
        let mut agent = applied(&gateway);
        agent.spec.token.rotation = Some("leaked".into());
        agent.spec.suspend = true;
        agent
            .metadata
            .labels
            .as_mut()
            .unwrap()
            .insert("team".into(), "blue".into());
        assert!(is_as_wanted(&agent, &gateway));
        agent.spec.identity.as_mut().unwrap().role = Some("Pirate".into());
        assert!(!is_as_wanted(&agent, &gateway));
    }

    #[test]
    fn a_setting_that_is_wanted_no_more_is_seen() {
        let mut gateway = harbour();
        gateway.spec.main_agent.soul = Some(Soul {
            template: Some("Be calm.".into()),
            ..Soul::default()
        });
        let agent = applied(&gateway);
        assert!(is_as_wanted(&agent, &gateway));
        gateway.spec.main_agent.soul = None;
        assert!(!is_as_wanted(&agent, &gateway));
    }

    #[test]
    fn a_long_name_still_fits() {
        let mut gateway = harbour();
        gateway.spec.display_name = Some("ü".repeat(100));
        let name = main_agent(&gateway).display_name.unwrap();
        assert_eq!(name.chars().count(), 100);
        assert!(name.ends_with("ü Main"));
    }
}
