//! A real Kubernetes: etcd, kube-apiserver and kube-controller-manager, ready in about two seconds.
//!
//! RBAC, TLS, ServiceAccount tokens, admission of CRDs, garbage collection and the end of namespaces are the real
//! ones. There is no kubelet and no scheduler: pods never run, so the operator under test is a local process with
//! the kubeconfig of its own ServiceAccount, which proves its RBAC.
//!
//! The garbage collector notices a new CRD only at its next discovery (every 30 s): a test of owner references
//! creates its CRDs first and waits long enough.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::audit;
pub use super::audit::AuditEvent;
use super::authority::{Authority, signing_keys};
use super::binaries::{Binaries, kubernetes_binaries};
use super::evidence::say;
use super::kubeconfig::kubeconfig;
use super::kubectl::{self, Spoken};
use super::missing::Missing;
use super::ports::free_port;
use super::process::{Launch, Process};
use super::scratch::Scratch;
use super::wait::eventually;

const ADMIN_TOKEN: &str = "the-admin-of-this-test-cluster";

/// The fields are dropped from top to bottom, and that order matters: an API server whose etcd is gone does not
/// end on SIGTERM.
pub struct Cluster {
    controller_manager: Result<Process, Missing>,
    api_server: Process,
    api_server_launch: Launch,
    etcd: Process,
    etcd_launch: Launch,
    etcd_port: u16,
    binaries: Binaries,
    server: String,
    authority: String,
    folder: Scratch,
}

/// What a cluster is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// All parts, a log of all requests, and no care for the disk.
    Tests,
    /// etcd and the API server with nothing beside them.
    Figures {
        /// Where etcd keeps everything.
        data: PathBuf,
        /// As etcd does it unless told otherwise.
        fsync: bool,
    },
}

/// The cluster that tests share, started by the first that asks; ended by its watchdogs with the test program.
/// Who stops or freezes a part of it starts a cluster of his own.
pub fn shared_cluster() -> Result<&'static Cluster, Missing> {
    static SHARED: OnceLock<Result<Cluster, Missing>> = OnceLock::new();
    SHARED.get_or_init(Cluster::start).as_ref().map_err(Clone::clone)
}

impl Cluster {
    pub fn start() -> Result<Self, Missing> {
        Self::start_for(&Purpose::Tests)
    }

    pub fn start_for(purpose: &Purpose) -> Result<Self, Missing> {
        let binaries = kubernetes_binaries()?;
        // A free port can be lost to another program between the choice and the start.
        for _ in 0..5 {
            match Self::try_start(&binaries, purpose) {
                Ok(cluster) => return Ok(cluster),
                Err(LostPort(log)) => say(&format!("a port was taken meanwhile, starting again ({log})")),
            }
        }
        panic!("five clusters in a row lost a port to another program; what takes them? (ss -ltnp)");
    }

    fn try_start(binaries: &Binaries, purpose: &Purpose) -> Result<Self, LostPort> {
        let folder = Scratch::new("cluster");
        let (data, fsync) = match purpose {
            Purpose::Tests => (folder.join("etcd"), false),
            Purpose::Figures { data, fsync } => (data.clone(), *fsync),
        };
        let (client_port, peer_port, port) = (free_port(), free_port(), free_port());
        let etcd_url = format!("http://127.0.0.1:{client_port}");
        let etcd_launch = Launch::new("etcd", binaries.program("etcd"))
            .arg(format!("--data-dir={}", data.display()))
            .arg(format!("--listen-client-urls={etcd_url}"))
            .arg(format!("--advertise-client-urls={etcd_url}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"))
            .args((!fsync).then_some("--unsafe-no-fsync"))
            .arg("--log-level=error");
        let etcd = etcd_launch.clone().start(&folder.join("etcd.log"));

        let authority = Authority::new("a test cluster");
        let identity = authority.server(&["127.0.0.1", "localhost"], false);
        let (private, public) = signing_keys();
        let api_server_launch = Launch::new("kube-apiserver", binaries.program("kube-apiserver"))
            .arg(format!("--etcd-servers={etcd_url}"))
            .args([
                "--bind-address=127.0.0.1",
                "--allow-privileged",
                "--profiling=false",
            ])
            // An address for documents, which nobody is told of: else it looks for a default route, and a network
            // of a test's own has none.
            .args(["--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none"])
            .arg(format!("--secure-port={port}"))
            .arg(format!("--cert-dir={}", folder.join("certificates").display()))
            .arg(format!(
                "--tls-cert-file={}",
                folder.file("server.crt", &identity.certificate).display()
            ))
            .arg(format!(
                "--tls-private-key-file={}",
                folder.file("server.key", &identity.key).display()
            ))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!(
                "--service-account-key-file={}",
                folder.file("service-account.pub", &public).display()
            ))
            .arg(format!(
                "--service-account-signing-key-file={}",
                folder.file("service-account.key", &private).display()
            ))
            .arg("--authorization-mode=RBAC")
            .arg(format!(
                "--token-auth-file={}",
                folder.file("tokens.csv", &admin_line()).display()
            ))
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            // Else a pod is refused until its namespace's default account is there.
            .arg("--disable-admission-plugins=ServiceAccount")
            // As OpenShift has it: whoever lets an owner be held up must be allowed to.
            .arg("--enable-admission-plugins=OwnerReferencesPermissionEnforcement")
            .args(match purpose {
                Purpose::Tests => audited(&folder),
                Purpose::Figures { .. } => Vec::new(),
            })
            .grace(Duration::from_secs(60));
        let api_server = api_server_launch
            .clone()
            .start(&folder.join("kube-apiserver.log"));

