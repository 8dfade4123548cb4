//! Why an Agent cannot be, or not yet, what its object says. Each is mended in the cluster, and the mend is seen at once.

use crate::template::TemplateError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Not looked at yet, or the API server does not let us: `Board ops`, `ConfigMap souls`.
    Unreadable {
        what: String,
    },
    BoardNotFound {
        board: String,
    },
    GatewayNotFound {
        gateway: String,
    },
    /// A new agent for what is being deleted.
    BoardTerminating {
        board: String,
    },
    GatewayTerminating {
        gateway: String,
    },
    /// The board's place of a lead is taken.
    LeadConflict {
        lead: String,
    },
    /// No room on the board.
    CapacityExceeded {
        board: String,
        capacity: i32,
    },
    /// Another Agent holds, or was first to ask for, this agent id.
    AgentIdTaken {
        id: String,
        by: String,
    },
    /// Another Agent of this gateway lives in this folder, or was first to ask for it.
    WorkspaceTaken {
        workspace: String,
        by: String,
    },
    /// The board that it moved to belongs to another gateway.
    MoveNotSupported {
        from: String,
        to: String,
    },
    /// The status was bound to a Gateway object that is gone; one of the same name is another gateway until proved
    /// otherwise.
    GatewayReplaced {
        gateway: String,
    },
    /// Something in the spec that the schema lets pass.
    InvalidSpec {
        field: String,
        why: String,
    },
    ConfigMapNotFound {
        field: String,
        name: String,
    },
    ConfigMapKeyNotFound {
        field: String,
        name: String,
        key: String,
        keys: Vec<String>,
    },
    /// Not UTF-8, or too long for a template.
    TextInvalid {
        field: String,
        why: String,
    },
    SoulNotFound {
        role: String,
        directories: Vec<String>,
    },
    Template(TemplateError),
    /// Beyond what a gateway takes, or a hard limit of ours.
    FileTooLarge {
        file: String,
        size: usize,
        limit: usize,
    },
    /// A name that no gateway and no section can carry.
    UnsupportedFile {
        file: String,
        why: String,
    },
    /// A Secret of the token's name that somebody else owns.
    SecretConflict {
        secret: String,
    },
    /// The Secret is ours but holds no token that could be one.
    TokenInvalid {
        secret: String,
    },
}
