//! The cluster with our definitions in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ask::Asker;

/// Interim stand-in for the bed.
pub struct Cluster {
    kubeconfig: PathBuf,
}

#[derive(Debug, Clone)]
pub struct Spoken {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

pub fn shared_cluster() -> Option<&'static Cluster> {
    static CLUSTER: std::sync::OnceLock<Option<Cluster>> = std::sync::OnceLock::new();
    CLUSTER
        .get_or_init(|| {
            std::env::var_os("QM_KUBECONFIG").map(|path| Cluster {
                kubeconfig: path.into(),
            })
        })
        .as_ref()
}

impl Cluster {
    pub fn kubectl(&self, arguments: &[&str]) -> Spoken {
        self.kubectl_with_input(arguments, "")
    }
    pub fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Spoken {
        let mut kubectl = Command::new("kubectl")
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        kubectl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = kubectl.wait_with_output().unwrap();
        Spoken {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
    pub async fn client(&self) -> kube::Client {
        let read = kube::config::Kubeconfig::read_from(&self.kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(read, &Default::default())
            .await
            .unwrap();
        kube::Client::try_from(config).unwrap()
    }
    pub fn namespace(&self, prefix: &str) -> String {
        let name = format!("{prefix}-{}", std::process::id());
        assert!(self.kubectl(&["create", "namespace", &name]).ok);
        name
    }
}

/// Our definitions, served.
pub fn install(cluster: &Cluster) {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let applied = cluster.kubectl(&[
        "apply",
        "--server-side",
        "--force-conflicts",
        "-f",
        &crds.display().to_string(),
    ]);
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
        &crds.display().to_string(),
    ]);
    assert!(served.ok, "{}", served.stderr);
}

pub async fn asker(cluster: &Cluster, namespace: &str) -> Asker {
    Asker {
        client: cluster.client().await,
        namespace: namespace.to_owned(),
    }
}
