//! The scenarios, and the tests that play them.

mod agents;
mod gateways;
mod tokens;
