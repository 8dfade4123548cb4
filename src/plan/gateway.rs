//! What a pass over a Gateway does: hold the right connection, and mint a device key when the gateway asks for one.

use k8s_openapi::jiff::Timestamp;

use crate::desired::gateway::{Desired, Obstacle};
use crate::fact::Fact;
use crate::gateway::{State, Trouble, Wanted};
use crate::observed::gateway::Observed;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a session, or turn the open one to this target. `refused_at`: when the gateway refused these very
    /// credentials to an earlier process of ours.
    Connect {
        wanted: Box<Wanted>,
        refused_at: Option<Timestamp>,
    },
    Disconnect,
    /// Write a new device key into this Secret, unless the Secret exists.
    /// `owned`: the Secret goes with the Gateway.
    MintDeviceKey {
        secret: String,
        owned: bool,
    },
}

pub fn between(desired: &Desired, observed: &Observed) -> Plan {
    let action = match (&desired.connection, &observed.link) {
        // The API server is away: that is no reason to let a good connection go.
        (Err(Obstacle::Unreadable(_)), _) | (Err(_), Fact::Absent) => None,
        (Err(_), Fact::Known(_) | Fact::Unknown) => Some(Action::Disconnect),
        (Ok(wanted), Fact::Known(link)) if link.answers == *wanted => {
            let asked_for = link.state == State::Down(Trouble::DeviceNeeded);
            (asked_for && !desired.holds_still()).then(|| Action::MintDeviceKey {
                secret: desired.device_secret.clone(),
                owned: desired.device_secret_is_owned,
            })
        }
        (Ok(wanted), Fact::Known(_) | Fact::Absent | Fact::Unknown) => Some(Action::Connect {
            wanted: Box::new(wanted.clone()),
            refused_at: desired.refused_at,
        }),
    };
    Plan {
        actions: action.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::credentials::Identity;
    use crate::gateway::{Address, Credentials, Link, Target, Trust};

    fn wanted(url: &str) -> Wanted {
        Wanted {
            target: Target {
                address: Address::parse(url).unwrap(),
                trust: Trust::System,
                credentials: Credentials {
                    token: None,
                    identity: Identity::TokenOnly,
                },
            },
            ask: String::new(),
        }
    }

    fn desired(connection: Result<Wanted, Obstacle>) -> Desired {
        Desired {
            connection,
            minimum_version: None,
            suspended: false,
            deleting: false,
            device_secret_is_owned: false,
            device_secret: "ocgw-harbour-device".into(),
            credential: String::new(),
            refused_at: None,
        }
    }

    fn observed(url: &str, state: State) -> Observed {
        Observed {
            link: Fact::Known(Link {
                answers: wanted(url),
                state,
            }),
        }
    }

    fn connect(wanted: Wanted) -> Action {
        Action::Connect {
            wanted: Box::new(wanted),
            refused_at: None,
        }
    }

    #[test]
    fn a_connection_that_is_as_wanted_is_left_alone() {
        let plan = between(
            &desired(Ok(wanted("ws://a"))),
            &observed("ws://a", State::Connecting),
        );
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn another_url_or_another_request_is_another_connection() {
        let plan = between(
            &desired(Ok(wanted("ws://b"))),
            &observed("ws://a", State::Connecting),
        );
        assert_eq!(plan.actions, [connect(wanted("ws://b"))]);
        let again = Wanted {
            ask: "now".into(),
            ..wanted("ws://a")
        };
        let plan = between(
            &desired(Ok(again.clone())),
            &observed("ws://a", State::Connecting),
        );
        assert_eq!(plan.actions, [connect(again)]);
    }

    #[test]
    fn a_device_key_is_minted_when_the_gateway_asks_and_nothing_is_suspended() {
        let asked = observed("ws://a", State::Down(Trouble::DeviceNeeded));
        let plan = between(&desired(Ok(wanted("ws://a"))), &asked);
        assert_eq!(
            plan.actions,
            [Action::MintDeviceKey {
                secret: "ocgw-harbour-device".into(),
                owned: false
            }]
        );
        let suspended = Desired {
            suspended: true,
            ..desired(Ok(wanted("ws://a")))
        };
        assert_eq!(between(&suspended, &asked), Plan::default());
    }

    #[test]
    fn a_connection_outlives_an_api_server_that_does_not_answer() {
        let referent = crate::desired::gateway::Referent {
            field: "spec.tokenSecretRef",
            kind: "Secret",
            name: "t".into(),
            key: "token".into(),
        };
        let open = observed("ws://a", State::Connecting);
        let unreadable = desired(Err(Obstacle::Unreadable(referent.clone())));
        assert_eq!(between(&unreadable, &open), Plan::default());
        let gone = desired(Err(Obstacle::NotFound(referent)));
        assert_eq!(between(&gone, &open).actions, [Action::Disconnect]);
    }
}
