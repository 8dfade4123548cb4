//! What the process serves over HTTP.

pub mod operations;
