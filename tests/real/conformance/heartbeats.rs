//! Which agents have a heartbeat. The first block that anyone writes decides who else has one.

use serde_json::{Value, json};

use super::client::Client;
use super::roster::{PATCHED, patch, patch_of};
use super::seen::Seen;
use super::subject::{Subject, V2026_2_9};

/// Who has a heartbeat and how often, by `status`, by `health` and by the jobs that keep it.
async fn beating(s: &Subject, seen: &mut Seen, when: &str) {
    let mut client = s.client().await;
    // A job follows the config a moment later: the same twice in a row is the answer.
    let mut before = said(s, &mut client).await;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        let now = said(s, &mut client).await;
        if now == before {
            break;
        }
        before = now;
    }
    let (status, health, jobs) = before;
    seen.line(&format!("{when}: status"), status);
    seen.line(&format!("{when}: health"), health);
    seen.line(&format!("{when}: jobs"), jobs);
}

/// `first` is the default agent of the versions before 2026.8 by now. Others are left over from the roster's cases.
const OF_THIS_STORY: [&str; 4] = ["main", "first", "foreign", "ours"];

async fn said(s: &Subject, client: &mut Client) -> (String, String, String) {
    let status = client.call("status", &json!({})).await.must();
    let health = client.call("health", &json!({ "probe": true })).await.must();
    let of = |agents: &Value, every: &dyn Fn(&Value) -> String| {
        let mut all: Vec<String> = agents
            .as_array()
            .into_iter()
            .flatten()
            .map(|agent| (agent["agentId"].as_str().unwrap_or("?"), every(agent)))
            .filter(|(id, _)| OF_THIS_STORY.contains(id))
            .map(|(id, every)| format!("{id}={every}"))
            .collect();
        all.sort();
        all.join(" ")
    };
    let plain = |agent: &Value| agent["every"].as_str().unwrap_or("none").to_owned();
    let nested = |agent: &Value| agent["heartbeat"]["every"].as_str().unwrap_or("none").to_owned();
    let status = of(&status["heartbeat"]["agents"], &plain);
    let health = of(&health["agents"], &nested);
    let mut asked = json!({ "includeDisabled": true });
    if s.contract != V2026_2_9 {
        // It has no pages, and few jobs.
        asked["limit"] = json!(200);
    }
    let list = client.call("cron.list", &asked).await.must();
    let mut jobs: Vec<String> = list["jobs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|job| {
            let key = job["declarationKey"].as_str()?.strip_prefix("heartbeat:")?;
            let key = OF_THIS_STORY.contains(&key).then_some(key)?;
            Some(format!("{key}={}", job["schedule"]["everyMs"]))
        })
        .collect();
    jobs.sort();
    (status, health, jobs.join(" "))
}

/// The whole story on one gateway: no block, the first block, and three ways of keeping the others alive.
pub async fn the_first_block_and_the_others(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    beating(s, &mut seen, "1 no block").await;
    let w = |id: &str| s.workspace(id);
    // 2026.2.9 replaces the list: every patch there brings all agents.
    let all = |main: Option<Value>, foreign: Option<Value>, ours: Option<Value>| {
        let entry = |id: &str, block: Option<Value>| {
            let mut entry = json!({ "workspace": w(id) });
            if let Some(block) = block {
                entry["heartbeat"] = block;
            }
            entry
        };
        vec![
            ("main", entry("main", main)),
            ("foreign", entry("foreign", foreign)),
            ("ours", entry("ours", ours)),
        ]
    };
    let go = async |what: &str, agents: Vec<(&str, Value)>, seen: &mut Seen| {
        let raw = patch_of(s.contract, &agents);
        seen.answer(what, &patch(s, &raw, &json!({})).await, &PATCHED);
        beating(s, seen, what).await;
    };
    let ten = || Some(json!({ "every": "10m" }));
    go("2 entries without blocks", all(None, None, None), &mut seen).await;
    go("3 the first block", all(None, None, ten()), &mut seen).await;
    go(
        "4 an empty block for main",
        all(Some(json!({})), None, ten()),
        &mut seen,
    )
    .await;
    go(
        "5 every of the default for foreign",
        all(Some(json!({})), Some(json!({ "every": "30m" })), ten()),
        &mut seen,
    )
    .await;
    if s.contract != V2026_2_9 {
        go(
            "6 ours is off",
            all(
                Some(json!({})),
                Some(json!({ "every": "30m" })),
                Some(json!({ "every": "0m" })),
            ),
            &mut seen,
        )
        .await;
    }
    let gone = if s.contract == V2026_2_9 {
        all(None, None, None)
    } else {
        all(Some(Value::Null), Some(Value::Null), Some(Value::Null))
    };
    go("7 no block again", gone, &mut seen).await;
    seen
}

/// `agents.defaults.heartbeat` changes what those without a block do.
pub async fn the_default_of_all(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let raw = json!({ "agents": { "defaults": { "heartbeat": { "every": "20m" } } } });
    seen.answer("20m for all", &patch(s, &raw, &json!({})).await, &PATCHED);
    beating(s, &mut seen, "20m for all").await;
    let mut ours = patch_of(
        s.contract,
        &[
            ("main", json!({ "workspace": s.workspace("main") })),
            (
                "foreign",
                json!({ "workspace": s.workspace("foreign"), "heartbeat": {} }),
            ),
            (
                "ours",
                json!({ "workspace": s.workspace("ours"), "heartbeat": { "every": "10m" } }),
            ),
        ],
    );
    ours["agents"]["defaults"] = json!({ "heartbeat": { "every": "20m" } });
    seen.answer("blocks for two", &patch(s, &ours, &json!({})).await, &PATCHED);
    beating(s, &mut seen, "blocks for two").await;
    let raw = json!({ "agents": { "defaults": { "heartbeat": { "every": null } } } });
    seen.answer("no default", &patch(s, &raw, &json!({})).await, &PATCHED);
    beating(s, &mut seen, "no default").await;
    seen
}

/// Who has one where no agent is named: nobody of several, unless there is a default.
pub async fn no_agent_is_named(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let entry = |id: &'static str| (id, json!({ "workspace": s.workspace(id), "heartbeat": null }));
    let raw = patch_of(s.contract, &["main", "foreign", "ours"].map(entry));
    seen.answer("three agents", &patch(s, &raw, &json!({})).await, &PATCHED);
    for (what, heartbeat) in [
        ("no default", Value::Null),
        ("a default without an agent", json!({ "every": "20m" })),
        ("an agent that there is not", json!({ "agentId": "nobody" })),
        ("the second", json!({ "agentId": "foreign" })),
    ] {
        let raw = json!({ "agents": { "defaults": { "heartbeat": heartbeat } } });
        seen.answer(what, &patch(s, &raw, &json!({})).await, &PATCHED);
        beating(s, &mut seen, what).await;
    }
    let raw = json!({ "agents": { "defaults": { "heartbeat": null } } });
    seen.answer("as before", &patch(s, &raw, &json!({})).await, &PATCHED);
    seen
}

pub async fn the_switch_for_all(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    for enabled in [false, true] {
        let answer = client
            .call("set-heartbeats", &json!({ "enabled": enabled }))
            .await;
        seen.answer("set-heartbeats", &answer, &["/ok", "/enabled"]);
    }
    let answer = client.call("last-heartbeat", &json!({})).await;
    seen.line("last-heartbeat is answered", answer.is_ok());
    seen
}
