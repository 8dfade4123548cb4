//! The beds themselves: what the other tests lie on is real, holds, and leaves nothing behind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{
    Cluster, Flaw, Gateway, KUBERNETES_VERSION, Launch, OpenClaw, Scratch, TlsProxy, across_network,
    eventually, evidence, install_gateway, kubernetes_binaries, operator, runs, shared_cluster,
};

#[test]
fn the_cluster_is_the_pinned_kubernetes() {
    let cluster = real!(shared_cluster());
    let version = cluster.kubectl(&["version", "-o", "json"]);
    assert!(version.ok, "{}", version.stderr);
    if cluster.binaries().pinned {
        let said = version
            .stdout
            .matches(&format!("\"gitVersion\": \"{KUBERNETES_VERSION}\""))
            .count();
        assert_eq!(said, 2, "kubectl and the API server, both: {}", version.stdout);
    }
    evidence::record("beds", "Kubernetes says its version", 2, KUBERNETES_VERSION);
}

#[tokio::test]
async fn a_service_account_may_only_what_rbac_allows() {
    let cluster = real!(shared_cluster());
    let namespace = cluster.namespace("rbac");
    let its = cluster.service_account(namespace.name(), "reader");
    let user = format!("system:serviceaccount:{}:reader", namespace.name());
    let read = ["get", "configmaps"];
    let write = ["create", "configmap", "forbidden"];

    let before = cluster.kubectl_as(&its, &read, "");
    assert!(before.stderr.contains("forbidden"), "{before:?}");
    let allow = [
        "-n",
        namespace.name(),
        "create",
        "rolebinding",
        "r",
        "--clusterrole=view",
    ];
    let whom = format!("--serviceaccount={}:reader", namespace.name());
    assert!(cluster.kubectl(&[&allow[..], &[&whom]].concat()).ok);
    eventually("the binding is in force", 10, || {
        cluster.kubectl_as(&its, &read, "").ok.then_some(())
    });
    let refused = cluster.kubectl_as(&its, &write, "");
    assert!(refused.stderr.contains("forbidden"), "{refused:?}");

    // The API server's own record says the same, and names who asked.
    let writes = eventually("the refused write is in the audit log", 10, || {
        Some(cluster.writes_by(&user)).filter(|writes| !writes.is_empty())
    });
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(
        (
            writes[0].verb.as_str(),
            writes[0].resource.as_str(),
            writes[0].code
        ),
        ("create", "configmaps", 403)
    );
    assert!(writes[0].user_agent.starts_with("kubectl"), "{writes:?}");

    let client = cluster.client().await;
    let version = client
        .apiserver_version()
        .await
        .expect("our own client is let in over TLS");
    assert_eq!(version.major, "1");
    evidence::record("beds", "RBAC refuses and the audit log says so", 2, "");
}

#[test]
fn a_deleted_namespace_ends_with_what_is_in_it() {
    let cluster = real!(shared_cluster());
    real!(cluster.controller_manager());
    let namespace = cluster.namespace("ending");
    let name = namespace.name().to_owned();
    assert!(
        cluster
            .kubectl(&["-n", &name, "create", "configmap", "inside"])
            .ok
    );
    drop(namespace);
    eventually("the namespace is gone", 60, || {
        cluster
            .kubectl(&["get", "namespace", &name])
            .stderr
            .contains("NotFound")
            .then_some(())
    });
}

#[test]
fn two_clusters_stand_beside_each_other_and_end_with_a_panic() {
    real!(shared_cluster());
    let mut pid = 0;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut other = Cluster::start().expect("what the shared one needs is there");
        other.restart_api_server("KILL");
        pid = other.api_server().pid();
        assert!(runs(pid));
        assert!(!other.kubectl(&["get", "namespace", "beside"]).ok);
        panic!("on purpose");
    }));
    assert!(ended.is_err());
    assert!(!runs(pid), "the API server of a panicked test still runs");
}

