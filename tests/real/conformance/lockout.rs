//! Too many wrong tokens from one address. Last of all: that address is locked out for five minutes.

use serde_json::json;

use super::client::{Answer, Client};
use super::seen::Seen;
use super::subject::Subject;

pub async fn an_address_is_locked_out(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let remote = s.remote.clone().expect("this case runs across a network");
    let greet = async |token: &str| {
        let (mut client, _) = Client::open(&remote).await.expect("a challenge");
        client.greet(&super::subject::greeting(token)).await
    };
    // A right one first: what earlier cases did wrong is forgotten.
    seen.answer("a right token", &greet(&s.token).await, &["/type"]);
    let mut mismatches = 0;
    let mut over = None;
    for _ in 0..14 {
        let answer = greet("wrong").await;
        if answer.message().contains("mismatch") {
            mismatches += 1;
        } else {
            over = Some(answer);
            break;
        }
    }
    seen.line("wrong tokens before another answer", mismatches);
    if let Some(answer) = &over {
        seen.answer("that answer", answer, &[]);
        if let Answer::Refused { error, .. } = answer {
            let wait = error["retryAfterMs"].as_u64().unwrap_or_default();
            seen.line("for four to five minutes", (240_000..=300_000).contains(&wait));
        }
    }
    seen.answer("the right token", &greet(&s.token).await, &["/type"]);
    let mut loopback = s.client().await;
    seen.answer(
        "on loopback",
        &loopback.call("health", &json!({})).await,
        &["/ok"],
    );
    seen
}
