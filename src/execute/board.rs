//! Carries out the plan of a Board.

use crate::cluster::{Cluster, Error};
use crate::plan::board::{Action, Plan};
use crate::resource::Board;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// It was let go, and may be gone.
    pub let_go: bool,
    /// The finalizer could not be written: the pass is to come again.
    pub failed: Option<Error>,
}

pub async fn run(plan: Plan, board: &Board, cluster: &Cluster) -> Outcome {
    let mut outcome = Outcome::default();
    for action in plan.actions {
        let done = match action {
            // Too late is no failure: it goes, and nobody is asked.
            Action::Hold => cluster.hold(board).await.map(|_| ()),
            Action::LetGo => cluster.let_go(board).await,
        };
        match done {
            Ok(()) => outcome.let_go |= action == Action::LetGo,
            Err(error) => outcome.failed = Some(error),
        }
    }
    outcome
}
