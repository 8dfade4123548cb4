//! The documents that every agent of a role has, and their built-in templates.

use crate::resource::agent::Role;

/// A document with a built-in template. It becomes a file of its own, or a section of AGENTS.md where a gateway takes no
/// such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    Tools,
    Identity,
    Soul,
    Heartbeat,
    Agents,
    Bootstrap,
    Memory,
    User,
    Board,
    Approvals,
    Roles,
}

use Document::{Agents, Approvals, Board, Bootstrap, Heartbeat, Identity, Memory, Roles, Soul, Tools, User};

impl Document {
    pub const ALL: [Self; 11] = [
        Tools, Identity, Soul, Heartbeat, Agents, Bootstrap, Memory, User, Board, Approvals, Roles,
    ];

    /// Those of a role, in the order in which they are carried where they are no files.
    pub fn of(role: Role) -> &'static [Self] {
        match role {
            Role::Worker => &[Tools, Identity, Soul, Heartbeat, Agents, Bootstrap, Memory, User],
            Role::Lead => &[
                Tools, Identity, Soul, Heartbeat, Agents, Bootstrap, Memory, User, Board, Approvals, Roles,
            ],
            Role::Main => &[Tools, Identity, Soul, Heartbeat, Agents, Memory, User],
        }
    }

    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Tools => "TOOLS.md",
            Identity => "IDENTITY.md",
            Soul => "SOUL.md",
            Heartbeat => "HEARTBEAT.md",
            Agents => "AGENTS.md",
            Bootstrap => "BOOTSTRAP.md",
            Memory => "MEMORY.md",
            User => "USER.md",
            Board => "BOARD.md",
            Approvals => "APPROVALS.md",
            Roles => "ROLES.md",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|document| document.name() == name)
    }

    /// One template for all roles: it asks for is_board_lead and is_main_agent, as a user's own would.
    pub(super) fn template(self) -> &'static str {
        match self {
            Tools => include_str!("../../templates/TOOLS.md.j2"),
            Identity => include_str!("../../templates/IDENTITY.md.j2"),
            Soul => include_str!("../../templates/SOUL.md.j2"),
            Heartbeat => include_str!("../../templates/HEARTBEAT.md.j2"),
            Agents => include_str!("../../templates/AGENTS.md.j2"),
            Bootstrap => include_str!("../../templates/BOOTSTRAP.md.j2"),
            Memory => include_str!("../../templates/MEMORY.md.j2"),
            User => include_str!("../../templates/USER.md.j2"),
            Board => include_str!("../../templates/BOARD.md.j2"),
            Approvals => include_str!("../../templates/APPROVALS.md.j2"),
            Roles => include_str!("../../templates/ROLES.md.j2"),
        }
    }
}
