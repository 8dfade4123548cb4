//! The gateway is elsewhere: pairing, scopes, lock-out, a cable that is pulled. On its own loopback a gateway asks for
//! none of it, so these run across a real network (see `bed::network`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Line;
use crate::bed::{
    Gateway, Missing, Network, OpenClaw, across_network, eventually, evidence, install_gateway,
    kubernetes_binaries, shared_cluster,
};

/// What must be there before the network is: inside it nothing can be fetched.
fn prepare(version: &str) -> Result<(), Missing> {
    install_gateway(version)?;
    kubernetes_binaries().map(drop)
}

#[test]
fn gateway_2026_9_6_pairs_once_and_for_all() {
    let version = "2026.9.6";
    if let Some(network) = real!(across_network(test_name!(), || prepare(version))) {
        pairs_once_and_for_all(&network, version);
    }
}

#[test]
fn gateway_2026_7_35_pairs_once_and_for_all() {
    let version = "2026.7.35";
    if let Some(network) = real!(across_network(test_name!(), || prepare(version))) {
        pairs_once_and_for_all(&network, version);
    }
}

fn pairs_once_and_for_all(network: &Network, version: &str) {
    let cluster = real!(shared_cluster());
    real!(cluster.controller_manager());
    let gateway = real!(OpenClaw::start(Gateway::version(version).at(network.far())));
    let mut line = Line::start(cluster, "pairing");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");

    // Somebody is asked, once, and is told how.
    let message = line.until("harbour", "Paired", "False", "PairingRequired");
    let request = waiting(&gateway);
    let command = format!("openclaw devices approve {}", text(&request, "requestId"));
    assert!(message.contains(&command), "{message}");
    line.until("harbour", "Ready", "False", "PairingRequired");
    line.until("harbour", "Reconciling", "True", "PairingRequired");
    for (kind, reason) in [("Reachable", "Connected"), ("Authenticated", "TokenAccepted")] {
        assert_eq!(line.condition("harbour", kind).unwrap().1, reason, "{kind}");
    }
    let device = line.status("harbour")["device"].take();
    assert_eq!(device["id"], request["deviceId"], "the id that the gateway lists");
    assert_eq!(device["pairing"]["requestId"], request["requestId"]);
    assert_eq!(device["pairing"]["approve"], command);
    let key = device_key(&line, "harbour");
    // Not a wait for something to happen: half a minute in which the question is not asked anew.
    std::thread::sleep(Duration::from_secs(30));
    assert_eq!(waiting(&gateway), request, "the same request and no second one");
    assert_eq!(line.status("harbour")["device"], device);

    let approved = approve_and_connect(&gateway, &line, "harbour");
    assert_eq!(approved, text(&request, "requestId"));
    assert_eq!(line.condition("harbour", "Paired").unwrap().1, "DeviceAccepted");
    let known = line.status("harbour")["device"].take();
    assert_eq!(
        known,
        json!({ "id": device["id"] }),
        "nothing is pending any more"
    );
    assert_eq!(paired(&gateway), [text(&request, "deviceId")]);

    // Neither a restart of ours nor a new Gateway object asks again.
    assert_eq!(line.operator.stop_with_term().0, 0);
    line.start_operator_again();
    line.annotate("harbour", "quartermaster.dev/reconcile-at=restarted");
    eventually("the new process has looked", 60, || {
        (line.status("harbour")["lastHandledRequest"] == "restarted").then_some(())
    });
    line.until_connected("harbour");
    line.must(&["delete", "ocgw", "harbour", "--timeout=20s"]);
    line.gateway("harbour", &gateway.url(), "");
    line.until_connected("harbour");
    assert_eq!(line.status("harbour")["device"], known);
    assert_eq!(device_key(&line, "harbour"), key);
    let waits = pending(&gateway);
    assert!(waits.is_empty(), "asked again: {waits:?}");
    evidence::record("thin line", "a device is approved once", 1, version);

    // The gateway's owner removes the device while it is connected.
    gateway.rpc("device.pair.remove", &json!({ "deviceId": device["id"] }));
    let message = line.until("harbour", "Paired", "False", "PairingRequired");
    assert!(message.contains("not-paired"), "{message}");
    approve_and_connect(&gateway, &line, "harbour");
    evidence::record("thin line", "a device that is removed asks again", 1, version);

    // Whoever holds our key had it approved for less than we need.
    line.operator.kill();
    gateway.rpc("device.pair.remove", &json!({ "deviceId": device["id"] }));
    let asked = gateway.connect_as_device(&key, "operator.read").unwrap_err();
    assert_eq!(asked["code"], "NOT_PAIRED", "{asked}");
    gateway.approve_waiting_device();
    let less = gateway.connect_as_device(&key, "operator.read").unwrap();
    assert_eq!(less["auth"]["scopes"], json!(["operator.read"]));
    line.start_operator_again();
    let message = line.until("harbour", "Paired", "False", "PairingRequired");
    assert!(message.contains("scope-upgrade"), "{message}");
    assert!(
        message.contains(&text(&waiting(&gateway), "requestId")),
        "{message}"
    );
    approve_and_connect(&gateway, &line, "harbour");
    evidence::record(
        "thin line",
        "a device with too few scopes asks for more",
        1,
        version,
    );

    // With `deletionPolicy: Delete` the key goes with its Gateway.
    line.token("cove", gateway.token());
    line.gateway("cove", &gateway.url(), "deletionPolicy: Delete");
    line.until("cove", "Paired", "False", "PairingRequired");
    approve_and_connect(&gateway, &line, "cove");
    assert_ne!(
        device_key(&line, "cove"),
        key,
        "each Gateway has a key of its own"
    );
    line.must(&["delete", "ocgw", "cove", "--timeout=20s"]);
    eventually("the device key is collected", 120, || {
        let found = line.kubectl(&["get", "secret", "ocgw-cove-device"]);
        found.stderr.contains("NotFound").then_some(())
    });
    assert_eq!(device_key(&line, "harbour"), key);
    for secret in [gateway.token(), &key] {
        assert!(!line.operator.log().contains(secret), "the log shows a secret");
    }
    evidence::record("thin line", "a device key goes with its Gateway", 1, version);
}

