//! What the templates of one agent may speak of.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::obstacle::Obstacle;
use super::super::snapshot::Snapshot;
use super::Rendering;
use crate::fact::Fact;
use crate::resource::agent::Role;
use crate::resource::board::{BoardRules, BoardSpec};
use crate::resource::gateway::Owner;
use crate::resource::settings::Identity;
use crate::resource::{Agent, Board, Gateway};
use crate::template::{Variables, one_line};

/// What an agent is rendered with, read.
pub(super) struct Around<'a> {
    pub(super) gateway: &'a Gateway,
    /// None: of a Main.
    board: Option<&'a Board>,
}

impl<'a> Around<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Result<Self, Obstacle> {
        let spec = &snapshot.agent.spec;
        let named = |reference: &Option<crate::resource::reference::ObjectRef>| {
            reference
                .as_ref()
                .map(|object| object.name.clone())
                .unwrap_or_default()
        };
        let board = match (&snapshot.board, spec.role) {
            (_, Role::Main) => None,
            (Fact::Known(board), Role::Worker | Role::Lead) => Some(&**board),
            (Fact::Absent, Role::Worker | Role::Lead) => {
                return Err(Obstacle::BoardNotFound {
                    board: named(&spec.board_ref),
                });
            }
            (Fact::Unknown, Role::Worker | Role::Lead) => {
                return Err(Obstacle::Unreadable {
                    what: format!("Board {}", named(&spec.board_ref)),
                });
            }
        };
        let name = match board {
            Some(board) => board.spec.gateway_ref.name.clone(),
            None => named(&spec.gateway_ref),
        };
        match &snapshot.gateway {
            Fact::Known(gateway) => Ok(Self { gateway, board }),
            Fact::Absent => Err(Obstacle::GatewayNotFound { gateway: name }),
            Fact::Unknown => Err(Obstacle::Unreadable {
                what: format!("Gateway {name}"),
            }),
        }
    }
}

/// All of them, the token among them.
pub(super) fn of(rendering: Rendering<'_>, around: &Around<'_>) -> Variables {
    let Rendering {
        snapshot,
        place,
        contract: _,
        token,
    } = rendering;
    let Around { gateway, board } = around;
    let agent = &snapshot.agent;
    let spec = &agent.spec;
    let mut all = Variables::new(token);
    all.text(
        "agent_name",
        &shown(spec.display_name.as_deref(), &agent.metadata),
    );
    all.text("agent_id", agent.metadata.uid.as_deref().unwrap_or_default());
    all.text("gateway_agent_id", place.agent.as_str());
    all.text("session_key", place.session().as_str());
    all.text(
        "main_session_key",
        &match spec.role {
            Role::Main => place.session().as_str().to_owned(),
            Role::Worker | Role::Lead => format!("agent:mc-gateway-{}:main", place.gateway_uid),
        },
    );
    all.text("workspace_path", &place.workspace);
    all.text("workspace_root", without_slash(&gateway.spec.workspace_root));
    let base_url = gateway.spec.base_url.as_ref().or(snapshot.base_url.as_ref());
    all.text("base_url", base_url.map_or("", |url| without_slash(url)));
    all.word("is_board_lead", spec.role == Role::Lead);
    all.word("is_main_agent", spec.role == Role::Main);
    all.text(
        "gateway_name",
        &shown(gateway.spec.display_name.as_deref(), &gateway.metadata),
    );
    of_owner(&mut all, gateway.spec.owner.as_ref());
    of_identity(&mut all, spec.identity.as_ref());
    of_board(&mut all, *board);
    all.table(
        "team",
        ["name", "role", "purpose", "session_key"],
        &team(snapshot),
    );
    all.table(
        "boards",
        ["name", "description", "id", "lead_session_key"],
        &boards(snapshot),
    );
    all
}

/// The same without what an agent is not woken for.
pub(super) fn for_wakes(variables: &Variables) -> Variables {
    let mut all = variables.clone();
    of_owner(&mut all, None);
    all.list("team", &[]);
    all.list("boards", &[]);
    all
}

fn of_owner(all: &mut Variables, owner: Option<&Owner>) {
    let nobody = Owner::default();
    let Owner {
        name,
        preferred_name,
        pronouns,
        timezone,
        notes,
        context,
    } = owner.unwrap_or(&nobody);
    let name = one_line(text(name));
    let preferred = one_line(text(preferred_name));
    let first = name.split(' ').next().unwrap_or_default();
    all.text(
        "user_preferred_name",
        if preferred.is_empty() { first } else { &preferred },
    );
    all.text("user_name", &name);
    all.text("user_pronouns", text(pronouns));
    all.text("user_timezone", text(timezone));
    all.text("user_notes", text(notes));
    all.text("user_context", text(context));
}

fn of_identity(all: &mut Variables, identity: Option<&Identity>) {
    let nobody = Identity::default();
    let Identity {
        role,
        expertise,
        tone,
        communication_style,
        constraints,
        working_hours,
        emoji,
        purpose,
        personality,
        custom_instructions,
        extra,
    } = identity.unwrap_or(&nobody);
    all.text("identity_role", &one_line(text(role)));
    all.text("identity_expertise", &joined(expertise));
    all.text("identity_tone", text(tone));
    all.text("identity_communication_style", text(communication_style));
    all.text("identity_constraints", &joined(constraints));
    all.list("constraints", constraints);
    all.text("identity_working_hours", text(working_hours));
    all.text("identity_emoji", text(emoji));
    all.text("identity_purpose", text(purpose));
    all.text("identity_personality", text(personality));
    all.text("identity_custom_instructions", text(custom_instructions));
    for (key, value) in extra {
        all.text(&format!("identity_{key}"), value.trim());
    }
}

