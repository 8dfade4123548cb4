//! A Gateway object comes, changes and goes.

use std::net::{IpAddr, Ipv4Addr};

use quartermaster::simulated_gateway::{Contract, Deed, Peer, Settings};

use crate::gateways::Plan;
use crate::play::{every_blow, finds_out};
use crate::sabotage::Sabotage;
use crate::scenario::{Scenario, So, Step};

/// Its clients come from this machine: no device is asked for, or any is let in.
const HARBOUR: Plan = Plan {
    host: "harbour",
    peer: Peer::LOOPBACK,
    settings: || Settings {
        delays: 1.0,
        ..Settings::new(Contract::V2026_9_6, "sesame")
    },
};

/// They come from elsewhere, and a person must let the device in.
const REMOTE: Plan = Plan {
    host: "harbour",
    peer: Peer(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7))),
    ..HARBOUR
};

const TOKEN: &str = "
apiVersion: v1
kind: Secret
metadata: { name: harbour-token }
stringData: { token: sesame }
";
const WRONG_TOKEN: &str = "
apiVersion: v1
kind: Secret
metadata: { name: harbour-token }
stringData: { token: open }
";
const GATEWAY: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Gateway
metadata: { name: harbour }
spec:
  url: ws://harbour:18789
  workspaceRoot: ~/.openclaw
  tokenSecretRef: { name: harbour-token }
";
const MOVED: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Gateway
metadata: { name: harbour }
spec:
  url: ws://nowhere:18789
  workspaceRoot: ~/.openclaw
  tokenSecretRef: { name: harbour-token }
";

const NAME: &str = "Gateway default/harbour";
const READY: So = So::Condition(NAME, "Ready", "True", "Connected");

const APPEARS: Scenario = Scenario {
    name: "a gateway appears, its Secret later",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Rest(&[So::Condition(NAME, "Reconciling", "True", "SecretNotFound")]),
        Step::Apply(TOKEN),
        Step::Rest(&[READY, So::Connections("harbour", 1)]),
    ],
    may_differ: &[],
};

const PAIRED: Scenario = Scenario {
    name: "a gateway wants a device, and a person lets it in",
    gateways: &[REMOTE],
    steps: &[
        Step::Apply(TOKEN),
        Step::Apply(GATEWAY),
        Step::Seconds(20),
        Step::Gateway("harbour", || Deed::Approve),
        Step::Seconds(5),
        Step::Gateway("harbour", || Deed::Approve),
        Step::Rest(&[READY, So::There("Secret default/ocgw-harbour-device")]),
    ],
    may_differ: &[],
};

const CREDENTIALS: Scenario = Scenario {
    name: "a gateway's credentials change, on either side first",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(WRONG_TOKEN),
        Step::Apply(GATEWAY),
        Step::Rest(&[So::Condition(NAME, "Stalled", "True", "TokenRefused")]),
        Step::Apply(TOKEN),
        Step::Rest(&[READY]),
        Step::Gateway("harbour", || Deed::ChangeToken("open".to_owned())),
        Step::Apply(WRONG_TOKEN),
        Step::Rest(&[READY]),
    ],
    may_differ: &[],
};

const GOES: Scenario = Scenario {
    name: "a gateway restarts, moves away, comes back and goes",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(TOKEN),
        Step::Apply(GATEWAY),
        Step::Rest(&[READY]),
        Step::Gateway("harbour", || Deed::Restart),
        Step::Rest(&[READY]),
        Step::Apply(MOVED),
        Step::Seconds(400),
        Step::Rest(&[
            So::Condition(NAME, "Ready", "False", "HostNotFound"),
            So::Connections("harbour", 0),
        ]),
        Step::Apply(GATEWAY),
        Step::Rest(&[READY]),
        Step::Delete("gateway/harbour"),
        Step::Rest(&[So::Gone(NAME), So::Connections("harbour", 0)]),
    ],
    may_differ: &[],
};

#[test]
fn a_gateway_appears() {
    every_blow(&APPEARS);
}

#[test]
fn a_gateway_wants_a_device() {
    every_blow(&PAIRED);
}

#[test]
fn a_gateways_credentials_change() {
    every_blow(&CREDENTIALS);
}

#[test]
fn a_gateway_goes() {
    every_blow(&GOES);
}

#[test]
fn a_status_that_was_only_sent_is_found_out() {
    finds_out(&APPEARS, Sabotage::ForgetsStatus);
}

#[test]
fn a_key_that_is_minted_twice_is_found_out() {
    finds_out(&PAIRED, Sabotage::MintsAnew);
}

#[test]
fn a_controller_that_is_never_content_is_found_out() {
    finds_out(&APPEARS, Sabotage::NeverContent);
}
