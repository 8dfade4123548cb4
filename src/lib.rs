//! A resource says what is wanted. [`desired`] works it out; [`observed`] reads what is there; [`plan`] is the
//! difference; [`execute`] makes it so; [`status`] says what came of it.

pub mod authenticator;
pub mod cluster;
pub mod command;
pub mod control_plane;
pub mod controller;
pub mod deposits;
pub mod desired;
pub mod execute;
pub mod fact;
pub mod gateway;
pub mod http;
pub mod observed;
pub mod plan;
pub mod resource;
pub mod sessions;
pub mod simulated_gateway;
pub mod status;
pub mod telemetry;
pub mod template;
pub mod turns;
