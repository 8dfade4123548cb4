//! `quartermaster up`, `apply`, `get` and `delete` as somebody meets them: the real program in a folder and a home of its own,
//! with a terminal and without. No cluster and no gateway are needed.

#![allow(
    unreachable_pub,
    reason = "what is shared with other test programs is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

#[path = "../real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;

mod by_hand;
mod desk;
mod goes_on;
mod plans;
mod refuses;
mod renders;
mod says;
mod syncs;
mod terminal;
