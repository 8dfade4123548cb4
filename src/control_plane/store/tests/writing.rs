//! Writes: compare and swap, and nothing before it is durable.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;

use super::super::file::{self, Place};
use super::super::stored::Contents;
use super::super::{
    Beginning, Change, Expected, Keep, NotWritten, Paging, Prefix, Premise, Revision, Store, Stored, Trouble,
};
use super::disk::{Disk, Fault};
use super::{agent, agents, delete, lines, object, prompt, put, told, watch, words};

fn on(disk: &Disk) -> Store {
    Store::of(Place::Disk(disk.clone()), Keep::default()).unwrap()
}

fn new_disk() -> Disk {
    let disk = Disk::new();
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .unwrap();
    file::begin(&database, &Contents::nothing()).unwrap();
    database.close().unwrap();
    disk
}

async fn looks_at_what_a_write_rests_upon(store: Store) {
    let (team, alice) = (agent("team"), agent("alice"));
    let goes_on = |team: &Stored| prompt(team) != "ending";
    let first = put(&store, &team, "beginning").await;
    let upon = |seen| {
        let premise = Some(Premise {
            key: team.clone(),
            seen,
            holds: goes_on,
        });
        let change = Change::Put(object(&alice, "hello"));
        let expected = Expected::of(store.get(&alice).as_ref());
        store.write_upon(premise, alice.clone(), expected, change)
    };
    upon(first.revision).await.unwrap();
    put(&store, &team, "going on").await;
    upon(first.revision).await.unwrap();
    let revision = store.revision();
    // In one batch, where there is one: what is not yet durable counts.
    let end = store.write(
        team.clone(),
        Expected::of(store.get(&team).as_ref()),
        Change::Put(object(&team, "ending")),
    );
    let (ending, late) = futures::join!(end, upon(first.revision));
    let ending = ending.unwrap();
    let present = Some(ending.clone());
    assert_eq!(late, Err(NotWritten::Unfounded { present }));
    // Whoever has seen it so has said that it will do.
    upon(ending.revision).await.unwrap();
    delete(&store, &team).await;
    let late = upon(ending.revision).await;
    assert_eq!(late, Err(NotWritten::Unfounded { present: None }));
    assert_eq!(store.revision(), Revision(revision.0 + 3));
}

#[tokio::test]
async fn what_a_write_rests_upon_is_looked_at_when_it_is_written() {
    looks_at_what_a_write_rests_upon(Store::in_memory(Keep::default())).await;
    looks_at_what_a_write_rests_upon(on(&new_disk())).await;
}

async fn compares_and_swaps(store: Store) {
    let alice = agent("alice");
    let write = |expected, change| store.write(alice.clone(), expected, change);
    let put = |prompt| Change::Put(object(&alice, prompt));
    let changed = |present| Err(NotWritten::Changed { present });

    let absent = write(Expected::At(Revision(1)), put("no")).await;
    assert_eq!(absent, changed(None));
    let one = write(Expected::Absent, put("one")).await.unwrap();
    assert_eq!(one.object().unwrap().resource_version(), Some("2"));
    assert_eq!(
        write(Expected::Absent, put("again")).await,
        changed(Some(one.clone()))
    );
    let two = write(Expected::At(one.revision), put("two")).await.unwrap();
    assert_eq!(
        write(Expected::At(one.revision), put("late")).await,
        changed(Some(two.clone()))
    );
    let last = || Change::Delete(two.object().unwrap());
    assert_eq!(
        write(Expected::At(one.revision), last()).await,
        changed(Some(two.clone()))
    );
    let deleted = write(Expected::At(two.revision), last()).await.unwrap();
    assert_eq!(
        (deleted.revision, prompt(&deleted)),
        (Revision(4), "two".to_owned())
    );
    assert_eq!(write(Expected::At(two.revision), last()).await, changed(None));
    assert_eq!(write(Expected::Absent, last()).await, changed(None));
    assert_eq!((store.get(&alice), store.revision()), (None, Revision(4)));
}

#[tokio::test]
async fn a_write_is_refused_where_another_was_first() {
    compares_and_swaps(Store::in_memory(Keep::default())).await;
    compares_and_swaps(on(&new_disk())).await;
}

#[test]
fn in_memory_all_is_done_at_once() {
    let store = Store::in_memory(Keep::default());
    assert!(put(&store, &agent("alice"), "one").now_or_never().is_some());
}

