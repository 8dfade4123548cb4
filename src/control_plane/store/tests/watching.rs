//! Watches: what is told, in which order, and when one ends.

use std::time::Duration;

use futures::FutureExt;

use super::super::{Beginning, Keep, OutOfReach, Paging, Prefix, Revision, Store};
use super::{agent, agents, delete, key, lines, prompt, put, secrets, told, watch, words};
use crate::control_plane::store::{EventKind, Notice};

const SHORT: Keep = Keep {
    events: 3,
    age: Duration::from_secs(300),
    bytes: usize::MAX,
};

#[tokio::test]
async fn every_change_is_told_in_order_and_a_deletion_with_the_last_state() {
    let store = Store::in_memory(Keep::default());
    let mut early = watch(&store, Beginning::After(store.revision()));
    put(&store, &agent("alice"), "one").await;
    put(&store, &agent("alice"), "two").await;
    put(&store, &key(&secrets(), "default", "alice"), "not hers").await;
    delete(&store, &agent("alice")).await;

    let (notices, over) = told(&mut early);
    let expected = ["ADDED alice 2", "MODIFIED alice 3", "DELETED alice 5"];
    assert_eq!(
        (lines(&notices), over),
        (expected.map(str::to_owned).to_vec(), false)
    );
    let Some(Notice::Event(deleted)) = notices.last() else {
        panic!("{notices:?}")
    };
    assert_eq!(deleted.kind, EventKind::Deleted);
    assert_eq!(prompt(&deleted.stored), "two");
    assert_eq!(deleted.stored.object().unwrap().resource_version(), Some("5"));
    assert_eq!(deleted.previous.as_ref().unwrap().revision, Revision(3));

    let mut late = watch(&store, Beginning::After(Revision(2)));
    assert_eq!(lines(&told(&mut late).0), ["MODIFIED alice 3", "DELETED alice 5"]);
}