#[test]
fn gateway_2026_2_9_needs_no_device() {
    let version = "2026.2.9";
    let Some(network) = real!(across_network(test_name!(), || prepare(version))) else {
        return;
    };
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version(version).at(network.far())));
    let line = Line::start(cluster, "old");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until_connected("harbour");
    assert_eq!(line.condition("harbour", "Paired").unwrap().1, "DeviceNotNeeded");
    assert!(line.status("harbour")["device"].is_null());
    let found = line.kubectl(&["get", "secret", "ocgw-harbour-device"]);
    assert!(found.stderr.contains("NotFound"), "{found:?}");
    evidence::record("thin line", "remote without a device", 1, version);
}

/// Ten refusals in a minute would lock the address out, the right token included.
#[test]
fn many_wrong_tokens_do_not_lock_the_address_out() {
    let version = "2026.9.6";
    let Some(network) = real!(across_network(test_name!(), || prepare(version))) else {
        return;
    };
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version(version).at(network.far())));
    let line = Line::start(cluster, "wrong");
    let names: Vec<String> = (1..=5).map(|number| format!("wrong-{number}")).collect();
    for name in &names {
        line.token(name, &format!("not-the-token-of-{name}"));
    }
    let all: Vec<String> = names
        .iter()
        .map(|name| super::manifest(name, &gateway.url(), ""))
        .collect();
    let start = Instant::now();
    line.apply(&all.join("---\n"));
    let reasons = || -> Vec<String> {
        names
            .iter()
            .filter_map(|name| Some(line.condition(name, "Authenticated")?.1))
            .collect()
    };
    let count = |reason: &str| reasons().iter().filter(|&found| found == reason).count();
    eventually("three are refused and two are held back", 60, || {
        (count("TokenRefused") == 3 && count("HeldBack") == 2).then_some(())
    });
    assert_eq!(line.refused_connects(), 3.0);
    for name in &names {
        line.annotate(name, "quartermaster.dev/reconcile-at=once-more");
    }

    // Three a minute, counted from before the first could have been: a slow machine only makes it easier to keep.
    let tries = (3 + names.len()) as f64;
    eventually("every one of them was tried as it was asked", 240, || {
        let refused = line.refused_connects();
        let minutes = (start.elapsed().as_secs() / 60 + 1) as f64;
        assert!(
            refused <= 3.0 * minutes,
            "{refused} refusals within {:?}",
            start.elapsed()
        );
        (refused >= tries).then_some(())
    });
    eventually("every one of them was tried", 90, || {
        (count("TokenRefused") == 5).then_some(())
    });
    assert!(
        gateway.connect_from_here(gateway.token()).is_ok(),
        "the address is not locked out"
    );

    line.token("wrong-1", gateway.token());
    line.until("wrong-1", "Authenticated", "True", "TokenAccepted");
    line.until("wrong-1", "Paired", "False", "PairingRequired");
    evidence::record(
        "thin line",
        "refused tokens in any minute, of five Gateways at one address",
        3,
        &format!("{tries} in all"),
    );
}

#[test]
fn a_lock_out_of_2026_9_6_is_waited_for() {
    let version = "2026.9.6";
    if let Some(network) = real!(across_network(test_name!(), || prepare(version))) {
        a_lock_out_is_waited_for(&network, version);
    }
}

#[test]
fn a_lock_out_of_2026_7_35_is_waited_for() {
    let version = "2026.7.35";
    if let Some(network) = real!(across_network(test_name!(), || prepare(version))) {
        a_lock_out_is_waited_for(&network, version);
    }
}

