//! Group commit: one write for many, none lost, none twice, nobody else touched.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use quartermaster::gateway::commit::NotCommitted;
use quartermaster::simulated_gateway::{Contract, Deed, Fault, Hit, When};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::bench::{Bench, CONTRACTS, change, losses};

#[tokio::test(start_paused = true)]
async fn fifty_six_agents_are_one_write() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let agents: Vec<String> = (0..56).map(|n| format!("mc-{n}")).collect();
        let puts = agents
            .iter()
            .map(|agent| bench.session.commits().put(change(agent)));
        for result in join_all(puts).await {
            assert_eq!(result.unwrap().left_out, []);
        }
        assert_eq!(bench.writes(), 1, "{contract:?}");
        for agent in &agents {
            assert_eq!(
                bench.entry(agent).unwrap()["heartbeat"]["every"],
                "10m",
                "{contract:?}"
            );
        }
        bench.assert_foreign_untouched();

        let again = agents
            .iter()
            .map(|agent| bench.session.commits().put(change(agent)));
        assert!(join_all(again).await.iter().all(Result::is_ok));
        assert_eq!(
            bench.writes(),
            1,
            "{contract:?}: what is already so is not written again"
        );
    }
}

/// Each way to lose an answer, before and after the gateway has acted, on each contract.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_read_back_and_nothing_is_written_twice() {
    for contract in CONTRACTS {
        for when in [When::Before, When::After] {
            for hit in losses() {
                let bench = Bench::of(contract).await;
                let told = format!("{contract:?} {when:?} {hit:?}");
                bench.gateway.inject(Fault {
                    method: "config.patch".into(),
                    nth: 1,
                    when,
                    hit,
                });
                let puts = ["a", "b", "c"].map(|agent| bench.session.commits().put(change(agent)));
                for result in join_all(puts).await {
                    assert!(result.is_ok(), "{told}: {result:?}");
                }
                for agent in ["a", "b", "c"] {
                    assert_eq!(bench.count(agent), 1, "{told}");
                }
                assert!(bench.writes() <= 2, "{told}: {} writes", bench.writes());
                bench.assert_foreign_untouched();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_guilty_is_told_and_the_others_go_through() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let mut bad = change("bad");
        bad.fields
            .insert("heartbeat".into(), json!({ "every": "banana" }));
        let names = ["a", "b", "c", "d"];
        let puts = names
            .iter()
            .map(|agent| bench.session.commits().put(change(agent)));
        let (good, bad) = tokio::join!(join_all(puts), bench.session.commits().put(bad));
        assert!(good.iter().all(Result::is_ok), "{contract:?}: {good:?}");
        let Err(NotCommitted::Rejected(issues)) = bad else {
            panic!("{contract:?}: {bad:?}")
        };
        assert!(
            issues.iter().any(|issue| issue.message.contains("duration")),
            "{contract:?}: {issues:?}"
        );
        assert!(bench.entry("bad").is_none());
        assert!(names.iter().all(|agent| bench.count(agent) == 1), "{contract:?}");
        assert_eq!(bench.writes(), 2, "{contract:?}: once with it, once without");
        bench.assert_foreign_untouched();
    }
}

/// Somebody else writes between our reading and our write: our write is refused by its hash, read again, and both are there.
#[tokio::test(start_paused = true)]
async fn another_writers_change_is_not_overwritten() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.gateway.inject(Fault {
            method: "config.get".into(),
            nth: 1,
            when: When::After,
            hit: Hit::Delay(2_000),
        });
        let online = bench.online().await;
        let theirs = async {
            // While our reading is on its way.
            sleep(Duration::from_millis(500)).await;
            let now = online.connection.config_get().await.unwrap();
            let mut list = now.list.clone();
            list.push(json!({ "id": "theirs", "name": "Theirs", "workspace": "/w/theirs" }));
            let raw = match contract {
                Contract::V2026_9_6 => {
                    json!({ "agents": { "entries": { "theirs": { "name": "Theirs", "workspace": "/w/theirs" } } } })
                }
                Contract::V2026_7_35 | Contract::V2026_2_9 => json!({ "agents": { "list": list } }),
            };
            online
                .connection
                .config_patch(&raw, &now.hash, 1, &[])
                .await
                .unwrap();
        };
        let (ours, ()) = tokio::join!(bench.session.commits().put(change("ours")), theirs);
        assert!(ours.is_ok(), "{contract:?}: {ours:?}");
        assert_eq!(
            (bench.count("ours"), bench.count("theirs")),
            (1, 1),
            "{contract:?}"
        );
        bench.assert_foreign_untouched();
    }
}

/// 2026.7.35 allows three writes a minute: five take their time, and none is refused.
#[tokio::test(start_paused = true)]
async fn the_write_budget_is_kept_and_never_overrun() {
    let bench = Bench::of(Contract::V2026_7_35).await;
    let start = Instant::now();
    for agent in ["a", "b", "c", "d", "e"] {
        bench.session.commits().put(change(agent)).await.unwrap();
    }
    assert!(
        start.elapsed() >= Duration::from_secs(59),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bench.refused.load(Ordering::SeqCst), 0, "no write was refused");
    assert_eq!(bench.writes(), 5);
}

/// With the real gateway's delays, what arrives while a write is in flight leaves together in the next one.
#[tokio::test(start_paused = true)]
async fn what_arrives_during_a_write_leaves_together() {
    let bench = Bench::with(Contract::V2026_9_6, 1.0).await;
    let first = bench.session.commits().put(change("first"));
    let later = join_all((0..40).map(|n| {
        let commits = bench.session.commits().clone();
        async move {
            sleep(Duration::from_millis(200 + n * 10)).await;
            commits.put(change(&format!("mc-{n}"))).await
        }
    }));
    let (first, later) = tokio::join!(first, later);
    assert!(first.is_ok() && later.iter().all(Result::is_ok));
    assert_eq!(bench.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_freezes_is_waited_for_and_nothing_is_lost() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.gateway.perform(Deed::Freeze);
        let thaw = async {
            sleep(Duration::from_secs(150)).await;
            bench.gateway.perform(Deed::Thaw);
        };
        let (put, ()) = tokio::join!(bench.session.commits().put(change("a")), thaw);
        assert!(put.is_ok(), "{contract:?}: {put:?}");
        assert_eq!(bench.count("a"), 1, "{contract:?}");
    }
}
