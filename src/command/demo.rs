//! What `up --demo` adds: a simulated gateway, the fleet of `examples/`, and a look at how it comes up.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::apply::printed;
use crate::cluster::manifests::{self, Manifest, Wanted};
use crate::simulated_gateway::{Contract, Settings, SimulatedGateway, Workspace};

/// The fleet, as the repository has it.
const EXAMPLES: [(&str, &str); 5] = [
    (
        "examples/harbour-token.yaml",
        include_str!("../../examples/harbour-token.yaml"),
    ),
    ("examples/souls.yaml", include_str!("../../examples/souls.yaml")),
    (
        "examples/gateway.yaml",
        include_str!("../../examples/gateway.yaml"),
    ),
    (
        "examples/board-ops.yaml",
        include_str!("../../examples/board-ops.yaml"),
    ),
    (
        "examples/board-handbook.yaml",
        include_str!("../../examples/board-handbook.yaml"),
    ),
];

/// OpenClaw's own port: a real gateway may be there.
const OPENCLAWS_PORT: u16 = 18789;

const MANAGER: &str = "quartermaster-demo";
const NAMESPACE: &str = "default";

/// What is needed to show it.
pub(super) struct Demo {
    url: String,
    token: String,
}

impl Demo {
    /// Starts the gateway; it ends with the process. Its agents' files are in a folder, to be looked at.
    pub(super) async fn start(data: &Path) -> anyhow::Result<Self> {
        let workspaces = data.join("demo").join("workspaces");
        std::fs::create_dir_all(&workspaces)
            .with_context(|| format!("cannot make the folder {}", workspaces.display()))?;
        let listener = loop {
            let listener = TcpListener::bind(("127.0.0.1", 0))
                .await
                .context("cannot listen on the loopback")?;
            if listener.local_addr()?.port() != OPENCLAWS_PORT {
                break listener;
            }
        };
        let address = listener.local_addr()?;
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        let mut settings = Settings::new(Contract::V2026_9_6, &token);
        settings.workspace = Workspace::Folder(workspaces.canonicalize()?);
        settings.delays = 0.0;
        settings.seed = rand::random();
        settings.started_at_ms = jiff::Timestamp::now().as_millisecond();
        settings.port = address.port();
        let gateway = SimulatedGateway::new(settings);
        tokio::spawn(async move {
            if let Err(error) = gateway.serve(listener).await {
                tracing::error!(%error, "the simulated gateway ended");
            }
        });
        Ok(Self {
            url: format!("ws://{address}"),
            token,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The examples, with this gateway's address and token in the place of the real one's.
    pub(super) async fn apply(&self, client: &kube::Client) -> anyhow::Result<()> {
        for (file, text) in EXAMPLES {
            for mut manifest in manifests::read(text, file)? {
                self.put_in(&mut manifest);
                manifest.apply(client, NAMESPACE, MANAGER, true).await?;
            }
        }
        Ok(())
    }

    fn put_in(&self, manifest: &mut Manifest) {
        let kind = manifest.object.types.as_ref().map(|types| types.kind.as_str());
        let (field, value) = match kind {
            Some("Gateway") => ("/spec/url", json!(self.url)),
            Some("Secret") => ("/stringData/token", json!(self.token)),
            Some(_) | None => return,
        };
        if let Some(place) = manifest.object.data.pointer_mut(field) {
            *place = value;
        }
    }
}

/// Shows gateways until all are Ready: a table that redraws itself in a terminal, else a new one where something changed.
/// Gives up looking, not waiting, after a while.
pub(super) async fn show(client: &kube::Client) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let begun = Instant::now();
    let redraws = io::stdout().is_terminal();
    let mut shown = String::new();
    let Some((resource, scope)) = manifests::find_kind(client, "ocgw").await? else {
        return Ok(());
    };
    let wanted = Wanted {
        namespace: Some(NAMESPACE.to_owned()),
        ..Wanted::default()
    };
    loop {
        let table = manifests::table(client, &resource, &scope, &wanted).await?;
        let column = table
            .column_definitions
            .iter()
            .position(|column| column.name == "Ready");
        let ready = table
            .rows
            .iter()
            .filter(|row| column.and_then(|column| row.cells.get(column)?.as_str()) == Some("True"))
            .count();
        let text = printed(&table, false, false, None);
        if text != shown {
            let mut out = io::stdout().lock();
            if redraws && !shown.is_empty() {
                write!(out, "\x1b[{}A\x1b[J", shown.lines().count())?;
            }
            for line in text.lines() {
                writeln!(out, "  {line}")?;
            }
            out.flush()?;
            shown = text;
        }
        if ready == table.rows.len() {
            let seconds = begun.elapsed().as_secs_f64();
            writeln!(
                io::stdout(),
                "{ready} of {ready} gateways Ready after {seconds:.1} s."
            )?;
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            writeln!(io::stdout(), "Not Ready yet; `kubectl describe ocgw` says why.")?;
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}
