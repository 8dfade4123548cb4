//! Tokens are changed, and agents are brought up to date.

use super::agents::{AGENT, BOARD, GATEWAY, HARBOUR, provisioned, woken};
use crate::play::sampled_blows;
use crate::scenario::{Scenario, So, Step};

const TRIAGE: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: triage }
spec:
  boardRef: { name: ops }
  token: { rotation: first, overlap: 2m }
";
const ROTATED: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: triage }
spec:
  boardRef: { name: ops }
  token: { rotation: leaked-in-chat, overlap: 2m }
";
const BY_AGE: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Agent
metadata: { name: triage }
spec:
  boardRef: { name: ops }
  token: { rotation: leaked-in-chat, overlap: 2m, rotateEvery: 1h }
";

const fn in_force() -> So {
    So::Condition(AGENT, "TokenCurrent", "True", "TokenInFile")
}

/// A new word, and an hour later its age: each one new token, and the one before is gone after its two minutes.
const ROTATES: Scenario = Scenario {
    name: "an agent's token is changed by a word, and by its age",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Apply(BOARD),
        Step::Apply(TRIAGE),
        Step::Rest(&[provisioned(AGENT), in_force(), woken(AGENT)]),
        Step::Apply(ROTATED),
        Step::Seconds(240),
        Step::Rest(&[provisioned(AGENT), in_force()]),
        Step::Apply(BY_AGE),
        Step::Seconds(3700),
        Step::Rest(&[provisioned(AGENT), in_force()]),
    ],
    may_differ: &[],
};

const SYNC: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: TemplateSync
metadata: { name: all }
spec:
  gatewayRef: { name: harbour }
  rotateTokens: true
  resetSessions: true
  overwrite: true
  forceBootstrap: true
";

/// Everything that a TemplateSync can ask for.
const SYNCED: Scenario = Scenario {
    name: "a TemplateSync with all that it can ask for",
    gateways: &[HARBOUR],
    steps: &[
        Step::Apply(GATEWAY),
        Step::Apply(BOARD),
        Step::Apply(TRIAGE),
        Step::Rest(&[provisioned(AGENT), in_force(), woken(AGENT)]),
        Step::Apply(SYNC),
        // Until the tokens of before have had their time.
        Step::Seconds(2000),
        Step::Rest(&[
            provisioned(AGENT),
            So::Condition("TemplateSync default/all", "Ready", "True", "Synced"),
        ]),
    ],
    may_differ: &[],
};

#[test]
fn a_token_is_changed() {
    sampled_blows(&ROTATES, 40);
}

#[test]
fn a_template_sync_is_carried_out() {
    sampled_blows(&SYNCED, 60);
}
