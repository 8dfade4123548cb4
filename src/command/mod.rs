//! The command line: one file for each subcommand. What the program prints lives here and nowhere else.

pub mod apply;
pub mod backup;
pub mod crds;
mod data;
pub mod delete;
mod demo;
mod files;
pub(crate) mod fleet;
pub mod get;
pub mod operator;
pub mod plan;
mod private;
mod progress;
mod refused;
pub mod render;
pub mod run;
mod say;
mod screen;
pub mod simulate_gateway;
mod standing;
pub mod sync;
mod table;
mod target;
pub mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

/// Provisions AI agents inside OpenClaw gateways, declaratively.
///
/// Exit codes: 0 done, 1 it failed (standard error says why), 2 the command line is wrong; plan and sync have more.
#[derive(Debug, Parser)]
#[command(name = "quartermaster", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: a Kubernetes API of its own, and the controller.
    Up(up::Up),
    /// Apply manifests, without kubectl.
    Apply(apply::Apply),
    /// Show objects, without kubectl.
    Get(get::Get),
    /// Delete objects, without kubectl.
    Delete(delete::Delete),
    /// Print the files of each agent from manifests, without a cluster.
    Render(render::Render),
    /// Show what the controller would do, and do nothing.
    Plan(plan::Plan),
    /// Bring a gateway's agents up to date: create a TemplateSync and follow it.
    Sync(sync::Sync),
    /// Copy everything that `up` keeps into one file, whether it runs or not.
    Backup(backup::Backup),
    /// Run the controller against a cluster.
    Run(run::Run),
    /// Run a simulated OpenClaw gateway, for trying things out.
    SimulateGateway(simulate_gateway::SimulateGateway),
    /// Print the CustomResourceDefinitions, for `kubectl apply -f -`.
    Crds {
        /// Write them as files into this folder instead.
        #[arg(long, value_name = "FOLDER")]
        write: Option<PathBuf>,
    },
}

impl Cli {
    pub fn execute(self) -> ExitCode {
        let result = match self.command {
            Command::Up(up) => up.execute(),
            Command::Apply(apply) => apply.execute(),
            Command::Get(get) => get.execute(),
            Command::Delete(delete) => delete.execute(),
            Command::Render(render) => render.execute(),
            Command::Plan(plan) => match plan.execute() {
                Ok(code) => return code,
                Err(error) => Err(error),
            },
            Command::Sync(sync) => match sync.execute() {
                Ok(code) => return code,
                Err(error) => Err(error),
            },
            Command::Backup(backup) => backup.execute(),
            Command::Run(run) => run.execute(),
            Command::SimulateGateway(simulate) => simulate.execute(),
            Command::Crds { write: None } => crds::print(),
            Command::Crds { write: Some(folder) } => crds::write(&folder),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is::<say::Enough>() => ExitCode::SUCCESS,
            Err(error) => {
                say::complain(&format!("quartermaster: {error:#}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// The command line is wrong in a way that clap cannot see.
fn misuse(subcommand: &str, what: &str) -> ! {
    let mut command = Cli::command();
    // Built: only then it knows its subcommand's whole name.
    command.build();
    let mut whole = command.clone();
    let named = command.find_subcommand_mut(subcommand).unwrap_or(&mut whole);
    named.error(ErrorKind::MissingRequiredArgument, what).exit()
}
