//! The configuration: read, compared and changed.

use serde_json::{Value, json};

use super::client::Answer;
use super::seen::Seen;
use super::subject::Subject;

pub async fn it_has_the_keys_we_read(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let got = client.call("config.get", &json!({})).await.must();
    for key in ["path", "raw", "hash", "configRevisionHash", "appliedConfigHash"] {
        seen.line(&format!("{key} is a text"), got[key].is_string());
    }
    for key in ["config", "parsed", "resolved", "sourceConfig", "runtimeConfig"] {
        seen.line(&format!("{key} is an object"), got[key].is_object());
    }
    for key in ["issues", "warnings", "legacyIssues"] {
        seen.line(&format!("{key} is a list"), got[key].is_array());
    }
    seen.answer(
        "config.get",
        &Answer::Ok(got),
        &["/exists", "/valid", "/issues", "/legacyIssues"],
    );
    seen
}

pub async fn the_hash_is_the_same_while_nothing_changes(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, first) = s.config(&mut client).await;
    let (_, second) = s.config(&mut client).await;
    seen.line("two readings are the same", first == second);
    seen.line("a hash", first);
    seen
}

/// appliedConfigHash == configRevisionHash: the running gateway has applied the file.
pub async fn what_is_written_is_applied(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let got = client.call("config.get", &json!({})).await.must();
    let both = [&got["configRevisionHash"], &got["appliedConfigHash"]];
    seen.line("both are there", both.iter().all(|hash| hash.is_string()));
    seen.line("both are the same", both[0] == both[1]);
    seen
}

pub async fn secrets_are_redacted(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let got = client.call("config.get", &json!({})).await.must();
    seen.answer(
        "config.get",
        &Answer::Ok(got.clone()),
        &["/config/gateway/auth/token"],
    );
    seen.line("the token is in it", got.to_string().contains(&s.token));
    seen
}

/// Patches that are refused and change nothing. Each counts against the budget, so each contract has few.
async fn refused(s: &mut Subject, patches: &[(&str, Value, Value)]) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, before) = s.config(&mut client).await;
    for (what, raw, more) in patches {
        // Its own connection, which is its own budget: three a minute before 2026.8.
        let mut client = s.client().await;
        let mut params = json!({ "raw": raw, "baseHash": before });
        for (key, value) in more.as_object().expect("more params") {
            if value.is_null() {
                params.as_object_mut().expect("params").remove(key);
            } else {
                params[key] = value.clone();
            }
        }
        let answer = client.call("config.patch", &params).await;
        seen.answer(what, &answer, &["/ok", "/noop"]);
    }
    let (_, after) = s.config(&mut client).await;
    seen.line("nothing has changed", before == after);
    seen
}

pub async fn patches_that_are_none(s: &mut Subject) -> Seen {
    let none = json!({});
    let patches = [
        ("not JSON", json!("{not json"), none.clone()),
        ("a list", json!("[]"), none.clone()),
        ("an object instead of its text", json!({}), none.clone()),
        (
            "no base hash",
            json!(r#"{"logging":{"level":"debug"}}"#),
            json!({ "baseHash": null }),
        ),
        (
            "another base hash",
            json!(r#"{"logging":{"level":"debug"}}"#),
            json!({ "baseHash": "old" }),
        ),
        ("an unknown property", json!("{}"), json!({ "colour": "red" })),
    ];
    refused(s, &patches).await
}

pub async fn patches_that_the_schema_refuses(s: &mut Subject) -> Seen {
    let none = json!({});
    let patches = [
        (
            "an unknown key at the top",
            json!(r#"{"colour":"red"}"#),
            none.clone(),
        ),
        (
            "an unknown key below",
            json!(r#"{"gateway":{"colour":"red"}}"#),
            none.clone(),
        ),
        (
            "a value of another kind",
            json!(r#"{"gateway":{"port":"red"}}"#),
            none.clone(),
        ),
        (
            "a word that is not allowed",
            json!(r#"{"logging":{"level":"red"}}"#),
            none,
        ),
    ];
    refused(s, &patches).await
}

/// How issues read: choices, flags, what is missing, places in lists, and many at once. By config.set, which has no budget;
/// the bad part is put into the whole document.
pub async fn issues_in_words(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, before) = s.config(&mut client).await;
    let match_nothing = json!({ "agentId": "main" });
    let documents = [
        (
            "a choice of several",
            json!({ "gateway": { "reload": { "mode": "red" } } }),
        ),
        (
            "another kind of choice",
            json!({ "tools": { "exec": { "ask": "red" } } }),
        ),
        (
            "a choice of one",
            json!({ "browser": { "snapshotDefaults": { "mode": "red" } } }),
        ),
        ("a flag", json!({ "update": { "checkOnStart": "red" } })),
        (
            "one of two kinds",
            json!({ "agents": { "defaults": { "model": 5 } } }),
        ),
        ("something is missing", json!({ "bindings": [match_nothing] })),
        (
            "five in a list",
            json!({ "bindings": [5, match_nothing, 5, match_nothing, 5] }),
        ),
        ("no object", json!("red")),
    ];
    for (what, document) in documents {
        let params = json!({ "raw": document.to_string(), "baseHash": before });
        let answer = client.call("config.set", &params).await;
        seen.answer(what, &answer, &["/ok"]);
    }
    let (_, after) = s.config(&mut client).await;
    seen.line("nothing has changed", before == after);
    seen
}

/// A patch that changes nothing is answered without a write.
pub async fn a_patch_of_nothing(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let (_, before) = s.config(&mut client).await;
    let port = json!({ "gateway": { "port": s.port() } });
    let answer = s.patch(&mut client, &port).await;
    seen.answer(
        "the port that it has",
        &answer,
        &["/ok", "/noop", "/changedPaths", "/restart/ok"],
    );
    let (_, after) = s.config(&mut client).await;
    seen.line("the same hash", before == after);
    seen
}
