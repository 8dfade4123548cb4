//! Group commit: one write for many, none lost, none twice, nobody else touched.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use quartermaster::gateway::commit::{NotCommitted, Removal};
use quartermaster::simulated_gateway::{Contract, Deed, Fault, Hit, When};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::bench::{Bench, CONTRACTS, change, id, losses};

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
        assert_eq!(*bench.commits.lock().unwrap(), [56], "{contract:?}: metered once");
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
                assert_eq!(*bench.commits.lock().unwrap(), [3], "{told}: one commit");
                bench.assert_struck(&told);
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
        let refused = match contract {
            // It restarts on their write: our reading is lost, and never written upon.
            Contract::V2026_2_9 => 0,
            Contract::V2026_7_35 | Contract::V2026_9_6 => 1,
        };
        assert_eq!(
            bench.refusals(),
            refused,
            "{contract:?}: the conflict was never met"
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
        let commits = bench.session.commits();
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

/// A gateway that refuses a batch and does not say for whose sake: the smaller parts of it that hold nothing of the kind go
/// through.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_names_nobody_keeps_out_only_the_guilty() {
    // Of eight: all, then halves, quarters, each one. The writes that hold a guilty one are refused.
    for (guilty, refused) in [(vec![7], vec![1, 3, 5, 7]), (vec![0, 1], vec![1, 2, 4, 6, 7])] {
        for contract in CONTRACTS {
            let bench = Bench::of(contract).await;
            let told = format!("{contract:?} {guilty:?}");
            for nth in &refused {
                bench.gateway.inject(Fault {
                    method: "config.patch".into(),
                    nth: *nth,
                    when: When::Before,
                    hit: Hit::Refuse(nobodys_issue()),
                });
            }
            let puts = (0..8).map(|n| bench.session.commits().put(change(&format!("mc-{n}"))));
            for (n, put) in join_all(puts).await.into_iter().enumerate() {
                let is_there = bench.count(&format!("mc-{n}")) == 1;
                assert_eq!(
                    (put.is_err(), is_there),
                    (guilty.contains(&n), !guilty.contains(&n)),
                    "{told}: {n}: {put:?}"
                );
            }
            bench.assert_struck(&told);
        }
    }
}

/// Of a part of the configuration that no change is about.
fn nobodys_issue() -> Value {
    json!({ "code": "INVALID_REQUEST", "message": "invalid config: gateway.port: bad",
        "details": { "issues": [{ "path": "gateway.port", "message": "bad" }] } })
}

/// Where it is not the batch, it is not searched for the guilty without end.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_everything_ends() {
    let bench = Bench::of(Contract::V2026_9_6).await;
    for _ in 0..100 {
        bench.gateway.inject(Fault {
            method: "config.patch".into(),
            nth: 1,
            when: When::Before,
            hit: Hit::Refuse(nobodys_issue()),
        });
    }
    let puts = (0..56).map(|n| bench.session.commits().put(change(&format!("mc-{n}"))));
    let all = join_all(puts).await;
    assert!(
        all.iter()
            .all(|put| matches!(put, Err(NotCommitted::Refused(why)) if why.contains("gateway.port")))
    );
    assert!(bench.writes() <= 15, "{} writes", bench.writes());
}

/// What was meant for one gateway is not done to another that the session is to be connected to by now.
#[tokio::test(start_paused = true)]
async fn a_change_is_done_where_it_was_meant_or_not_at_all() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let before = bench.session.commits();
        let preserved = before.put(change("a")).await.unwrap().preserved;
        bench.settled().await;
        bench.gateway.perform(Deed::Freeze);
        let removal = || Removal {
            agent: id("a"),
            with_files: true,
            preserved: preserved.clone(),
        };
        // One is under way when the address changes, the other comes after it from who still thinks of the old one.
        let under_way = before.take_out(removal());
        let moved = async {
            sleep(Duration::from_secs(5)).await;
            bench.move_to("ws://elsewhere:18789");
            bench.gateway.perform(Deed::Thaw);
            before.put(change("b")).await
        };
        let (removed, put) = tokio::join!(under_way, moved);
        assert!(
            matches!(removed, Err(NotCommitted::Unfinished(_))),
            "{contract:?}: {removed:?}"
        );
        assert!(
            matches!(put, Err(NotCommitted::Unfinished(_))),
            "{contract:?}: {put:?}"
        );
        assert_eq!((bench.count("a"), bench.count("b")), (1, 0), "{contract:?}");
        bench.session.commits().put(change("c")).await.unwrap();
        assert_eq!(
            bench.count("c"),
            1,
            "{contract:?}: the new address has its own deposits"
        );
    }
}

/// What nobody waits for any more is not done: a removal least of all.
#[tokio::test(start_paused = true)]
async fn what_is_given_up_meanwhile_is_not_done() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        bench.settled().await;
        // The first is under way while the gateway hangs; who wants the removal gives up before it is done.
        bench.gateway.perform(Deed::Freeze);
        let first = bench.session.commits().put(change("b"));
        let removal = Removal {
            agent: id("a"),
            with_files: true,
            preserved: BTreeSet::new(),
        };
        let given_up = timeout(Duration::from_secs(5), bench.session.commits().take_out(removal));
        let thaw = async {
            sleep(Duration::from_secs(10)).await;
            bench.gateway.perform(Deed::Thaw);
        };
        let (first, given_up, ()) = tokio::join!(first, given_up, thaw);
        assert!(first.is_ok() && given_up.is_err(), "{contract:?}");
        sleep(Duration::from_secs(60)).await;
        assert_eq!((bench.count("a"), bench.count("b")), (1, 1), "{contract:?}");
    }
}
