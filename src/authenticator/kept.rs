//! The tokens that a Secret keeps: the one in force, one that is on its way into the agent's files, and the one before.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};

use super::Owner;
use crate::desired::agent::AgentToken;
use crate::resource::{Agent, names};

pub(super) struct Kept {
    pub(super) token: AgentToken,
    pub(super) which: Which,
    /// Of the one before: it counts no longer than this.
    until: Option<Timestamp>,
}

/// In which place of its Secret a token stands; the one in force first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    InForce,
    Next,
    Previous,
}

impl Kept {
    pub(super) fn counts_at(&self, now: Timestamp) -> bool {
        match self.which {
            Which::InForce | Which::Next => true,
            Which::Previous => self.until.is_some_and(|until| now < until),
        }
    }
}

/// None: the Secret is no token's, whatever its labels say.
pub(super) fn kept(secret: &Secret) -> Option<(Owner, Vec<Kept>)> {
    let owner = owner(secret)?;
    let until = secret.annotations().get(names::TOKEN_PREVIOUS_UNTIL);
    let until: Option<Timestamp> = until.and_then(|until| until.parse().ok());
    let places = [
        (names::TOKEN_KEY, Which::InForce, None),
        (names::TOKEN_NEXT_KEY, Which::Next, None),
        (names::TOKEN_PREVIOUS_KEY, Which::Previous, until),
    ];
    let found = places.into_iter().filter_map(|(key, which, until)| {
        let bytes = secret.data.as_ref()?.get(key)?;
        let text = str::from_utf8(&bytes.0).ok()?;
        // What is no token is nobody's.
        let token = AgentToken::parse(text).ok()?;
        Some(Kept { token, which, until })
    });
    Some((owner, found.collect()))
}

/// The Agent that controls it, if the Secret has the name that such an Agent's Secret has.
fn owner(secret: &Secret) -> Option<Owner> {
    let owners = secret.metadata.owner_references.iter().flatten();
    let ours = owners.into_iter().find(|owner| {
        owner.kind == Agent::kind(&())
            && owner.api_version == Agent::api_version(&())
            && owner.controller == Some(true)
    })?;
    let name = secret.name_any();
    let name = name.strip_prefix("ocagent-")?.strip_suffix("-token")?;
    (ours.name == name).then(|| Owner {
        namespace: secret.namespace().unwrap_or_default(),
        name: name.to_owned(),
        uid: ours.uid.clone(),
    })
}
