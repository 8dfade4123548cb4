//! Bindings go along with their agent; another's is never taken.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use quartermaster::gateway::Binding;
use quartermaster::gateway::commit::EntryChange;
use quartermaster::simulated_gateway::{Fault, Hit, When};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::bench::{Bench, CONTRACTS, change, id, losses};

fn bound(agent: &str, words: &[&str]) -> EntryChange {
    let bindings: BTreeSet<Binding> = words.iter().map(|text| Binding::parse(text).unwrap()).collect();
    EntryChange {
        bindings: Some(bindings),
        ..change(agent)
    }
}

fn theirs() -> Value {
    json!({ "agentId": "foreign", "match": { "channel": "slack" } })
}

/// A gateway where somebody else has bound an agent.
async fn bench(contract: quartermaster::simulated_gateway::Contract) -> Bench {
    let bench = Bench::of(contract).await;
    bench.write_as_another(&json!({ "bindings": [theirs()] })).await;
    bench.settled().await;
    bench
}

#[tokio::test(start_paused = true)]
async fn they_go_along_with_the_entry_and_what_another_has_is_told() {
    for contract in CONTRACTS {
        let bench = bench(contract).await;
        let before = bench.writes();
        let commits = bench.session.commits();
        let (a, b) = tokio::join!(
            commits.put(bound("a", &["telegram:*", "slack"])),
            commits.put(bound("b", &["discord:work"]))
        );
        let [conflict] = a.unwrap().conflicts.try_into().unwrap();
        assert_eq!(
            (conflict.held_by.as_str(), conflict.binding.to_string().as_str()),
            ("foreign", "slack")
        );
        assert_eq!(b.unwrap().conflicts, []);
        assert_eq!(
            bench.bindings(),
            json!([
                theirs(),
                { "agentId": "a", "match": { "channel": "telegram", "accountId": "*" } },
                { "agentId": "b", "match": { "channel": "discord", "accountId": "work" } },
            ]),
            "{contract:?}"
        );
        assert_eq!(
            bench.writes() - before,
            1,
            "{contract:?}: one write for agents and bindings"
        );

        let again = commits.put(bound("a", &["telegram:*", "slack"])).await.unwrap();
        assert_eq!(again.conflicts, [conflict], "{contract:?}");
        assert_eq!(
            bench.writes() - before,
            1,
            "{contract:?}: nothing is left to write"
        );
        bench.assert_foreign_untouched();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_wanted_is_taken_out_and_only_that() {
    for contract in CONTRACTS {
        let bench = bench(contract).await;
        let commits = bench.session.commits();
        commits.put(bound("a", &["telegram:*", "discord"])).await.unwrap();
        commits.put(bound("a", &["discord"])).await.unwrap();
        let discord = json!({ "agentId": "a", "match": { "channel": "discord" } });
        assert_eq!(bench.bindings(), json!([theirs(), discord]), "{contract:?}");
        commits.put(change("a")).await.unwrap();
        assert_eq!(
            bench.bindings(),
            json!([theirs(), discord]),
            "{contract:?}: none were named"
        );
        commits.put(bound("a", &[])).await.unwrap();
        assert_eq!(bench.bindings(), json!([theirs()]), "{contract:?}");
        assert_eq!(bench.refusals(), 0, "{contract:?}: shorter lists are confirmed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_binds_nothing_twice() {
    for contract in CONTRACTS {
        for when in [When::Before, When::After] {
            for hit in losses() {
                let bench = bench(contract).await;
                let told = format!("{contract:?} {when:?} {hit:?}");
                let method = "config.patch".into();
                bench.gateway.inject(Fault {
                    method,
                    nth: 1,
                    when,
                    hit,
                });
                let puts =
                    ["a", "b"].map(|agent| bench.session.commits().put(bound(agent, &["telegram:*", agent])));
                let results = join_all(puts).await;
                // Both want telegram:*; the first has it.
                let lost = results
                    .iter()
                    .map(|result| result.as_ref().unwrap().conflicts.len());
                assert_eq!(lost.collect::<Vec<_>>(), [0, 1], "{told}");
                let list = bench.bindings();
                assert_eq!(list.as_array().unwrap().len(), 4, "{told}: {list}");
                bench.assert_struck(&told);
            }
        }
    }
}

/// Somebody binds an agent between our reading and our write.
#[tokio::test(start_paused = true)]
async fn a_binding_written_at_the_same_time_survives() {
    for contract in CONTRACTS {
        let bench = bench(contract).await;
        bench.gateway.inject(Fault {
            method: "config.get".into(),
            nth: 1,
            when: When::After,
            hit: Hit::Delay(2_000),
        });
        let new = json!({ "agentId": "foreign", "match": { "channel": "irc" } });
        let another = async {
            sleep(Duration::from_millis(500)).await;
            bench
                .write_as_another(&json!({ "bindings": [theirs(), new] }))
                .await;
        };
        let (ours, ()) = tokio::join!(bench.session.commits().put(bound("a", &["telegram"])), another);
        assert!(ours.is_ok(), "{contract:?}: {ours:?}");
        let a = json!({ "agentId": "a", "match": { "channel": "telegram" } });
        assert_eq!(bench.bindings(), json!([theirs(), new, a]), "{contract:?}");
        assert!(bench.entry("a").is_some() && bench.entry(id("foreign").as_str()).is_some());
    }
}
