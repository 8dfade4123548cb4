//! The difference between what is wanted and what is there, as typed actions. Pure; there is nothing left to
//! decide when a plan is carried out.

pub mod agent;
pub mod board;
pub mod gateway;
