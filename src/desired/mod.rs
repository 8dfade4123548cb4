//! What a resource asks for, worked out in full: a [`Snapshot`](gateway::Snapshot) of resources in, plain data
//! out. Pure: no clock, no client, no randomness; the same snapshot gives the same answer.

pub mod agent;
pub mod document;
pub mod gateway;
pub mod main_agent;
