//! The tokens of two hundred agents are changed while the agents report with what stands in their files: nobody is ever
//! refused, and each rotation changes each token exactly once. So it is where the operator is killed (SIGKILL) at random moments
//! of rotations, and started again.
//!
//! The operator is a process; the Kubernetes API and the four gateways are in this one, and so are the agents: each reads its
//! own file in its gateway, and asks somebody who follows the Secrets whose token that is. Two of them do: one hears of
//! everything at once, one up to a second late. `tests/real/rotation.rs` plays it with real ones.
//!
//! `ROTATIONS=50 KILL_SEED=7 cargo test --test rotations` plays more rotations, or the same moments again, with five kills
//! each. They are of forty agents, or a debug build would spend most of its time in beginning anew; `WORKERS=48` makes it two
//! hundred.

#![allow(
    unreachable_pub,
    reason = "what is shared with other test programs is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod bed;
mod clients;
mod consumer;
#[path = "../real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;
mod journal;
#[path = "../crashes/kept.rs"]
#[expect(dead_code, reason = "tests/crashes asks other things of it")]
mod kept;
mod laws;
#[path = "../crashes/moment.rs"]
#[expect(dead_code, reason = "a moment is counted in another way here")]
mod moment;
#[path = "../real/bed/process.rs"]
#[expect(dead_code, reason = "the real tests do more with it")]
mod process;
#[path = "../real/bed/scratch.rs"]
#[expect(dead_code, reason = "the real tests do more with it")]
mod scratch;
#[path = "../survivors/mod.rs"]
#[expect(dead_code, reason = "tests/crashes asks more of it")]
mod survivors;
#[path = "../real/bed/wait.rs"]
#[expect(dead_code, reason = "the processes of the beds are waited for with it")]
mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bed::{Ask, Bed};
use clients::{Clients, Counts, Habit, old_ones_count};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use survivors::Operator;
use tokio::time::sleep;

/// In each of four gateways, beside a lead and the main agent that nobody wrote.
const WORKERS: usize = 48;
const WORKERS_OF_THE_KILLED: u64 = 8;
const ROTATIONS: u64 = 10;
const KILLS: usize = 5;

/// Reports at once.
const HASTY: Habit = Habit {
    thinks: Duration::ZERO,
    rests: Duration::from_millis(5),
};
/// Has read its file, and reports when the token may be another one.
const SLOW: Habit = Habit {
    thinks: Duration::from_millis(400),
    rests: Duration::ZERO,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_refused_while_all_tokens_are_changed() {
    let bed = Bed::begin(WORKERS).await;
    let operator = bed.survivors.operator();
    let clients = provisioned(&bed).await;
    let asks = [Ask::Sync, Ask::Word];
    for (nth, ask) in asks.into_iter().enumerate() {
        let told = format!("rotation {nth} of {} agents, by {ask:?}", bed.agents);
        let (before, start) = (bed.tokens(), Instant::now());
        bed.ask(ask, nth).await;
        bed.until_changed(&before, &told).await;
        evidence::say(&format!("{told}: {:?}", start.elapsed()));
        settled(&bed, &clients, &before, nth + 1, &told).await;
    }
    let note = format!("{} rotations of {} agents", asks.len(), bed.agents);
    record(
        "reports while tokens are changed",
        &clients.end().await,
        &bed,
        &note,
    );
    operator.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_refused_where_the_operator_is_killed() {
    let rotations = number("ROTATIONS").unwrap_or(ROTATIONS);
    let workers = number("WORKERS").unwrap_or(WORKERS_OF_THE_KILLED);
    let seed = number("KILL_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    evidence::say(&format!(
        "rotations: KILL_SEED={seed} ROTATIONS={rotations} plays the same moments again"
    ));
    let bed = Bed::begin(usize::try_from(workers).unwrap()).await;
    let mut operator = bed.survivors.operator();
    let clients = provisioned(&bed).await;
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut kills, mut inside) = (0, 0);
    for nth in 0..usize::try_from(rotations).unwrap() {
        let (ask, moments) = (Ask::nth(nth), Moment::of_a_rotation(&mut rng));
        let told = format!("rotation {nth}, by {ask:?}, KILL_SEED={seed}, killed {moments:?}");
        let (before, from, start) = (bed.tokens(), bed.signs.so_far(), Instant::now());
        bed.ask(ask, nth).await;
        for moment in moments {
            operator = struck(&bed, operator, moment, from, &before, &told).await;
            kills += 1;
            inside += u64::from(bed.to_change(&before) > 0);
        }
        bed.until_changed(&before, &told).await;
        evidence::say(&format!("{told}: {:?}", start.elapsed()));
        settled(&bed, &clients, &before, nth + 1, &told).await;
    }
    assert!(
        4 * inside >= 3 * kills,
        "{inside} of {kills} kills came before the end"
    );
    let note = format!(
        "{rotations} rotations of {} agents, {kills} kills, {inside} while tokens were being changed; KILL_SEED={seed}",
        bed.agents
    );
    let counts = clients.end().await;
    record(
        "reports while the operator is killed in rotations",
        &counts,
        &bed,
        &note,
    );
    operator.end();
}

