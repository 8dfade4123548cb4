//! What the process tells of itself: log lines and metrics. Never a token, never a key, no agent's name as a label.

mod agents;
pub mod log;
mod metrics;
mod registry;

pub use agents::AgentPass;
pub use metrics::Metrics;
