//! A resource says what is wanted. `desired` works it out; `observed` reads what is there;
//! `plan` is the difference; `execute` makes it so; `status` says what came of it.

pub mod command;
pub mod resource;
