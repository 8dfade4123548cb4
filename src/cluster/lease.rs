//! Leadership: of several operators one acts. Two at once would be two writers to one gateway, so whoever cannot
//! renew its lease stops before another may take it.

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::time::{Instant, timeout};

const LEASE: &str = "quartermaster";
/// Others may take the lease this long after its last renewal.
const DURATION_SECONDS: u64 = 15;
/// Renewed this long before it runs out.
const GRACE_SECONDS: u64 = 10;
/// So long may renewals fail: short of the duration by enough to end the process.
const PATIENCE: Duration = Duration::from_secs(10);
/// Without news for this long after a failure, renewing works again.
const QUIET: Duration = Duration::from_secs(6);

pub struct Leadership {
    manager: LeaseManager,
}

#[derive(Debug, thiserror::Error)]
#[error("the lease {LEASE}: {0}")]
pub struct LeaseError(String);

impl Leadership {
    /// Waits until this process leads.
    pub async fn acquire(client: Client, namespace: &str, identity: &str) -> Result<Self, LeaseError> {
        let manager = LeaseManagerBuilder::new(client, LEASE)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(DURATION_SECONDS)
            .with_grace(GRACE_SECONDS)
            .build()
            .await
            .map_err(|error| LeaseError(error.to_string()))?;
        tracing::info!(namespace, identity, "waiting for the lease");
        loop {
            match manager.changed().await {
                Ok(true) => return Ok(Self { manager }),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the lease cannot be read or written; trying again");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        }
    }

    /// Renews until leadership is lost.
    pub async fn lost(&self) -> String {
        let mut failing_since: Option<Instant> = None;
        loop {
            let change = match failing_since {
                None => self.manager.changed().await,
                Some(_) => match timeout(QUIET, self.manager.changed()).await {
                    Ok(change) => change,
                    Err(_) => {
                        failing_since = None;
                        continue;
                    }
                },
            };
            match change {
                Ok(true) => failing_since = None,
                Ok(false) => return "another process holds the lease".to_owned(),
                Err(error) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= PATIENCE {
                        return format!("the lease could not be renewed: {error}");
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Lets another process take over at once.
    pub async fn release(self) {
        if let Err(error) = self.manager.release().await {
            tracing::warn!(%error, "the lease could not be released; it runs out by itself");
        }
    }
}
