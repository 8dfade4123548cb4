//! The controllers: what wakes each, the pipeline in a few lines, and when to look again.

pub mod gateway;
pub mod sessions;

use crate::cluster::Cluster;
use crate::telemetry::Metrics;
use sessions::Sessions;

/// All that a pass may use of the outside. One for each scope that is watched: a namespace, or all of them.
pub struct World {
    pub cluster: Cluster,
    pub sessions: Sessions,
    pub metrics: Metrics,
}
