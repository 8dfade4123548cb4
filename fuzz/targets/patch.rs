//! A patch of each type, done to an object.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quartermaster::control_plane::anything::patch(bytes));
