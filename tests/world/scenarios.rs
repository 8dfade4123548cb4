//! The scenarios, and the tests that play them.

mod gateways;
