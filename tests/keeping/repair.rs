//! What gets lost on either side is brought back from the other one: an agent's token, its files, its entry.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use quartermaster::resource::{Agent, TemplateSync};
use quartermaster::simulated_gateway::Deed;
use serde_json::json;
use tokio::time::sleep;

use super::bed::Bed;
use super::{find, ready};

const SECRET: &str = "ocagent-worker-token";

/// One worker, awake and hashed, whose gateway is looked at every minute.
struct Ground {
    bed: Bed,
    id: String,
}

impl Ground {
    async fn lay() -> Self {
        let bed = Bed::whole().await;
        super::gateway(&bed).await;
        super::board(&bed, 1).await;
        super::agent(&bed, "worker", "Worker").await;
        super::until_gateway(&bed, "all are ready", |gateway| {
            (gateway.status.as_ref()?.agents.as_ref()?.summary == "2/2").then_some(())
        })
        .await;
        sleep(Duration::from_secs(300)).await;
        let worker = bed.get::<Agent>("worker").await.unwrap();
        let id = worker.status.unwrap().agent_id.unwrap();
        Self { bed, id }
    }

    async fn token(&self) -> Option<String> {
        let secret = self.bed.get::<Secret>(SECRET).await?;
        let token = secret.data?.remove("token")?;
        Some(String::from_utf8(token.0).unwrap())
    }

    fn file(&self, name: &str) -> Option<String> {
        self.bed.gateway.file(&self.id, name)
    }

    fn edit(&self, name: &str, content: String) {
        self.bed.gateway.perform(Deed::EditFile {
            agent: self.id.clone(),
            name: name.to_owned(),
            content,
        });
    }

    fn lose(&self, name: &str) {
        self.bed.gateway.perform(Deed::LoseFile {
            agent: self.id.clone(),
            name: name.to_owned(),
        });
    }

    /// The message of a condition that is False for this reason.
    async fn until_told(&self, kind: &str, reason: &str) -> String {
        let told = self
            .bed
            .until::<Agent>("worker", reason, |agent| {
                let status = agent.unwrap().status.as_ref().unwrap();
                let found = find(&status.conditions, kind);
                (found.status.as_str(), found.reason.as_str()) == ("False", reason)
            })
            .await;
        find(&told.unwrap().status.unwrap().conditions, kind).message
    }

    async fn is_ready(&self) -> bool {
        let worker = self.bed.get::<Agent>("worker").await.unwrap();
        ready(&worker.status.unwrap().conditions).status == "True"
    }

