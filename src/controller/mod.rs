//! The controllers: what wakes each, the pipeline in a few lines, and when to look again.

pub mod gateway;

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::cluster::Cluster;
use crate::sessions::Sessions;
use crate::telemetry::Metrics;

/// All that a pass may use of the outside. One for each scope that is watched: a namespace, or all of them.
pub struct World {
    pub cluster: Cluster,
    pub sessions: Sessions,
    pub metrics: Metrics,
    pub clock: Clock,
}

/// What the wall clock says. Given, so that tests may hold it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
