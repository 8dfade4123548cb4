//! The Kubernetes side: client, watches, reads, the few writes there are, the lease. Knows no WebSocket.

mod back_off;
pub mod connect;
pub mod finalizer;
pub mod health;
mod index;
pub mod kinds;
mod last_word;
pub mod lease;
pub mod manifests;
mod read;
pub mod served;
mod stores;
pub mod template_sync;
mod token;
mod undo;
mod watch;
mod write;

use std::time::Duration;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

use crate::resource::names;
use crate::telemetry::Metrics;
use back_off::BackOff;
pub use finalizer::Held;
pub use health::Health;
use last_word::LastWords;
pub use stores::{Stores, Touches};
pub use undo::Kept;
pub use watch::{Scope, Touch};

/// Everything that is asked of the API server goes through here.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    recorder: Recorder,
    health: Health,
    metrics: Metrics,
    back_off: BackOff,
    last_words: LastWords,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the API server refused: {}", .0.message)]
    Refused(Box<kube::core::Status>),
    #[error("the API server cannot be reached: {0}")]
    Unreachable(#[source] kube::Error),
    #[error("the API server did not answer within {} s", DEADLINE.as_secs())]
    TimedOut,
}

/// kube has no read deadline of its own: a connection that died silently would hold a pass for ever.
const DEADLINE: Duration = Duration::from_secs(10);

impl Cluster {
    pub fn new(client: Client, health: Health, metrics: Metrics) -> Self {
        // One for all: it gathers repeated events into a series.
        let reporter = Reporter {
            controller: names::FIELD_MANAGER.to_owned(),
            instance: None,
        };
        let recorder = Recorder::new(client.clone(), reporter);
        Self {
            client,
            recorder,
            health,
            metrics,
            back_off: BackOff::default(),
            last_words: LastWords::default(),
        }
    }

    /// The object is gone: nothing about it needs to be remembered.
    pub fn forget<K: kube::Resource>(&self, object: &K) {
        if let Some(uid) = &object.meta().uid {
            self.back_off.forget(uid);
            self.last_words.forget(uid);
        }
    }
}

/// Any call but a watch, with its deadline.
async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Error::Refused(status)),
        Ok(Err(error)) => Err(Error::Unreachable(error)),
        Err(_) => Err(Error::TimedOut),
    }
}

impl Error {
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(status.code),
            Self::Unreachable(_) | Self::TimedOut => None,
        }
    }
}
