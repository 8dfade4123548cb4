//! Tests that need real parts: a Kubernetes API server, OpenClaw gateways, a network between them.
//!
//! They are one program, so that there is one link and one shared cluster. A part that the machine cannot run
//! is skipped with a line that says what is missing; `REQUIRE_REAL=1` makes that line a failure.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "everything here is a test or serves tests: clippy sees only #[test] functions as such, \
              and a bed offers more than the tests of one day use"
)]

#[macro_use]
mod bed;
mod agents;
mod beds;
mod conformance;
mod crashes;
mod declared;
mod deploy;
#[path = "../fleet/mod.rs"]
mod fleet;
mod kill;
mod kube_conformance;
mod line;
mod patches;
mod rotation;
mod schema;
mod writes;
