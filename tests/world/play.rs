//! Plays a scenario: once undisturbed, then once for each blow to each of its effects, and judges each run.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::blow::{Blow, Point};
use crate::clock::Clock;
use crate::evidence;
use crate::ledger::{Effect, Ledger, Whose};
use crate::picture::Picture;
use crate::sabotage::Sabotage;
use crate::scenario::{Scenario, So, Step};
use crate::world::World;

/// Nothing was done to the outside for so long: it rests. Longer than any call is waited for.
const REST: Duration = Duration::from_secs(75);
/// How long it may take until it does, after any one blow.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// In the end nothing at all is written for so long: longer than a Gateway is left alone (six minutes at most).
const QUIET: Duration = Duration::from_secs(6 * 60 + 30);

/// What a run came to.
struct Played {
    /// The status that was to be struck was written together with another one: a token's hash is made by a thread of its own,
    /// in real time, and comes when it comes.
    missed: bool,
    /// One for each rest, and one for the end.
    pictures: Vec<Picture>,
    effects: Vec<Effect>,
    made: BTreeMap<String, u32>,
    reads: u64,
}

/// What a world looked like that is not as it should be.
#[derive(Debug)]
struct Divergence(String);

/// What was shown of a scenario.
struct Shown {
    effects: usize,
    reads: u64,
    runs: usize,
    missed: usize,
    divergences: Vec<Divergence>,
}

/// Every blow to every effect; what diverges is told, and fails the test that called.
pub(crate) fn every_blow(scenario: &Scenario) {
    blows(scenario, usize::MAX);
}

/// So many of them, evenly over the whole, others for another seed; all of them with `WORLD_ALL=1`.
pub(crate) fn sampled_blows(scenario: &Scenario, most: usize) {
    let all = variable("WORLD_ALL").is_some();
    blows(scenario, if all { usize::MAX } else { most });
}

fn blows(scenario: &Scenario, most: usize) {
    let Shown {
        effects,
        reads,
        runs,
        missed,
        divergences,
    } = play(scenario, Sabotage::None, "", most);
    assert!(
        missed * 10 <= runs,
        "{}: {missed} of {runs} blows were never dealt",
        scenario.name
    );
    evidence::record(
        "world",
        &format!("effects: {}", scenario.name),
        effects as u64,
        &format!(
            "{runs} runs, {} diverge, {missed} without their blow; beside {reads} reads",
            divergences.len()
        ),
    );
    evidence::record(
        "world",
        "runs, each effect killed before and after, or unanswered",
        runs as u64,
        "",
    );
    evidence::record("world", "runs that diverge", divergences.len() as u64, "");
    if !divergences.is_empty() {
        let mut told = String::new();
        let (whole, rest) = divergences.split_at(divergences.len().min(2));
        for Divergence(what) in whole {
            writeln!(told, "{what}").unwrap();
        }
        for Divergence(what) in rest {
            let shown = what.split("The last effects:").next().unwrap();
            writeln!(told, "{shown}").unwrap();
        }
        panic!(
            "{}: {} of {runs} runs diverge\n{told}",
            scenario.name,
            divergences.len()
        );
    }
}

/// A controller that is broken on purpose: of a few blows to the effects that are called so, some run must diverge.
pub(crate) fn finds_out(scenario: &Scenario, sabotage: Sabotage, at: &str) {
    const A_FEW: usize = 12;
    let shown = play(scenario, sabotage, at, A_FEW);
    let found = shown.divergences.len();
    assert!(
        found > 0,
        "{}: nobody noticed {sabotage:?} in {} runs",
        scenario.name,
        shown.runs
    );
    evidence::record(
        "world",
        "controllers broken on purpose that are found out",
        1,
        &format!("{sabotage:?}: {found} of {} runs", shown.runs),
    );
}

