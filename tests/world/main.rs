//! The whole in one process: the controller, a control plane in memory, simulated gateways, and a clock that nobody waits
//! for. A scenario is played once to see what it does to the outside; then it is played again for each of these effects, with
//! the controller killed before it, killed after it, or left without its answer. In the end everything is as it was the first
//! time, nothing was made twice, and then nothing is written any more.
//!
//! `docs/testing.md` is the map of it. `WORLD_SEED=7 cargo test --test world` plays all with other delays, and
//! `WORLD_POINT='3 killed before' cargo test --test world NAME` one run of a scenario, told effect by effect.

#![allow(
    unreachable_pub,
    reason = "what is shared with other test programs is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod blow;
mod clock;
#[path = "../real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;
mod gateways;
mod ledger;
mod life;
mod meddler;
#[path = "../picture/mod.rs"]
mod picture;
mod play;
mod sabotage;
mod scenario;
mod scenarios;
mod wire;
mod world;
