//! Our finalizer beside those of others.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use quartermaster::cluster::{Cluster, Health, Held};
use quartermaster::resource::{Agent, Board};
use serde_json::json;

use super::FINALIZER;
use super::bed::Bed;

const OTHER: &str = "example.com/other";

struct Desk {
    bed: Bed,
    cluster: Cluster,
    boards: Api<Board>,
}

impl Desk {
    /// Without controllers, which would hold and let go by themselves.
    async fn new() -> Self {
        let mut bed = Bed::new().await;
        bed.stop().await;
        let cluster = Cluster::new(bed.client.clone(), Health::default(), bed.metrics.clone());
        let boards = bed.api();
        super::board(&bed, 1).await;
        Self { bed, cluster, boards }
    }

    async fn board(&self) -> Board {
        self.boards.get("ops").await.unwrap()
    }

    async fn finalizers(&self) -> Vec<String> {
        self.board().await.finalizers().to_vec()
    }

    async fn set(&self, finalizers: &[&str]) -> Board {
        let merge = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
        self.boards
            .patch("ops", &PatchParams::default(), &merge)
            .await
            .unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn only_our_word_comes_and_goes() {
    let desk = Desk::new().await;
    let board = desk.board().await;
    assert_eq!(desk.cluster.hold(&board).await.unwrap(), Held::Held);
    assert_eq!(desk.finalizers().await, [FINALIZER]);
    // What was seen is old by now, and says that nobody holds it.
    let writes = desk.board().await.resource_version();
    assert_eq!(desk.cluster.hold(&board).await.unwrap(), Held::Held);
    assert_eq!(desk.board().await.resource_version(), writes);

    desk.set(&[OTHER, FINALIZER]).await;
    desk.cluster.let_go(&desk.board().await).await.unwrap();
    assert_eq!(desk.finalizers().await, [OTHER]);
    desk.cluster.let_go(&desk.board().await).await.unwrap();
    desk.cluster.hold(&desk.board().await).await.unwrap();
    assert_eq!(desk.finalizers().await, [OTHER, FINALIZER]);
}

#[tokio::test(start_paused = true)]
async fn what_another_writes_at_the_same_moment_is_kept() {
    let desk = Desk::new().await;
    let before = desk.board().await;
    desk.set(&[OTHER]).await;
    assert_eq!(desk.cluster.hold(&before).await.unwrap(), Held::Held);
    assert_eq!(desk.finalizers().await, [OTHER, FINALIZER]);
    let before = desk.board().await;
    desk.set(&["example.com/third", OTHER, FINALIZER]).await;
    desk.cluster.let_go(&before).await.unwrap();
    assert_eq!(desk.finalizers().await, ["example.com/third", OTHER]);
}

#[tokio::test(start_paused = true)]
async fn what_is_going_is_not_held_and_its_successor_is_left_alone() {
    let desk = Desk::new().await;
    desk.set(&[OTHER]).await;
    let before = desk.board().await;
    desk.bed.delete::<Board>("ops").await;
    assert_eq!(desk.cluster.hold(&before).await.unwrap(), Held::TooLate);
    assert_eq!(
        desk.cluster.hold(&desk.board().await).await.unwrap(),
        Held::TooLate
    );
    desk.set(&[]).await;
    desk.bed.gone::<Board>("ops").await;
    assert_eq!(desk.cluster.hold(&before).await.unwrap(), Held::TooLate);
    desk.cluster.let_go(&before).await.unwrap();

    super::board(&desk.bed, 1).await;
    assert_eq!(desk.cluster.hold(&before).await.unwrap(), Held::TooLate);
    assert!(desk.finalizers().await.is_empty());
    let successor = desk.set(&[FINALIZER]).await;
    let mut held_before = before.clone();
    held_before.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    desk.cluster.let_go(&held_before).await.unwrap();
    assert_eq!(
        desk.board().await.resource_version(),
        successor.resource_version()
    );
}

#[tokio::test(start_paused = true)]
async fn any_of_our_kinds_can_be_held() {
    let desk = Desk::new().await;
    let agent = super::agent(&desk.bed, "triage", "Worker").await;
    assert_eq!(desk.cluster.hold(&agent).await.unwrap(), Held::Held);
    let agent = desk.bed.get::<Agent>("triage").await.unwrap();
    assert_eq!(agent.finalizers(), [FINALIZER]);
}