fn play(scenario: &Scenario, sabotage: Sabotage, at: &str, most: usize) -> Shown {
    let reference = run(scenario, None, None, Sabotage::None)
        .unwrap_or_else(|Divergence(what)| panic!("{}, undisturbed: {what}", scenario.name));
    let blows = reference
        .effects
        .iter()
        .enumerate()
        .filter(|(_, effect)| effect.point.effect.starts_with(at))
        .flat_map(|(at, effect)| {
            let blows: &[Blow] = match effect.whose {
                Whose::Api => &Blow::OF_THE_API,
                Whose::Gateway => &Blow::OF_A_GATEWAY,
            };
            blows
                .iter()
                .map(move |blow| (format!("{} {blow}", at + 1), Some((effect.point.clone(), *blow))))
        });
    // Also undisturbed once more, with other delays: otherwise nothing is known of what may differ.
    let all = std::iter::once(("again".to_owned(), None)).chain(blows);
    let all: Vec<_> = all.collect();
    let each = all.len().div_ceil(most);
    let first = usize::try_from(seed()).unwrap() % each;
    let chosen: VecDeque<_> = match wanted_run() {
        Some(wanted) => all.into_iter().filter(|(run, _)| wanted == *run).collect(),
        None => all.into_iter().skip(first).step_by(each).collect(),
    };
    let runs = chosen.len();
    let left = Mutex::new(chosen);
    let divergences = Mutex::new(Vec::new());
    let missed = AtomicUsize::new(0);
    let next = || left.lock().unwrap().pop_front();
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while let Some((named, blow)) = next() {
                    let what = match &blow {
                        Some((point, blow)) => format!("{blow} {point}"),
                        None => "undisturbed".to_owned(),
                    };
                    match run(scenario, Some(&reference), blow, sabotage) {
                        Ok(played) => {
                            missed.fetch_add(usize::from(played.missed), Ordering::Relaxed);
                        }
                        Err(Divergence(why)) => {
                            let again = format!("WORLD_SEED={} WORLD_POINT='{named}'", seed());
                            let told = format!("{}, {what} ({again} plays it again)\n{why}", scenario.name);
                            divergences.lock().unwrap().push(Divergence(told));
                        }
                    }
                }
            });
        }
    });
    Shown {
        effects: reference.effects.len(),
        reads: reference.reads,
        runs,
        missed: missed.into_inner(),
        divergences: divergences.into_inner().unwrap(),
    }
}

/// `reference`: the undisturbed run that this one must come to.
fn run(
    scenario: &Scenario,
    reference: Option<&Played>,
    blow: Option<(Point, Blow)>,
    sabotage: Sabotage,
) -> Result<Played, Divergence> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // The same delays lead to the same point; undisturbed once more, others show what may differ.
    let again = reference.is_some() && blow.is_none();
    let seed = seed() + u64::from(again);
    runtime.block_on(async {
        let clock = Clock::starting_now();
        let ledger = Ledger::new(clock, blow);
        let world = World::begin(scenario, ledger, clock, seed, sabotage).await;
        let run = Run {
            world,
            reference,
            may_differ: scenario.may_differ,
        };
        run.play(scenario).await
    })
}

struct Run<'a> {
    world: World,
    reference: Option<&'a Played>,
    may_differ: &'static [&'static str],
}

