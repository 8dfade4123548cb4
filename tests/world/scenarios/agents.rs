//! Agents come, change and go.

use quartermaster::simulated_gateway::{Contract, Peer, Settings};

use crate::gateways::Plan;
use crate::play::{every_blow, finds_out, sampled_blows};
use crate::sabotage::Sabotage;
use crate::scenario::{Scenario, So, Step};

/// As people have one: somebody else's agent is in it.
pub(super) const HARBOUR: Plan = Plan {
    host: "harbour",
    peer: Peer::LOOPBACK,
    settings: || Settings {
        delays: 1.0,
        config: serde_json::json!({ "agents": { "ownership": "explicit", "entries": {
            "foreign": { "name": "Foreign", "workspace": "/w/foreign", "tools": { "deny": ["exec"] } },
            "main": {},
        } } }),
        ..Settings::new(Contract::V2026_9_6, "sesame")
    },
};

pub(super) const GATEWAY: &str = "
apiVersion: v1
kind: Secret
metadata: { name: harbour-token }
stringData: { token: sesame }
---
apiVersion: quartermaster.dev/v1alpha1
kind: Gateway
metadata: { name: harbour }
spec:
  url: ws://harbour:18789
  workspaceRoot: ~/.openclaw
  tokenSecretRef: { name: harbour-token }
  owner: { name: Ada Keller, timezone: Europe/Zurich }
";
pub(super) const BOARD: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Board
metadata: { name: ops }
spec:
  gatewayRef: { name: harbour }
  displayName: Operations
  objective: Every alert has an owner.
  maxAgents: 3
";
const TRIAGE: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: triage }
spec:
  boardRef: { name: ops }
  displayName: Incident Triage
  identity: { role: Site Reliability Engineer, tone: calm }
";

const OTHER_TRIAGE: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: triage }
spec:
  boardRef: { name: ops }
  displayName: Incident Triage
  identity: { role: Site Reliability Engineer, tone: cheerful }
";
const OTHER_BOARD: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Board
metadata: { name: ops }
spec:
  gatewayRef: { name: harbour }
  displayName: Operations
  objective: Every alert has an owner within ten minutes.
  maxAgents: 3
";
const LEAD: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: lead }
spec:
  role: Lead
  boardRef: { name: ops }
";
const NEXT_LEAD: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: next }
spec:
  role: Lead
  boardRef: { name: ops }
";
const LOOKOUT: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: lookout }
spec:
  boardRef: { name: ops }
";

pub(super) const fn provisioned(agent: &'static str) -> So {
    So::Condition(agent, "Ready", "True", "Provisioned")
}
pub(super) const fn woken(agent: &'static str) -> So {
    So::Condition(agent, "Woken", "True", "WakeSent")
}
pub(super) const AGENT: &str = "Agent default/triage";

const APPEARS: Scenario = Scenario {
    name: "an agent is provisioned",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Apply(BOARD),
        Step::Apply(TRIAGE),
        Step::Rest(&[provisioned(AGENT), woken(AGENT)]),
    ],
    may_differ: &[],
};

const CHANGES: Scenario = Scenario {
    name: "an agent is changed, then its board, and then it is deleted",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Apply(BOARD),
        Step::Apply(TRIAGE),
        Step::Rest(&[provisioned(AGENT), woken(AGENT)]),
        Step::Apply(OTHER_TRIAGE),
        Step::Rest(&[provisioned(AGENT), woken(AGENT)]),
        Step::Apply(OTHER_BOARD),
        Step::Rest(&[provisioned(AGENT), woken(AGENT)]),
        Step::Delete("agent/triage"),
        Step::Rest(&[So::Gone(AGENT), So::Gone("Secret default/ocagent-triage-token")]),
    ],
    may_differ: &[],
};

const FLEET: Scenario = Scenario {
    name: "a lead and two workers come, their board is edited, all go",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(TRIAGE),
        Step::Apply(LEAD),
        Step::Apply(LOOKOUT),
        Step::Apply(BOARD),
        Step::Apply(GATEWAY),
        Step::Rest(&[
            provisioned("Agent default/lead"),
            provisioned("Agent default/lookout"),
            provisioned(AGENT),
        ]),
        Step::Apply(OTHER_BOARD),
        Step::Rest(&[provisioned("Agent default/lead"), provisioned(AGENT)]),
        Step::Delete("gateway/harbour"),
        Step::Delete("board/ops"),
        Step::Delete("agent/lead"),
        Step::Delete("agent/triage"),
        Step::Delete("agent/lookout"),
        Step::Rest(&[
            So::Gone("Agent default/lead"),
            So::Gone("Agent default/lookout"),
            So::Gone(AGENT),
            So::Gone("Board default/ops"),
            So::Gone("Gateway default/harbour"),
        ]),
    ],
    may_differ: &[],
};

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: fleet }
";

/// Secrets go first, and no Event can be written any more.
const ENDS: Scenario = Scenario {
    name: "a namespace with a lead and a worker is deleted",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(NAMESPACE),
        Step::ApplyIn("fleet", GATEWAY),
        Step::ApplyIn("fleet", BOARD),
        Step::ApplyIn("fleet", LEAD),
        Step::ApplyIn("fleet", TRIAGE),
        Step::Rest(&[
            provisioned("Agent fleet/lead"),
            woken("Agent fleet/lead"),
            provisioned("Agent fleet/triage"),
            woken("Agent fleet/triage"),
        ]),
        Step::Delete("namespace/fleet"),
        Step::Rest(&[So::Gone("Namespace fleet"), So::Connections("harbour", 0)]),
    ],
    // Who is killed when the Secrets have gone has no credentials any more: it lets go, and says what it leaves behind.
    may_differ: &["harbour: configuration", "harbour: session", "harbour: /"],
};

#[test]
fn an_agent_is_provisioned() {
    every_blow(&APPEARS);
}

#[test]
fn an_agent_changes_and_goes() {
    sampled_blows(&CHANGES, 80);
}

/// The next lead of a board has the same id in the gateway as the one before.
const SUCCESSION: Scenario = Scenario {
    name: "a lead is followed by another at once",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Apply(BOARD),
        Step::Apply(LEAD),
        Step::Rest(&[provisioned("Agent default/lead"), woken("Agent default/lead")]),
        Step::Apply(NEXT_LEAD),
        Step::Rest(&[So::Condition(
            "Agent default/next",
            "Ready",
            "False",
            "LeadConflict",
        )]),
        Step::Delete("agent/lead"),
        Step::Rest(&[
            So::Gone("Agent default/lead"),
            provisioned("Agent default/next"),
            woken("Agent default/next"),
        ]),
    ],
    may_differ: &[],
};

#[test]
fn a_fleet_comes_and_goes() {
    sampled_blows(&FLEET, 40);
}

#[test]
fn a_lead_is_followed_by_another() {
    sampled_blows(&SUCCESSION, 60);
}

#[test]
fn a_namespace_ends() {
    sampled_blows(&ENDS, 40);
}

#[test]
fn a_second_wake_is_found_out() {
    finds_out(&APPEARS, Sabotage::WakesTwice, "harbour: chat.send");
}
