//! How a Gateway or a Board goes: not while somebody refers to it, like a volume that is claimed.

use kube::{Resource, ResourceExt};

use crate::resource::names::{FINALIZER, FORCE_DELETE};

/// It is being deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Who still refers to it: `Agent triage`.
    pub users: Vec<String>,
    /// Let go whatever is left behind.
    pub forced: bool,
    /// Held still: its deletion waits, too.
    pub suspended: bool,
}

/// What is to become of our finalizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    AsItIs,
    /// It must not go without us from now on.
    Add,
    LetGo,
}

impl Deletion {
    pub fn of(object: &impl Resource, suspended: bool, users: Vec<String>) -> Option<Self> {
        object.meta().deletion_timestamp.as_ref()?;
        let forced = object
            .annotations()
            .get(FORCE_DELETE)
            .is_some_and(|word| word == "true");
        Some(Self {
            users,
            forced,
            suspended,
        })
    }

    /// Nothing keeps it any more.
    pub fn is_free(&self) -> bool {
        let Self {
            users,
            forced,
            suspended,
        } = self;
        *forced || users.is_empty() && !suspended
    }
}

impl Hold {
    /// `needed`: while there is somebody who needs it.
    pub fn of(object: &impl Resource, deletion: Option<&Deletion>, needed: bool) -> Self {
        let is_held = object.finalizers().iter().any(|word| word == FINALIZER);
        match (deletion, is_held) {
            (None, false) if needed => Self::Add,
            (None, true) if !needed => Self::LetGo,
            (Some(deletion), true) if deletion.is_free() => Self::LetGo,
            (None | Some(_), true | false) => Self::AsItIs,
        }
    }
}

/// As people name an object.
pub fn named(kind: &str, object: &impl Resource) -> String {
    format!("{kind} {}", object.meta().name.as_deref().unwrap_or_default())
}
