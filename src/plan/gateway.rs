//! What a pass over a Gateway does: hold the right connection, mint a device key when the gateway asks for one, keep its
//! main agent's object; and how it goes.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::desired::gateway::{Desired, Main, Obstacle};
use crate::desired::leaving::{Leaving, Next, Removal};
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
    /// What it connects with is gone: disconnect, unless it is back soon.
    Abandon,
    /// It is gone, but what is connected stays so: somebody has to be cleaned up by it.
    KeepConnection,
    /// Write a new device key into this Secret, unless the Secret exists.
    /// `owned`: the Secret goes with the Gateway.
    MintDeviceKey {
        secret: String,
        owned: bool,
    },
    Hold,
    /// Write the main agent's object. Only if it is held.
    ApplyMain(Box<Value>),
    RemoveMain(Removal),
    DeleteDeviceKey {
        secret: String,
    },
    /// The last of all, and only if all before it is done.
    LetGo {
        forced: bool,
        left_behind: Vec<String>,
    },
}

/// How long somebody may take to put back what a Gateway that is being deleted connects with.
pub const WITHOUT_CREDENTIALS: Duration = Duration::from_secs(600);

pub fn between(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let keep = match (&desired.main, desired.hold) {
        (Main::Apply(object), _) => [
            desired.hold.then_some(Action::Hold),
            Some(Action::ApplyMain(object.clone())),
        ],
        (Main::Leave | Main::AsItIs | Main::Taken, true) => [Some(Action::Hold), None],
        (Main::Leave | Main::AsItIs | Main::Taken, false) => [None, None],
    };
    let go = desired
        .leaving
        .iter()
        .flat_map(|leaving| go(desired, leaving, observed, now));
    Plan {
        actions: connection(desired, observed)
            .into_iter()
            .chain(keep.into_iter().flatten())
            .chain(go)
            .collect(),
    }
}

fn go(desired: &Desired, leaving: &Leaving, observed: &Observed, now: Timestamp) -> Vec<Action> {
    let Leaving {
        deletion,
        next,
        with_everybody: _,
        left_behind,
        without_credentials_since,
        device_secret_goes,
    } = leaving;
    let mut actions = Vec::new();
    let waited =
        without_credentials_since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
    let in_vain =
        is_cut_off(desired, leaving, observed) && waited.is_some_and(|waited| waited >= WITHOUT_CREDENTIALS);
    let goes = match next {
        Next::RemoveMain(removal) => {
            actions.push(Action::RemoveMain(removal.clone()));
            deletion.forced || in_vain
        }
        Next::Stay | Next::AwaitMain => deletion.forced || in_vain,
        Next::Go => true,
    };
    if goes {
        actions.extend(device_secret_goes.then(|| Action::DeleteDeviceKey {
            secret: desired.device_secret.clone(),
        }));
        actions.push(Action::LetGo {
            forced: deletion.forced,
            left_behind: left_behind.clone(),
        });
    }
    actions
}

/// Nobody can clean up any more: what it connected with is gone, no session holds it in memory, and all who use it are
/// going, too. A gateway that merely does not answer is waited for.
pub fn is_cut_off(desired: &Desired, leaving: &Leaving, observed: &Observed) -> bool {
    let gone = match &desired.connection {
        Err(Obstacle::Unreadable(_)) | Ok(_) => false,
        Err(_) => true,
    };
    let waits = leaving.next != Next::Go && !leaving.deletion.suspended;
    gone && observed.link == Fact::Absent && leaving.with_everybody && waits
}

fn connection(desired: &Desired, observed: &Observed) -> Option<Action> {
    match (&desired.connection, &observed.link) {
        // The API server is away: that is no reason to let a good connection go.
        (Err(Obstacle::Unreadable(_)), _) | (Err(_), Fact::Absent) => None,
        // What it was opened with is in memory, and serves whoever has to be cleaned up.
        (Err(_), Fact::Known(_) | Fact::Unknown) if desired.leaving.is_some() => Some(Action::KeepConnection),
        (Err(Obstacle::NotFound(_)), Fact::Known(_) | Fact::Unknown) => Some(Action::Abandon),
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
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
            leaving: None,
            hold: false,
            main: Main::AsItIs,
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
            preserved: BTreeSet::new(),
        }
    }

    fn between(desired: &Desired, observed: &Observed) -> Plan {
        super::between(desired, observed, Timestamp::UNIX_EPOCH)
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
        assert_eq!(between(&gone, &open).actions, [Action::Abandon]);
    }
}
