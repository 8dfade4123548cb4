//! Parse, choose a command, exit code.

use std::process::ExitCode;

use clap::Parser;
use quartermaster::command::Cli;

fn main() -> ExitCode {
    Cli::parse().execute()
}
