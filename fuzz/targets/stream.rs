//! Everything that a peer sends after the upgrade.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quartermaster::gateway::anything::stream(bytes));