impl Run<'_> {
    async fn play(&self, scenario: &Scenario) -> Result<Played, Divergence> {
        let World { ledger, gateways, .. } = &self.world;
        let mut pictures = Vec::new();
        for (number, step) in scenario.steps.iter().enumerate() {
            ledger.enter(number + 1);
            match step {
                Step::Apply(text) => self.world.apply("default", text).await,
                Step::ApplyIn(namespace, text) => self.world.apply(namespace, text).await,
                Step::Delete(what) => self.world.delete(what).await,
                Step::Gateway(host, deed) => gateways.at(host).perform(deed()),
                Step::Seconds(seconds) => sleep(Duration::from_secs(*seconds)).await,
                Step::Rest(wanted) => pictures.push(self.rest(number + 1, wanted, pictures.len()).await?),
            }
        }
        pictures.push(self.quiet(pictures.last()).await?);
        if wanted_run().is_some() {
            evidence::say(&format!("all of it:\n{}", ledger.told(0, usize::MAX)));
        }
        let missed = ledger.missed();
        if let Some((point, blow)) = &missed
            && !point.effect.contains("s/status ")
        {
            return Err(self.diverges(&format!("{blow} {point}: it never came to that")));
        }
        let made = ledger.made();
        if let Some(reference) = self.reference
            && reference.made != made
        {
            let told = format!(
                "made otherwise than undisturbed: {made:?} instead of {:?}",
                reference.made
            );
            return Err(self.diverges(&told));
        }
        Ok(Played {
            pictures,
            missed: missed.is_some(),
            effects: ledger.effects(),
            made,
            reads: ledger.reads(),
        })
    }

    /// Waits until nothing is written any more, and all is as wanted: as in the undisturbed run, if this is not that one.
    async fn rest(&self, step: usize, wanted: &[So], at: usize) -> Result<Picture, Divergence> {
        const LOOK_EVERY: Duration = Duration::from_secs(15);
        let ledger = &self.world.ledger;
        let begun = Instant::now();
        let (mut count, mut since) = (ledger.count(), begun);
        let mut told = String::new();
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(why) = ledger.trouble() {
                return Err(self.diverges(&why));
            }
            if ledger.count() != count {
                (count, since) = (ledger.count(), Instant::now());
            }
            let over = begun.elapsed() > PATIENCE;
            if since.elapsed() < REST && !over {
                continue;
            }
            let picture = self.world.picture().await.without(self.may_differ);
            if picture.waits_for_a_hash() {
                // While this is under way the clock stands still.
                let real = || std::thread::sleep(Duration::from_millis(20));
                tokio::task::spawn_blocking(real).await.unwrap();
                if !over {
                    continue;
                }
            }
            let missing = self.missing(&picture, wanted, at);
            if missing.is_empty() && !over {
                return Ok(picture);
            }
            if wanted_run().is_some() && told != missing {
                let shown = self.world.clock.shown();
                evidence::say(&format!("{shown}  step {step}, not yet so:\n{missing}"));
                told.clone_from(&missing);
            }
            if over {
                let minutes = PATIENCE.as_secs() / 60;
                return Err(self.diverges(&format!("step {step}: not so after {minutes} min:\n{missing}")));
            }
        }
    }

    fn missing(&self, picture: &Picture, wanted: &[So], at: usize) -> String {
        let unmet = wanted.iter().filter(|so| !so.holds(picture));
        let mut told: String = unmet.map(|so| format!("  {so:?} does not hold\n")).collect();
        match self.reference {
            Some(reference) => told += &reference.pictures[at].difference(picture),
            None if !told.is_empty() => told += &picture.summary(),
            None => {}
        }
        told
    }

    /// Nothing at all is written any more, and nothing changes.
    async fn quiet(&self, last: Option<&Picture>) -> Result<Picture, Divergence> {
        let ledger = &self.world.ledger;
        let before = ledger.count();
        sleep(QUIET).await;
        if let Some(why) = ledger.trouble() {
            return Err(self.diverges(&why));
        }
        if ledger.count() != before {
            let told = format!(
                "it had come to rest, and then it wrote:\n{}",
                ledger.told(before, 10)
            );
            return Err(self.diverges(&told));
        }
        let picture = self.world.picture().await.without(self.may_differ);
        match last {
            Some(last) if *last != picture => {
                let told = format!(
                    "it had come to rest, and then it changed:\n{}",
                    last.difference(&picture)
                );
                Err(self.diverges(&told))
            }
            Some(_) | None => Ok(picture),
        }
    }

    fn diverges(&self, why: &str) -> Divergence {
        Divergence(format!(
            "{why}\nThe last effects:\n{}",
            self.world.ledger.told(0, 30)
        ))
    }
}

/// Of the delays, and of the simulated gateways.
fn seed() -> u64 {
    variable("WORLD_SEED").map_or(1, |text| text.parse().unwrap())
}

/// One run alone: `3 killed before`, `again`.
fn wanted_run() -> Option<String> {
    variable("WORLD_POINT")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
