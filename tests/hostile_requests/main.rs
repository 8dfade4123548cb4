//! Clients that mean harm, or are broken: each is answered as the API server answers it, holds no more of the server than it
//! is given, and takes nothing from the others.
//!
//! The words and codes are those of kube-apiserver 1.36, which was asked the same; where it has no bound, ours is in the
//! table of `docs/control-plane.md`.

#![allow(
    unreachable_pub,
    reason = "what is shared with other test programs is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod anything;
mod backups;
mod bed;
mod bodies;
mod connections;
mod rights;
mod watches;
