//! No write leaves less than half of the configuration's file, and everything gets there all the same.

use std::collections::BTreeSet;

use quartermaster::gateway::commit::{EntryChange, NotCommitted, Removal};
use quartermaster::simulated_gateway::{Contract, Fault, Hit, When};
use serde_json::{Value, json};

use super::bench::{Bench, change, id};

/// Those that watch over it.
const WATCHFUL: [Contract; 2] = [Contract::V2026_7_35, Contract::V2026_9_6];

fn prompting(prompt: &str) -> EntryChange {
    let mut change = change("whale");
    change.fields["heartbeat"]["prompt"] = json!(prompt);
    change
}

fn whale() -> Removal {
    Removal {
        agent: id("whale"),
        with_files: true,
        preserved: BTreeSet::new(),
    }
}

/// No write, nor a deletion, has left less than half. The simulation counts secrets as they are, so what we estimate is off
/// by theirs.
fn assert_halves(bench: &Bench, told: &str) {
    let sizes = bench.sizes.lock().unwrap();
    for pair in sizes.windows(2) {
        assert!(pair[1] >= pair[0] / 2, "{told}: {sizes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_gets_short_in_steps() {
    for contract in WATCHFUL {
        let bench = Bench::of(contract).await;
        bench
            .session
            .commits()
            .put(prompting(&"x".repeat(20_000)))
            .await
            .unwrap();
        bench
            .session
            .commits()
            .put(prompting("Look around."))
            .await
            .unwrap();
        assert_halves(&bench, &format!("{contract:?}"));
        assert_eq!(
            bench.entry("whale").unwrap()["heartbeat"]["prompt"],
            "Look around."
        );
        assert_eq!(bench.refusals(), 0, "{contract:?}");
        assert!(bench.writes() <= 8, "{contract:?}: {} writes", bench.writes());
        bench.assert_foreign_untouched();
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_most_of_the_file_can_go() {
    for contract in WATCHFUL {
        let bench = Bench::of(contract).await;
        let mut large = prompting(&"x".repeat(20_000));
        large.fields.insert(
            "skills".into(),
            json!((0..200).map(|n| format!("skill-{n}")).collect::<Vec<_>>()),
        );
        bench.session.commits().put(large).await.unwrap();
        let removed = bench.session.commits().take_out(whale()).await.unwrap();
        assert!(removed.deleted.is_some(), "{contract:?}");
        assert_halves(&bench, &format!("{contract:?}"));
        assert_eq!((bench.count("whale"), bench.refusals()), (0, 0), "{contract:?}");
        bench.assert_foreign_untouched();
    }
}

/// 2026.2.9 refuses nothing, so nothing is done in steps there.
#[tokio::test(start_paused = true)]
async fn who_does_not_watch_over_it_gets_one_write() {
    let bench = Bench::of(Contract::V2026_2_9).await;
    bench
        .session
        .commits()
        .put(prompting(&"x".repeat(20_000)))
        .await
        .unwrap();
    bench
        .session
        .commits()
        .put(prompting("Look around."))
        .await
        .unwrap();
    assert_eq!(bench.writes(), 2);
}

fn size_drop() -> Value {
    json!({ "code": "UNAVAILABLE", "message": "Error: Config write rejected: /srv/openclaw.json (size-drop:21495->10500). Rejected \
        payload saved to /srv/openclaw.json.rejected.: code=CONFIG_WRITE_REJECTED" })
}

/// What we take for small enough is only an estimate; what the gateway says is so.
#[tokio::test(start_paused = true)]
async fn where_the_gateway_refuses_all_the_same_the_steps_get_smaller() {
    for contract in WATCHFUL {
        for method in ["config.patch", "agents.delete"] {
            let bench = Bench::of(contract).await;
            bench
                .session
                .commits()
                .put(prompting(&"x".repeat(3_000)))
                .await
                .unwrap();
            bench.gateway.inject(Fault {
                method: method.into(),
                nth: 1,
                when: When::Before,
                hit: Hit::Refuse(size_drop()),
            });
            let removed = bench.session.commits().take_out(whale()).await;
            assert!(removed.is_ok(), "{contract:?} {method}: {removed:?}");
            assert_eq!(bench.count("whale"), 0, "{contract:?} {method}");
            assert_halves(&bench, &format!("{contract:?} {method}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_refuses_every_step_is_not_asked_for_ever() {
    let bench = Bench::of(Contract::V2026_9_6).await;
    bench
        .session
        .commits()
        .put(prompting(&"x".repeat(3_000)))
        .await
        .unwrap();
    for nth in 1..=10 {
        bench.gateway.inject(Fault {
            method: "config.patch".into(),
            nth,
            when: When::Before,
            hit: Hit::Refuse(size_drop()),
        });
    }
    let before = bench.writes();
    let refused = bench.session.commits().put(prompting("short")).await;
    let Err(NotCommitted::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        why.contains("by hand") && why.contains("size-drop:21495"),
        "{why}"
    );
    assert_eq!(bench.writes() - before, 2);
}

/// Each step is a write of the budget: three a minute on 2026.7.35.
#[tokio::test(start_paused = true)]
async fn steps_keep_to_the_write_budget() {
    let bench = Bench::of(Contract::V2026_7_35).await;
    bench
        .session
        .commits()
        .put(prompting(&"x".repeat(20_000)))
        .await
        .unwrap();
    bench.session.commits().take_out(whale()).await.unwrap();
    assert!(bench.writes() > 4, "{} writes", bench.writes());
    assert_eq!(bench.refusals(), 0, "none was over the budget");
}
