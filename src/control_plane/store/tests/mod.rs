//! The store as its users see it.

pub(crate) mod disk;
mod files;
mod killed;
mod model;
mod power_cut;
mod watching;
mod writing;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use serde_json::json;

use super::{Beginning, Change, Event, Expected, Key, Notice, Prefix, ResourceName, Store, Stored, Watch};
use crate::control_plane::Object;

fn agents() -> ResourceName {
    ResourceName::new("agents.quartermaster.dev").unwrap()
}

fn secrets() -> ResourceName {
    ResourceName::new("secrets").unwrap()
}

fn key(resource: &ResourceName, namespace: &str, name: &str) -> Key {
    Key::new(resource, Some(namespace), name).unwrap()
}

fn agent(name: &str) -> Key {
    key(&agents(), "default", name)
}

fn object(key: &Key, prompt: &str) -> Object {
    let object = json!({ "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
        "metadata": { "name": key.name(), "namespace": key.namespace() }, "spec": { "prompt": prompt } });
    Object::of(object).unwrap()
}

fn prompt(stored: &Stored) -> String {
    let spec = stored.object().unwrap().fields()["spec"].clone();
    spec["prompt"].as_str().unwrap().to_owned()
}

/// Text of that length.
fn words(length: usize) -> String {
    "Take stock of everything. "
        .chars()
        .cycle()
        .take(length)
        .collect()
}

/// Whatever is there.
async fn put(store: &Store, key: &Key, prompt: &str) -> Stored {
    let expected = Expected::of(store.get(key).as_ref());
    let change = Change::Put(object(key, prompt));
    store.write(key.clone(), expected, change).await.unwrap()
}

async fn delete(store: &Store, key: &Key) -> Stored {
    let stored = store.get(key).unwrap();
    let change = Change::Delete(stored.object().unwrap());
    let expected = Expected::At(stored.revision);
    store.write(key.clone(), expected, change).await.unwrap()
}

fn watch(store: &Store, beginning: Beginning) -> Watch {
    store.watch(&Prefix::all(&agents()), beginning).unwrap()
}

/// What a watch tells without waiting; and whether it is over.
fn told(watch: &mut Watch) -> (Vec<Notice>, bool) {
    let mut told = Vec::new();
    loop {
        assert!(told.len() < 10_000, "it tells the same again and again");
        match watch.next().now_or_never() {
            Some(Some(notice)) => told.push(notice),
            Some(None) => return (told, true),
            None => return (told, false),
        }
    }
}

/// `ADDED alice 2`
fn line(event: &Event) -> String {
    let (kind, key) = (format!("{:?}", event.kind).to_uppercase(), &event.key);
    format!("{kind} {} {}", key.name(), event.revision())
}

fn lines(notices: &[Notice]) -> Vec<String> {
    let lines = notices.iter().map(|notice| match notice {
        Notice::Event(event) => line(event),
        Notice::InitialEventsEnd(revision) => format!("INITIAL {revision}"),
    });
    lines.collect()
}

/// Removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("quartermaster-store-{}-{made}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