fn a_lock_out_is_waited_for(network: &Network, version: &str) {
    let cluster = real!(shared_cluster());
    let short = json!({ "gateway": { "auth": { "rateLimit": { "lockoutMs": 30_000 } } } });
    let wanted = Gateway::version(version).at(network.far()).config(&short);
    let gateway = real!(OpenClaw::start(wanted));
    let mut line = Line::start(cluster, "locked");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until("harbour", "Paired", "False", "PairingRequired");
    let pending = waiting(&gateway);

    // Waiting for an approval and a token without scopes are tried over and over, and cost no try.
    for _ in 0..12 {
        let hello = gateway.connect_from_here(gateway.token()).unwrap();
        assert_eq!(hello["auth"]["scopes"], json!([]));
        let key = device_key(&line, "harbour");
        let scopes = "operator.read,operator.write,operator.admin";
        let asked = gateway.connect_as_device(&key, scopes).unwrap_err();
        assert_eq!(asked["details"]["code"], "PAIRING_REQUIRED", "{asked}");
    }
    assert_eq!(waiting(&gateway), pending);
    approve_and_connect(&gateway, &line, "harbour");

    // Somebody else at our address, behind the same NAT, say, keeps trying a wrong token.
    line.operator.kill();
    let wrong = || gateway.connect_from_here("not-the-token").unwrap_err();
    let refusals: Vec<Value> = (0..11).map(|_| wrong()["details"]["code"].take()).collect();
    assert_eq!(refusals[9], "AUTH_TOKEN_MISMATCH", "{refusals:?}");
    assert_eq!(refusals[10], "AUTH_RATE_LIMITED", "{refusals:?}");
    line.start_operator_again();
    let message = line.until("harbour", "Authenticated", "False", "LockedOut");
    assert!(message.contains("locked our address out"), "{message}");
    line.until("harbour", "Reconciling", "True", "LockedOut");
    line.until_connected("harbour");
    assert!(line.refused_connects() <= 3.0, "{}", line.refused_connects());
    evidence::record(
        "thin line",
        "a lock-out by somebody else is waited for",
        1,
        version,
    );
}

#[test]
fn a_cable_that_is_pulled_is_noticed_and_so_is_its_mending() {
    let version = "2026.9.6";
    let Some(network) = real!(across_network(test_name!(), || prepare(version))) else {
        return;
    };
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version(version).at(network.far())));
    let line = Line::start(cluster, "cable");
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until("harbour", "Paired", "False", "PairingRequired");
    approve_and_connect(&gateway, &line, "harbour");

    network.cut();
    // Two ticks of 30 s without a word, and then no way to the host.
    line.until("harbour", "Reachable", "False", "HostUnreachable");
    assert_eq!(line.condition("harbour", "Paired").unwrap().1, "NotTried");
    network.mend();
    line.until_connected("harbour");
    evidence::record(
        "thin line",
        "a pulled cable is noticed, and its mending",
        1,
        version,
    );
}

/// Approves the one request that waits, and gives its id. A try that is under way meanwhile may find the device not yet
/// approved and ask after the approval, which took away what it would have repeated: its request then waits for nobody,
/// for five minutes, and is the one that a later question would get. Once the Gateway is connected no try is under way, so
/// what waits then is such a request and is refused here: whatever waits later was asked for later.
fn approve_and_connect(gateway: &OpenClaw, line: &Line<'_>, name: &str) -> String {
    let asked = text(&waiting(gateway), "requestId");
    let approved = gateway.approve_waiting_device();
    assert_eq!(approved, asked);
    line.until_connected(name);
    for late in pending(gateway) {
        assert_eq!(late["deviceId"], line.status(name)["device"]["id"], "{late}");
        let late = text(&late, "requestId");
        gateway.rpc("device.pair.reject", &json!({ "requestId": late }));
    }
    approved
}

/// The one request that waits for approval at the gateway.
fn waiting(gateway: &OpenClaw) -> Value {
    let mut pending = pending(gateway);
    assert_eq!(pending.len(), 1, "{pending:?}");
    let mut request = pending.remove(0);
    // When it was last asked for; all else must stay as it is.
    request.as_object_mut().unwrap().remove("ts");
    request
}

fn pending(gateway: &OpenClaw) -> Vec<Value> {
    let mut list = gateway.rpc("device.pair.list", &json!({}));
    std::mem::take(list["pending"].as_array_mut().unwrap())
}

fn paired(gateway: &OpenClaw) -> Vec<String> {
    let list = gateway.rpc("device.pair.list", &json!({}));
    let devices = list["paired"].as_array().unwrap();
    devices.iter().map(|device| text(device, "deviceId")).collect()
}

/// What the Secret of this Gateway's device holds.
fn device_key(line: &Line<'_>, gateway: &str) -> String {
    let template = "-o=go-template={{.data.ed25519 | base64decode}}";
    line.must(&["get", "secret", &format!("ocgw-{gateway}-device"), template])
}

fn text(object: &Value, key: &str) -> String {
    object[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {object}"))
        .to_owned()
}
