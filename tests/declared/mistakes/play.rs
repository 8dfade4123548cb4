//! Plays all mistakes in one place and at one time, beside agents that have made none.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::ground::{Ground, condition_of, is_of_now, so};
use super::mistake::{Healed, Mistake, Step};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bed {
    /// With a clock that nobody waits for.
    Simulated,
    Real,
}

/// Those who have made no mistake, and come at the same moment.
const BLAMELESS: [&str; 5] = ["able", "best", "calm", "deft", "even"];

/// How many, or what is not as it should be.
pub async fn play(ground: &Ground, bed: Bed) -> Result<usize, Vec<String>> {
    let mut mistakes = super::mistakes();
    mistakes.retain(|mistake| bed == Bed::Simulated || mistake.real);
    let count = mistakes.len();
    lay(ground).await;
    let catalogue = catalogue();
    let played = join_all(mistakes.iter().map(async |mistake| {
        let made = make_and_see(ground, mistake, &catalogue).await;
        made.map_err(|why| format!("{}: {why}", mistake.name)).err()
    }));
    let blameless = join_all(BLAMELESS.map(async |name| {
        let agent = super::mistake::agent(name, json!({ "config": { "tools": { "deny": ["exec"] } } }));
        step(ground, &agent).await?;
        ground.ready("Agent", name).await
    }));
    let (played, blameless) = tokio::join!(played, blameless);
    let mut faults: Vec<String> = played.into_iter().flatten().collect();
    faults.extend(blameless.into_iter().filter_map(Result::err));
    if bed == Bed::Simulated {
        // What may come by itself is waited for, and then a person is called.
        sleep(Duration::from_secs(330)).await;
        for mistake in &mistakes {
            faults.extend(
                is_told_as_the_catalogue_says(ground, mistake, &catalogue, true)
                    .await
                    .err(),
            );
        }
    }
    faults.extend(are_ready(ground).await.err());
    let mended = join_all(mistakes.iter().map(async |mistake| {
        let mended = mend_and_see(ground, mistake).await;
        mended
            .map_err(|why| format!("{}, mended: {why}", mistake.name))
            .err()
    }));
    faults.extend(mended.await.into_iter().flatten());
    faults.extend(are_ready(ground).await.err());
    if faults.is_empty() { Ok(count) } else { Err(faults) }
}

pub(super) async fn lay(ground: &Ground) {
    let token = json!({ "stringData": { "token": ground.token } });
    ground.apply("Secret", "harbour-token", token).await;
    ground.make("Gateway", "harbour", ground.gateway_spec()).await;
    let board = json!({ "gatewayRef": { "name": "harbour" }, "maxAgents": 200 });
    ground.make("Board", "common", board).await;
    let main = ground.ready("Agent", "harbour-main").await;
    main.unwrap_or_else(|why| panic!("{why}"));
}

async fn are_ready(ground: &Ground) -> Result<(), String> {
    for name in BLAMELESS {
        let agent = ground.get("Agent", name).await;
        let ready = condition_of(&agent, "Ready");
        so(ready["status"] == "True", || {
            format!("{name} has made no mistake, and is not Ready: {ready}")
        })?;
    }
    Ok(())
}

async fn make_and_see(
    ground: &Ground,
    mistake: &Mistake,
    catalogue: &BTreeMap<String, String>,
) -> Result<(), String> {
    for each in &mistake.steps {
        step(ground, each).await?;
    }
    let (kind, name) = &mistake.on;
    let message = ground
        .condition(kind, name, mistake.condition, mistake.status, mistake.reason)
        .await?;
    for words in &mistake.says {
        let words = filled_in(ground, words).await;
        so(message.contains(&words), || {
            format!("does not say {words:?}: {message:?}")
        })?;
    }
    is_told_as_the_catalogue_says(ground, mistake, catalogue, false).await
}

