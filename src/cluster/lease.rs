//! Leadership: of several operators one acts. Two at once would be two writers to one gateway, so whoever has not renewed
//! its lease for a while ends before another may take it.
//!
//! Every write is a compare-and-swap: it carries the resourceVersion that was read, and the API server refuses it with
//! 409 if anybody wrote meanwhile. So a write that hung and lands late changes nothing that it has not seen. Nobody's
//! clock is compared with ours: a standby counts from when it last saw the lease change, a leader from before it asked.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Health;
use crate::resource::names;

const LEASE: &str = "quartermaster";
/// Others may take the lease this long after they last saw it renewed.
const DURATION: Duration = Duration::from_secs(15);
/// A leader ends this long after its last renewal that succeeded: 5 s are left to end the process.
const PATIENCE: Duration = Duration::from_secs(10);
/// Three renewals fit into a leader's patience.
const EVERY: Duration = Duration::from_secs(3);
/// After a failure sooner: a call that hangs and this pause still leave room for a third try.
const AGAIN: Duration = Duration::from_secs(1);
/// A lease is a read and a write of 500 bytes; what takes longer is as good as no answer.
const CALL: Duration = Duration::from_secs(2);

pub struct Leadership {
    ours: Ours,
    since: Instant,
}

/// The lease as this process sees it.
struct Ours {
    api: Api<Lease>,
    namespace: String,
    identity: String,
}

#[derive(Debug)]
enum Turn {
    Ours,
    Theirs {
        holder: String,
    },
    /// Somebody wrote between our read and our write: what we read is no longer so.
    Overtaken,
}

#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error(
        "the API server refused: {}. The Role quartermaster-lease of deploy/base/rbac.yaml, bound in that namespace, allows it",
        .0.message
    )]
    Refused(Box<kube::core::Status>),
    #[error("the API server cannot be reached: {0}")]
    Unreachable(kube::Error),
    #[error("the API server did not answer within {} s", CALL.as_secs())]
    TimedOut,
}

impl Leadership {
    /// Waits until this process leads; meanwhile `health` tells whether the lease can be read and written.
    pub async fn acquire(client: Client, namespace: &str, identity: &str, health: &Health) -> Self {
        let ours = Ours {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
        };
        tracing::info!(namespace, identity, "waiting for the lease");
        health.standby_cannot("the lease has not been read yet");
        let (mut seen, mut told) = (None, None);
        loop {
            let began = Instant::now();
            match ours.take(&mut seen).await {
                Ok(Turn::Ours) => {
                    health.standby_ends();
                    tracing::info!(namespace, identity, "leading");
                    return Self { ours, since: began };
                }
                Ok(Turn::Theirs { .. } | Turn::Overtaken) => {
                    health.standby();
                    told = None;
                }
                Err(error) => {
                    let why = format!("the lease {LEASE} in namespace {namespace}: {error}");
                    // Every 3 s, perhaps for days: said once.
                    if told.as_ref() != Some(&why) {
                        tracing::warn!("{why}; trying again");
                        health.standby_cannot(&why);
                        told = Some(why);
                    }
                }
            }
            sleep_until(began + EVERY).await;
        }
    }

    /// Renews until leadership is lost, and says why it is.
    pub async fn lost(&self) -> String {
        let (mut renewed, mut trouble) = (self.since, "no answer".to_owned());
        sleep_until(renewed + EVERY).await;
        loop {
            let (began, end) = (Instant::now(), renewed + PATIENCE);
            let next = match timeout_at(end, self.ours.renew()).await {
                Ok(Ok(Turn::Ours)) => {
                    // From before the call: others count from when the write is seen, which is later.
                    renewed = began;
                    began + EVERY
                }
                Ok(Ok(Turn::Theirs { holder })) => return format!("the lease {LEASE} is held by {holder:?}"),
                Ok(Ok(Turn::Overtaken)) => {
                    trouble = "somebody else wrote it at the same time".to_owned();
                    Instant::now() + AGAIN
                }
                Ok(Err(error)) => {
                    trouble = error.to_string();
                    tracing::warn!(
                        "the lease {LEASE} in namespace {}: {trouble}",
                        self.ours.namespace
                    );
                    Instant::now() + AGAIN
                }
                Err(_) => {
                    let patience = PATIENCE.as_secs();
                    return format!("the lease {LEASE} could not be renewed for {patience} s: {trouble}");
                }
            };
            sleep_until(next.min(renewed + PATIENCE)).await;
        }
    }

    /// Lets another process take over at once.
    pub async fn release(self) {
        if let Err(error) = self.ours.give_back().await {
            tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
        }
    }
}

impl Ours {
    /// One try to become the leader. `seen`: the version that was seen last, and when first.
    async fn take(&self, seen: &mut Option<(Option<String>, Instant)>) -> Result<Turn, LeaseError> {
        let Some(lease) = within(self.api.get_opt(LEASE)).await? else {
            let mut lease = Lease::default();
            lease.metadata.name = Some(LEASE.to_owned());
            return self.write(lease, Step::Create).await;
        };
        let version = &lease.metadata.resource_version;
        let at = match seen {
            Some((before, at)) if before == version => *at,
            Some(_) | None => seen.insert((version.clone(), Instant::now())).1,
        };
        let holder = holder(&lease);
        // Ours: a write that we gave up on has landed after all.
        if holder.is_empty() || holder == self.identity || at.elapsed() >= promised(&lease) {
            return self.write(lease, Step::Take).await;
        }
        Ok(Turn::Theirs {
            holder: holder.to_owned(),
        })
    }

    async fn renew(&self) -> Result<Turn, LeaseError> {
        match within(self.api.get_opt(LEASE)).await? {
            Some(lease) if holder(&lease) == self.identity => self.write(lease, Step::Renew).await,
            // Deleted or given away: who knows who has held it meanwhile.
            lease => Ok(Turn::Theirs {
                holder: lease.as_ref().map(holder).unwrap_or_default().to_owned(),
            }),
        }
    }

    async fn give_back(&self) -> Result<(), LeaseError> {
        match within(self.api.get_opt(LEASE)).await? {
            Some(lease) if holder(&lease) == self.identity => {
                self.write(lease, Step::GiveBack).await.map(|_| ())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn write(&self, mut lease: Lease, step: Step) -> Result<Turn, LeaseError> {
        let now = || Some(MicroTime(Timestamp::now()));
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        match step {
            Step::Create | Step::Take => {
                spec.holder_identity = Some(self.identity.clone());
                spec.acquire_time = now();
                spec.lease_transitions =
                    Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
            }
            Step::Renew => {}
            Step::GiveBack => spec.holder_identity = None,
        }
        spec.renew_time = now();
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        let params = PostParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match step {
            Step::Create => within(self.api.create(&params, &lease)).await,
            Step::Take | Step::Renew | Step::GiveBack => {
                within(self.api.replace(LEASE, &params, &lease)).await
            }
        };
        match written {
            Ok(_) => Ok(Turn::Ours),
            Err(LeaseError::Refused(status)) if status.code == 409 => Ok(Turn::Overtaken),
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Create,
    Take,
    Renew,
    GiveBack,
}

/// Empty where nobody holds it.
fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// How long its holder may count on it.
fn promised(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(DURATION, Duration::from_secs)
}

/// Every call with its deadline, the body of the answer included.
async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
    match timeout(CALL, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(LeaseError::Refused(status)),
        Ok(Err(error)) => Err(LeaseError::Unreachable(error)),
        Err(_) => Err(LeaseError::TimedOut),
    }
}
