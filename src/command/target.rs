//! Which API server a command speaks to, and in which namespace.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::up::data_folder;
use crate::cluster::connect::{Whereabouts, connect};

/// The kubeconfig that kubectl would use; without one, that of `quartermaster up`.
#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    /// The kubeconfig file [default: KUBECONFIG, else that of `quartermaster up`, else ~/.kube/config or the cluster this runs in].
    #[arg(long, env = "QUARTERMASTER_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context within the kubeconfig [default: its current one].
    #[arg(long, env = "QUARTERMASTER_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// The namespace [default: the context's].
    #[arg(long, short, env = "QUARTERMASTER_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
}

impl ClusterArgs {
    /// The client, and the namespace of what names none.
    pub(super) async fn connect(&self) -> anyhow::Result<(kube::Client, String)> {
        let client = connect(&Whereabouts {
            kubeconfig: self.kubeconfig.clone().or_else(of_up),
            context: self.context.clone(),
        })
        .await
        .context("is `quartermaster up` running?")?;
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        Ok((client, namespace))
    }
}

/// Where nothing names another.
fn of_up() -> Option<PathBuf> {
    let named =
        std::env::var_os("KUBECONFIG").is_some() || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let file = data_folder().ok()?.join("kubeconfig");
    (!named && file.exists()).then_some(file)
}

/// A runtime for a command that asks and ends.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}
