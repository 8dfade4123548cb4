//! A good gateway becomes Ready, says what it is, and then costs nothing.

use std::time::Duration;

use super::Line;
use crate::bed::{Gateway, OpenClaw, eventually, evidence, shared_cluster};

#[test]
fn gateway_2026_9_6_becomes_ready() {
    becomes_ready("2026.9.6", "2026.9.6", "4");
}

#[test]
fn gateway_2026_7_35_becomes_ready() {
    becomes_ready("2026.7.35", "2026.7.35", "4");
}

/// It calls itself `dev`; the version that last wrote its configuration counts, where it has written one.
#[test]
fn gateway_2026_2_9_becomes_ready() {
    becomes_ready("2026.2.9", "dev", "3");
}

fn becomes_ready(version: &str, calls_itself: &str, protocol: &str) {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version(version)));
    let line = Line::start(cluster, "ready");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    // The README's promise: within ten seconds of the apply.
    line.must(&["wait", "--for=condition=Ready", "ocgw/harbour", "--timeout=10s"]);

    let status = line.status("harbour");
    assert_eq!(status["version"], calls_itself);
    assert_eq!(status["protocol"].to_string(), protocol);
    assert_eq!(status["contract"], version);
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        status["bootId"].is_string(),
        version == "2026.9.6",
        "only newer gateways send one: {status}"
    );
    for (kind, reason) in [
        ("Reachable", "Connected"),
        ("Authenticated", "TokenAccepted"),
        ("Paired", "DeviceNotNeeded"),
    ] {
        let (is, why, _) = line.condition("harbour", kind).unwrap();
        assert_eq!((is.as_str(), why.as_str()), ("True", reason), "{kind}");
    }
    for kind in ["Reconciling", "Stalled"] {
        assert_eq!(line.condition("harbour", kind), None);
    }
    let (_, compatible, _) = line.condition("harbour", "Compatible").unwrap();
    if version != "2026.2.9" {
        assert_eq!(compatible, "VersionAccepted");
    }

    let row = line.must(&["get", "openclaw"]);
    assert!(
        row.contains("gateway.quartermaster.dev/harbour") && row.contains("True"),
        "{row}"
    );
    let described = line.must(&["describe", "ocgw", "harbour"]);
    assert!(
        described.contains(&format!("connected to OpenClaw {calls_itself}")),
        "{described}"
    );
    eventually("the Event", 10, || {
        (line.events("harbour") == ["Connected"]).then_some(())
    });
    assert!(
        !line.operator.log().contains(gateway.token()),
        "the log shows the token"
    );
    evidence::record("thin line", "a gateway becomes Ready", 1, version);
}

/// Nothing changes for a minute: the API server's own audit log and the operator's metrics agree that nothing is written.
#[test]
fn a_ready_gateway_costs_nothing() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "quiet");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until_connected("harbour");
    eventually("the Event is written", 10, || {
        (line.events("harbour") == ["Connected"]).then_some(())
    });
    let written = |line: &Line<'_>| {
        let of = |name: &str| -> f64 {
            let metrics = line.metrics();
            metrics
                .iter()
                .filter(|(series, _)| series.starts_with(name))
                .map(|(_, value)| value)
                .sum()
        };
        (
            cluster.writes_by(&line.user()).len(),
            of("quartermaster_api_writes_total"),
            of("quartermaster_gateway_rpc_total"),
        )
    };
    let before = written(&line);
    assert!(
        before.0 >= 2 && before.1 >= 2.0,
        "both counters count at all: {before:?}"
    );
    // Not a wait for something to happen: a minute in which nothing may.
    std::thread::sleep(Duration::from_secs(60));
    let after = written(&line);
    assert_eq!(after, before, "(API writes by audit, by metric, gateway calls)");
    evidence::record(
        "thin line",
        "writes in 60 s when nothing changes",
        0,
        "API audit log, metrics, gateway calls",
    );
}
