//! The power is cut at every single operation of the disk. A process that is killed shows nothing of that: what it wrote
//! is in the system's memory and reaches the disk.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::disk::{Disk, Fault};
use super::{agents, key, object, words};
use crate::control_plane::store::batch::{Batch, Change, Expected, Write};
use crate::control_plane::store::file::{self, File, Place};
use crate::control_plane::store::stored::{Contents, Revision, Stored};
use crate::control_plane::store::trouble::Trouble;

/// What is present at a revision.
type Present = BTreeMap<String, Bytes>;

const BATCHES: usize = 14;
/// Compacting moves everything, so it is done in the middle of it.
const COMPACTED_AFTER: usize = 8;

/// A store's file and what should be in it.
struct Bench {
    file: File,
    present: BTreeMap<String, Stored>,
    revision: Revision,
    rng: SmallRng,
}

impl Bench {
    /// Everything in it happens again in the same way.
    fn new(disk: &Disk) -> Self {
        let (file, contents) = File::open(Place::Disk(disk.clone())).unwrap();
        assert!(contents.objects.is_empty());
        Self {
            file,
            present: BTreeMap::new(),
            revision: contents.revision,
            rng: SmallRng::seed_from_u64(7),
        }
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch::after(self.revision);
        for _ in 0..self.rng.random_range(1..6) {
            let key = key(
                &agents(),
                "default",
                &format!("agent-{}", self.rng.random_range(0..12)),
            );
            let present = match batch.events().iter().rev().find(|event| event.key == key) {
                Some(event) => event.remains().cloned(),
                None => self.present.get(&key.to_string()).cloned(),
            };
            // From a part of a page to several pages.
            let written = object(&key, &words(self.rng.random_range(10..9_000)));
            let write = Write {
                expected: Expected::of(present.as_ref()),
                premise: None,
                change: match present {
                    Some(_) if self.rng.random_bool(0.3) => Change::Delete(written),
                    Some(_) | None => Change::Put(written),
                },
                key,
            };
            let durable = present;
            batch.add(write, |_| durable.clone()).unwrap();
        }
        batch
    }

    fn take_in(&mut self, batch: Batch) {
        for event in batch.into_events() {
            self.revision = event.revision();
            match event.remains() {
                Some(stored) => self.present.insert(event.key.to_string(), stored.clone()),
                None => self.present.remove(&event.key.to_string()),
            };
        }
    }

    fn contents(&self) -> (Revision, Present) {
        let present = self.present.iter();
        let contents = present.map(|(key, stored)| (key.clone(), stored.bytes.clone()));
        (self.revision, contents.collect())
    }

    /// What may be found when it ends in the middle: what was answered last, and what was being written.
    fn run(&mut self) -> Vec<(Revision, Present)> {
        for n in 0..BATCHES {
            let before = self.contents();
            let batch = self.batch();
            let committed = self.file.commit(batch.events());
            self.take_in(batch);
            if committed.is_err() {
                return vec![before, self.contents()];
            }
            if n == COMPACTED_AFTER && self.file.compact().is_err() {
                break;
            }
        }
        vec![self.contents()]
    }
}

fn found_on(disk: &Disk) -> (Revision, Present) {
    let (_, Contents { revision, objects }) = File::open(Place::Disk(disk.clone())).unwrap();
    let objects = objects.into_iter();
    (
        revision,
        objects
            .map(|(key, stored)| (key.to_string(), stored.bytes))
            .collect(),
    )
}

fn new_disk() -> Disk {
    let disk = Disk::new();
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .unwrap();
    file::begin(&database, &Contents::nothing()).unwrap();
    database.close().unwrap();
    disk.copy()
}

#[test]
fn what_was_answered_is_there_after_the_power_was_cut_at_any_operation() {
    let new = new_disk();
    let disk = new.copy();
    let mut bench = Bench::new(&disk);
    disk.fail_at(usize::MAX, Fault::PowerCut);
    assert_eq!(bench.run(), [bench.contents()]);
    let operations = disk.operations();
    assert!(operations > 100, "{operations} are no test");

    for cut in 0..operations {
        let disk = new.copy();
        let mut bench = Bench::new(&disk);
        disk.fail_at(cut, Fault::PowerCut);
        let possible = bench.run();
        drop(bench);
        // Two that lost everything unsynced would be the same.
        for seed in [0, cut as u64 * 2 + 1, cut as u64 * 2 + 1_000_001] {
            let disk = disk.after_power_cut(seed);
            // Once more, while it is being repaired.
            disk.fail_at(cut % 7, Fault::PowerCut);
            let repaired = File::open(Place::Disk(disk.clone())).map(drop);
            let disk = if repaired.is_err() {
                disk.after_power_cut(seed + 1)
            } else {
                disk.after_power_cut(0)
            };
            let found = found_on(&disk);
            assert!(
                possible.contains(&found),
                "cut at operation {cut}, seed {seed}: at {} is found what never was; it was at {:?}",
                found.0,
                possible.iter().map(|(revision, _)| revision).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn a_full_disk_refuses_one_batch_whole_wherever_it_is_noticed() {
    let new = new_disk();
    let disk = new.copy();
    let mut bench = Bench::new(&disk);
    disk.fail_at(usize::MAX, Fault::PowerCut);
    bench.run();
    for at in 0..disk.operations() {
        let disk = new.copy();
        let mut bench = Bench::new(&disk);
        disk.fail_at(at, Fault::Once(io::ErrorKind::StorageFull));
        let mut refused = 0;
        for n in 0..BATCHES {
            let batch = bench.batch();
            match bench.file.commit(batch.events()) {
                Ok(()) => bench.take_in(batch),
                Err(trouble) => {
                    assert!(matches!(trouble, Trouble::Full { .. }), "{trouble}");
                    refused += 1;
                }
            }
            if n == COMPACTED_AFTER {
                refused += usize::from(bench.file.compact().is_err());
            }
        }
        let expected = bench.contents();
        drop(bench);
        assert_eq!(
            found_on(&disk.after_power_cut(0)),
            expected,
            "full at operation {at}"
        );
        assert!(refused <= 1, "full at operation {at}: {refused} were refused");
    }
}

#[test]
fn a_refused_batch_is_not_there_at_the_next_start() {
    let new = new_disk();
    let mut refused = 0;
    for at in 0..40 {
        let disk = new.copy();
        let mut bench = Bench::new(&disk);
        let batch = bench.batch();
        bench.file.commit(batch.events()).unwrap();
        bench.take_in(batch);
        let batch = bench.batch();
        disk.fail_at(at, Fault::Once(io::ErrorKind::StorageFull));
        if bench.file.commit(batch.events()).is_err() {
            refused += 1;
            let expected = bench.contents();
            bench.file.close();
            assert_eq!(found_on(&disk), expected, "full at operation {at}");
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more() {
    let disk = new_disk();
    let mut bench = Bench::new(&disk);
    let syncs = disk.syncs();
    let batch = bench.batch();
    // The sync is what the commit ends with: count it out on a copy.
    let copy = new_disk();
    let mut counted = Bench::new(&copy);
    copy.fail_at(usize::MAX, Fault::PowerCut);
    counted.file.commit(batch.events()).unwrap();
    disk.fail_at(copy.operations() - 1, Fault::Once(io::ErrorKind::Other));

    let trouble = bench.file.commit(batch.events()).unwrap_err();
    assert_eq!(
        trouble.to_string(),
        "the disk of the test cannot be written any more: other error; look after the disk, then start \
         quartermaster again"
    );
    assert_eq!(bench.file.commit(batch.events()), Err(trouble));
    assert_eq!(disk.syncs(), syncs);
}
