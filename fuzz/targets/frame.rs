//! One text message, as a frame.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quartermaster::gateway::anything::frame(bytes));
