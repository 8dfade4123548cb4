//! Single calls: files, messages, deletions.

use std::time::Duration;

use quartermaster::gateway::chat::InHistory;
use quartermaster::gateway::connection::CallError;
use quartermaster::gateway::session::Online;
use quartermaster::simulated_gateway::{Contract, Deed};
use serde_json::json;
use tokio::time::sleep;

use super::bench::{Bench, CONTRACTS, change, id};

#[tokio::test(start_paused = true)]
async fn files_are_written_read_and_compared_by_hash_where_there_is_one() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        let Online {
            connection,
            contract: profile,
            address: _,
        } = bench.online().await;
        for name in profile.documents {
            let hash = connection.file_set(&id("a"), name, "one", None).await.unwrap();
            let file = connection.file_get(&id("a"), name).await.unwrap().unwrap();
            assert_eq!(file.content, "one", "{contract:?} {name}");
            assert_eq!(file.hash, hash, "{contract:?} {name}");
        }
        if let Some(hash) = connection
            .file_get(&id("a"), "SOUL.md")
            .await
            .unwrap()
            .unwrap()
            .hash
        {
            connection
                .file_set(&id("a"), "SOUL.md", "two", Some(&hash))
                .await
                .unwrap();
            let stale = connection
                .file_set(&id("a"), "SOUL.md", "three", Some(&hash))
                .await;
            assert!(matches!(stale, Err(CallError::Refused(_))), "{stale:?}");
            assert_eq!(bench.gateway.file("a", "SOUL.md").as_deref(), Some("two"));
        }
        let refused = connection.file_set(&id("a"), "BOARD.md", "x", None).await;
        assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_once_however_often_it_is_asked_for() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        let Online {
            connection,
            contract: rules,
            address: _,
        } = bench.online().await;
        let session = id("a").main_session();
        let absent = match contract {
            // It keeps nothing of turns that fail.
            Contract::V2026_2_9 => InHistory::Unknown,
            Contract::V2026_7_35 | Contract::V2026_9_6 => InHistory::NotThere,
        };
        assert_eq!(
            connection.chat_holds(rules, &session, "wake-1").await.unwrap(),
            absent,
            "{contract:?}"
        );
        for _ in 0..2 {
            connection.chat_send(&session, "wake up", "wake-1").await.unwrap();
        }
        sleep(Duration::from_secs(60)).await;
        if contract != Contract::V2026_2_9 {
            let held = connection.chat_holds(rules, &session, "wake-1").await.unwrap();
            assert_eq!(held, InHistory::Held, "{contract:?}");
            let params = json!({ "sessionKey": session.as_str() });
            let history = connection
                .call("chat.history", params, Duration::from_secs(30))
                .await
                .unwrap();
            let said = history["messages"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|message| message["role"] == "user");
            assert_eq!(said.count(), 1, "{contract:?}");
        }
        assert_eq!(
            connection.chat_holds(rules, &session, "wake-2").await.unwrap(),
            absent,
            "{contract:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_may_be_repeated() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        let first = bench
            .online()
            .await
            .connection
            .agents_delete(&id("a"), true)
            .await
            .unwrap();
        assert!(first.is_some(), "{contract:?}");
        // 2026.2.9 restarts after it.
        sleep(Duration::from_secs(30)).await;
        let again = bench
            .online()
            .await
            .connection
            .agents_delete(&id("a"), true)
            .await
            .unwrap();
        assert_eq!(again, None, "{contract:?}");
        assert_eq!(bench.count("a"), 0);
        bench.assert_foreign_untouched();
    }
}

#[tokio::test(start_paused = true)]
async fn files_are_listed_with_what_shows_a_change() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        bench.session.commits().put(change("a")).await.unwrap();
        let connection = bench.online().await.connection;
        connection
            .file_set(&id("a"), "SOUL.md", "four", None)
            .await
            .unwrap();
        let files = connection.files_list(&id("a")).await.unwrap();
        let of = |name: &str| files.iter().find(|file| file.name == name).unwrap();
        assert_eq!(
            (of("SOUL.md").missing, of("SOUL.md").size),
            (false, Some(4)),
            "{contract:?}"
        );
        assert!(of("SOUL.md").updated_at_ms.is_some(), "{contract:?}");
        assert!(of("USER.md").missing, "{contract:?}");
        let nobody = connection.files_list(&id("nobody")).await;
        assert!(
            matches!(nobody, Err(CallError::Refused(_))),
            "{contract:?}: {nobody:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_known_again_where_it_has_an_identity() {
    for contract in CONTRACTS {
        let bench = Bench::of(contract).await;
        let first = bench.online().await.connection.gateway_identity().await.unwrap();
        assert_eq!(first.is_some(), contract != Contract::V2026_2_9, "{contract:?}");
        bench.gateway.perform(Deed::Restart);
        bench.settled().await;
        let again = bench.online().await.connection.gateway_identity().await.unwrap();
        assert_eq!(again, first, "{contract:?}: the same after a restart");
    }
}
