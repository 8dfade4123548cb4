//! `quartermaster run` itself: what it says when it cannot work, and what it serves.

use std::path::Path;

use super::Line;
use crate::bed::{Cluster, Operator, eventually, evidence, free_port, operator, shared_cluster};

/// A cluster without our definitions: said, waited for, and gone on with.
#[test]
fn definitions_may_come_later() {
    real!(shared_cluster());
    let cluster = real!(Cluster::start());
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let ops = format!("127.0.0.1:{}", free_port());
    let program = Operator::start(&["run", "--kubeconfig", &kubeconfig, "--ops-listen", &ops]);
    // Each kind is told when its own watch has failed.
    let missing = ["agents", "boards", "gateways", "templatesyncs"]
        .map(|kind| format!("{kind}.quartermaster.dev is not installed: kubectl apply -f crds/"));
    eventually("it says what is missing", 60, || {
        match operator::get(&ops, "/readyz") {
            Ok((503, report)) if missing.iter().all(|words| report.contains(words)) => Some(()),
            Ok(_) | Err(_) => None,
        }
    });
    assert_eq!(
        operator::get(&ops, "/livez").unwrap().0,
        200,
        "waiting is no reason to be killed"
    );
    let crds = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crds")
        .display()
        .to_string();
    assert!(cluster.kubectl(&["apply", "--server-side", "-f", &crds]).ok);
    eventually("it goes on by itself", 30, || {
        matches!(operator::get(&ops, "/readyz"), Ok((200, _))).then_some(())
    });
    assert_eq!(program.stop_with_term().0, 0, "{}", program.log());
    evidence::record(
        "thin line",
        "definitions installed after the start are found",
        1,
        "",
    );
}

#[test]
fn without_a_cluster_it_says_so_and_ends() {
    for (arguments, words) in [
        (
            ["run", "--kubeconfig", "/nowhere/kubeconfig"],
            "cannot use kubeconfig /nowhere/kubeconfig",
        ),
        (["run", "--concurrency", "0"], "--concurrency"),
        (
            ["run", "--namespace", "harbour,"],
            "--namespace (QUARTERMASTER_NAMESPACE) has an empty name",
        ),
        (["run", "--log-level", "quartermaster=loud"], "--log-level"),
    ] {
        let program = Operator::start(&[&arguments[..], &["--ops-listen", "127.0.0.1:0"]].concat());
        let code = eventually("it ends", 20, || program.process().ended());
        assert!(code == 1 || code == 2, "{code}");
        assert!(program.log().contains(words), "{}", program.log());
    }
}

/// The API server goes away and comes back: unready meanwhile, alive, and at work again afterwards.
#[test]
fn an_api_server_that_hangs_is_outlived() {
    real!(shared_cluster());
    let cluster = real!(Cluster::start());
    crate::schema::apply(&cluster);
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let ops = format!("127.0.0.1:{}", free_port());
    let program = Operator::start(&["run", "--kubeconfig", &kubeconfig, "--ops-listen", &ops]);
    let ready = || matches!(operator::get(&ops, "/readyz"), Ok((200, _))).then_some(());
    eventually("it is ready", 30, ready);
    cluster.api_server().signal("STOP");
    eventually("it notices that its watches are not fed", 150, || {
        matches!(operator::get(&ops, "/readyz"), Ok((503, _))).then_some(())
    });
    cluster.api_server().signal("CONT");
    eventually("it is ready again", 150, ready);
    assert!(program.process().is_alive());
    evidence::record("thin line", "a frozen API server is outlived", 1, "");
}

fn own_operator(cluster: &Cluster, ops: &str, more: &[&str]) -> Operator {
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let arguments = ["run", "--kubeconfig", &kubeconfig, "--ops-listen", ops];
    Operator::start(&[&arguments[..], more].concat())
}

fn address() -> String {
    format!("127.0.0.1:{}", free_port())
}

fn until_ops(what: &str, ops: &str, code: u16, words: &str) {
    eventually(what, 60, || match operator::get(ops, "/readyz") {
        Ok((is, report)) if is == code && report.contains(words) => Some(()),
        Ok(_) | Err(_) => None,
    });
}

/// A call that hangs is a renewal that failed: else another takes over while we still act.
#[test]
fn a_leader_whose_api_server_hangs_gives_up_and_another_leads_afterwards() {
    real!(shared_cluster());
    let cluster = real!(Cluster::start());
    crate::schema::apply(&cluster);
    let (first_ops, second_ops) = (address(), address());
    let first = own_operator(&cluster, &first_ops, &["--leader-elect"]);
    until_ops("the first leads", &first_ops, 200, "[+] watch Gateway");
    let second = own_operator(&cluster, &second_ops, &["--leader-elect"]);
    until_ops("the second waits", &second_ops, 200, "[+] standby for the lease");
    cluster.api_server().signal("STOP");
    let code = eventually("the leader gives up", 60, || first.process().ended());
    let log = first.log();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("leadership is lost"), "{log}");
    assert!(log.contains("could not be renewed for 10 s"), "{log}");
    until_ops(
        "a standby that cannot take over says so",
        &second_ops,
        503,
        "[-] standby for the lease",
    );
    let standby = "quartermaster_healthy{check=\"standby for the lease\"}";
    assert_eq!(operator::metrics(&second_ops).unwrap().get(standby), Some(&0.0));
    cluster.api_server().signal("CONT");
    until_ops("the second leads", &second_ops, 200, "[+] watch Gateway");
    assert_eq!(
        operator::metrics(&second_ops).unwrap().get(standby),
        None,
        "a check that is gone"
    );
    assert_eq!(second.stop_with_term().0, 0, "{}", second.log());
    evidence::record(
        "thin line",
        "a leader without its API server gives up",
        1,
        "exit 1",
    );
}