/// Bash as a holder of a child would prove little: this test program itself is started again as the holder, and
/// killed like a test program that the kernel kills for want of memory.
#[test]
fn processes_and_files_are_gone_when_their_holder_is_killed() {
    const HOLDER: &str = "QUARTERMASTER_TEST_HOLDER";
    if let Ok(report) = std::env::var(HOLDER) {
        let folder = Scratch::new("held");
        let held = Launch::new("held", "bash")
            .args(["-c", "sleep 1001 & echo helper $!; wait"])
            .start(&folder.join("log"));
        let helper = eventually("the helper's pid", 20, || {
            held.log()
                .lines()
                .find_map(|line| line.strip_prefix("helper "))
                .map(str::to_owned)
        });
        std::fs::write(
            &report,
            format!("{}\n{helper}\n{}\n", held.pid(), folder.path().display()),
        )
        .unwrap();
        loop {
            std::thread::park();
        }
    }
    let folder = Scratch::new("report");
    let report = folder.join("report");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test_name!(), "--nocapture"])
        .env(HOLDER, &report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let said = eventually("the holder's report", 20, || {
        std::fs::read_to_string(&report)
            .ok()
            .filter(|said| said.lines().count() == 3)
    });
    let lines: Vec<&str> = said.lines().collect();
    let pids: Vec<u32> = lines[..2].iter().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| runs(*pid)), "{said}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the held process and its helper are gone", 20, || {
        (!pids.iter().any(|pid| runs(*pid))).then_some(())
    });
    eventually("the holder's files are gone", 20, || {
        (!std::path::Path::new(lines[2]).exists()).then_some(())
    });
    evidence::record(
        "beds",
        "nothing outlives a killed test program",
        2,
        "processes, files",
    );
}

#[test]
fn a_frozen_process_is_ended_too() {
    let folder = Scratch::new("frozen");
    let process = Launch::new("sleep", "sleep")
        .arg(1002)
        .grace(Duration::from_millis(100))
        .start(&folder.join("log"));
    process.signal("STOP");
    assert!(process.is_alive());
    assert_eq!(process.end().0, 137, "128 + SIGKILL");
    assert!(!runs(process.pid()));
    let quick = Launch::new("exit", "bash")
        .args(["-c", "echo said; exit 7"])
        .start(&folder.join("log"));
    assert_eq!(eventually("it ends", 20, || quick.ended()), 7);
    assert_eq!(quick.log(), "said\n");
}

#[test]
fn gateway_2026_9_6_says_hello_and_keeps_its_state() {
    gateway_says_hello("2026.9.6", 4);
}

#[test]
fn gateway_2026_7_35_says_hello_and_keeps_its_state() {
    gateway_says_hello("2026.7.35", 4);
}

#[test]
fn gateway_2026_2_9_says_hello_and_keeps_its_state() {
    gateway_says_hello("2026.2.9", 3);
}

fn gateway_says_hello(version: &str, protocol: u64) {
    let mut gateway = real!(OpenClaw::start(Gateway::version(version)));
    let hello = gateway.hello().expect("hello-ok");
    assert_eq!(hello["protocol"], protocol);
    if protocol > 3 {
        assert_eq!(hello["server"]["version"], version);
    }
    let workspace = gateway.state_folder().join("workspace-kept");
    gateway.rpc(
        "agents.create",
        &json!({ "name": "kept", "workspace": workspace }),
    );
    // Asked until it answers: 2026.2.9 restarts inside its process about a second after a new agent changed its
    // config, and refuses connections meanwhile.
    let has_agent = |gateway: &OpenClaw| {
        eventually("the agent is there", 120, || {
            let agents = gateway.try_rpc("agents.list", &json!({})).ok()?;
            agents.to_string().contains("\"kept\"").then_some(())
        });
    };
    has_agent(&gateway);
    eventually("a method that is not there is refused", 120, || {
        let refused = gateway
            .try_rpc("no.such.method", &json!({}))
            .expect_err("there is no such method");
        (refused["code"] == "INVALID_REQUEST").then_some(())
    });

    let (port, pid) = (gateway.port(), gateway.process().pid());
    gateway.kill();
    assert!(!runs(pid));
    assert!(gateway.hello().is_err());
    gateway.start_again();
    assert_eq!(gateway.port(), port);
    // What a killed gateway had answered for is there after its start.
    has_agent(&gateway);
    evidence::record(
        "beds",
        &format!("gateway {version} says hello, is killed, comes back"),
        1,
        "",
    );
}

