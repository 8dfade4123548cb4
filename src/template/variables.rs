//! What a template may speak of, by the names that the documents of the product we replace gave them.

use std::collections::BTreeMap;

use minijinja::Value;

/// Every variable and what it holds: the table in docs/templates.md, and all that is defined. Beyond it each key of an
/// agent's `identity.extra` is one more, `identity_<key>`.
#[rustfmt::skip]
pub const MEANINGS: &[(&str, &str)] = &[
    ("agent_name", "spec.displayName of the Agent, else its metadata.name"),
    ("agent_id", "metadata.uid of the Agent: the id by which the HTTP API knows it"),
    ("gateway_agent_id", "the agent's id inside the gateway, such as mc-<uid>"),
    ("session_key", "the session that the agent works in: agent:<gateway_agent_id>:main"),
    ("main_session_key", "the session of the gateway's main agent"),
    ("workspace_path", "the agent's folder on the gateway's host"),
    ("workspace_root", "spec.workspaceRoot of the Gateway, without a / at its end"),
    ("base_url", "where the HTTP API is, without a / at its end; empty where there is none"),
    ("auth_token", "the agent's token; only in TOOLS.md"),
    ("is_board_lead", "the word true or false"),
    ("is_main_agent", "the word true or false"),
    ("gateway_name", "spec.displayName of the Gateway, else its metadata.name"),
    ("board_id", "metadata.uid of the Board: the id by which the HTTP API knows it"),
    ("board_name", "spec.displayName of the Board, else its metadata.name"),
    ("board_description", "spec.description of the Board"),
    ("board_type", "spec.type of the Board: goal, general or another word"),
    ("board_objective", "spec.objective of the Board"),
    ("board_success_metrics", "spec.successMetrics of the Board, in one line: name: target; name: target"),
    ("success_metrics", "the same as a list; each has name and target"),
    ("board_target_date", "spec.targetDate of the Board"),
    ("board_goal_confirmed", "the word true or false"),
    ("board_rule_require_approval_for_done", "the word true or false"),
    ("board_rule_require_review_before_done", "the word true or false"),
    ("board_rule_comment_required_for_review", "the word true or false"),
    ("board_rule_block_status_changes_with_pending_approval", "the word true or false"),
    ("board_rule_only_lead_can_change_status", "the word true or false"),
    ("board_rule_max_agents", "spec.maxAgents of the Board"),
    ("team", "of a Lead: the other agents of its board; each has name, role, purpose and session_key"),
    ("boards", "of a Main: the boards of its Gateway; each has name, description, id and lead_session_key"),
    ("user_name", "spec.owner.name of the Gateway"),
    ("user_preferred_name", "spec.owner.preferredName, else the first word of the name"),
    ("user_pronouns", "spec.owner.pronouns"),
    ("user_timezone", "spec.owner.timezone"),
    ("user_notes", "spec.owner.notes"),
    ("user_context", "spec.owner.context"),
    ("identity_role", "identity.role of the Agent"),
    ("identity_expertise", "identity.expertise, joined with commas"),
    ("identity_tone", "identity.tone"),
    ("identity_communication_style", "identity.communicationStyle"),
    ("identity_constraints", "identity.constraints, joined with commas"),
    ("constraints", "the same as a list"),
    ("identity_working_hours", "identity.workingHours"),
    ("identity_emoji", "identity.emoji"),
    ("identity_purpose", "identity.purpose"),
    ("identity_personality", "identity.personality"),
    ("identity_custom_instructions", "identity.customInstructions"),
    ("identity_autonomy_level", "identity.extra.autonomy_level, else empty"),
    ("identity_verbosity", "identity.extra.verbosity, else empty"),
    ("identity_output_format", "identity.extra.output_format, else empty"),
    ("identity_update_cadence", "identity.extra.update_cadence, else empty"),
];

pub(super) const TOKEN: &str = "auth_token";

/// The values for one agent. All of [`MEANINGS`] are there: what does not apply is empty.
#[derive(Clone)]
pub struct Variables {
    values: BTreeMap<String, Value>,
    token: String,
}

impl Variables {
    /// Everything empty, but for the token.
    pub fn new(token: &str) -> Self {
        let names = MEANINGS.iter().filter(|(name, _)| *name != TOKEN);
        Self {
            values: names
                .map(|(name, _)| ((*name).to_owned(), Value::from("")))
                .collect(),
            token: token.to_owned(),
        }
    }

    pub fn text(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), Value::from(value));
    }

    /// As the word `true` or `false`.
    pub fn word(&mut self, name: &str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }

    pub fn list(&mut self, name: &str, items: &[String]) {
        let items: Value = items.iter().map(|item| Value::from(item.as_str())).collect();
        self.values.insert(name.to_owned(), items);
    }

    /// A list of things with the same fields.
    pub fn table<const N: usize>(&mut self, name: &str, fields: [&str; N], rows: &[[String; N]]) {
        let row = |row: &[String; N]| {
            Value::from_pairs(
                fields
                    .into_iter()
                    .zip(row.iter().map(|field| Value::from(field.as_str()))),
            )
        };
        let rows: Value = rows.iter().map(row).collect();
        self.values.insert(name.to_owned(), rows);
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.values.contains_key(name) || name == TOKEN
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(super) fn context(&self, with_token: bool) -> Value {
        let token = with_token.then(|| (TOKEN, Value::from(self.token.as_str())));
        let values = self
            .values
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        Value::from_pairs(values.chain(token))
    }
}

/// On one line: a name with a line break in it could fake a line of its own, such as AUTH_TOKEN in TOOLS.md.
pub fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
