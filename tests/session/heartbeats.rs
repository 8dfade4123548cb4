//! Who beat by default goes on while agents of ours have heartbeat blocks, and is as before when the last of ours is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use quartermaster::gateway::commit::{EntryChange, Removal, Removed};
use quartermaster::gateway::names::AgentId;
use quartermaster::simulated_gateway::{Contract, Fault, When};
use serde_json::{Value, json};

use super::bench::{Bench, CONTRACTS, change, id, losses};

fn removal(agent: &str, preserved: &BTreeSet<AgentId>) -> Removal {
    Removal {
        agent: id(agent),
        with_files: true,
        preserved: preserved.clone(),
    }
}

fn block(bench: &Bench, agent: &str) -> Option<Value> {
    bench.entry(agent)?.get("heartbeat").cloned()
}

#[tokio::test(start_paused = true)]
async fn the_last_of_ours_leaves_everything_as_it_was() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let commits = bench.session.commits();
        let mut preserved = BTreeSet::new();
        for result in join_all(["a", "b"].map(|agent| commits.put(change(agent)))).await {
            preserved = result.unwrap().preserved;
        }
        assert_eq!(preserved, BTreeSet::from([id("main")]), "{contract:?}");
        assert_eq!(block(&bench, "main"), Some(json!({})), "{contract:?}");

        let Removed { deleted, preserved } = commits.take_out(removal("a", &preserved)).await.unwrap();
        assert!(deleted.is_some(), "{contract:?}");
        assert_eq!(
            block(&bench, "main"),
            Some(json!({})),
            "{contract:?}: b still beats"
        );
        let Removed { deleted, preserved } = commits.take_out(removal("b", &preserved)).await.unwrap();
        assert!(deleted.is_some() && preserved.is_empty(), "{contract:?}");
        assert_eq!(
            (block(&bench, "main"), bench.count("a") + bench.count("b")),
            (None, 0),
            "{contract:?}"
        );
        bench.assert_foreign_untouched();
    }
}

/// The session that wrote the blocks is gone; only what the caller has kept tells of them.
#[tokio::test(start_paused = true)]
async fn what_was_preserved_is_known_from_the_callers_memory() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let preserved = bench.session.commits().put(change("a")).await.unwrap().preserved;
        let later = bench.second_session().await;
        let forgetful = later.commits().put(change("a")).await.unwrap();
        assert!(
            forgetful.preserved.is_empty(),
            "{contract:?}: nobody knows whose the block is"
        );
        let known = EntryChange {
            preserved: preserved.clone(),
            ..change("a")
        };
        assert_eq!(
            later.commits().put(known).await.unwrap().preserved,
            preserved,
            "{contract:?}"
        );
        later.commits().take_out(removal("a", &preserved)).await.unwrap();
        assert_eq!(block(&bench, "main"), None, "{contract:?}");
    }
}

