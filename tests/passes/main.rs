//! The laws of a pass over an Agent, on a model of the outside that is a few maps: no clock, no connection, thousands of
//! cases a second. Snapshot, desired, plan, machine and status are the program's own.
//!
//! Whatever is begun and cut off at any effect, could not be seen for a while, or was answered late, badly or not at all, ends
//! where it would have ended: the same entry and files, one token, at most one turn for each reason to wake, and then nothing
//! more is written. What no pass may do meanwhile is asserted where it would do it (`model.rs`): nothing on what was not seen,
//! nothing to an agent that another one holds, nothing over what a stranger wrote, no farewell that leaves something behind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod deed;
mod model;
mod outside;
mod picture;
mod schema;

use deed::{Blind, Deed};
use model::{Model, Origin, Stop};
use outside::{MessageEnds, OrderEnds};
use picture::Picture;
use proptest::prelude::*;
use quartermaster::gateway::Contract;

/// What happens, one after another, each when all is at rest.
fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => (0..4usize).prop_map(Deed::Identity),
        2 => (0..4usize).prop_map(Deed::Objective),
        2 => (0..3usize).prop_map(Deed::Heartbeat),
        2 => (0..4usize).prop_map(Deed::Config),
        1 => (0..2usize).prop_map(Deed::Model),
        1 => (0..3usize).prop_map(Deed::File),
        1 => (0..4usize).prop_map(Deed::Drift),
        1 => Just(Deed::Pause),
        1 => Just(Deed::Retire),
        1 => Just(Deed::Activate),
        2 => (0..8usize).prop_map(Deed::SomebodyEditsFile),
        1 => (0..8usize).prop_map(Deed::SomebodyDeletesFile),
        1 => Just(Deed::SomebodyEditsEntry),
        1 => Just(Deed::AgentReadsBootstrap),
        1 => Just(Deed::SecretIsLost),
        2 => (0..3usize).prop_map(Deed::Rotate),
        2 => any::<[bool; 5]>().prop_map(|[rotate, overwrite, bootstrap, reset, rare]| Deed::Sync {
            rotate,
            overwrite,
            bootstrap,
            reset,
            dry_run: rare && bootstrap,
        }),
        1 => Just(Deed::Suspend),
        1 => Just(Deed::Resume),
        1 => any::<(bool, bool)>().prop_map(|(first, holds)| Deed::RivalComes { first, holds }),
        1 => Just(Deed::RivalGoes),
    ];
    prop::collection::vec(deed, 0..6)
}

fn last_deed() -> impl Strategy<Value = Option<Deed>> {
    prop_oneof![
        3 => Just(None),
        2 => Just(Some(Deed::Delete)),
        1 => Just(Some(Deed::Orphan)),
        1 => Just(Some(Deed::ForceAway)),
    ]
}

/// What goes wrong while a deed is seen to.
#[derive(Debug, Clone, Default)]
struct Hardship {
    cuts: Vec<(usize, bool)>,
    blind: Vec<Blind>,
    orders: Vec<OrderEnds>,
    messages: Vec<MessageEnds>,
}

fn hardship() -> impl Strategy<Value = Hardship> {
    let passes = || 1..12u8;
    let blind = prop_oneof![
        passes().prop_map(Blind::Configuration),
        (0..8usize, passes()).prop_map(|(nth, passes)| Blind::File(nth, passes)),
        passes().prop_map(Blind::History),
        passes().prop_map(Blind::Secret),
        passes().prop_map(Blind::Gateway),
    ];
    let order = prop_oneof![
        2 => (0..6u8).prop_map(OrderEnds::Done),
        1 => (0..3u8).prop_map(OrderEnds::Rejected),
        1 => (0..3u8).prop_map(OrderEnds::Refused),
        1 => (0..3u8).prop_map(OrderEnds::Unheard),
    ];
    let message = prop_oneof![
        2 => Just(MessageEnds::Arrives),
        1 => (1..4u8).prop_map(MessageEnds::TakesMinutes),
        1 => Just(MessageEnds::Unheard),
        1 => Just(MessageEnds::NeverArrives),
        1 => Just(MessageEnds::LostByGateway),
        1 => Just(MessageEnds::Refused),
    ];
    (
        prop::collection::vec((0..25usize, any::<bool>()), 0..3),
        prop::collection::vec(blind, 0..3),
        prop::collection::vec(order, 0..3),
        prop::collection::vec(message, 0..2),
    )
        .prop_map(|(cuts, blind, orders, messages)| Hardship {
            cuts,
            blind,
            orders,
            messages,
        })
}

fn contracts() -> impl Strategy<Value = &'static Contract> {
    prop::sample::select(&Contract::ALL[..])
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![3 => Just(Origin::Ours), 1 => Just(Origin::Adopted)]
}

/// Far more than any way to rest has: beyond it something is written for ever.
const PASSES: usize = 60;