/// Stalled and Reconciling, as `docs/reasons.md` has it.
async fn is_told_as_the_catalogue_says(
    ground: &Ground,
    mistake: &Mistake,
    catalogue: &BTreeMap<String, String>,
    after_patience: bool,
) -> Result<(), String> {
    if mistake.condition != "Ready" {
        return Ok(());
    }
    let (kind, name) = &mistake.on;
    let object = ground.get(kind, name).await;
    let is = |condition: &str| condition_of(&object, condition)["status"] == "True";
    let told = (is("Reconciling"), is("Stalled"));
    let stalls = catalogue.get(mistake.reason).map(String::as_str);
    let wanted = match (stalls, after_patience) {
        (Some("at once"), _) | (Some("after 5 min"), true) => (false, true),
        (Some("after 5 min"), false) => (true, false),
        (Some("no"), _) => (false, false),
        (other, _) => return Err(format!("docs/reasons.md says {other:?} of {}", mistake.reason)),
    };
    so(told == wanted, || {
        format!(
            "{}: (Reconciling, Stalled) of {} is {told:?} and should be {wanted:?}: {}",
            mistake.name, mistake.reason, object["status"]["conditions"]
        )
    })
}

async fn mend_and_see(ground: &Ground, mistake: &Mistake) -> Result<(), String> {
    for each in &mistake.mend {
        step(ground, each).await?;
    }
    let (kind, name) = &mistake.on;
    match mistake.healed {
        Healed::Gone => ground.gone(kind, name).await,
        Healed::Condition(condition) => {
            ground
                .until(async || {
                    let found = condition_of(&ground.get(kind, name).await, condition);
                    so(found["status"] == "True", || found.to_string())
                })
                .await
        }
        Healed::Ready => {
            ground
                .until(async || {
                    let object = ground.get(kind, name).await;
                    let is = |condition: &str| condition_of(&object, condition)["status"] == "True";
                    let says_no_more = mistake.says.iter().all(|words| {
                        let message = condition_of(&object, mistake.condition)["message"].take();
                        mistake.condition == "Ready" || !message.as_str().unwrap_or_default().contains(words)
                    });
                    let is_well = is("Ready") && !is("Stalled") && !is("Reconciling") && says_no_more;
                    so(is_well && is_of_now(&object), || {
                        object["status"]["conditions"].to_string()
                    })
                })
                .await
        }
    }
}

async fn step(ground: &Ground, step: &Step) -> Result<(), String> {
    let filled = async |body: &Value| -> Value {
        let text = filled_in(ground, &body.to_string()).await;
        serde_json::from_str(&text).unwrap()
    };
    match step {
        Step::Apply(kind, name, body) => {
            ground.apply(kind, name, filled(body).await).await;
        }
        Step::Patch(kind, name, patch) => ground.patch(kind, name, filled(patch).await).await,
        Step::Delete(kind, name) => ground.delete(kind, name).await,
        Step::Ready(kind, name) => ground.ready(kind, name).await?,
        Step::Gone(kind, name) => ground.gone(kind, name).await?,
        Step::Spoil(agent, file, text) => {
            ground
                .condition("Agent", agent, "Ready", "True", "Suspended")
                .await?;
            ground.spoil(agent, file, text).await;
        }
    }
    Ok(())
}

/// What only the bed knows: its addresses, its namespace, and the uids of Agents.
async fn filled_in(ground: &Ground, text: &str) -> String {
    let mut text = text
        .replace("\"URL\"", &json!(ground.url).to_string())
        .replace("\"TOKEN\"", &json!(ground.token).to_string())
        .replace("NAMESPACE/", &format!("{}/", ground.namespace));
    if let Some(far) = &ground.far_url {
        text = text.replace("\"FAR\"", &json!(far).to_string());
    }
    while let Some((before, (name, after))) = text
        .split_once("UID(")
        .and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    {
        let agent = ground.get("Agent", name).await;
        let uid = agent["metadata"]["uid"].as_str().unwrap_or_default();
        text = format!("{before}{uid}{after}");
    }
    text
}

/// Each reason of the documentation, and when it counts as stalled.
fn catalogue() -> BTreeMap<String, String> {
    let rows = include_str!("../../../docs/reasons.md")
        .lines()
        .filter_map(|line| {
            let (name, cells) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((name.to_owned(), cells.split(" | ").nth(1)?.to_owned()))
        });
    rows.collect()
}