#[test]
fn a_network_lies_between_us_and_the_gateway() {
    let version = "2026.9.6";
    let prepare = || install_gateway(version).and(kubernetes_binaries()).map(drop);
    let Some(network) = real!(across_network(test_name!(), prepare)) else {
        return;
    };
    let gateway = real!(OpenClaw::start(Gateway::version(version).at(network.far())));
    let scopes = |hello: &Value| hello["auth"]["scopes"].as_array().map(Vec::len);
    let own = gateway.hello().expect("its own loopback is let in");
    assert_eq!(
        scopes(&own),
        Some(5),
        "loopback with the token has every scope: {}",
        own["auth"]
    );
    let remote = gateway
        .rpc_from_here("connect", &Value::Null)
        .expect("a remote client with the token is let in");
    assert_eq!(scopes(&remote), Some(0), "and has no scope: {}", remote["auth"]);
    let forbidden = gateway
        .rpc_from_here("agents.list", &json!({}))
        .expect_err("so it may nothing");
    assert!(forbidden.to_string().contains("missing scope"), "{forbidden}");

    // The cluster stands on our side, where the operator is.
    let cluster = real!(Cluster::start());
    assert!(cluster.kubectl(&["get", "namespaces"]).ok);

    // A pulled cable is silence, not an answer.
    let address = format!("{}:{}", network.far().address(), gateway.port())
        .parse()
        .unwrap();
    let second = Duration::from_secs(1);
    let connect = || TcpStream::connect_timeout(&address, second);
    let mut open = connect().expect("the cable is in");
    network.cut();
    open.set_read_timeout(Some(second)).unwrap();
    open.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")
        .expect("the kernel takes it and tries to send it");
    let silence = open.read(&mut [0]).expect_err("no answer").kind();
    assert_eq!(silence, std::io::ErrorKind::WouldBlock);
    assert!(connect().is_err());
    network.mend();
    eventually("the cable is in again", 30, || connect().ok());
    evidence::record("beds", "loopback has 5 scopes, remote has 0", 2, version);
}

#[tokio::test]
async fn a_tls_front_is_trusted_only_as_it_should_be() {
    let cluster = real!(shared_cluster());
    // The plain port behind the front: any will do, so that a handshake ends in an answer and not in silence.
    let target = cluster.server().rsplit(':').next().unwrap().parse().unwrap();
    for (flaw, words) in [
        (Flaw::None, None),
        (Flaw::WrongName, Some("not valid for name")),
        (Flaw::Expired, Some("expired")),
        (Flaw::UnknownAuthority, Some("UnknownIssuer")),
    ] {
        let front = TlsProxy::start(target, flaw);
        let result = handshake(&front).await;
        match words {
            None => assert_eq!(result, Ok(()), "{flaw:?}"),
            Some(words) => assert!(
                result.clone().is_err_and(|e| e.contains(words)),
                "{flaw:?}: {result:?}"
            ),
        }
    }
    evidence::record("beds", "certificates refused for name, age, authority", 3, "");
}

async fn handshake(front: &TlsProxy) -> Result<(), String> {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(front.authority_pem().as_bytes()).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", front.port()))
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .map(drop)
        .map_err(|e| e.to_string())
}

#[test]
fn metrics_are_read_as_they_are_written() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut asked = [0; 1000];
        let length = client.read(&mut asked).unwrap();
        let body = "# HELP writes So many.\n# TYPE writes counter\nwrites{kind=\"a b\"} 3\nup 1e0\n";
        let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}");
        client.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    let metrics = operator::metrics(&address).unwrap();
    assert_eq!(metrics.get("writes{kind=\"a b\"}"), Some(&3.0));
    assert_eq!(metrics.get("up"), Some(&1.0));
    assert_eq!(metrics.len(), 2);
    assert!(server.join().unwrap().starts_with("GET /metrics "));
}