/// `CASES=100000` for more.
fn cases() -> u32 {
    let asked = std::env::var("CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(120)
}

impl Hardship {
    fn befalls(&self, model: &mut Model) {
        let Self {
            cuts,
            blind,
            orders,
            messages,
        } = self;
        model.cannot_see(blind);
        model.outside.orders_to_come = orders.iter().copied().collect();
        model.outside.messages_to_come = messages.iter().copied().collect();
        for (effect, after) in cuts {
            model.work(Stop::At {
                effect: *effect,
                after: *after,
            });
            model.crash();
        }
    }

    /// Nobody can tell whether its message became a turn, or it became none.
    fn may_lose_a_message(&self, contract: &Contract) -> bool {
        let lost = |ends: &MessageEnds| match ends {
            MessageEnds::LostByGateway | MessageEnds::Refused => true,
            MessageEnds::Arrives
            | MessageEnds::TakesMinutes(_)
            | MessageEnds::Unheard
            | MessageEnds::NeverArrives => false,
        };
        !contract.keeps_failed_turns || self.messages.iter().any(lost)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_ends_where_it_would_have(
        contract in contracts(),
        origin in origins(),
        deeds in deeds(),
        last in last_deed(),
        hardships in prop::collection::vec(hardship(), 1..8),
        hurry in prop::option::of(0..12usize),
    ) {
        let mut whole = Model::new(contract, origin);
        let mut cut = Model::new(contract, origin);
        // Who asks for a TemplateSync is told at once of what only a person can mend, and asks again; here nobody does.
        let mut hardships = hardships;
        if deeds.iter().any(|deed| matches!(deed, Deed::Sync { .. })) {
            for hardship in &mut hardships {
                hardship.orders.retain(|ends| !matches!(ends, OrderEnds::Rejected(_)));
            }
        }
        let is_loose = hardships.iter().any(|it| it.may_lose_a_message(contract));
        let mut hardships = hardships.iter();
        let mut deeds = deeds.iter().chain(&last);
        loop {
            if let Some(hardship) = hardships.next() {
                hardship.befalls(&mut cut);
            }
            let deed = deeds.next();
            if let (Some(Deed::Delete), Some(passes), Origin::Ours, None) = (deed, hurry, origin, &cut.rival) {
                // Deleted in the middle of its provisioning, or of whatever it is at: nothing of it is left.
                cut.work(Stop::After(passes));
                cut.happen(&Deed::Delete);
                cut.rest(PASSES);
                prop_assert!(cut.agent.is_none() && cut.outside.entry.is_none());
                return Ok(());
            }
            whole.rest(PASSES);
            cut.rest(PASSES);
            let Some(deed) = deed else { break };
            whole.happen(deed);
            cut.happen(deed);
        }
        let (wanted, is) = (Picture::of(&whole), Picture::of(&cut));
        let (wanted, is) = if is_loose {
            (wanted.without_the_wake(), is.without_the_wake())
        } else {
            (wanted, is)
        };
        let differs = is.differs_from(&wanted);
        prop_assert!(differs.is_none(), "{}", differs.unwrap());
        for model in [&whole, &cut] {
            prop_assert!(
                model.tokens_minted <= model.tokens_asked,
                "{} tokens, and {} were asked for",
                model.tokens_minted,
                model.tokens_asked
            );
        }
        // One for each reason to wake, at most.
        let (turns, at_most) = (cut.outside.turns(), whole.outside.turns());
        prop_assert!(turns <= at_most, "{turns} turns, and undisturbed {at_most}");
        let before = cut.effects;
        cut.work(Stop::Never);
        prop_assert_eq!(cut.effects, before, "at rest, and something was written: {:?}", cut.names);
    }
}

/// Whatever of it is on its way to the gateway comes first, or nobody is left who would take it out again.
#[test]
fn nothing_is_left_of_who_is_deleted_while_its_entry_is_on_its_way() {
    for contract in Contract::ALL {
        for (passes, takes) in (0..10).flat_map(|passes| (1..6).map(move |takes| (passes, takes))) {
            let mut model = Model::new(contract, Origin::Ours);
            model.outside.orders_to_come = [OrderEnds::Done(takes)].into();
            model.work(Stop::After(passes));
            model.happen(&Deed::Delete);
            model.rest(PASSES);
            assert!(
                model.agent.is_none() && model.outside.entry.is_none(),
                "deleted after {passes} passes, of an entry that takes {takes}"
            );
        }
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
        Deed::Rotate(1),
        Deed::Sync {
            rotate: true,
            overwrite: true,
            bootstrap: true,
            reset: true,
            dry_run: false,
        },
        Deed::Retire,
        Deed::Activate,
        Deed::Delete,
    ];
    let mut runs = 0;
    for contract in Contract::ALL {
        let mut whole = Model::new(contract, Origin::Ours);
        whole.rest(PASSES);
        for deed in &life {
            whole.happen(deed);
            whole.rest(PASSES);
        }
        let total = whole.effects;
        assert!(total > 30, "a life of {total} effects is none");
        for effect in 0..total {
            for after in [false, true] {
                let mut model = Model::new(contract, Origin::Ours);
                model.cut_at(effect, after);
                model.rest(PASSES);
                for deed in &life {
                    model.happen(deed);
                    model.rest(PASSES);
                }
                let (is, wanted) = (Picture::of(&model), Picture::of(&whole));
                let (is, wanted) = if contract.keeps_failed_turns {
                    (is, wanted)
                } else {
                    (is.without_the_wake(), wanted.without_the_wake())
                };
                if let Some(differs) = is.differs_from(&wanted) {
                    let when = if after { "after" } else { "before" };
                    let name = &whole.names[effect];
                    panic!("cut {when} effect {effect} ({name}) on {contract}:\n{differs}");
                }
                assert!(
                    model.tokens_minted <= model.tokens_asked,
                    "cut at {effect}: {} tokens",
                    model.tokens_minted
                );
                assert!(
                    model.outside.turns() <= whole.outside.turns(),
                    "cut at {effect}: a turn more"
                );
                runs += 1;
            }
        }
    }
    println!("[beds] passes: every cut of a life of 10 changes: {runs} runs, 0 divergences");
}
