//! To be written.
pub mod managed;
