//! What any call may be answered with.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quartermaster::gateway::anything::answers(bytes));