/// Who reports, once everything is there.
async fn provisioned(bed: &Bed) -> Clients {
    let start = Instant::now();
    bed.until_ready("provisioned").await;
    let (agents, took) = (bed.agents, start.elapsed());
    evidence::say(&format!("rotations: {agents} agents are Ready after {took:?}"));
    let clients = clients(bed);
    clients.report(20).await;
    clients
}

fn clients(bed: &Bed) -> Clients {
    let mut clients = Clients::default();
    let (agents, read) = (bed.names(), bed.read());
    let mut begin = |habit, consumer| clients.begin(&agents, habit, Arc::clone(&read), consumer);
    for _ in 0..2 {
        begin(HASTY, Arc::clone(&bed.prompt));
    }
    begin(HASTY, Arc::clone(&bed.lagging));
    for _ in 0..8 {
        begin(SLOW, Arc::clone(&bed.prompt));
        begin(SLOW, Arc::clone(&bed.lagging));
    }
    clients
}

/// What must be so after each rotation, and nobody was refused on the way.
async fn settled(bed: &Bed, clients: &Clients, before: &BTreeMap<String, String>, times: usize, told: &str) {
    bed.until_ready(told).await;
    let promotions = laws::exactly(times, &bed.kept.tokens(told).await, told);
    assert_eq!(promotions.len(), times * bed.agents, "{told}");
    bed.journal.was_in_the_file_before(&promotions, told);
    bed.each_is_in_one_file(told).await;
    old_ones_count(before, &bed.prompt, told).await;
    clients.report(2).await;
    clients.counts().are_good(told);
}

fn record(what: &str, counts: &Counts, bed: &Bed, note: &str) {
    counts.are_good(what);
    let (many, lists) = (counts.authentications, bed.lists());
    let said = format!("{counts}, {lists} lists; {note}");
    evidence::say(&format!("{what}: {many} authentications, {said}"));
    evidence::record("rotation", &format!("simulated: {what}"), many, &said);
}

/// A share of what a rotation does, and a pause after it: two versions of each Secret, and a file about to be written and
/// written.
#[derive(Debug, Clone, Copy)]
struct Moment {
    share: f64,
    pause: Duration,
}

impl Moment {
    fn of_a_rotation(rng: &mut SmallRng) -> Vec<Self> {
        let mut moments: Vec<Self> = (0..KILLS)
            .map(|_| Self {
                share: rng.random_range(0.0..1.0),
                pause: rng.random_range(Duration::ZERO..Duration::from_millis(20)),
            })
            .collect();
        moments.sort_by(|one, other| one.share.total_cmp(&other.share));
        moments
    }
}

/// Killed at this moment, counted from where the rotation began, but not before it did anything; and started again.
async fn struck(
    bed: &Bed,
    operator: Operator,
    moment: Moment,
    from: u64,
    before: &BTreeMap<String, String>,
    told: &str,
) -> Operator {
    let all = (4 * bed.agents) as f64;
    let nth = from + (all * moment.share) as u64;
    let come = async {
        bed.signs.are_more_than(nth.max(bed.signs.so_far())).await;
        sleep(moment.pause).await;
    };
    tokio::select! {
        () = come => {}
        () = bed.until_changed(before, told) => {}
    }
    operator.kill();
    bed.survivors.operator()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: give a number")),
    )
}
