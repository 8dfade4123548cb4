//! Files: who may use one, what is in it, how long it gets, and its copies.

use std::fs;
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use redb::{Database, TableDefinition};

use super::super::{Keep, NotBackedUp, NotOpened, Paging, Prefix, Revision, Store};
use super::{Folder, agent, agents, delete, prompt, put, words};

fn open(path: &Path) -> Result<Store, NotOpened> {
    Store::open(path, Keep::default())
}

/// Why it does not open, with the folder left out.
fn refusal(folder: &Folder, path: &Path) -> String {
    let why = open(path).err().unwrap().to_string();
    why.replace(&format!("{}/", folder.0.display()), "")
}

#[tokio::test]
async fn a_file_has_one_process_at_a_time() {
    let folder = Folder::new();
    let path = folder.file("store");
    let store = open(&path).unwrap();
    assert_eq!(
        refusal(&folder, &path),
        "store is used by another process: a store has one at a time; stop that one, or name another file"
    );
    store.close().await;
    open(&path).unwrap().close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let store = open(&folder.file("store")).unwrap();
    store.backup(&folder.file("copy")).unwrap();
    for name in ["store", "copy"] {
        let mode = fs::metadata(folder.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(
        fs::read_dir(&folder.0).unwrap().count(),
        2,
        "nothing is left beside them"
    );
}

#[test]
fn what_a_newer_program_wrote_is_left_alone() {
    let folder = Folder::new();
    let path = folder.file("store");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let about: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
    transaction
        .open_table(about)
        .unwrap()
        .insert("format", 2)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(
        refusal(&folder, &path),
        "store was written by a newer quartermaster (format 2, this one knows 1): use the newer one"
    );
}

#[test]
fn what_is_no_store_is_left_alone() {
    let folder = Folder::new();
    let path = folder.file("notes");
    for text in ["", "notes", &words(100_000)] {
        fs::write(&path, text).unwrap();
        let expected = "notes is no store of quartermaster: name another file";
        assert_eq!(refusal(&folder, &path), expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let foreign = folder.file("foreign");
    Database::create(&foreign).unwrap();
    assert!(refusal(&folder, &foreign).ends_with("is no store of quartermaster: name another file"));
    assert!(refusal(&folder, &folder.file("none/store")).starts_with("none/store cannot be opened: "));
}

/// A hundred agents.
async fn full_file(path: &Path) -> Vec<u8> {
    let store = open(path).unwrap();
    for n in 0..100 {
        put(&store, &agent(&format!("agent-{n}")), "zebra").await;
    }
    store.close().await;
    fs::read(path).unwrap()
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be() {
    let folder = Folder::new();
    let path = folder.file("store");
    let whole = full_file(&path).await;
    let mut altered = whole.clone();
    for at in 0..whole.len() - 5 {
        if &whole[at..at + 5] == b"zebra" {
            altered[at] = b'Z';
        }
    }
    assert_ne!(altered, whole);
    for damaged in [&altered[..], &whole[..whole.len() / 2], &whole[..4_096]] {
        fs::write(&path, damaged).unwrap();
        let refusal = refusal(&folder, &path);
        assert!(
            refusal.starts_with("store is damaged: ") && refusal.ends_with("; put a backup in its place"),
            "{refusal}"
        );
    }
}

/// A part of the file that is not used may be anything; what is served is what was written.
#[tokio::test]
async fn no_damage_ends_the_process_or_is_served() {
    let folder = Folder::new();
    let path = folder.file("store");
    let whole = full_file(&path).await;
    let mut rng = SmallRng::seed_from_u64(11);
    let mut refused = 0;
    for _ in 0..60 {
        let mut damaged = whole.clone();
        // Most of it is empty.
        let page = rng.random_range(0..whole.len() / 4_096 / 4) * 4_096;
        let at = page + rng.random_range(0..4_000);
        rng.fill(&mut damaged[at..at + 64]);
        fs::write(&path, &damaged).unwrap();
        let Ok(store) = open(&path) else {
            refused += 1;
            continue;
        };
        for (_, stored) in store
            .list(&Prefix::all(&agents()), &Paging::default())
            .unwrap()
            .items
        {
            assert_eq!(prompt(&stored), "zebra");
        }
        store.close().await;
    }
    assert!(refused > 5, "{refused}");
}

#[tokio::test]
async fn a_backup_is_the_whole_of_one_revision_and_replaces_nothing() {
    let folder = Folder::new();
    let store = open(&folder.file("store")).unwrap();
    put(&store, &agent("alice"), "one").await;
    put(&store, &agent("bob"), "one").await;
    delete(&store, &agent("bob")).await;
    let copy = folder.file("copy");
    assert_eq!(store.backup(&copy), Ok(Revision(4)));
    let expected = store.list(&Prefix::all(&agents()), &Paging::default()).unwrap();
    put(&store, &agent("carol"), "one").await;
    let exists = NotBackedUp::Exists {
        file: copy.display().to_string(),
    };
    assert_eq!(store.backup(&copy), Err(exists));
    assert!(store.backup(&folder.file("none/copy")).is_err());

    let copied = open(&copy).unwrap();
    assert_eq!(copied.revision(), Revision(4));
    assert_eq!(
        copied.list(&Prefix::all(&agents()), &Paging::default()),
        Ok(expected)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_does_not_grow_with_its_history_and_shrinks_when_much_is_deleted() {
    let folder = Folder::new();
    let path = folder.file("store");
    let store = open(&path).unwrap();
    let length = || fs::metadata(&path).unwrap().len();
    let all = |prompt: String| {
        let (store, prompt) = (&store, prompt);
        let writes = (0..100).map(move |n| {
            let prompt = prompt.clone();
            async move { put(store, &agent(&format!("agent-{n}")), &prompt).await }
        });
        futures::future::join_all(writes)
    };
    for n in 0..50 {
        all(format!("{n} {}", words(4_000))).await;
    }
    // 20 MB were written, 400 kB are there.
    assert!(length() < 8 << 20, "{}", length());

    all(words(300_000)).await;
    assert!(length() > 24 << 20, "{}", length());
    // While it is used, and whatever lies at its end.
    for n in (0..100).filter(|n| n % 10 > 0) {
        delete(&store, &agent(&format!("agent-{n}"))).await;
    }
    let present = 10 * 300_000;
    assert!(length() < 8 * present, "{}", length());
    store.close().await;
    assert_eq!(open(&path).unwrap().revision(), Revision(5_191));
}
