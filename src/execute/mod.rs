//! Carries out a plan. The only room that changes anything outside, and the only one that can say what came of it.

pub mod agent;
pub mod board;
pub mod gateway;
