//! Agents come, change and go.

use quartermaster::simulated_gateway::{Contract, Peer, Settings};

use crate::gateways::Plan;
use crate::play::every_blow;
use crate::scenario::{Scenario, So, Step};

/// As people have one: somebody else's agent is in it.
const HARBOUR: Plan = Plan {
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

const GATEWAY: &str = "
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
const BOARD: &str = "
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
const LOOKOUT: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: lookout }
spec:
  boardRef: { name: ops }
";

const fn provisioned(agent: &'static str) -> So {
    So::Condition(agent, "Ready", "True", "Provisioned")
}
const fn woken(agent: &'static str) -> So {
    So::Condition(agent, "Woken", "True", "WakeSent")
}
const AGENT: &str = "Agent default/triage";

const APPEARS: Scenario = Scenario {
    name: "an agent is provisioned",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Apply(BOARD),
        Step::Apply(TRIAGE),
        Step::Rest(&[provisioned(AGENT), woken(AGENT)]),
    ],
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
};

#[test]
fn an_agent_is_provisioned() {
    every_blow(&APPEARS);
}

#[test]
fn an_agent_changes_and_goes() {
    every_blow(&CHANGES);
}

#[test]
fn a_fleet_comes_and_goes() {
    every_blow(&FLEET);
}