    fn messages(&self) -> BTreeMap<String, usize> {
        let histories = self.bed.gateway.histories();
        histories
            .into_iter()
            .map(|(session, all)| (session, all.len()))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_lost_has_its_token_back_from_the_file() {
    let ground = Ground::lay().await;
    let (token, files) = (ground.token().await.unwrap(), ground.bed.gateway.files());
    let writes = ground.bed.gateway.calls_of("agents.files.set");
    ground.bed.delete::<Secret>(SECRET).await;
    sleep(Duration::from_secs(120)).await;
    assert_eq!(ground.token().await.as_ref(), Some(&token));
    assert_eq!(ground.bed.gateway.files(), files);
    assert_eq!(ground.bed.gateway.calls_of("agents.files.set"), writes);
    assert!(ground.is_ready().await);
}

/// As it may stand in files that the product before us wrote, or that somebody has edited.
#[tokio::test(start_paused = true)]
async fn however_the_token_stands_in_the_file_it_is_found() {
    let ground = Ground::lay().await;
    let (token, good) = (ground.token().await.unwrap(), ground.file("AGENTS.md").unwrap());
    for line in [
        format!("AUTH_TOKEN={token}"),
        format!("AUTH_TOKEN='{token}'"),
        format!("- AUTH_TOKEN: {token}"),
        format!("* **AUTH_TOKEN** = \"{token}\""),
        format!("export AUTH_TOKEN=\"{token}\"  # do not lose it"),
    ] {
        let text: Vec<&str> = good
            .lines()
            .map(|there| if there.contains(&token) { &line } else { there })
            .collect();
        ground.bed.delete::<Secret>(SECRET).await;
        ground.edit("AGENTS.md", text.join("\n"));
        sleep(Duration::from_secs(180)).await;
        assert_eq!(ground.token().await.as_ref(), Some(&token), "{line}");
        assert_eq!(ground.file("AGENTS.md").as_ref(), Some(&good), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_lost_is_written_again_with_the_same_token() {
    let ground = Ground::lay().await;
    let (token, good) = (ground.token().await.unwrap(), ground.file("AGENTS.md").unwrap());
    let messages = ground.messages();
    ground.lose("AGENTS.md");
    sleep(Duration::from_secs(120)).await;
    assert_eq!(ground.file("AGENTS.md"), Some(good));
    assert_eq!(ground.token().await, Some(token));
    assert_eq!(ground.messages(), messages, "nobody is woken for it");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_lost_on_both_sides_stays_lost_until_a_new_one_is_asked_for() {
    let mut ground = Ground::lay().await;
    let token = ground.token().await.unwrap();
    ground.bed.stop().await;
    ground.bed.delete::<Secret>(SECRET).await;
    ground.lose("AGENTS.md");
    ground.bed.start();
    let words = "unable to read AUTH_TOKEN from TOOLS.md (agent: worker, run with rotate_tokens=true)";
    let told = ground.until_told("Ready", "TokenLost").await;
    assert!(told.starts_with(words), "{told}");
    ground.until_told("TokenCurrent", "TokenLost").await;
    sleep(Duration::from_secs(1800)).await;
    assert_eq!(ground.token().await, None, "none is made up");
    assert_eq!(ground.file("AGENTS.md"), None);

    let sync = |name: &str, spec: serde_json::Value| {
        let mut spec = spec;
        spec["gatewayRef"] = json!({ "name": "harbour" });
        spec["includeMain"] = json!(false);
        json!({ "metadata": { "name": name }, "spec": spec })
    };
    ground.bed.apply::<TemplateSync>(sync("without", json!({}))).await;
    let ended = |sync: Option<&TemplateSync>| {
        let status = sync.and_then(|sync| sync.status.as_ref());
        status.is_some_and(|status| status.finished_at.is_some())
    };
    let without = ground
        .bed
        .until::<TemplateSync>("without", "it ends", ended)
        .await;
    let errors = without.unwrap().status.unwrap().errors;
    assert_eq!(
        json!(errors),
        json!([{ "agentId": ground.id, "agentName": "worker", "error": words }])
    );
    assert_eq!(ground.token().await, None);

    let with = sync("with", json!({ "rotateTokens": true }));
    ground.bed.apply::<TemplateSync>(with).await;
    let with = ground.bed.until::<TemplateSync>("with", "it ends", ended).await;
    let status = with.unwrap().status.unwrap();
    assert_eq!((status.total_synced, status.total_errors), (Some(1), Some(0)));
    let new = ground.token().await.unwrap();
    assert_ne!(new, token);
    let file = ground.file("AGENTS.md").unwrap();
    assert!(file.contains(&format!("AUTH_TOKEN=\"{new}\"")));
    assert!(ground.is_ready().await);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_lost_is_made_again_and_the_agent_is_the_same() {
    let ground = Ground::lay().await;
    let (token, files) = (ground.token().await, ground.bed.gateway.files());
    let entry = |ground: &Ground| ground.bed.gateway.config()["agents"]["entries"][&ground.id].clone();
    let (before, messages) = (entry(&ground), ground.messages());
    assert!(before["workspace"].is_string());
    ground.bed.gateway.perform(Deed::LoseEntry {
        agent: ground.id.clone(),
    });
    assert!(entry(&ground).is_null());
    sleep(Duration::from_secs(180)).await;
    assert_eq!(entry(&ground), before);
    assert_eq!(ground.token().await, token);
    assert_eq!(ground.bed.gateway.files(), files);
    assert_eq!(
        ground.messages(),
        messages,
        "its session is kept, and nobody is woken"
    );
    assert!(ground.is_ready().await);
}