#[test]
fn a_standby_that_may_not_read_the_lease_is_not_ready_and_says_why() {
    let cluster = real!(shared_cluster());
    let namespace = cluster.namespace("barred");
    let kubeconfig = cluster.service_account(namespace.name(), "quartermaster");
    let ops = address();
    let kubeconfig = kubeconfig.display().to_string();
    let arguments = [
        "run",
        "--kubeconfig",
        &kubeconfig,
        "--ops-listen",
        &ops,
        "--leader-elect",
    ];
    let program = Operator::start(&arguments);
    until_ops(
        "the Role that is missing is named",
        &ops,
        503,
        "The Role quartermaster-lease of deploy/base/rbac.yaml",
    );
    assert_eq!(operator::get(&ops, "/livez").unwrap().0, 200);
    assert_eq!(program.stop_with_term().0, 0, "{}", program.log());
}

/// The lease cannot be given back, and that is no reason to stay.
#[test]
fn it_stops_in_order_while_the_api_server_hangs() {
    real!(shared_cluster());
    let cluster = real!(Cluster::start());
    crate::schema::apply(&cluster);
    let ops = address();
    let program = own_operator(&cluster, &ops, &["--leader-elect"]);
    until_ops("it leads", &ops, 200, "[+] watch Gateway");
    cluster.api_server().signal("STOP");
    let (code, took) = program.stop_with_term();
    cluster.api_server().signal("CONT");
    assert_eq!(code, 0, "{}", program.log());
    assert!(
        program.log().contains("the lease could not be given back"),
        "{}",
        program.log()
    );
    evidence::record(
        "thin line",
        "SIGTERM with a frozen API server: exit 0",
        1,
        &format!("{} ms", took.as_millis()),
    );
}

/// A pass that waits for the API server is waited for until the deadline, and no longer.
#[test]
fn a_pass_that_hangs_does_not_hold_the_process() {
    real!(shared_cluster());
    let cluster = real!(Cluster::start());
    crate::schema::apply(&cluster);
    // What listens here takes a connection and holds it until the test lets go.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: harbour-token}\nstringData: {token: some}\n---\n";
    let gateway = super::manifest("harbour", &url, "");
    let ops = address();
    let program = own_operator(&cluster, &ops, &["--leader-elect"]);
    until_ops("it leads", &ops, 200, "[+] watch Gateway");
    let input = format!("{secret}{gateway}");
    let applied = cluster.kubectl_with_input(&["-n", "default", "apply", "-f", "-"], &input);
    assert!(applied.ok, "{}", applied.stderr);
    let (held, _) = listener.accept().unwrap();
    cluster.api_server().signal("STOP");
    drop((held, listener));
    eventually("the link has changed, which begins a pass", 60, || {
        let metrics = operator::metrics(&ops).ok()?;
        metrics
            .keys()
            .any(|series| series.starts_with("quartermaster_gateway_rpc_total{method=\"connect\""))
            .then_some(())
    });
    let (code, took) = program.stop_with_term();
    cluster.api_server().signal("CONT");
    let log = program.log();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("could not stop in order within 5 s"), "{log}");
    evidence::record(
        "thin line",
        "SIGTERM with a pass that hangs: exit 1",
        1,
        &format!("{} ms", took.as_millis()),
    );
}

#[test]
fn it_serves_what_operations_need() {
    let cluster = real!(shared_cluster());
    let line = Line::start(cluster, "ops");
    line.gateway("harbour", "ws://127.0.0.1:1", "");
    line.until("harbour", "Authenticated", "False", "SecretNotFound");
    let (code, text) = line.ops("/metrics");
    assert_eq!(code, 200);
    for series in [
        "controller_runtime_reconcile_total{controller=\"gateway\",result=\"success\"}",
        "controller_runtime_reconcile_time_seconds_bucket",
        "quartermaster_api_writes_total",
        "quartermaster_healthy{check=\"watch Gateway in ",
        "quartermaster_gateway_condition{condition=\"Ready\"",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(series), "{series} is not in\n{text}");
    }
    let (code, report) = line.ops("/readyz");
    assert_eq!(code, 200, "{report}");
    assert!(report.contains("[+] watch Gateway"), "{report}");
    assert_eq!(line.ops("/livez").0, 200);
    assert_eq!(line.ops("/nothing").0, 404);
}
