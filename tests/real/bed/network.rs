//! A real network between the operator and a gateway, on one machine and without root.
//!
//! A gateway trusts its own loopback: no pairing, every scope, no lock-out. What a remote operator meets can only be
//! tested from a remote address. So such a test runs itself a second time inside new user and network namespaces,
//! where it is root of an empty network: our side, `10.77.0.1`, and a far side, `10.77.0.2`, joined by a pair of
//! virtual cables. Nothing else can be reached from there, and nothing there can be reached from outside.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::missing::{Missing, need_program};
use super::process::{Launch, Process};
use super::scratch::Scratch;
use super::wait::eventually;

const INSIDE: &str = "QUARTERMASTER_TEST_INSIDE_NETWORK";
const HERE: &str = "10.77.0.1";
const FAR: &str = "10.77.0.2";

/// The network that this test is in. It ends with this value.
pub struct Network {
    far: Place,
    _holder: Process,
    _folder: Scratch,
}

/// A side of the network where processes can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    address: String,
    /// A process that lives there and holds the place open.
    holder: u32,
}

/// The first lines of a test across a network:
///
/// ```ignore
/// let prepare = || { install_gateway("2026.9.6")?; Ok(()) };
/// let Some(network) = real!(across_network(test_name!(), prepare)) else { return };
/// ```
///
/// Outside, it prepares (inside there is no way to a registry), runs this same test inside, fails if that failed,
/// and gives `None`. Inside, it makes the network.
pub fn across_network(
    test: &str,
    prepare: impl FnOnce() -> Result<(), Missing>,
) -> Result<Option<Network>, Missing> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Some(Network::make()));
    }
    need_program(
        "ip",
        &["-V"],
        "install iproute2 (Debian: apt-get install iproute2)",
    )?;
    need_program("nsenter", &["--version"], "install util-linux")?;
    let remedy = "this kernel or container forbids user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
                  kernel.apparmor_restrict_unprivileged_userns=0, or a container with CAP_SYS_ADMIN)";
    need_program("unshare", &["-Urn", "ip", "link", "set", "lo", "up"], remedy)?;
    prepare()?;
    run_inside(test);
    Ok(None)
}

fn run_inside(test: &str) {
    let folder = Scratch::new("inside");
    let itself = std::env::current_exe().expect("the test program knows where it lies");
    let inside = Launch::new(test, "unshare")
        .args(["-Urn", "--"])
        .arg(itself.display())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .grace(Duration::from_secs(60))
        .start(&folder.join("output.log"));
    let start = Instant::now();
    while inside.is_alive() {
        let words = || inside.last_words();
        assert!(
            start.elapsed().as_secs() < 1200,
            "{test} inside its network: no end in 20 minutes. {}",
            words()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = inside.log();
    let quoted: String = log.lines().map(|line| format!("  | {line}\n")).collect();
    assert!(
        inside.ended() == Some(0),
        "{test} failed inside its network:\n{quoted}"
    );
    // `--exact` with a name that no test has passes with "0 passed".
    assert!(
        log.contains("1 passed"),
        "{test} did not run inside its network; is that its name?\n{quoted}"
    );
}

impl Network {
    fn make() -> Self {
        let folder = Scratch::new("network");
        ip(&["link", "set", "lo", "up"]);
        let holder = Launch::new("the far side", "unshare").args(["-n", "sleep", "infinity"]);
        let holder = holder.start(&folder.join("far.log"));
        let ours = namespace_of("self");
        eventually("the far side has a network of its own", 20, || {
            let its = namespace_of(&holder.pid().to_string());
            its.filter(|its| Some(its) != ours.as_ref())
        });
        let far = Place {
            address: FAR.to_owned(),
            holder: holder.pid(),
        };
        let pid = holder.pid().to_string();
        ip(&[
            "link", "add", "here", "type", "veth", "peer", "name", "far", "netns", &pid,
        ]);
        ip(&["address", "add", &format!("{HERE}/24"), "dev", "here"]);
        ip(&["link", "set", "here", "up"]);
        far.ip(&["link", "set", "lo", "up"]);
        far.ip(&["address", "add", &format!("{FAR}/24"), "dev", "far"]);
        far.ip(&["link", "set", "far", "up"]);
        Self {
            far,
            _holder: holder,
            _folder: folder,
        }
    }

    /// Where the gateway runs. The operator, the cluster and the test itself are on our side.
    pub fn far(&self) -> &Place {
        &self.far
    }

    /// Our own address, as the far side sees it.
    pub fn here(&self) -> &'static str {
        HERE
    }

    /// Pulls the cable at the far end: connections fall silent, and new ones find nobody after some seconds. (At
    /// our end the kernel would know, and say so at once.)
    pub fn cut(&self) {
        self.far.ip(&["link", "set", "far", "down"]);
    }

    pub fn mend(&self) {
        self.far.ip(&["link", "set", "far", "up"]);
    }
}

impl Place {
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What `nsenter` needs to start a program here.
    pub fn enter(&self) -> Vec<String> {
        vec![
            "--net".to_owned(),
            "--target".to_owned(),
            self.holder.to_string(),
            "--".to_owned(),
        ]
    }

    fn ip(&self, arguments: &[&str]) {
        let mut enter = Command::new("nsenter");
        enter.args(self.enter()).arg("ip");
        run(enter, arguments);
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip"), arguments);
}

fn run(mut command: Command, arguments: &[&str]) {
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("ip and nsenter were asked for before");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", arguments.join(" "));
}

fn namespace_of(process: &str) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/net")).ok()
}
