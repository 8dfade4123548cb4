//! Carries out the plan of a Gateway.

use k8s_openapi::jiff::Timestamp;

use crate::cluster::Cluster;
use crate::desired::gateway::DEVICE_KEY;
use crate::gateway::DeviceKey;
use crate::plan::gateway::{Action, Plan};
use crate::resource::Gateway;
use crate::sessions::Sessions;

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub device_key_not_stored: Option<String>,
}

pub async fn run(
    plan: Plan,
    gateway: &Gateway,
    cluster: &Cluster,
    sessions: &Sessions,
    now: Timestamp,
) -> Outcome {
    let mut outcome = Outcome::default();
    for action in plan.actions {
        match action {
            Action::Connect { wanted, refused_at } => {
                let ago = refused_at.and_then(|at| now.duration_since(at).try_into().ok());
                sessions.want(gateway, *wanted, ago);
            }
            Action::Disconnect => sessions.close(gateway),
            Action::MintDeviceKey { secret, owned } => {
                let key = DeviceKey::from_seed(&rand::random());
                let stored = cluster
                    .create_secret(gateway, &secret, (DEVICE_KEY, key.encoded().as_bytes()), owned)
                    .await;
                outcome.device_key_not_stored = stored.err().map(|error| error.to_string());
            }
        }
    }
    outcome
}
