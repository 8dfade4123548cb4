//! What is there, as far as it is known: every fact is Absent, Unknown or Known.

pub mod agent;
pub mod gateway;
