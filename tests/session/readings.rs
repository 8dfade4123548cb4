//! The configuration is read once for all who ask, and again when it may be another.

use std::time::Duration;

use futures::future::join_all;
use quartermaster::gateway::reading::NotRead;
use quartermaster::simulated_gateway::{Contract, Deed, Fault, Hit, When};
use tokio::time::sleep;

use super::bench::{Bench, CONTRACTS, change, id};

impl Bench {
    fn reads(&self) -> u64 {
        self.gateway.calls_of("config.get")
    }

    async fn has(&self, agent: &str) -> bool {
        let read = self.session.configuration().await.unwrap();
        read.entries.contains_key(&id(agent))
    }
}

#[tokio::test(start_paused = true)]
async fn one_reading_serves_all_who_ask() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let before = bench.reads();
        let asked = join_all((0..50).map(|_| bench.session.configuration())).await;
        assert!(asked.iter().all(|read| {
            read.as_ref()
                .is_ok_and(|read| read.entries.contains_key(&id("foreign")))
        }));
        assert!(bench.has("foreign").await);
        assert_eq!(bench.reads() - before, 1, "{contract:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_write_is_seen_at_once_by_everybody() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        assert!(!bench.has("a").await);
        bench.session.commits().put(change("a")).await.unwrap();
        assert!(bench.has("a").await, "{contract:?}");
    }
}

/// 2026.9.6 tells of it; of the others a reading is old after two seconds.
#[tokio::test(start_paused = true)]
async fn a_change_by_somebody_else_is_seen() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        assert!(bench.has("foreign").await);
        let before = bench.reads();
        bench.gateway.perform(Deed::LoseEntry {
            agent: "foreign".into(),
        });
        let wait = match contract {
            Contract::V2026_9_6 => Duration::from_millis(10),
            Contract::V2026_7_35 | Contract::V2026_2_9 => Duration::from_secs(2),
        };
        sleep(wait).await;
        assert!(!bench.has("foreign").await, "{contract:?}");
        assert_eq!(bench.reads() - before, 1, "{contract:?}");
    }
}

/// Told or not: events get lost.
#[tokio::test(start_paused = true)]
async fn no_reading_lasts_for_ever() {
    let bench = Bench::of(Contract::V2026_9_6).await;
    bench.has("foreign").await;
    sleep(Duration::from_secs(20)).await;
    let before = bench.reads();
    bench.has("foreign").await;
    assert_eq!(bench.reads(), before, "nobody has told of a change");
    sleep(Duration::from_secs(10)).await;
    bench.has("foreign").await;
    assert_eq!(bench.reads() - before, 1);
}

/// Who asks after a change is not served by a reading that began before it.
#[tokio::test(start_paused = true)]
async fn a_reading_that_is_overtaken_serves_only_those_who_asked_before() {
    let bench = Bench::of(Contract::V2026_9_6).await;
    bench.gateway.inject(Fault {
        method: "config.get".into(),
        nth: 1,
        when: When::After,
        hit: Hit::Delay(5_000),
    });
    let before = bench.reads();
    let late = async {
        sleep(Duration::from_secs(1)).await;
        bench.gateway.perform(Deed::LoseEntry {
            agent: "foreign".into(),
        });
        sleep(Duration::from_secs(1)).await;
        bench.has("foreign").await
    };
    let (early, late) = tokio::join!(bench.has("foreign"), late);
    assert_eq!((early, late), (true, false));
    assert_eq!(bench.reads() - before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_read_anew_and_without_one_nothing_is() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.has("foreign").await;
        let before = bench.reads();
        bench.gateway.perform(Deed::Restart);
        sleep(Duration::from_millis(10)).await;
        if bench.session.online().is_none() {
            let read = bench.session.configuration().await;
            assert_eq!(read, Err(NotRead::NotConnected), "{contract:?}");
        }
        bench.online().await;
        let of_the_session = bench.reads();
        bench.has("foreign").await;
        assert!(
            bench.reads() > of_the_session && of_the_session >= before,
            "{contract:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_told_to_all_who_wait_and_the_next_one_asks_again() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.gateway.inject(Fault {
            method: "config.get".into(),
            nth: 1,
            when: When::Before,
            hit: Hit::Cut,
        });
        for read in join_all((0..5).map(|_| bench.session.configuration())).await {
            assert!(matches!(read, Err(NotRead::Failed(_))), "{contract:?}: {read:?}");
        }
        sleep(Duration::from_secs(5)).await;
        bench.online().await;
        assert!(bench.has("foreign").await, "{contract:?}");
    }
}
