//! What `up --demo` adds: a simulated gateway, and the fleet of `examples/`.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::json;
use tokio::net::TcpListener;

use super::refused::told;
use crate::cluster::manifests::{self, Manifest};
use crate::cluster::served::Served;
use crate::simulated_gateway::{Contract, Settings, SimulatedGateway, Workspace};

/// The fleet, as the repository has it. The Gateway comes last: where it is, all has been applied.
const EXAMPLES: [(&str, &str); 5] = [
    (
        "examples/harbour-token.yaml",
        include_str!("../../examples/harbour-token.yaml"),
    ),
    ("examples/souls.yaml", include_str!("../../examples/souls.yaml")),
    (
        "examples/board-ops.yaml",
        include_str!("../../examples/board-ops.yaml"),
    ),
    (
        "examples/board-handbook.yaml",
        include_str!("../../examples/board-handbook.yaml"),
    ),
    (
        "examples/gateway.yaml",
        include_str!("../../examples/gateway.yaml"),
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
    workspaces: PathBuf,
}

impl Demo {
    /// Starts the gateway; it ends with the process. Its agents' files are in that folder, to be looked at.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let workspaces = folder.join("workspaces");
        // Agents' files are their owner's, whatever the folder around them is.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&workspaces)
            .with_context(|| format!("cannot make the folder {}", workspaces.display()))?;
        let workspaces = workspaces.canonicalize()?;
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
        settings.workspace = Workspace::Folder(workspaces.clone());
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
            workspaces,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where the files of a workspace are. None: not where the simulated gateway has any.
    pub(super) fn folder_of(&self, workspace: &str) -> Option<PathBuf> {
        // Its home, as it says itself.
        let below = workspace.strip_prefix("~/")?;
        let folder = self.workspaces.join("home").join(below);
        folder.is_dir().then_some(folder)
    }

    /// The first time the examples, with this gateway's address and token in the place of the real one's. Later only these
    /// two: what somebody has made of the fleet since is theirs.
    pub(super) async fn apply(&self, client: &kube::Client) -> anyhow::Result<()> {
        let served = Served::read(client).await?;
        let manifests = self.manifests()?;
        let place = |manifest: &Manifest| {
            let place = manifest.place(&served, NAMESPACE);
            place.with_context(|| format!("{} is of a kind that is not served", manifest.shown()))
        };
        let gateway = manifests.iter().find(|manifest| manifest.kind() == "Gateway");
        let Some(gateway) = gateway else {
            bail!("examples/ has no Gateway");
        };
        let there = place(gateway)?.read(client).await?;
        if there.as_ref().is_some_and(|found| !is_ours(found)) {
            bail!(
                "Gateway {} is there already, with an address that the demo did not give it: start without --demo, or with \
                 another folder (--data)",
                gateway.object.name_any()
            );
        }
        for manifest in &manifests {
            let place = place(manifest)?;
            let done = match (&there, manifest.kind()) {
                (None, _) => place
                    .apply(client, &manifest.object, MANAGER, false)
                    .await
                    .map(|_| ()),
                (Some(_), "Secret") => place
                    .apply(client, &manifest.object, MANAGER, true)
                    .await
                    .map(|_| ()),
                (Some(_), "Gateway") => {
                    let address = json!({ "spec": { "url": self.url } });
                    place.change(client, &address, MANAGER).await
                }
                (Some(_), _) => Ok(()),
            };
            if let Err(error) = done {
                bail!(
                    "the demo cannot be put beside what is there: {} {}\nStart without --demo, or with another folder (--data).",
                    place.shown(),
                    told(&error)
                );
            }
        }
        Ok(())
    }

    fn manifests(&self) -> anyhow::Result<Vec<Manifest>> {
        let mut all = Vec::new();
        for (file, text) in EXAMPLES {
            all.extend(manifests::read(text, file)?);
        }
        for manifest in &mut all {
            let (field, value) = match manifest.kind() {
                "Gateway" => ("/spec/url", json!(self.url)),
                "Secret" => ("/stringData/token", json!(self.token)),
                _ => continue,
            };
            let place = manifest.object.data.pointer_mut(field);
            *place.with_context(|| format!("{} has no {field}", manifest.origin))? = value;
        }
        Ok(all)
    }
}

/// Whether the address is still the one that a demo gave it: who sets another owns that field from then on.
pub(super) fn is_ours(gateway: &DynamicObject) -> bool {
    gateway.managed_fields().iter().any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        entry.manager.as_deref() == Some(MANAGER)
            && fields.is_some_and(|fields| fields.pointer("/f:spec/f:url").is_some())
    })
}
