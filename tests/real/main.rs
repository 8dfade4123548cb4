//! Tests that need real parts: a Kubernetes API server, OpenClaw gateways, a network between them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "everything here is a test or serves tests: clippy sees only #[test] functions as such, \
              and a bed offers more than the tests of one day use"
)]

mod schema;
