//! Which TemplateSync an Agent carries out now. Worked out anew by every pass, from the objects and from what the Agent's
//! status says it has done: nobody hands errands out, so none can be lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt;

use crate::resource::agent::{Lifecycle, Role, SyncState};
use crate::resource::{Agent, TemplateSync};

/// What one TemplateSync asks of one Agent, beyond being brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    pub uid: String,
    pub name: String,
    pub reset_session: bool,
    pub rotate_token: bool,
    pub force_bootstrap: bool,
    pub overwrite: bool,
    /// Only said, not done.
    pub dry_run: bool,
}

/// How many of a Gateway's TemplateSyncs are carried out at a time: an Agent's status has room for what came of eight.
pub const AT_A_TIME: usize = 8;

/// `syncs`: the ones of its Gateway, in any order. The oldest that selects it and of which it has not told the end.
pub fn of(agent: &Agent, syncs: &[Arc<TemplateSync>]) -> Option<Errand> {
    let told = agent.status.iter().flat_map(|status| &status.syncs);
    let settled: BTreeSet<&str> = told
        .filter(|told| is_settled(told.state))
        .map(|told| told.uid.as_str())
        .collect();
    let open = in_turn(syncs).into_iter();
    let mut due = open.filter(|sync| {
        let is_settled = sync.uid().is_none_or(|uid| settled.contains(uid.as_str()));
        !is_settled && selects(sync, agent)
    });
    due.next().map(|sync| Errand {
        uid: sync.uid().unwrap_or_default(),
        name: sync.name_any(),
        reset_session: sync.spec.reset_sessions,
        rotate_token: sync.spec.rotate_tokens,
        force_bootstrap: sync.spec.force_bootstrap,
        overwrite: sync.spec.overwrite,
        dry_run: sync.spec.dry_run,
    })
}

/// The unfinished ones whose turn it is, the oldest first.
pub fn in_turn(syncs: &[Arc<TemplateSync>]) -> Vec<Arc<TemplateSync>> {
    let is_open = |sync: &&Arc<TemplateSync>| !has_ended(sync) && sync.metadata.deletion_timestamp.is_none();
    let mut open: Vec<_> = syncs.iter().filter(is_open).cloned().collect();
    open.sort_by_key(|sync| (sync.creation_timestamp().map(|time| time.0), sync.uid()));
    open.truncate(AT_A_TIME);
    open
}

pub fn has_ended(sync: &TemplateSync) -> bool {
    let status = sync.status.as_ref();
    status.is_some_and(|status| status.finished_at.is_some())
}

/// Whether it is meant. Not who is younger than the errand, is going, or is not in the gateway. (That it belongs to the
/// TemplateSync's Gateway is for the caller to know.)
pub fn selects(sync: &TemplateSync, agent: &Agent) -> bool {
    !is_younger(sync, agent) && means(sync, agent)
}

/// Made after the errand: it has the texts of its own time anyway.
pub fn is_younger(sync: &TemplateSync, agent: &Agent) -> bool {
    agent.creation_timestamp().map(|time| time.0) > sync.creation_timestamp().map(|time| time.0)
}

/// Whether its words mean it, whenever it was made.
pub fn means(sync: &TemplateSync, agent: &Agent) -> bool {
    let spec = &sync.spec;
    let is_here = agent.metadata.deletion_timestamp.is_none() && agent.spec.lifecycle != Lifecycle::Retired;
    let of_board = spec.board_ref.as_ref().is_none_or(|board| {
        agent
            .spec
            .board_ref
            .as_ref()
            .is_some_and(|own| own.name == board.name)
    });
    let is_meant = match agent.spec.role {
        Role::Main => spec.include_main,
        Role::Lead => of_board,
        Role::Worker => of_board && !spec.lead_only,
    };
    is_here && is_meant
}

/// Nothing more comes of it.
pub fn is_settled(state: SyncState) -> bool {
    match state {
        SyncState::Running => false,
        SyncState::Updated | SyncState::Unchanged | SyncState::Planned | SyncState::Failed => true,
    }
}
