//! A setting that the gateway's own schema knows to be wrong costs no write.

use futures::future::join_all;
use quartermaster::gateway::commit::{EntryChange, NotCommitted};
use quartermaster::simulated_gateway::{Contract, Deed, Fault, Hit, When};
use serde_json::{Value, json};

use super::bench::{Bench, CONTRACTS, change};

fn with(agent: &str, key: &str, value: Value) -> EntryChange {
    let mut change = change(agent);
    change.fields.insert(key.to_owned(), value);
    change
}

fn looks(bench: &Bench) -> u64 {
    bench.gateway.calls_of("config.schema.lookup") + bench.gateway.calls_of("config.schema")
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_told_before_anything_is_sent() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let commits = bench.session.commits();
        let (unknown, wrong, good) = tokio::join!(
            commits.put(with("unknown", "toolz", json!({}))),
            commits.put(with("wrong", "skills", json!("all"))),
            join_all(["a", "b"].map(|agent| commits.put(with(agent, "skills", json!(["x"]))))),
        );
        let said = |result: Result<_, NotCommitted>| match result {
            Err(NotCommitted::Rejected(issues)) => format!("{}: {}", issues[0].path, issues[0].message),
            other => panic!("{contract:?}: {other:?}"),
        };
        let at = match contract {
            Contract::V2026_9_6 => ["agents.entries.unknown", "agents.entries.wrong.skills"],
            Contract::V2026_7_35 | Contract::V2026_2_9 => {
                ["agents.list[unknown]", "agents.list[wrong].skills"]
            }
        };
        assert_eq!(said(unknown), format!("{}: Unrecognized key: \"toolz\"", at[0]));
        assert_eq!(
            said(wrong),
            format!("{}: Invalid input: expected array, received string", at[1])
        );
        assert!(good.iter().all(Result::is_ok), "{contract:?}: {good:?}");
        assert_eq!(
            (bench.writes(), bench.count("unknown"), bench.count("wrong")),
            (1, 0, 0),
            "{contract:?}"
        );
    }
}

/// An answer may have 2 MB.
#[tokio::test(start_paused = true)]
async fn the_schema_is_read_when_it_is_needed_and_once_a_connection() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        assert_eq!(looks(&bench), 0, "{contract:?}: nothing unusual");
        bench.settled().await;
        bench
            .session
            .commits()
            .put(with("a", "skills", json!([])))
            .await
            .unwrap();
        let once = looks(&bench);
        assert!((1..=2).contains(&once), "{contract:?}");
        if contract != Contract::V2026_2_9 {
            bench
                .session
                .commits()
                .put(with("b", "skills", json!([])))
                .await
                .unwrap();
            assert_eq!(looks(&bench), once, "{contract:?}");
            bench.gateway.perform(Deed::Restart);
            bench.settled().await;
            bench
                .session
                .commits()
                .put(with("c", "skills", json!([])))
                .await
                .unwrap();
            assert_eq!(
                looks(&bench),
                2 * once,
                "{contract:?}: another connection may be another gateway"
            );
        }
    }
}

/// Without a schema the gateway says itself what it does not take.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_shows_none_is_asked_by_writing() {
    let bench = Bench::of(Contract::V2026_9_6).await;
    for method in ["config.schema.lookup", "config.schema"] {
        bench.gateway.inject(Fault {
            method: method.into(),
            nth: 1,
            when: When::Before,
            hit: Hit::Refuse(
                json!({ "code": "INVALID_REQUEST", "message": format!("unknown method: {method}") }),
            ),
        });
    }
    let commits = bench.session.commits();
    let (bad, good) = tokio::join!(
        commits.put(with("bad", "toolz", json!({}))),
        commits.put(change("good"))
    );
    assert!(matches!(bad, Err(NotCommitted::Rejected(_))), "{bad:?}");
    assert!(good.is_ok());
    assert_eq!(bench.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_schema_whose_answer_is_lost_is_asked_for_again() {
    for contract in CONTRACTS {
        for method in ["config.schema.lookup", "config.schema"] {
            let bench = Bench::of(contract).await;
            bench.gateway.inject(Fault {
                method: method.into(),
                nth: 1,
                when: When::After,
                hit: Hit::Cut,
            });
            let put = bench.session.commits().put(with("a", "skills", json!([]))).await;
            assert!(put.is_ok(), "{contract:?} {method}: {put:?}");
            assert_eq!(bench.count("a"), 1);
        }
    }
}
