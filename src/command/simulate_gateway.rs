//! `quartermaster simulate-gateway`: a gateway for trying things out, without OpenClaw.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::simulated_gateway::{Contract, Settings, SimulatedGateway, Workspace};

/// Needs a token: OPENCLAW_GATEWAY_TOKEN, or --token-file.
#[derive(Debug, Args)]
pub struct SimulateGateway {
    /// Where it listens; port 0 takes a free one.
    #[arg(
        long,
        env = "QUARTERMASTER_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// Which gateway it behaves like: 2026.9.6, 2026.7.35 or 2026.2.9.
    #[arg(
        long,
        env = "QUARTERMASTER_CONTRACT",
        default_value = "2026.9.6",
        value_name = "VERSION"
    )]
    contract: Contract,
    /// The folder for the agents' files [default: in memory].
    #[arg(long, env = "QUARTERMASTER_WORKSPACE", value_name = "FOLDER")]
    workspace: Option<PathBuf>,
    /// A file with the shared token [default: the environment variable OPENCLAW_GATEWAY_TOKEN].
    #[arg(long, env = "QUARTERMASTER_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Serve the administrative port (faults, counters) here. It asks for no password: keep it on a loopback.
    #[arg(long, env = "QUARTERMASTER_ADMIN_LISTEN", value_name = "ADDRESS:PORT")]
    admin_listen: Option<SocketAddr>,
    /// How much of a real gateway's delays it takes: 0 none, 1 all.
    #[arg(
        long,
        env = "QUARTERMASTER_DELAYS",
        default_value_t = 1.0,
        value_name = "0..1"
    )]
    delays: f64,
    /// Decides every id that it makes up [default: chance].
    #[arg(long, env = "QUARTERMASTER_SEED", value_name = "NUMBER")]
    seed: Option<u64>,
}

impl SimulateGateway {
    pub fn execute(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<()> {
        if !(0.0..=100.0).contains(&self.delays) {
            bail!(
                "--delays {}: give a number from 0 (none) to 1 (as measured)",
                self.delays
            );
        }
        let token = self.token()?;
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; choose another address with --listen",
                self.listen
            )
        })?;
        let address = listener.local_addr()?;
        let mut settings = Settings::new(self.contract, &token);
        if let Some(folder) = &self.workspace {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {} (--workspace)", folder.display()))?;
            let folder = folder
                .canonicalize()
                .with_context(|| folder.display().to_string())?;
            settings.workspace = Workspace::Folder(folder);
        }
        settings.delays = self.delays;
        settings.seed = self.seed.unwrap_or_else(rand::random);
        settings.started_at_ms = jiff::Timestamp::now().as_millisecond();
        settings.port = address.port();
        let gateway = SimulatedGateway::new(settings);
        if let Some(admin) = self.admin_listen {
            let listener = TcpListener::bind(admin).await.with_context(|| {
                format!("cannot listen on {admin}; choose another address with --admin-listen")
            })?;
            say(&format!("admin http://{}", listener.local_addr()?));
            let router = gateway.administration();
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        say(&format!("ws://{address}"));
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        tokio::select! {
            served = gateway.serve(listener) => served.context("the listener failed"),
            _ = term.recv() => Ok(()),
            _ = int.recv() => Ok(()),
        }
    }

    fn token(&self) -> anyhow::Result<String> {
        let token = match &self.token_file {
            Some(file) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {} (--token-file)", file.display()))?,
            None => std::env::var("OPENCLAW_GATEWAY_TOKEN").unwrap_or_default(),
        };
        let token = token.trim().to_owned();
        if token.is_empty() {
            bail!("no token: set OPENCLAW_GATEWAY_TOKEN, or name a file with --token-file");
        }
        Ok(token)
    }
}

#[expect(
    clippy::print_stdout,
    reason = "where it listens is the command's whole output"
)]
fn say(line: &str) {
    println!("{line}");
}
