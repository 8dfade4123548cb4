//! Whatever changes, on either side, is noticed without a restart.

use super::Line;
use crate::bed::{Gateway, OpenClaw, eventually, evidence, free_port, shared_cluster};

#[test]
fn what_changes_in_the_cluster_is_noticed() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "cluster");
    let mut noticed = 0;
    let mut step = |what: &str| {
        noticed += 1;
        evidence::say(&format!("noticed: {what}"));
    };

    line.gateway("harbour", &gateway.url(), "");
    let message = line.until("harbour", "Authenticated", "False", "SecretNotFound");
    assert!(message.contains("/harbour-token does not exist"), "{message}");
    line.until("harbour", "Reachable", "Unknown", "NotTried");
    assert_eq!(
        line.condition("harbour", "Reconciling").unwrap().1,
        "SecretNotFound"
    );
    step("a missing Secret");

    line.must(&[
        "create",
        "secret",
        "generic",
        "harbour-token",
        "--from-literal=password=x",
    ]);
    let message = line.until("harbour", "Authenticated", "False", "SecretKeyNotFound");
    assert!(message.contains("no key token (it has password)"), "{message}");
    step("a missing key");

    line.token("harbour", gateway.token());
    line.until_connected("harbour");
    step("the Secret is mended");

    line.token("harbour", "wrong");
    let message = line.until("harbour", "Authenticated", "False", "TokenRefused");
    assert!(
        message.contains("(key token)") && message.contains("in 10 minutes"),
        "{message}"
    );
    line.until("harbour", "Stalled", "True", "TokenRefused");
    assert_eq!(line.condition("harbour", "Reachable").unwrap().0, "True");
    step("a wrong token");

    line.token("harbour", gateway.token());
    line.until_connected("harbour");
    assert_eq!(line.condition("harbour", "Stalled"), None);
    assert!(line.status("harbour")["refusedCredential"].is_null());
    step("the right token");

    let dead = format!("ws://127.0.0.1:{}", free_port());
    line.patch("harbour", &format!("{{\"url\":\"{dead}\"}}"));
    let message = line.until("harbour", "Reachable", "False", "ConnectionRefused");
    assert!(message.contains(&dead), "{message}");
    assert_eq!(line.condition("harbour", "Authenticated").unwrap().1, "NotTried");
    step("a url where nothing listens");

    line.patch("harbour", "{\"url\":\"ws://gateway.invalid:18789\"}");
    let message = line.until("harbour", "Reachable", "False", "HostNotFound");
    assert!(message.contains("cannot resolve gateway.invalid"), "{message}");
    step("a host that does not exist");

    line.patch("harbour", &format!("{{\"url\":\"{}\"}}", gateway.url()));
    line.until_connected("harbour");
    step("the right url");

    line.patch("harbour", "{\"minimumVersion\":\"2026.12.1\"}");
    let message = line.until("harbour", "Compatible", "False", "VersionTooOld");
    assert!(
        message.contains("2026.9.6") && message.contains("2026.12.1"),
        "names both: {message}"
    );
    line.until("harbour", "Stalled", "True", "VersionTooOld");
    line.patch("harbour", "{\"minimumVersion\":\"2026.2.9\"}");
    line.until_connected("harbour");
    step("minimumVersion");

    line.patch("harbour", "{\"suspend\":true}");
    line.until("harbour", "Ready", "True", "Suspended");
    line.patch("harbour", "{\"suspend\":false}");
    line.until_connected("harbour");
    step("suspend");

    line.annotate("harbour", "quartermaster.dev/reconcile-at=monday");
    line.annotate("harbour", "reconcile.fluxcd.io/requestedAt=tuesday");
    eventually("both requests are answered", 30, || {
        let status = line.status("harbour");
        (status["lastHandledRequest"] == "monday" && status["lastHandledReconcileAt"] == "tuesday")
            .then_some(())
    });
    step("both annotations");

    line.must(&["delete", "ocgw", "harbour", "--timeout=120s"]);
    eventually("its metrics are gone", 20, || {
        let metrics = line.metrics();
        let left = metrics
            .keys()
            .find(|series| series.contains("gateway=\"harbour\""));
        left.inspect(|series| evidence::say(&format!("still there: {series}")))
            .is_none()
            .then_some(())
    });
    step("deletion");

    assert!(
        !line.operator.log().contains(gateway.token()),
        "the log shows the token"
    );
    evidence::record(
        "thin line",
        "changes in the cluster that are noticed",
        noticed,
        "without a restart",
    );
}

#[test]
fn a_gateway_that_goes_and_comes_back_is_noticed() {
    let cluster = real!(shared_cluster());
    let mut gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "restarts");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until_connected("harbour");
    let first_boot = line.status("harbour")["bootId"].clone();

    gateway.kill();
    line.until("harbour", "Reachable", "False", "ConnectionRefused");
    line.until("harbour", "Reconciling", "True", "ConnectionRefused");
    gateway.start_again();
    line.until_connected("harbour");
    let second_boot = line.status("harbour")["bootId"].clone();
    assert_ne!(first_boot, second_boot);

    gateway.stop();
    line.until("harbour", "Reachable", "False", "ConnectionRefused");
    gateway.start_again();
    line.until_connected("harbour");
    evidence::record(
        "thin line",
        "a gateway is killed, stopped, and found again",
        2,
        "2026.9.6",
    );
}

/// While it boots, a gateway answers `connect` with "starting". Whether a try falls into that moment is chance, so one
/// is asked for over and over until it did.
#[test]
fn a_starting_gateway_is_waited_for() {
    let cluster = real!(shared_cluster());
    let mut gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "starting");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until_connected("harbour");
    // It says so for a moment only. On a busy machine the asking is slow as well, and five starts have not been enough.
    for attempt in 0..12 {
        gateway.stop();
        line.until("harbour", "Reachable", "False", "ConnectionRefused");
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut asked = 0;
                eventually("it is connected again", 300, || {
                    asked += 1;
                    line.annotate(
                        "harbour",
                        &format!("quartermaster.dev/reconcile-at={attempt}-{asked}"),
                    );
                    (line.condition("harbour", "Ready").unwrap().1 == "Connected").then_some(())
                });
            });
            gateway.start_again();
            asking.join().unwrap();
        });
        if line.events("harbour").contains(&"GatewayStarting".to_owned()) {
            evidence::record("thin line", "a starting gateway is told apart", 1, "2026.9.6");
            return;
        }
    }
    panic!(
        "twelve starts and never \"starting\": {:?}\n{}",
        line.events("harbour"),
        line.operator.log()
    );
}