/// Sixteen count up one number, each trying again when another was faster.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_write_is_lost_among_writers_of_one_object() {
    let store = on(&new_disk());
    put(&store, &agent("counter"), "0").await;
    let counting = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                let mut stored = store.get(&agent("counter")).unwrap();
                loop {
                    let count: u32 = prompt(&stored).parse().unwrap();
                    let change = Change::Put(object(&agent("counter"), &(count + 1).to_string()));
                    let expected = Expected::At(stored.revision);
                    match store.write(agent("counter"), expected, change).await {
                        Ok(_) => break,
                        Err(NotWritten::Changed { present }) => stored = present.unwrap(),
                        Err(error) => panic!("no conflict: {error}"),
                    }
                }
            }
        })
    });
    join_all(counting).await.into_iter().for_each(Result::unwrap);
    let counter = store.get(&agent("counter")).unwrap();
    assert_eq!(
        (prompt(&counter).as_str(), counter.revision),
        ("160", Revision(162))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_seen_before_it_is_durable_and_reads_do_not_wait_for_it() {
    let disk = new_disk();
    let store = on(&disk);
    let old = put(&store, &agent("alice"), "old").await;
    let mut watch = watch(&store, Beginning::After(store.revision()));
    disk.hold_syncs();
    let writing = tokio::spawn({
        let store = store.clone();
        async move { put(&store, &agent("alice"), "new").await }
    });
    let waiting = disk.clone();
    tokio::task::spawn_blocking(move || waiting.wait_for_a_sync())
        .await
        .unwrap();

    // The writer is in the middle of its fsync, and all of these come back.
    assert_eq!(store.get(&agent("alice")), Some(old.clone()));
    let page = store.list(&Prefix::all(&agents()), &Paging::default()).unwrap();
    assert_eq!(page.items, [(agent("alice"), old)]);
    assert_eq!(told(&mut watch).0, []);
    assert!(!writing.is_finished());

    disk.let_syncs_go();
    let new = writing.await.unwrap();
    assert_eq!(store.get(&agent("alice")), Some(new));
    assert_eq!(lines(&[watch.next().await.unwrap()]), ["MODIFIED alice 3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_during_a_sync_shares_the_next() {
    let disk = new_disk();
    let store = Arc::new(on(&disk));
    disk.hold_syncs();
    let before = disk.syncs();
    let first = tokio::spawn({
        let store = Arc::clone(&store);
        async move { put(&store, &agent("first"), "one").await }
    });
    let waiting = disk.clone();
    tokio::task::spawn_blocking(move || waiting.wait_for_a_sync())
        .await
        .unwrap();
    let names: Vec<_> = (0..50).map(|n| agent(&format!("agent-{n}"))).collect();
    let mut writes: Vec<_> = names
        .iter()
        .map(|key| Box::pin(put(&store, key, "one")))
        .collect();
    for write in &mut writes {
        assert!(futures::poll!(write).is_pending());
    }
    disk.let_syncs_go();
    join_all(writes).await;
    first.await.unwrap();
    assert_eq!(disk.syncs() - before, 2);
    assert_eq!(store.revision(), Revision(52));
}

#[tokio::test]
async fn a_full_disk_is_said_and_passes() {
    let disk = new_disk();
    let store = on(&disk);
    let alice = put(&store, &agent("alice"), "one").await;
    let mut watch = watch(&store, Beginning::After(store.revision()));
    disk.fail_at(1, Fault::Once(std::io::ErrorKind::StorageFull));
    let change = || Change::Put(object(&agent("alice"), &words(9_000)));
    let full = store
        .write(agent("alice"), Expected::At(alice.revision), change())
        .await;
    let full = full.unwrap_err();
    assert_eq!(
        full.to_string(),
        "there is no room for the disk of the test: no storage space; nothing was written; free some space and try again"
    );
    assert_eq!(store.get(&agent("alice")), Some(alice.clone()));
    assert_eq!((told(&mut watch).0, store.revision()), (vec![], alice.revision));

    let again = store
        .write(agent("alice"), Expected::At(alice.revision), change())
        .await
        .unwrap();
    assert_eq!(lines(&told(&mut watch).0), ["MODIFIED alice 3"]);
    store.close().await;
    assert_eq!(on(&disk.copy()).get(&agent("alice")), Some(again));
}

/// The second of two that create the same object would be told of the first, which never was.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_lost_to_a_write_that_failed_is_told_of_the_failure() {
    let disk = new_disk();
    let store = on(&disk);
    disk.hold_syncs();
    let key = agent("first");
    let mut first = Box::pin(put(&store, &key, "one"));
    assert!(futures::poll!(&mut first).is_pending());
    let waiting = disk.clone();
    tokio::task::spawn_blocking(move || waiting.wait_for_a_sync())
        .await
        .unwrap();
    let create = || {
        store.write(
            agent("alice"),
            Expected::Absent,
            Change::Put(object(&agent("alice"), "")),
        )
    };
    let (mut one, mut other) = (Box::pin(create()), Box::pin(create()));
    assert!(futures::poll!(&mut one).is_pending() && futures::poll!(&mut other).is_pending());
    disk.fail_at(0, Fault::Once(std::io::ErrorKind::StorageFull));
    disk.let_syncs_go();
    first.await;
    for answer in [one.await, other.await] {
        assert!(
            matches!(answer, Err(NotWritten::Storage(Trouble::Full { .. }))),
            "{answer:?}"
        );
    }
    assert_eq!(store.get(&agent("alice")), None);
}

#[tokio::test]
async fn a_store_that_is_closed_is_read_and_not_written() {
    let disk = new_disk();
    for store in [Store::in_memory(Keep::default()), on(&disk)] {
        let alice = put(&store, &agent("alice"), "one").await;
        store.close().await;
        store.close().await;
        let write = store.write(
            agent("bob"),
            Expected::Absent,
            Change::Put(object(&agent("bob"), "")),
        );
        assert_eq!(write.await, Err(NotWritten::Storage(Trouble::Closed)));
        assert_eq!(store.get(&agent("alice")), Some(alice));
    }
}

#[tokio::test]
async fn a_restart_keeps_what_is_present_and_its_revisions_and_forgets_the_history() {
    let disk = new_disk();
    let store = on(&disk);
    let alice = put(&store, &agent("alice"), "one").await;
    put(&store, &agent("bob"), "one").await;
    delete(&store, &agent("bob")).await;
    store.close().await;

    let store = on(&disk);
    assert_eq!(store.revision(), Revision(4));
    let page = store.list(&Prefix::all(&agents()), &Paging::default()).unwrap();
    assert_eq!(page.items, [(agent("alice"), alice)]);
    assert!(
        store
            .watch(&Prefix::all(&agents()), Beginning::After(Revision(3)))
            .is_err()
    );
    assert!(
        store
            .watch(&Prefix::all(&agents()), Beginning::After(Revision(4)))
            .is_ok()
    );
    assert_eq!(put(&store, &agent("bob"), "two").await.revision, Revision(5));
}
