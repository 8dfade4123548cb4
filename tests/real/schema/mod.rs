//! What users may write, asked of a real API server: every rule from both sides, every bound at its edge, and nothing
//! lost on the way in and out.
//!
//! `table/` is what a person wrote down: for each rule what is refused, at which field and with which words, and what is
//! legal just beside it. `whole/` holds every field at once. What no person should have to write down (bounds, formats
//! at every place where they occur) is made from the definitions in `bounds`.

mod ask;
mod bounds;
mod cluster;
mod examples;
mod kubectl;
mod overlay;
mod round_trip;
mod same;
mod samples;
pub mod schemas;
mod table;

pub use cluster::{apply, install};
