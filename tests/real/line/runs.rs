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
    let report = eventually("it says what is missing", 30, || {
        match operator::get(&ops, "/readyz") {
            Ok((503, report)) if report.contains("kubectl apply -f crds/") => Some(report),
            Ok(_) | Err(_) => None,
        }
    });
    assert!(
        report.contains("gateways.quartermaster.dev is not installed"),
        "{report}"
    );
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
