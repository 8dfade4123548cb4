//! A server-side apply, where nothing is and to an object.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quartermaster::control_plane::anything::apply(bytes));
