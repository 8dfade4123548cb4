//! What is played, as data.

use quartermaster::simulated_gateway::Deed;
use serde_json::Value;

use crate::gateways::Plan;
use crate::picture::Picture;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) gateways: &'static [Plan],
    pub(crate) steps: &'static [Step],
    /// How things begin to be called that a run may leave otherwise than the undisturbed one. A reason is written beside it.
    pub(crate) may_differ: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// With kubectl: manifests, as they would stand in a file.
    Apply(&'static str),
    /// The same in another namespace than `default`.
    ApplyIn(&'static str, &'static str),
    /// `gateway/harbour`, `fleet/agent/triage`, `namespace/fleet`
    Delete(&'static str),
    /// Something happens at a gateway.
    Gateway(&'static str, fn() -> Deed),
    /// It comes to rest, and then this is so.
    Rest(&'static [So]),
    /// So many seconds go by, whatever is under way.
    Seconds(u64),
}

/// Something that is so.
#[derive(Debug, Clone, Copy)]
pub(crate) enum So {
    /// `Gateway default/harbour`, a condition, its status and its reason.
    Condition(&'static str, &'static str, &'static str, &'static str),
    Gone(&'static str),
    There(&'static str),
    /// A gateway's open connections.
    Connections(&'static str, u64),
}

impl So {
    pub(crate) fn holds(self, picture: &Picture) -> bool {
        match self {
            Self::Condition(name, kind, status, reason) => {
                let conditions = picture
                    .get(name)
                    .and_then(|thing| thing.pointer("/status/conditions"));
                let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
                conditions.any(|condition| {
                    condition["type"] == kind
                        && condition["status"] == status
                        && condition["reason"] == reason
                })
            }
            Self::Gone(name) => picture.get(name).is_none(),
            Self::There(name) => picture.get(name).is_some(),
            Self::Connections(host, count) => {
                picture
                    .get(&format!("{host}: connections"))
                    .and_then(Value::as_u64)
                    == Some(count)
            }
        }
    }
}
