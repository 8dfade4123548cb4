//! The operator is killed (SIGKILL) at random moments while it provisions a fleet, and started again, until all is Ready and
//! woken: in the end everything is as it is when nobody disturbs it, each agent is there once, each token was minted once and
//! never became another one, and each agent was sent one message.
//!
//! The operator is a process, `quartermaster run`; what survives it is in this one: a Kubernetes API over TLS and a simulated
//! gateway over TCP. `tests/real/crashes.rs` plays the same with real ones, and `tests/world` plays every single effect, in
//! one process.
//!
//! `ROUNDS=500 KILL_SEED=7 cargo test --test crashes` plays more rounds, or the same ones again. A seed decides which gateway
//! it is, how often the operator is killed, and at what moments; what two processes come to in these is of chance.

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
#[path = "../real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;
mod kept;
mod moment;
#[path = "../picture/mod.rs"]
#[expect(dead_code, reason = "tests/world asks more of it")]
mod picture;
#[path = "../real/bed/process.rs"]
#[expect(dead_code, reason = "the real tests do more with it")]
mod process;
#[path = "../real/bed/scratch.rs"]
#[expect(dead_code, reason = "the real tests do more with it")]
mod scratch;
#[path = "../survivors/mod.rs"]
#[expect(dead_code, reason = "tests/rotations asks more of it")]
mod survivors;
#[path = "../real/bed/wait.rs"]
#[expect(dead_code, reason = "the processes of the beds are waited for with it")]
mod wait;

use std::sync::Arc;

use bed::Bed;
use futures::{StreamExt, stream};
use moment::{Moment, Window};
use picture::Picture;
use quartermaster::simulated_gateway::Contract;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A round of each seed: gateways of these kinds, killed once to four times. 40 rounds are 100 kills.
const CONTRACTS: [Contract; 2] = [Contract::V2026_9_6, Contract::V2026_7_35];
const ROUNDS: u64 = 40;
/// Most of a round is waiting.
const AT_ONCE: usize = 4;

/// What nobody disturbed.
struct Undisturbed {
    contract: Contract,
    window: Window,
    picture: Picture,
}

#[derive(Debug, Default, Clone, Copy)]
struct Kills {
    all: u64,
    /// While something was still to do.
    inside: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_operator_goes_on_where_it_was() {
    let rounds = number("ROUNDS").unwrap_or(ROUNDS);
    let first_seed = number("KILL_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    evidence::say(&format!(
        "crash test: {rounds} rounds, KILL_SEED={first_seed} ROUNDS={rounds} plays them again"
    ));
    let undisturbed = stream::iter(CONTRACTS).then(undisturbed);
    let undisturbed: Arc<Vec<Undisturbed>> = Arc::new(undisturbed.collect().await);
    let seeds = (0..rounds).map(|round| first_seed.wrapping_add(round));
    let played = stream::iter(seeds).map(|seed| tokio::spawn(round(seed, Arc::clone(&undisturbed))));
    let played: Vec<Kills> = played
        .buffer_unordered(AT_ONCE)
        .map(|round| round.unwrap_or_else(|death| std::panic::resume_unwind(death.into_panic())))
        .collect()
        .await;
    let (all, inside) = played.iter().fold((0, 0), |(all, inside), kills| {
        (all + kills.all, inside + kills.inside)
    });
    assert!(
        4 * inside >= 3 * all,
        "{inside} of {all} kills came before the end"
    );
    evidence::record(
        "kill",
        "simulated: operator killed in a provisioning of 5 agents",
        all,
        &format!("{inside} while something was to do; {rounds} rounds, KILL_SEED={first_seed}"),
    );
}

async fn undisturbed(contract: Contract) -> Undisturbed {
    let bed = Bed::begin(contract).await;
    let from = bed.signs.so_far();
    let operator = bed.operator();
    let window = bed.window(from).await;
    let picture = bed.at_rest().await;
    operator.end();
    bed.laws("undisturbed").await;
    evidence::say(&format!("{contract} undisturbed: {window:?}"));
    Undisturbed {
        contract,
        window,
        picture,
    }
}

async fn round(seed: u64, undisturbed: Arc<Vec<Undisturbed>>) -> Kills {
    let told = format!("KILL_SEED={seed} ROUNDS=1 cargo test --test crashes");
    let of_seed = usize::try_from(seed % 2).unwrap();
    let Undisturbed {
        contract,
        window,
        picture,
    } = &undisturbed[of_seed];
    let mut rng = SmallRng::seed_from_u64(seed);
    let moments: Vec<Moment> = (0..=(seed / 2) % 4).map(|_| Moment::draw(&mut rng)).collect();
    let told = format!("{contract}, killed {moments:?} ({told})");
    let bed = Bed::begin(*contract).await;
    let mut kills = Kills::default();
    for moment in moments {
        let from = bed.signs.so_far();
        let left = window.after(from);
        let operator = bed.operator();
        tokio::select! {
            () = bed.signs.come_to(moment, from, left) => {}
            () = bed.until_done(&told) => {}
        }
        operator.kill();
        kills.all += 1;
        kills.inside += u64::from(!bed.to_do().await.is_empty());
    }
    let operator = bed.operator();
    bed.until_like(picture, &told).await;
    operator.kill();
    bed.laws(&told).await;
    kills
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: give a number")),
    )
}