        let server = format!("https://127.0.0.1:{port}");
        let ca = folder.file("ca.crt", &authority.pem());
        let admin = kubeconfig(&server, &authority.pem(), "admin", ADMIN_TOKEN, "default");
        folder.file("admin.kubeconfig", &admin);
        let mut cluster = Self {
            controller_manager: Err(Missing::new(
                "kube-controller-manager",
                "the cluster is still starting",
            )),
            api_server,
            api_server_launch,
            etcd,
            etcd_launch,
            etcd_port: client_port,
            binaries: binaries.clone(),
            server,
            authority: authority.pem(),
            folder,
        };
        cluster.wait_until_ready()?;
        if let Purpose::Figures { .. } = purpose {
            return Ok(cluster);
        }
        cluster.controller_manager = binaries.controller_manager().map(|program| {
            Launch::new("kube-controller-manager", program)
                .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
                .arg(
                    "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,\
                     clusterrole-aggregation-controller,root-ca-certificate-publisher-controller",
                )
                .args(["--leader-elect=false", "--use-service-account-credentials=false", "--secure-port=0"])
                .arg(format!("--root-ca-file={}", ca.display()))
                .start(&cluster.folder.join("kube-controller-manager.log"))
        });
        Ok(cluster)
    }

    fn wait_until_ready(&self) -> Result<(), LostPort> {
        let start = std::time::Instant::now();
        while !self.kubectl(&["get", "--raw", "/readyz"]).ok {
            for part in [&self.etcd, &self.api_server] {
                if !part.is_alive() && part.log().contains("address already in use") {
                    return Err(LostPort(part.last_words()));
                }
                assert!(
                    part.is_alive(),
                    "a part of the cluster ended at its start. {}",
                    part.last_words()
                );
            }
            assert!(
                start.elapsed().as_secs() < 120,
                "not ready in 120 s. {}",
                self.api_server.last_words()
            );
        }
        Ok(())
    }

    /// What was before this revision is no longer known, as the API server has it done every five minutes.
    pub fn compact(&self, revision: u64) {
        let body = format!("{{\"revision\":\"{revision}\"}}");
        let request = format!(
            "POST /v3/kv/compaction HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.etcd_port)).expect("etcd listens");
        stream.write_all(request.as_bytes()).expect("etcd reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("etcd answers");
        let done = answer.starts_with("HTTP/1.1 200") || answer.contains("has been compacted");
        assert!(done, "compaction: {answer}");
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// kubectl of the same version, as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Spoken {
        self.kubectl_as(&self.kubeconfig(), arguments, "")
    }

    /// `kubectl_with_input(&["apply", "-f", "-"], yaml)`
    pub fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Spoken {
        self.kubectl_as(&self.kubeconfig(), arguments, input)
    }

    /// kubectl as somebody else, such as a ServiceAccount.
    pub fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str], input: &str) -> Spoken {
        kubectl::run(
            &self.binaries.program("kubectl"),
            kubeconfig,
            self.folder.path(),
            arguments,
            input,
        )
    }

    /// Applies YAML as the administrator; panics with the API server's words if it is refused.
    pub fn apply(&self, yaml: &str) {
        let spoken = self.kubectl_with_input(&["apply", "--server-side", "-f", "-"], yaml);
        assert!(spoken.ok, "kubectl apply: {}\n{yaml}", spoken.stderr);
    }

    /// A client of our own library, as the administrator.
    pub async fn client(&self) -> kube::Client {
        client_of(&self.kubeconfig()).await
    }

    /// A namespace of its own name, deleted when dropped (nobody waits for it).
    pub fn namespace(&self, prefix: &str) -> Namespace<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let spoken = self.kubectl(&["create", "namespace", &name]);
        assert!(spoken.ok, "{}", spoken.stderr);
        Namespace { cluster: self, name }
    }

    /// The kubeconfig of a ServiceAccount (made if not there) with a real token of ten hours.
    pub fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let made = self.kubectl(&["-n", namespace, "create", "serviceaccount", name]);
        assert!(
            made.ok || made.stderr.contains("already exists"),
            "{}",
            made.stderr
        );
        let token = self.kubectl(&["-n", namespace, "create", "token", name, "--duration=10h"]);
        assert!(token.ok, "{}", token.stderr);
        let text = kubeconfig(
            &self.server,
            &self.authority,
            name,
            token.stdout.trim(),
            namespace,
        );
        self.folder.file(&format!("{namespace}-{name}.kubeconfig"), &text)
    }

    /// All requests that were completed so far.
    pub fn audit(&self) -> Vec<AuditEvent> {
        audit::read(&self.folder.join("audit.log"))
    }

    /// What this user wrote, or tried to: `writes_by("system:serviceaccount:ns:quartermaster")`
    pub fn writes_by(&self, user: &str) -> Vec<AuditEvent> {
        self.audit()
            .into_iter()
            .filter(|event| event.is_write() && event.user == user)
            .collect()
    }

    /// To freeze it (`signal("STOP")`) or kill it, in a cluster that is not shared.
    pub fn api_server(&self) -> &Process {
        &self.api_server
    }

    /// Ends it in order (it first ends every watch) or kills it, and starts it on the same port and store.
    pub fn restart_api_server(&mut self, signal: &str) {
        self.api_server.signal(signal);
        eventually("the API server has ended", 60, || self.api_server.ended());
        self.api_server = self
            .api_server_launch
            .clone()
            .start(&self.folder.join("kube-apiserver.log"));
        assert!(
            self.wait_until_ready().is_ok(),
            "its port was taken by another program meanwhile"
        );
    }

    pub fn etcd(&self) -> &Process {
        &self.etcd
    }

    /// Ends etcd and the API server in order and starts both. Nobody waits until they answer.
    pub fn restart(&mut self) {
        for part in [&self.api_server, &self.etcd] {
            part.end();
        }
        let log = |name: &str| self.folder.join(name);
        self.etcd = self.etcd_launch.clone().start(&log("etcd.log"));
        self.api_server = self.api_server_launch.clone().start(&log("kube-apiserver.log"));
    }

    /// Who collects garbage and ends namespaces; ready-made binaries come without it.
    pub fn controller_manager(&self) -> Result<&Process, Missing> {
        self.controller_manager.as_ref().map_err(Clone::clone)
    }

    /// `https://127.0.0.1:PORT`
    pub fn server(&self) -> &str {
        &self.server
    }

    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }
}