fn of_board(all: &mut Variables, board: Option<&Board>) {
    let Some(board) = board else {
        for rule in [
            "board_goal_confirmed",
            "board_rule_require_approval_for_done",
            "board_rule_require_review_before_done",
            "board_rule_comment_required_for_review",
            "board_rule_block_status_changes_with_pending_approval",
            "board_rule_only_lead_can_change_status",
        ] {
            all.word(rule, false);
        }
        all.list("success_metrics", &[]);
        return;
    };
    let BoardSpec {
        gateway_ref: _,
        display_name,
        description,
        type_,
        objective,
        success_metrics,
        target_date,
        goal_confirmed,
        rules,
        group: _,
        max_agents,
        suspend: _,
    } = &board.spec;
    let BoardRules {
        require_approval_for_done,
        require_review_before_done,
        comment_required_for_review,
        block_status_changes_with_pending_approval,
        only_lead_can_change_status,
    } = rules;
    all.text("board_id", board.metadata.uid.as_deref().unwrap_or_default());
    all.text("board_name", &shown(display_name.as_deref(), &board.metadata));
    all.text("board_description", text(description));
    all.text("board_type", type_);
    all.text("board_objective", text(objective));
    all.text("board_success_metrics", &in_one_line(success_metrics));
    let rows: Vec<[String; 2]> = success_metrics
        .iter()
        .map(|(name, target)| [one_line(name), one_line(target)])
        .collect();
    all.table("success_metrics", ["name", "target"], &rows);
    all.text("board_target_date", text(target_date));
    all.word("board_goal_confirmed", *goal_confirmed);
    all.word("board_rule_require_approval_for_done", *require_approval_for_done);
    all.word(
        "board_rule_require_review_before_done",
        *require_review_before_done,
    );
    all.word(
        "board_rule_comment_required_for_review",
        *comment_required_for_review,
    );
    all.word(
        "board_rule_block_status_changes_with_pending_approval",
        *block_status_changes_with_pending_approval,
    );
    all.word(
        "board_rule_only_lead_can_change_status",
        *only_lead_can_change_status,
    );
    all.text("board_rule_max_agents", &max_agents.to_string());
}

/// Of a Lead alone: nobody else's file shows it.
fn team(snapshot: &Snapshot) -> Vec<[String; 4]> {
    let me = &snapshot.agent;
    match me.spec.role {
        Role::Worker | Role::Main => Vec::new(),
        Role::Lead => {
            let others = snapshot.team.iter().filter(|other| {
                other.metadata.name != me.metadata.name && other.metadata.deletion_timestamp.is_none()
            });
            others.map(member).collect()
        }
    }
}

fn member(agent: &Arc<Agent>) -> [String; 4] {
    let identity = agent.spec.identity.as_ref();
    let role = identity.and_then(|identity| identity.role.as_deref());
    let purpose = identity.and_then(|identity| identity.purpose.as_deref());
    let bound = agent.status.as_ref().and_then(|status| status.binding.as_ref());
    let uid = agent.metadata.uid.as_deref().unwrap_or_default();
    let id = match (bound, &agent.spec.agent_id) {
        (Some(binding), _) => binding.agent_id.clone(),
        (None, Some(given)) => given.clone(),
        (None, None) => format!("mc-{uid}"),
    };
    [
        shown(agent.spec.display_name.as_deref(), &agent.metadata),
        one_line(role.unwrap_or_default()),
        one_line(purpose.unwrap_or_default()),
        format!("agent:{id}:main"),
    ]
}

/// Of a Main alone.
fn boards(snapshot: &Snapshot) -> Vec<[String; 4]> {
    match snapshot.agent.spec.role {
        Role::Worker | Role::Lead => Vec::new(),
        Role::Main => {
            let boards = snapshot.boards.iter();
            let boards = boards.filter(|board| board.metadata.deletion_timestamp.is_none());
            boards
                .map(|board| {
                    let uid = board.metadata.uid.clone().unwrap_or_default();
                    [
                        shown(board.spec.display_name.as_deref(), &board.metadata),
                        one_line(text(&board.spec.description)),
                        uid.clone(),
                        format!("agent:lead-{uid}:main"),
                    ]
                })
                .collect()
        }
    }
}

/// What people call it.
fn shown(display_name: Option<&str>, metadata: &kube::core::ObjectMeta) -> String {
    let name = display_name.map(one_line).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| metadata.name.clone().unwrap_or_default())
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default().trim()
}

fn joined(items: &[String]) -> String {
    let items: Vec<&str> = items
        .iter()
        .map(|item| item.trim())
        .filter(|item| !item.is_empty())
        .collect();
    items.join(", ")
}

fn in_one_line(metrics: &BTreeMap<String, String>) -> String {
    let metrics: Vec<String> = metrics
        .iter()
        .map(|(name, target)| one_line(&format!("{name}: {target}")))
        .collect();
    metrics.join("; ")
}

fn without_slash(text: &str) -> &str {
    text.trim().trim_end_matches('/')
}
