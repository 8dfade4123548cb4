//! The gateway client against simulated gateways of all three contracts, in one process and in paused time: what is
//! deposited gets there once, whatever happens on the way, and nobody else's is touched.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod bench;
mod bindings;
mod calls;
mod commits;
mod heartbeats;
mod readings;
mod schema;
mod size;
