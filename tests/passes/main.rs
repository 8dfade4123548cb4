//! The laws of a pass over an Agent, on a model of the outside that is a few maps: no clock, no connection, thousands of
//! cases a second. Snapshot, desired, plan, machine and status are the program's own.
//!
//! Whatever is begun and cut off at any effect ends where it would have ended: the same entry and files, one token, one
//! message for each reason to wake, and then nothing more is written.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod model;

use model::{Deed, Model, Stop};
use proptest::prelude::*;
use quartermaster::gateway::Contract;

/// What happens to the objects, one after another; the controller comes to rest between two of them or does not.
fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => (0..4usize).prop_map(Deed::Identity),
        2 => (0..4usize).prop_map(Deed::Objective),
        2 => (0..3usize).prop_map(Deed::Heartbeat),
        2 => (0..4usize).prop_map(Deed::Config),
        1 => (0..2usize).prop_map(Deed::Model),
        1 => (0..3usize).prop_map(Deed::File),
        1 => Just(Deed::Pause),
        1 => Just(Deed::Retire),
        1 => Just(Deed::Activate),
        2 => (0..8usize).prop_map(Deed::SomebodyEditsFile),
        1 => (0..8usize).prop_map(Deed::SomebodyDeletesFile),
        1 => Just(Deed::SomebodyEditsEntry),
        1 => Just(Deed::AgentReadsBootstrap),
        1 => Just(Deed::SecretIsLost),
        1 => Just(Deed::Suspend),
        1 => Just(Deed::Resume),
    ];
    prop::collection::vec(deed, 0..6)
}

fn contracts() -> impl Strategy<Value = &'static Contract> {
    prop::sample::select(&Contract::ALL[..])
}

/// Far more passes than any way to rest has: beyond it something is written for ever.
const PASSES: usize = 60;

/// `CASES=20000` for more.
fn cases() -> u32 {
    let asked = std::env::var("CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_cut_off_ends_where_it_would_have(
        contract in contracts(),
        deeds in deeds(),
        cuts in prop::collection::vec((0..25usize, any::<bool>()), 0..6),
        leaves in any::<bool>(),
    ) {
        let mut whole = Model::new(contract);
        let mut cut = Model::new(contract);
        let mut cuts = cuts.into_iter();
        for deed in deeds.iter().chain(leaves.then_some(&Deed::Delete)) {
            whole.rest(PASSES);
            whole.happen(deed);
            // Cut off while it works, and not necessarily at rest when the next thing happens.
            if let Some((after, with_answer)) = cuts.next() {
                cut.work(Stop::At { effect: after, after: with_answer });
                cut.crash();
            }
            cut.rest(PASSES);
            cut.happen(deed);
            for (after, with_answer) in cuts.by_ref().take(1) {
                cut.work(Stop::At { effect: after, after: with_answer });
                cut.crash();
            }
        }
        whole.rest(PASSES);
        cut.rest(PASSES);
        let differs = cut.picture().differs_from(&whole.picture());
        prop_assert!(differs.is_none(), "{}", differs.unwrap());
        prop_assert!(cut.tokens_minted <= 1, "{} tokens", cut.tokens_minted);
        let before = cut.effects;
        cut.work(Stop::Never);
        prop_assert_eq!(cut.effects, before, "at rest, and something was written: {:?}", cut.names);
    }
}

/// Each effect of a way through life, cut off before it and after it.
#[test]
fn every_cut_of_a_life_heals() {
    let life = [
        Deed::Identity(1),
        Deed::SomebodyEditsFile(0),
        Deed::Config(2),
        Deed::Config(0),
        Deed::SecretIsLost,
        Deed::Retire,
        Deed::Activate,
        Deed::Delete,
    ];
    let mut runs = 0;
    for contract in Contract::ALL {
        let mut whole = Model::new(contract);
        whole.rest(PASSES);
        for deed in &life {
            whole.happen(deed);
            whole.rest(PASSES);
        }
        let total = whole.effects;
        assert!(total > 30, "a life of {total} effects is none");
        for effect in 0..total {
            for after in [false, true] {
                let mut model = Model::new(contract);
                model.cut_at(effect, after);
                model.rest(PASSES);
                for deed in &life {
                    model.happen(deed);
                    model.rest(PASSES);
                }
                if let Some(differs) = model.picture().differs_from(&whole.picture()) {
                    let when = if after { "after" } else { "before" };
                    let name = &whole.names[effect];
                    panic!("cut {when} effect {effect} ({name}) on {contract}:\n{differs}");
                }
                assert!(
                    model.tokens_minted <= 1,
                    "cut at {effect}: {} tokens",
                    model.tokens_minted
                );
                runs += 1;
            }
        }
    }
    println!("[beds] passes: every cut of a life of 8 changes: {runs} runs, 0 divergences");
}
