//! Carries out the plan of an Agent: a pure machine that says the next effects, and a shim that performs them.

pub mod hashes;
pub mod machine;
mod run;

pub use run::{Hands, run};

use crate::observed::agent::contests::ENTRY;
use crate::plan::agent::{Action, Farewell, Plan, Promise};

/// What came of a plan. Can be made only here: nothing else can claim that something was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The plan's own words about what it did not go beyond.
    pub plan: Plan,
    came: Vec<(Action, Came)>,
}

/// What came of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    Done,
    /// Begun; its answer wakes the Agent again.
    UnderWay,
    /// Whether it was done is open; the next pass looks.
    Failed(Failure),
    /// Something before it did not go well.
    NotReached,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub whose: Whose,
    /// In words that name no secret.
    pub why: String,
}

/// Who did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The gateway said no.
    GatewaysRefusal,
    /// The gateway's answer was lost, or it was no answer.
    GatewaysSilence,
    /// Somebody else was faster: to be read again.
    SomebodyElses,
    /// The API server.
    Clusters,
}

impl Outcome {
    pub fn came(&self) -> impl Iterator<Item = (&Action, &Came)> {
        self.came.iter().map(|(action, came)| (action, came))
    }

    pub fn done(&self) -> impl Iterator<Item = &Action> {
        self.came()
            .filter(|(_, came)| **came == Came::Done)
            .map(|(action, _)| action)
    }

    /// What the status that follows from it holds.
    pub fn promised(&self) -> impl Iterator<Item = &Promise> {
        self.done().filter_map(|action| {
            let Action::Promise(promise) = action else {
                return None;
            };
            Some(promise)
        })
    }

    /// What somebody else had changed, and was put right: files by name, and [`ENTRY`].
    pub fn corrected(&self) -> impl Iterator<Item = &str> {
        let files = self.done().filter_map(|action| {
            let Action::Write(write) = action else { return None };
            write.corrects.then_some(write.file.as_str())
        });
        let mut came = self.came();
        let entry = self.plan.entry_corrects
            && came.any(|(action, came)| matches!(action, Action::Deposit(_)) && *came == Came::UnderWay);
        files.chain(entry.then_some(ENTRY))
    }

    /// The object may be gone by now.
    pub fn has_let_go(&self) -> bool {
        self.done().any(|action| matches!(action, Action::LetGo(_)))
    }

    /// It was let go otherwise than clean, and not because that was asked for by deletionPolicy.
    pub fn leaves_something_behind(&self) -> bool {
        self.done().any(|action| {
            let Action::LetGo(farewell) = action else {
                return false;
            };
            match farewell {
                Farewell::NoGateway | Farewell::Forced => true,
                Farewell::Clean | Farewell::Orphaned | Farewell::TakenOver => false,
            }
        })
    }

    /// The first thing that went wrong.
    pub fn failure(&self) -> Option<(&Action, &Failure)> {
        self.came().find_map(|(action, came)| match came {
            Came::Failed(failure) => Some((action, failure)),
            Came::Done | Came::UnderWay | Came::NotReached => None,
        })
    }
}