#[tokio::test]
async fn what_is_there_is_told_first_then_its_end_then_what_changes() {
    let store = Store::in_memory(Keep::default());
    for n in 0..300 {
        put(&store, &agent(&format!("agent-{n:03}")), "one").await;
    }
    let mut watch = watch(&store, Beginning::WithPresent);
    // All of the first page was told as it was at the beginning; so is the rest.
    let first = watch.next().await.unwrap();
    assert_eq!(lines(&[first]), ["ADDED agent-000 2"]);
    put(&store, &agent("agent-299"), "two").await;
    delete(&store, &agent("agent-298")).await;

    let (notices, over) = told(&mut watch);
    let lines = lines(&notices);
    assert_eq!((lines.len(), over), (302, false));
    assert_eq!(
        lines[297..],
        [
            "ADDED agent-298 300",
            "ADDED agent-299 301",
            "INITIAL 301",
            "MODIFIED agent-299 302",
            "DELETED agent-298 303"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_slower_than_the_history_is_long_is_ended() {
    let store = Store::in_memory(SHORT);
    put(&store, &agent("alice"), "zero").await;
    let (mut slow, mut quick) = (
        watch(&store, Beginning::After(store.revision())),
        watch(&store, Beginning::After(store.revision())),
    );
    for n in 0..4 {
        put(&store, &agent("alice"), &n.to_string()).await;
        assert_eq!(told(&mut quick).0.len(), 1);
    }
    // More than three, but not yet old.
    assert_eq!(told(&mut slow).0.len(), 4);
    let mut slow = watch(&store, Beginning::After(Revision(3)));
    tokio::time::advance(SHORT.age + Duration::from_secs(1)).await;
    put(&store, &agent("alice"), "last").await;
    assert_eq!(told(&mut slow), (vec![], true));
    assert_eq!(lines(&told(&mut quick).0), ["MODIFIED alice 7"]);

    let expired = OutOfReach::Expired {
        asked: Revision(3),
        complete_since: Revision(4),
    };
    let again = store.watch(&Prefix::all(&agents()), Beginning::After(Revision(3)));
    assert_eq!(again.err(), Some(expired));
    let page = Paging {
        at: Some(Revision(3)),
        ..Paging::default()
    };
    assert_eq!(store.list(&Prefix::all(&agents()), &page), Err(expired));
    assert_eq!(
        expired.to_string(),
        "revision 3 is forgotten: what is known is complete since 4"
    );
}

#[tokio::test]
async fn a_quiet_resource_is_not_forgotten_because_another_is_busy() {
    let store = Store::in_memory(Keep {
        age: Duration::ZERO,
        ..SHORT
    });
    let secret = key(&secrets(), "default", "token");
    put(&store, &secret, "old").await;
    let before = store.revision();
    put(&store, &secret, "new").await;
    let mut quiet = store
        .watch(&Prefix::all(&secrets()), Beginning::After(before))
        .unwrap();
    for n in 0..100 {
        put(&store, &agent("alice"), &n.to_string()).await;
    }
    assert_eq!(lines(&told(&mut quiet).0), ["MODIFIED token 3"]);
    assert!(
        store
            .watch(&Prefix::all(&secrets()), Beginning::After(before))
            .is_ok()
    );
}

#[tokio::test]
async fn the_history_of_all_has_so_many_bytes_and_the_oldest_goes_first() {
    const BYTES: usize = 100_000;
    let store = Store::in_memory(Keep {
        bytes: BYTES,
        ..Keep::default()
    });
    let secret = key(&secrets(), "default", "token");
    put(&store, &secret, "old").await;
    put(&store, &secret, "new").await;
    for n in 0..100 {
        put(&store, &agent("alice"), &format!("{n} {}", words(4_000))).await;
    }
    assert!(
        store
            .watch(&Prefix::all(&secrets()), Beginning::After(Revision(2)))
            .is_err()
    );
    let now = store.revision().0;
    let reaches = |back| {
        let after = Beginning::After(Revision(now - back));
        store.watch(&Prefix::all(&agents()), after).is_ok()
    };
    // Each costs the 4,150 bytes that it replaced, and its own few hundred.
    assert!(reaches(20) && !reaches(25));
}

#[tokio::test]
async fn a_bookmark_is_as_new_as_the_store_once_all_is_told() {
    let store = Store::in_memory(Keep::default());
    let namespace = Prefix::namespace(&agents(), "default");
    let mut watch = store
        .watch(&namespace, Beginning::After(store.revision()))
        .unwrap();
    assert_eq!(watch.bookmark(), Some(Revision(1)));
    // Nothing of it is this watch's.
    put(&store, &key(&secrets(), "default", "token"), "one").await;
    put(&store, &key(&agents(), "other", "bob"), "one").await;
    assert_eq!(watch.bookmark(), Some(Revision(3)));
    put(&store, &agent("alice"), "one").await;
    put(&store, &key(&secrets(), "default", "token"), "two").await;
    assert_eq!(watch.bookmark(), None, "alice is still to be told");
    assert_eq!(lines(&told(&mut watch).0), ["ADDED alice 4"]);
    assert_eq!(watch.bookmark(), Some(Revision(5)));
}

#[tokio::test]
async fn a_watch_may_begin_at_a_revision_that_has_not_come() {
    let store = Store::in_memory(Keep::default());
    let mut watch = watch(&store, Beginning::After(Revision(3)));
    for n in 0..4 {
        put(&store, &agent("alice"), &n.to_string()).await;
        if n < 2 {
            assert_eq!(told(&mut watch), (vec![], false));
            assert_eq!(watch.bookmark(), Some(Revision(3)));
        }
    }
    assert_eq!(
        lines(&told(&mut watch).0),
        ["MODIFIED alice 4", "MODIFIED alice 5"]
    );
}

#[tokio::test]
async fn who_waits_is_woken_and_closing_ends_it() {
    let store = Store::in_memory(Keep::default());
    let mut watch = watch(&store, Beginning::After(store.revision()));
    let waiting = tokio::spawn(async move {
        let first = watch.next().await;
        (first, watch.next().await)
    });
    tokio::task::yield_now().await;
    put(&store, &agent("alice"), "one").await;
    tokio::task::yield_now().await;
    store.close().await;
    let (first, second) = waiting.await.unwrap();
    assert_eq!(
        (lines(&[first.unwrap()]), second),
        (vec!["ADDED alice 2".to_owned()], None)
    );
}

#[tokio::test]
async fn a_hundred_watchers_share_each_event() {
    let store = Store::in_memory(Keep::default());
    let begin = Beginning::After(store.revision());
    let mut watches: Vec<_> = (0..100).map(|_| watch(&store, begin)).collect();
    let stored = put(&store, &agent("alice"), "one").await;
    for watch in &mut watches {
        let Some(Notice::Event(event)) = watch.next().await else {
            panic!("over")
        };
        assert_eq!(event.stored.bytes.as_ptr(), stored.bytes.as_ptr());
    }
}

/// A watcher that no longer reads holds what it took: a few bytes more than 64 KiB, and not 128 events of any size.
#[tokio::test]
async fn what_is_large_is_taken_in_small_parts_and_nothing_is_lost() {
    let store = Store::in_memory(Keep::default());
    let mut early = watch(&store, Beginning::After(store.revision()));
    for n in 0..40 {
        put(&store, &agent(&format!("agent-{n:02}")), &words(100 << (n % 11))).await;
        put(&store, &key(&secrets(), "default", "other"), &n.to_string()).await;
    }
    let mut late = watch(&store, Beginning::WithPresent);
    for watch in [&mut early, &mut late] {
        let mut names = Vec::new();
        while let Some(Some(notice)) = watch.next().now_or_never() {
            let held = watch.held();
            assert!(held <= 64 << 10, "{held} bytes are held beside what is told");
            names.extend(lines(&[notice]).first().cloned());
        }
        names.retain(|line| line.starts_with("ADDED"));
        let expected: Vec<String> = (0..40)
            .map(|n| format!("ADDED agent-{n:02} {}", 2 + 2 * n))
            .collect();
        assert_eq!(names, expected);
    }
}
