//! `spec.disableDevicePairing`: the control UI's identity, which gateways up to 2026.7 let in without a device.

use serde_json::{Value, json};

use super::Line;
use crate::bed::{
    Gateway, OpenClaw, across_network, evidence, install_gateway, kubernetes_binaries, shared_cluster,
};

#[test]
fn gateway_2026_2_9_lets_the_control_ui_in_where_it_is_told_to() {
    local("2026.2.9", &flags(), "Connected", "");
}

#[test]
fn gateway_2026_2_9_without_the_flags_says_which_to_set() {
    let words = "dangerouslyDisableDeviceAuth";
    local("2026.2.9", &json!({}), "DevicePairingNotDisabled", words);
}

#[test]
fn gateway_2026_7_35_lets_the_control_ui_in_where_it_is_told_to() {
    local("2026.7.35", &flags(), "Connected", "");
}

#[test]
fn gateway_2026_7_35_without_the_flags_says_which_to_set() {
    let words = "gateway.controlUi.allowInsecureAuth";
    local("2026.7.35", &json!({}), "DevicePairingNotDisabled", words);
}

#[test]
fn gateway_2026_9_6_no_longer_has_that_mode() {
    let words = "remove spec.disableDevicePairing";
    local("2026.9.6", &json!({}), "DisableDevicePairingRetired", words);
}

/// From elsewhere it is the same; here it matters, since a token alone has no scopes there.
#[test]
fn across_a_network_the_mode_is_the_same() {
    let prepare = || {
        install_gateway("2026.7.35")?;
        install_gateway("2026.2.9")?;
        kubernetes_binaries().map(drop)
    };
    let Some(network) = real!(across_network(test_name!(), prepare)) else {
        return;
    };
    let cluster = real!(shared_cluster());
    let far = |version: &str, config: &Value| Gateway::version(version).at(network.far()).config(config);
    let gateways = real!(OpenClaw::start_all(vec![
        far("2026.7.35", &flags()),
        far("2026.2.9", &flags()),
        far("2026.7.35", &json!({})),
    ]));
    let line = Line::start(cluster, "remote-ui");
    let cases = ["Connected", "Connected", "DevicePairingNotDisabled"];
    for (number, (gateway, reason)) in gateways.iter().zip(cases).enumerate() {
        expect(&line, &format!("harbour-{number}"), gateway, reason);
    }
    evidence::record(
        "thin line",
        "control-UI mode across a network",
        3,
        "2026.7.35, 2026.2.9",
    );
}

fn flags() -> Value {
    json!({ "gateway": { "controlUi": {
        "allowInsecureAuth": true, "dangerouslyDisableDeviceAuth": true,
    } } })
}

fn local(version: &str, config: &Value, reason: &str, words: &str) {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version(version).config(config)));
    let line = Line::start(cluster, "control-ui");
    let message = expect(&line, "harbour", &gateway, reason);
    assert!(message.contains(words), "{message}");
    if reason != "Connected" {
        // What the message says helps: without the mode, this gateway lets us in.
        line.patch("harbour", r#"{"disableDevicePairing":false}"#);
        line.until_connected("harbour");
        assert_eq!(line.condition("harbour", "Stalled"), None);
    }
    evidence::record("thin line", &format!("control-UI mode: {reason}"), 1, version);
}

/// Writes a Gateway in control-UI mode and waits for this reason; gives Paired's message.
fn expect(line: &Line<'_>, name: &str, gateway: &OpenClaw, reason: &str) -> String {
    line.token(name, gateway.token());
    line.gateway(name, &gateway.url(), "disableDevicePairing: true");
    let message = if reason == "Connected" {
        line.until_connected(name);
        line.until(name, "Paired", "True", "DevicePairingDisabled")
    } else {
        line.until(name, "Stalled", "True", reason);
        line.until(name, "Ready", "False", reason);
        line.until(name, "Paired", "False", reason)
    };
    // No device is ever made for it.
    assert!(line.status(name)["device"].is_null());
    let secret = format!("ocgw-{name}-device");
    let found = line.kubectl(&["get", "secret", &secret]);
    assert!(found.stderr.contains("NotFound"), "{found:?}");
    message
}
