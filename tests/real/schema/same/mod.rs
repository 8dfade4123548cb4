//! The same objects to a real API server and to the embedded one's schemas: both must keep the same, or refuse for the same
//! causes. `said/` holds what the real one said, so that most of it is also shown without a cluster, in
//! `tests/schema_as_recorded.rs`. `SCHEMA_RECORD=1` records anew.

mod answer;
mod beyond;
mod cases;
mod differential;
mod mutation;
mod recorded;
mod rules;
