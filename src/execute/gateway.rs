//! Carries out the plan of a Gateway.

use k8s_openapi::jiff::Timestamp;

use crate::cluster::{Cluster, Error, Held};
use crate::desired::gateway::DEVICE_KEY;
use crate::desired::leaving::Removal;
use crate::gateway::DeviceKey;
use crate::plan::gateway::{Action, Plan};
use crate::resource::Gateway;
use crate::sessions::Sessions;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    pub device_key_not_stored: Option<String>,
    pub main_not_stored: Option<String>,
    /// It may be gone by now.
    pub let_go: Option<LetGo>,
    /// What could not be written: the pass is to come again.
    pub failed: Option<Error>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGo {
    pub forced: bool,
    pub left_behind: Vec<String>,
}

/// `now` is what the wall clock says.
pub async fn run(
    plan: Plan,
    gateway: &Gateway,
    cluster: &Cluster,
    sessions: &Sessions,
    now: Timestamp,
) -> Outcome {
    let mut outcome = Outcome::default();
    for action in plan.actions {
        let done = match action {
            Action::Connect { wanted, refused_at } => {
                let ago = refused_at.and_then(|at| now.duration_since(at).try_into().ok());
                sessions.want(gateway, *wanted, ago);
                Ok(())
            }
            Action::Disconnect => {
                sessions.close(gateway);
                Ok(())
            }
            Action::Abandon => {
                sessions.abandon(gateway);
                Ok(())
            }
            Action::KeepConnection => {
                sessions.keep(gateway);
                Ok(())
            }
            Action::MintDeviceKey { secret, owned } => {
                let key = DeviceKey::from_seed(&rand::random());
                let stored = cluster
                    .create_secret(gateway, &secret, (DEVICE_KEY, key.encoded().as_bytes()), owned)
                    .await;
                outcome.device_key_not_stored = stored.err().map(|error| error.to_string());
                Ok(())
            }
            Action::Hold => match cluster.hold(gateway).await {
                Ok(Held::Held) => Ok(()),
                // It goes, and nothing is made for it any more.
                Ok(Held::TooLate) => break,
                Err(error) => Err(error),
            },
            Action::ApplyMain(object) => {
                let applied = cluster.apply_agent(gateway, &object).await;
                outcome.main_not_stored = applied.as_ref().err().map(ToString::to_string);
                applied
            }
            Action::RemoveMain(removal) => {
                let Removal { name, uid, amend } = removal;
                cluster
                    .remove_agent(gateway, &name, uid.as_deref(), amend.as_ref())
                    .await
            }
            Action::DeleteDeviceKey { secret } => cluster.delete_secret(gateway, &secret).await,
            Action::LetGo { forced, left_behind } => {
                let let_go = cluster.let_go(gateway).await;
                outcome.let_go = let_go.is_ok().then_some(LetGo { forced, left_behind });
                let_go
            }
        };
        // What comes next relies on it.
        if let Err(error) = done {
            outcome.failed = Some(error);
            break;
        }
    }
    outcome
}
