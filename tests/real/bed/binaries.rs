//! The programs of a real Kubernetes: from `KUBEBUILDER_ASSETS` if somebody has them ready, else built from the
//! modules that `tests/real/kubernetes` pins. No registry has them ready-made.
//!
//! The build takes about five minutes on two cores, once for each user and each change of the pins.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cache::cached;
use super::evidence::say;
use super::missing::{Missing, need_program};
use super::process::Launch;

pub const KUBERNETES_VERSION: &str = "v1.36.3";

#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    /// Whether they are the pinned version, built here, and not somebody's own.
    pub pinned: bool,
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Ready-made sets (of envtest) come without it; there is then no garbage collection and no end of a namespace.
    pub fn controller_manager(&self) -> Result<PathBuf, Missing> {
        let program = self.program("kube-controller-manager");
        if program.exists() {
            return Ok(program);
        }
        Err(Missing::new(
            "kube-controller-manager (garbage collection, end of namespaces)",
            "put it into the folder of KUBEBUILDER_ASSETS, or unset that variable to have it built",
        ))
    }
}

/// In this order: the first one (three and a half minutes) compiles what the others share.
const PROGRAMS: [(&str, &str); 4] = [
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("etcd", "go.etcd.io/etcd/server/v3"),
];

/// Without the version, `kubectl version` prints the template it was meant to replace.
const LINK: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
                    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

pub fn kubernetes_binaries() -> Result<Binaries, Missing> {
    if let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) {
        let folder = PathBuf::from(folder);
        for program in ["etcd", "kube-apiserver", "kubectl"] {
            if !folder.join(program).exists() {
                let what = format!("{program} in KUBEBUILDER_ASSETS={}", folder.display());
                return Err(Missing::new(
                    &what,
                    "put it there, or unset that variable to have it built",
                ));
            }
        }
        return Ok(Binaries {
            folder,
            pinned: false,
        });
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/kubernetes");
    // Asked for in the module's folder, so that a Go too old for its go.mod says so now.
    let remedy =
        "install Go 1.26 or newer (https://go.dev/dl), or point KUBEBUILDER_ASSETS at ready binaries";
    need_program("go", &["-C", &source.display().to_string(), "version"], remedy)?;

    let pins = ["go.mod", "go.sum", "tools.go"]
        .map(|name| fs::read(source.join(name)).expect("a pin of the project"));
    let parts: Vec<&[u8]> = pins.iter().map(Vec::as_slice).chain([LINK.as_bytes()]).collect();
    let folder = cached("kubernetes-1.36.3", &parts, |folder| build(&source, folder));
    Ok(Binaries { folder, pinned: true })
}

fn build(source: &Path, folder: &Path) {
    say("building a real Kubernetes 1.36.3 from Go modules, once: about 5 minutes on 2 cores");
    let log = folder.join("build.log");
    for (name, package) in PROGRAMS {
        let start = Instant::now();
        let build = Launch::new("go build", "go")
            .args(["build", "-buildvcs=false", "-ldflags", LINK, "-o"])
            .arg(folder.join(name).display())
            .arg(package)
            .env("CGO_ENABLED", "0")
            .folder(source)
            .start(&log);
        while build.is_alive() {
            assert!(
                start.elapsed() < Duration::from_secs(3600),
                "go build {package}: no end after an hour"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(
            build.ended() == Some(0),
            "go build {package} failed. {}",
            build.last_words()
        );
        say(&format!("{name} built in {} s", start.elapsed().as_secs()));
    }
}
