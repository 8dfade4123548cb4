//! Scheduled jobs: our own, and those that the gateway keeps for itself.

use serde_json::{Value, json};

use super::client::Answer;
use super::seen::Seen;
use super::subject::Subject;

fn job(every: u64) -> Value {
    json!({
        "name": "conformance", "declarationKey": "conformance:job", "agentId": "main",
        "schedule": { "kind": "every", "everyMs": every }, "sessionTarget": "isolated", "wakeMode": "next-heartbeat",
        "enabled": false, "payload": { "kind": "agentTurn", "message": "x" },
    })
}

/// With a declaration key, adding is making it so.
pub async fn a_declared_job_is_added_once(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let fields = [
        "/created",
        "/updated",
        "/job/declarationKey",
        "/job/schedule/everyMs",
        "/job/enabled",
    ];
    let first = client.call("cron.add", &job(3_600_000)).await;
    seen.answer("add", &first, &fields);
    let Answer::Ok(added) = first else { return seen };
    let answer = client.call("cron.add", &job(3_600_000)).await;
    seen.answer("the same", &answer, &fields);
    let answer = client.call("cron.add", &job(7_200_000)).await;
    seen.answer("another schedule", &answer, &fields);
    let id = added["job"]["id"].clone();
    for what in ["remove", "remove again"] {
        let answer = client.call("cron.remove", &json!({ "id": id })).await;
        seen.answer(what, &answer, &["/ok", "/removed"]);
    }
    seen
}

pub async fn jobs_that_the_gateway_keeps(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    // A job follows its agent a moment later.
    let keys = [
        format!("heartbeat:{bench}"),
        "heartbeat:main".to_owned(),
        format!("skill-collection-review:{bench}"),
    ];
    let mut jobs = Vec::new();
    for _ in 0..40 {
        let list = client
            .call("cron.list", &json!({ "includeDisabled": true, "limit": 200 }))
            .await;
        let Answer::Ok(list) = list else {
            seen.answer("cron.list", &list, &[]);
            return seen;
        };
        jobs = list["jobs"].as_array().cloned().unwrap_or_default();
        if jobs.len() > 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for key in keys {
        let kept = jobs.iter().find(|job| job["declarationKey"] == key);
        let kept = kept.cloned().unwrap_or(Value::Null);
        seen.answer(
            &key,
            &Answer::Ok(kept),
            &["/agentId", "/enabled", "/schedule/kind", "/payload/kind"],
        );
    }
    seen
}
