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

const AGENT: &str = "Agent default/triage";

const APPEARS: Scenario = Scenario {
    name: "an agent is provisioned",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Apply(BOARD),
        Step::Apply(TRIAGE),
        Step::Rest(&[So::Condition(AGENT, "Ready", "True", "Provisioned")]),
    ],
};

#[test]
fn an_agent_is_provisioned() {
    every_blow(&APPEARS);
}
