//! The Board controller. Woken by the Board, by its Gateway, and by its Agents.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::World;
use crate::cluster;
use crate::desired::board::Snapshot;
use crate::resource::Board;
use crate::{desired, execute, plan, status};

async fn reconcile(board: Arc<Board>, world: Arc<World>) -> Result<Action, cluster::Error> {
    let snapshot = snapshot(world.cluster.with_our_last_word(board), &world);
    let desired = desired::board::of(&snapshot);
    let plan = plan::board::between(&desired);
    let outcome = execute::board::run(plan, &snapshot.board, &world.cluster).await;
    let report = status::board::of(&snapshot, &desired, outcome.let_go, (world.clock)());
    let (board, status) = (snapshot.board.as_ref(), &report.status);
    if board.status.as_ref() != Some(status) {
        let can_wait = status::board::differ_only_in_counts(board.status.as_ref(), status);
        if let Some(pause) = world.pace.wait(board, can_wait) {
            return Ok(Action::requeue(pause));
        }
    }
    world.cluster.report(board, status).await?;
    world.cluster.tell(board, report.news).await;
    match outcome.failed {
        Some(error) => Err(error),
        None => Ok(Action::requeue(
            report.look_again.unwrap_or_else(|| super::now_and_then(board)),
        )),
    }
}

fn snapshot(board: Arc<Board>, world: &World) -> Snapshot {
    let namespace = board.namespace().unwrap_or_default();
    Snapshot {
        gateway: world.stores.gateway(&namespace, &board.spec.gateway_ref.name),
        team: world.stores.team(&namespace, &board.name_any()),
        board,
    }
}

/// Runs until `stop`: passes under way are finished first.
pub async fn run(
    world: Arc<World>,
    wakes: mpsc::UnboundedReceiver<ObjectRef<Board>>,
    concurrency: u16,
    stop: CancellationToken,
) {
    let metrics = world.metrics.clone();
    let pass = move |board: Arc<Board>, world: Arc<World>| {
        let metrics = metrics.clone();
        async move { metrics.timed("board", Box::pin(reconcile(board, world))).await }
    };
    super::drive(
        world.stores.boards.clone(),
        wakes,
        world,
        pass,
        failed,
        concurrency,
        stop,
    )
    .await;
}

/// What could not be written is found again by the next pass.
#[expect(clippy::needless_pass_by_value, reason = "kube's Controller hands it over so")]
fn failed(board: Arc<Board>, error: &cluster::Error, world: Arc<World>) -> Action {
    let pause = world.cluster.back_off(board.as_ref());
    tracing::warn!(board = %ObjectRef::from_obj(board.as_ref()), %error, ?pause, "the pass could not be finished");
    Action::requeue(pause)
}
