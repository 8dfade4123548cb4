//! One file for each subcommand. What the program prints lives here and nowhere else.

pub mod crds;
