//! A good gateway becomes Ready, says what it is, and then costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Line, condition_of};
use crate::bed::{Gateway, OpenClaw, eventually, evidence, shared_cluster};

#[test]
fn gateway_2026_9_6_becomes_ready() {
    becomes_ready("2026.9.6", "2026.9.6", "4", |_, _| {});
}

#[test]
fn gateway_2026_7_35_becomes_ready() {
    becomes_ready("2026.7.35", "2026.7.35", "4", |_, _| {});
}

/// It calls itself `dev`; the version that last wrote its configuration counts, where it has written one.
#[test]
fn gateway_2026_2_9_becomes_ready() {
    becomes_ready("2026.2.9", "dev", "3", |line, gateway| {
        // An agent made by its owner is a line in its configuration, and with it goes its version.
        gateway.rpc(
            "agents.create",
            &json!({ "name": "Harbour Pilot", "workspace": gateway.state_folder().join("pilot") }),
        );
        let written: Value =
            serde_json::from_str(&std::fs::read_to_string(gateway.config_file()).unwrap()).unwrap();
        assert_eq!(written["meta"]["lastTouchedVersion"], "2026.2.9", "{written}");
        let message = line.until("harbour", "Compatible", "True", "VersionAccepted");
        assert!(message.starts_with("OpenClaw 2026.2.9 "), "{message}");
        line.until_connected("harbour");
    });
}

fn becomes_ready(
    version: &str,
    calls_itself: &str,
    protocol: &str,
    afterwards: impl FnOnce(&Line<'_>, &OpenClaw),
) {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version(version)));
    let line = Line::start(cluster, "ready");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    // The README's promise: within ten seconds of the apply.
    line.must(&["wait", "--for=condition=Ready", "ocgw/harbour", "--timeout=10s"]);

    // Its main agent follows at once, and a 2026.2.9 starts anew for the entry.
    let status = eventually("it is connected, and says how", 60, || {
        let status = line.status("harbour");
        let is = |kind: &str, reason: &str| {
            condition_of(&status, kind)
                .is_some_and(|(is, why, _)| (is, why) == ("True".to_owned(), reason.to_owned()))
        };
        let is_so = is("Reachable", "Connected")
            && is("Authenticated", "TokenAccepted")
            && is("Paired", "DeviceNotNeeded");
        is_so.then_some(status)
    });
    assert_eq!(status["version"], calls_itself);
    assert_eq!(status["protocol"].to_string(), protocol);
    assert_eq!(status["contract"], version);
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        status["bootId"].is_string(),
        version == "2026.9.6",
        "only newer gateways send one: {status}"
    );
    for kind in ["Reconciling", "Stalled"] {
        assert_eq!(condition_of(&status, kind), None);
    }
    let (is, why, message) = condition_of(&status, "Compatible").unwrap();
    // A 2026.2.9 has its version in its configuration, once it has written that.
    let may_be_unknown =
        version == "2026.2.9" && (is.as_str(), why.as_str()) == ("Unknown", "VersionUnknown");
    assert!(
        may_be_unknown || (is.as_str(), why.as_str()) == ("True", "VersionAccepted"),
        "{is} {why}: {message}"
    );
    assert!(message.contains(calls_itself), "{message}");

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
        line.events("harbour")
            .contains(&"Connected".to_owned())
            .then_some(())
    });
    eventually("its main agent is awake", 120, || {
        let main: Value =
            serde_json::from_str(&line.must(&["get", "ocagent", "harbour-main", "-o", "json"])).unwrap();
        condition_of(&main["status"], "Woken")
            .is_some_and(|(_, why, _)| why != "WakeDue")
            .then_some(())
    });
    let before = line.passes();
    line.annotate("harbour", "example.org/wakes=a-pass");
    eventually("one more pass", 20, || (line.passes() > before).then_some(()));
    let told = line.told("harbour");
    if version == "2026.2.9" {
        // It starts anew for its main agent's entry.
        let all: BTreeSet<&str> = told.keys().map(String::as_str).collect();
        assert!(all.is_subset(&["Connected", "ConnectionLost"].into()), "{told:?}");
    } else {
        assert_eq!(
            told,
            [("Connected".to_owned(), 1)].into(),
            "told once, whatever passes follow"
        );
    }
    afterwards(&line, &gateway);
    assert!(
        !line.operator.log().contains(gateway.token()),
        "the log shows the token"
    );
    evidence::record("thin line", "a gateway becomes Ready", 1, version);
}

/// For a minute nothing changes that matters, though passes are made: the API server's own audit log and the operator's
/// metrics agree that nothing is written and no gateway called.
#[test]
fn a_ready_gateway_costs_nothing() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "quiet");
    line.token("harbour", gateway.token());
    // Its files are read again only when somebody asks.
    line.gateway("harbour", &gateway.url(), "resyncInterval: 1h\n");
    line.until_connected("harbour");
    eventually("the main agent is awake and its token hashed", 120, || {
        let main: Value = serde_json::from_str(&line.must(&["get", "ocagent", "-o", "json"])).unwrap();
        let status = &main["items"][0]["status"];
        let is_awake = condition_of(status, "Woken").is_some_and(|(is, _, _)| is == "True");
        (is_awake && status["token"]["hash"].is_string()).then_some(())
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
        let calls = line.metrics();
        let calls: BTreeMap<String, f64> = calls
            .into_iter()
            .filter(|(series, _)| series.starts_with("quartermaster_gateway_rpc_total"))
            // Each touch of the Gateway makes its main agent look, and what is known of a configuration is half a minute old
            // at most.
            .filter(|(series, _)| !series.contains("config.get"))
            .collect();
        (
            cluster.writes_by(&line.user()).len(),
            of("quartermaster_api_writes_total"),
            calls,
        )
    };
    let before = written(&line);
    assert!(
        before.0 >= 2 && before.1 >= 2.0,
        "both counters count at all: {before:?}"
    );
    let first = line.passes();
    // Not a wait for something to happen: a minute in which nothing may. Watches are renewed once in it.
    for round in 0..6 {
        let label = format!("example.org/round=r{round}");
        for touch in [
            ["label", "secret", "harbour-token"],
            ["annotate", "ocgw", "harbour"],
        ] {
            let before = line.passes();
            line.must(&[&touch[..], &[&label, "--overwrite"]].concat());
            eventually("a pass over what was touched", 20, || {
                (line.passes() > before).then_some(())
            });
        }
        std::thread::sleep(Duration::from_secs(10));
    }
    assert!(line.passes() >= first + 12.0, "every touch made a pass");
    let after = written(&line);
    assert_eq!(after, before, "(API writes by audit, by metric, gateway calls)");
    evidence::record(
        "thin line",
        "writes in 60 s and 12 passes when nothing changes",
        0,
        "API audit log, metrics, gateway calls",
    );
}