pub async fn client_of(kubeconfig: &Path) -> kube::Client {
    let read = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig that we wrote");
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(read, &options)
        .await
        .expect("a kubeconfig that we wrote");
    kube::Client::try_from(config).expect("a client")
}

pub struct Namespace<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl Namespace<'_> {
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whoever would have taken the finalizers off is gone by then. A namespace that cannot end is looked at again and again by
/// the controller manager: eleven of them cost a core.
impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let here = ["-n", &self.name];
        self.cluster
            .kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
        let held = self
            .cluster
            .kubectl(&[&here[..], &["get", "ocagent,ocboard,ocgw", "-o", "name"]].concat());
        let free = r#"{"metadata":{"finalizers":null}}"#;
        for object in held.stdout.lines() {
            self.cluster
                .kubectl(&[&here[..], &["patch", object, "--type=merge", "-p", free]].concat());
        }
    }
}

struct LostPort(String);

fn audited(folder: &Scratch) -> Vec<String> {
    let policy = folder.file("audit-policy.yaml", audit::POLICY);
    vec![
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", folder.join("audit.log").display()),
        // In megabytes; the default of 100 would put the first hours of a long test into another file.
        "--audit-log-maxsize=10000".to_owned(),
    ]
}

fn admin_line() -> String {
    format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n")
}
