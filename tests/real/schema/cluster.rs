//! The cluster with our definitions in it.

use std::path::Path;
use std::sync::OnceLock;

use super::ask::Asker;
use crate::bed::{Cluster, Namespace};

/// Our definitions, served by the shared cluster.
pub fn install(cluster: &Cluster) {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| apply(cluster));
}

/// Our definitions, served by a cluster of a test's own.
pub fn apply(cluster: &Cluster) {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crds")
        .display()
        .to_string();
    let applied = cluster.kubectl(&["apply", "--server-side", "-f", &crds]);
    assert!(
        applied.ok,
        "the API server refuses our definitions: {}",
        applied.stderr
    );
    // A warning here is a schema that the API server reads otherwise than we meant it.
    assert_eq!(applied.stderr, "", "the API server warns of our definitions");
    let served = cluster.kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "-f",
        &crds,
    ]);
    assert!(served.ok, "{}", served.stderr);
}

pub async fn asker(cluster: &Cluster, namespace: &Namespace<'_>) -> Asker {
    Asker {
        client: cluster.client().await,
        namespace: namespace.name().to_owned(),
    }
}
