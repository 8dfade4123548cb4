//! Files: who may use one, what is in it, how long it gets, and its copies.

use std::fs;
use std::path::Path;

use redb::{Database, TableDefinition};

use super::super::{Keep, NotBackedUp, NotOpened, Paging, Prefix, Revision, Store};
use super::{Folder, agent, agents, delete, put, words};

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

#[tokio::test]
async fn a_damaged_file_is_said_to_be() {
    let folder = Folder::new();
    let path = folder.file("store");
    let store = open(&path).unwrap();
    for n in 0..100 {
        put(&store, &agent(&format!("agent-{n}")), "zebra").await;
    }
    store.close().await;
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<_> = (0..bytes.len() - 5)
        .filter(|at| &bytes[*at..at + 5] == b"zebra")
        .collect();
    assert!(places.len() >= 100);
    for at in places {
        bytes[at] = b'Z';
    }
    fs::write(&path, &bytes).unwrap();
    let refusal = refusal(&folder, &path);
    assert!(
        refusal.starts_with("store is damaged: ") && refusal.ends_with("; put a backup in its place"),
        "{refusal}"
    );
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
    assert!(length() > 30 << 20, "{}", length());
    all(words(10)).await;
    put(&store, &agent("last"), "one").await;
    store.close().await;
    assert!(length() < 4 << 20, "{}", length());
    assert_eq!(open(&path).unwrap().revision(), Revision(5_202));
}
