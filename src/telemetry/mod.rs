//! What the process tells of itself: log lines and metrics. Never a token, never a key, no agent's name as a label.

pub mod log;
mod metrics;

pub use metrics::Metrics;
