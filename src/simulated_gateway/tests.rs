//! Rules, one by one, over a pipe and in paused time; first of all that our own client gets along with it.

mod bench;
mod client;
mod ours;
mod rules;