/// An answer that is lost must not lose who was preserved: nobody would ever take the block out again.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_loses_no_preserved_agent() {
    for contract in CONTRACTS {
        for when in [When::Before, When::After] {
            for hit in losses() {
                let bench = Bench::of(contract).await;
                let told = format!("{contract:?} {when:?} {hit:?}");
                let method = "config.patch".into();
                bench.gateway.inject(Fault {
                    method,
                    nth: 1,
                    when,
                    hit,
                });
                let committed = bench.session.commits().put(change("a")).await.unwrap();
                assert_eq!(committed.preserved, BTreeSet::from([id("main")]), "{told}");
                bench.assert_struck(&told);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_whose_answers_are_lost_ends_the_same() {
    for contract in CONTRACTS {
        for method in ["config.patch", "agents.delete"] {
            for when in [When::Before, When::After] {
                for hit in losses() {
                    let bench = Bench::of(contract).await;
                    let told = format!("{contract:?} {method} {when:?} {hit:?}");
                    let preserved = bench.session.commits().put(change("a")).await.unwrap().preserved;
                    bench.settled().await;
                    bench.gateway.inject(Fault {
                        method: method.into(),
                        nth: 1,
                        when,
                        hit,
                    });
                    let removed = bench.session.commits().take_out(removal("a", &preserved)).await;
                    assert!(
                        removed.is_ok_and(|removed| removed.preserved.is_empty()),
                        "{told}"
                    );
                    assert_eq!((block(&bench, "main"), bench.count("a")), (None, 0), "{told}");
                    bench.assert_struck(&told);
                    bench.assert_foreign_untouched();
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_heartbeat_keeps_the_empty_block_where_it_is() {
    let bench = Bench::of(Contract::V2026_9_6).await;
    let preserved = bench.session.commits().put(change("a")).await.unwrap().preserved;
    let theirs = json!({ "agents": { "entries": { "foreign": { "heartbeat": { "every": "1h" } } } } });
    bench.write_as_another(&theirs).await;
    let removed = bench
        .session
        .commits()
        .take_out(removal("a", &preserved))
        .await
        .unwrap();
    assert_eq!(removed.preserved, preserved);
    assert_eq!(
        block(&bench, "main"),
        Some(json!({})),
        "without it, main would be silent"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_already_is_gone() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let removed = bench
            .session
            .commits()
            .take_out(removal("nobody", &BTreeSet::new()))
            .await;
        assert_eq!(removed.unwrap(), Removed::default(), "{contract:?}");
    }
}

/// Changes that come while many agents leave do not wait for all of them.
#[tokio::test(start_paused = true)]
async fn changes_go_between_removals() {
    let bench = Bench::with(Contract::V2026_9_6, 1.0).await;
    let commits = bench.session.commits();
    let ids: Vec<String> = (0..20).map(|n| format!("mc-{n}")).collect();
    for result in join_all(ids.iter().map(|id| commits.put(change(id)))).await {
        result.unwrap();
    }
    let none = BTreeSet::new();
    let leaving = join_all(ids.iter().map(|id| commits.take_out(removal(id, &none))));
    let coming = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        commits.put(change("new")).await.unwrap();
        ids.iter().filter(|id| bench.count(id) > 0).count()
    };
    let (left, still_there) = tokio::join!(leaving, coming);
    assert!(left.iter().all(Result::is_ok));
    assert!(still_there > 10, "{still_there} of 20 were still there");
}

/// Who has a heartbeat, as the gateway itself tells it.
async fn beating(bench: &Bench) -> BTreeSet<String> {
    let connection = bench.online().await.connection;
    let status = connection
        .call("status", json!({}), Duration::from_secs(30))
        .await
        .unwrap();
    let agents = status["heartbeat"]["agents"].as_array().unwrap().iter();
    let on = agents.filter(|agent| agent["enabled"] == true);
    on.map(|agent| agent["agentId"].as_str().unwrap().to_owned())
        .collect()
}

/// Whatever the default says, our coming and going changes it for nobody else.
#[tokio::test(start_paused = true)]
async fn whoever_beats_does_so_while_we_come_and_go() {
    for contract in CONTRACTS {
        for default in [
            Value::Null,
            json!({}),
            json!({ "every": "1h" }),
            json!({ "target": "last" }),
        ] {
            let bench = Bench::of(contract).await;
            let told = format!("{contract:?} {default}");
            bench
                .write_as_another(&json!({ "agents": { "defaults": { "heartbeat": default } } }))
                .await;
            bench.settled().await;
            let before = beating(&bench).await;
            let preserved = bench.session.commits().put(change("a")).await.unwrap().preserved;
            bench.settled().await;
            let with_us = beating(&bench).await;
            let others: BTreeSet<String> = with_us.iter().filter(|agent| *agent != "a").cloned().collect();
            assert_eq!((&others, with_us.contains("a")), (&before, true), "{told}");
            bench
                .session
                .commits()
                .take_out(removal("a", &preserved))
                .await
                .unwrap();
            bench.settled().await;
            assert_eq!(beating(&bench).await, before, "{told}");
        }
    }
}
