//! A process that writes is killed, again and again; what it was answered is there.
//!
//! The test runs its own program once more with `FILE` set: that one opens the store, writes with several writers at
//! once, says every answer on its standard output, and never ends by itself. What it said is in the pipe when it is dead.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::super::{Change, Expected, Keep, Key, Revision, Store, Stored};
use super::{Folder, agent, object, prompt, words};

const FILE: &str = "QUARTERMASTER_TEST_STORE";
/// How often each writer has written.
const COUNTS: &str = "QUARTERMASTER_TEST_COUNTS";
const NAME: &str = "control_plane::store::tests::killed::what_was_answered_is_there_after_a_kill";
const WRITERS: usize = 8;
/// More by hand: `QUARTERMASTER_TEST_KILLS=2000`.
const KILLS: usize = 100;

#[test]
fn what_was_answered_is_there_after_a_kill() {
    if let Some(file) = env::var_os(FILE) {
        write_until_killed(Path::new(&file));
    }
    let kills = env::var("QUARTERMASTER_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let folder = Folder::new();
    let file = folder.file("store");
    let mut rng = SmallRng::seed_from_u64(3);
    let mut last = HashMap::new();
    let mut answers = 0;
    for kill in 0..kills {
        // Some die while they open the file: repairing it is to be survived, too.
        let after = (kill % 5 > 0).then(|| rng.random_range(1..40));
        let delay = Duration::from_micros(rng.random_range(0..8_000));
        answers += kill_one(&file, after, delay, &mut last);
        check(&file, &mut last);
    }
    assert!(answers > kills * 10, "{answers} answers are no load");
}

/// What a writer was answered last: how often it has written, and at which revision.
type Last = HashMap<usize, (u64, Revision)>;

/// Lets one write, until so many answers and a while, and gives how many it was given.
fn kill_one(file: &Path, after: Option<usize>, delay: Duration, last: &mut Last) -> usize {
    let counts = (0..WRITERS).map(|writer| last.get(&writer).map_or(0, |(count, _)| *count).to_string());
    let counts: Vec<_> = counts.collect();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(COUNTS, counts.join(","))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut said: Vec<String> = Vec::new();
    said.extend(lines.by_ref().take_while(|line| !line.contains("opening")));
    if let Some(after) = after {
        said.extend(lines.by_ref().take(after));
    }
    thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(lines);

    let mut answers = 0;
    for line in said {
        let words: Vec<&str> = line.split(' ').collect();
        // The last may have been cut off in the middle.
        if let ["answered", writer, count, revision, "."] = words[..] {
            let count = count.parse().unwrap();
            let before = last.insert(writer.parse().unwrap(), (count, revision.parse().unwrap()));
            assert!(before.is_none_or(|(before, _)| before < count));
            answers += 1;
        }
    }
    answers
}

/// Each writer's object is as it was answered last, or as what came next would have made it.
fn check(file: &Path, last: &mut Last) {
    let store = Store::open(file, Keep::default()).unwrap();
    for writer in 0..WRITERS {
        let (answered, revision) = last.get(&writer).copied().unwrap_or((0, Revision::FIRST));
        assert!(store.revision() >= revision, "the store went back");
        let found = (answered..=answered + 1).find(|count| is_as_after(&store, writer, *count));
        let Some(found) = found else {
            let stored = store.get(&name(writer)).map(|stored| prompt(&stored));
            panic!("writer {writer} was answered for {answered} writes, and there is {stored:?}");
        };
        // What was not answered and is there nevertheless counts from now on.
        last.insert(writer, (found, store.revision()));
    }
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(store.close());
}

fn name(writer: usize) -> Key {
    agent(&format!("agent-{writer}"))
}

/// Every fifth write deletes.
fn is_deletion(count: u64) -> bool {
    count.is_multiple_of(5)
}

fn text(count: u64) -> String {
    // From a part of a page to several.
    format!("{count} {}", words(usize::try_from(count * 977 % 9_000).unwrap()))
}

fn is_as_after(store: &Store, writer: usize, count: u64) -> bool {
    match store.get(&name(writer)) {
        Some(stored) => !is_deletion(count) && prompt(&stored) == text(count),
        None => is_deletion(count),
    }
}

fn write_until_killed(file: &Path) -> ! {
    let counts = env::var(COUNTS).unwrap();
    say("opening");
    let store = Store::open(file, Keep::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for (writer, count) in counts.split(',').enumerate() {
        let (store, mut count) = (store.clone(), count.parse::<u64>().unwrap());
        runtime.spawn(async move {
            loop {
                count += 1;
                let answered = write(&store, writer, count).await;
                say(&format!("answered {writer} {count} {} .", answered.revision));
            }
        });
    }
    loop {
        thread::park();
    }
}

async fn write(store: &Store, writer: usize, count: u64) -> Stored {
    let (key, stored) = (name(writer), store.get(&name(writer)));
    let change = match &stored {
        Some(stored) if is_deletion(count) => Change::Delete(stored.object().unwrap()),
        Some(_) | None => Change::Put(object(&key, &text(count))),
    };
    store
        .write(key, Expected::of(stored.as_ref()), change)
        .await
        .unwrap()
}

/// Nobody listens: the test has failed.
fn say(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(1);
    }
}
