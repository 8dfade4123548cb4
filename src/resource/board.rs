//! A Board: the work that a lead and its workers share, and the rules they keep.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::condition::{self, Condition};
use super::format;
use super::reference::ObjectRef;

/// What a group of agents works on. Changing it rewrites exactly the files of its agents that show the change.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "quartermaster.dev",
    version = "v1alpha1",
    kind = "Board",
    plural = "boards",
    shortname = "ocboard",
    category = "openclaw",
    namespaced,
    status = "BoardStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "What a lead and its workers work on together, and the rules that they keep.",
    validation = Rule::new("self.metadata.name.size() <= 63").message(
        "a Board's metadata.name may have at most 63 characters, since it labels what belongs to it: choose a shorter one"
    ),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".spec.gatewayRef.name", description = "Where its agents live."),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type", description = "goal, general or another word."),
    printcolumn(name = "Lead", type_ = "string", json_path = ".status.lead", description = "The Agent that leads it."),
    printcolumn(name = "Workers", type_ = "integer", json_path = ".status.workers", description = "Workers that have a place on it."),
    printcolumn(name = "Capacity", type_ = "integer", json_path = ".status.capacity", description = "Workers that it has room for."),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether its Gateway is there."
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "Why it is ready, or is not.",
        priority = 1
    ),
    printcolumn(name = "Objective", type_ = "string", json_path = ".spec.objective", description = "What it is for.", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new(r"!self.goalConfirmed || self.type != 'goal' || (has(self.objective) && self.objective.matches('\\S'))")
        .message("a goal board with goalConfirmed: true needs an objective: write spec.objective, or leave goalConfirmed false until there is one")
        .field_path(".objective")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!self.goalConfirmed || self.type != 'goal' || (has(self.successMetrics) && self.successMetrics.size() > 0)")
        .message("a goal board with goalConfirmed: true needs successMetrics: name at least one in spec.successMetrics, or leave goalConfirmed false until there is one")
        .field_path(".successMetrics")
        .reason(Reason::FieldValueRequired)
)]
#[serde(rename_all = "camelCase")]
pub struct BoardSpec {
    /// The Gateway whose agents work on this board.
    pub gateway_ref: ObjectRef,
    /// A name for people. Unset: metadata.name. Template variable board_name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub display_name: Option<String>,
    /// What the board is, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub description: Option<String>,
    /// goal (there is an end to reach), general (work that goes on) or a word of your own. Template variable board_type.
    #[serde(rename = "type", default = "goal")]
    #[schemars(length(min = 1, max = 64))]
    pub type_: String,
    /// What the agents are to reach. Template variable board_objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8000))]
    pub objective: Option<String>,
    /// How to tell that it is reached: the name of a measure and its target, such as "p95 first reply: under 5 minutes".
    /// Template variable board_success_metrics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "success_metrics")]
    pub success_metrics: BTreeMap<String, String>,
    /// When it is to be reached: a date such as 2026-12-31, or a moment with time and zone. Template variable
    /// board_target_date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "format::date")]
    pub target_date: Option<String>,
    /// true once you have agreed to objective and successMetrics: agents then work by them instead of asking for them.
    #[serde(default)]
    pub goal_confirmed: bool,
    /// Rules for the board's agents. They appear in the agents' files; the agents keep them.
    #[serde(default)]
    pub rules: BoardRules,
    /// A word that several boards share, to look at them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub group: Option<String>,
    /// How many Workers the board has room for; its Lead does not count. A Worker beyond it waits with reason
    /// CapacityExceeded. Lowering it removes nobody who is already there.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_agents: i32,
    /// true holds the board's agents still: they are observed and reported, nothing is written.
    #[serde(default)]
    pub suspend: bool,
}

impl Default for BoardSpec {
    fn default() -> Self {
        Self {
            gateway_ref: ObjectRef::default(),
            display_name: None,
            description: None,
            type_: goal(),
            objective: None,
            success_metrics: BTreeMap::new(),
            target_date: None,
            goal_confirmed: false,
            rules: BoardRules::default(),
            group: None,
            max_agents: one(),
            suspend: false,
        }
    }
}

/// Rules for the board's agents. Template variables board_rule_<name>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoardRules {
    /// A task is done only once somebody has approved it.
    #[serde(default = "yes")]
    pub require_approval_for_done: bool,
    /// A task is done only after it was in review.
    #[serde(default)]
    pub require_review_before_done: bool,
    /// Moving a task to review needs a comment.
    #[serde(default)]
    pub comment_required_for_review: bool,
    /// A task whose approval is pending keeps its state.
    #[serde(default)]
    pub block_status_changes_with_pending_approval: bool,
    /// Only the Lead moves tasks from one state to another.
    #[serde(default)]
    pub only_lead_can_change_status: bool,
}

impl Default for BoardRules {
    fn default() -> Self {
        Self {
            require_approval_for_done: yes(),
            require_review_before_done: false,
            comment_required_for_review: false,
            block_status_changes_with_pending_approval: false,
            only_lead_can_change_status: false,
        }
    }
}

/// Who works on the board.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoardStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
    /// The value of annotation reconcile.fluxcd.io/requestedAt that was answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_reconcile_at: Option<String>,
    /// The value of annotation quartermaster.dev/reconcile-at that was answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    /// The Agent that leads the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub lead: Option<String>,
    /// Workers that have a place on the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub workers: Option<i32>,
    /// Workers that wait for a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub waiting: Option<i32>,
    /// Agents of the board, Lead and Workers, whose condition Ready is True.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ready: Option<i32>,
    /// Workers that the board has room for: spec.maxAgents as it was counted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub capacity: Option<i32>,
}

fn success_metrics(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 1000},
    })
}

fn goal() -> String {
    "goal".to_owned()
}

fn one() -> i32 {
    1
}

fn yes() -> bool {
    true
}
