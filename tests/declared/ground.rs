//! What a table is played on: a cluster, a gateway in which an operator keeps agents, and a look behind the gateway's
//! back. What these are made of is the bed's business, so the same rows run where everything is simulated and where nothing
//! is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// A gateway seen from its own side.
pub trait Inside: Send + Sync {
    fn configuration(&self) -> Value;

    /// Every document in this agent's workspace, by name.
    fn files(&self, agent_id: &str, workspace: &str) -> BTreeMap<String, File>;

    /// As somebody does who sits at its disk.
    fn edit(&self, agent_id: &str, workspace: &str, name: &str, text: &str);

    /// Another one after each write of the configuration.
    fn configuration_stamp(&self) -> u128;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub text: String,
    /// Another one after each write, and be it of the same bytes.
    pub stamp: u128,
}

pub struct Ground {
    pub client: kube::Client,
    pub namespace: String,
    /// Where Gateways find the gateway, and with which token.
    pub url: String,
    pub token: String,
    /// The same gateway by a way on which it asks for a device.
    pub far_url: Option<String>,
    pub inside: Arc<dyn Inside>,
    /// How long something that must come is waited for.
    pub patience: Duration,
    /// How long whatever must not come is given.
    pub rest: Duration,
    pub words: AtomicU32,
}

/// Everything that an edit might have touched.
pub struct Picture {
    /// By the object's name.
    pub agents: BTreeMap<String, Seen>,
    pub bindings: Value,
    pub configuration_stamp: u128,
}

pub struct Seen {
    pub id: String,
    pub files: BTreeMap<String, File>,
    /// Null: it is in no configuration.
    pub entry: Value,
}

impl Ground {
    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version) = match kind {
            "Secret" | "ConfigMap" => ("", "v1"),
            _ => ("quartermaster.dev", "v1alpha1"),
        };
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub async fn apply(&self, kind: &str, name: &str, body: Value) -> Value {
        let mut object = body;
        let api = self.api(kind);
        object["apiVersion"] = match kind {
            "Secret" | "ConfigMap" => json!("v1"),
            _ => json!("quartermaster.dev/v1alpha1"),
        };
        object["kind"] = json!(kind);
        object["metadata"]["name"] = json!(name);
        let applied = api
            .patch(
                name,
                &PatchParams::apply("somebody").force(),
                &Patch::Apply(&object),
            )
            .await;
        let applied = applied.unwrap_or_else(|error| panic!("{kind} {name}: {error}\n{object}"));
        serde_json::to_value(applied).unwrap()
    }

    /// `apply` of an object that is nothing but its spec.
    pub async fn make(&self, kind: &str, name: &str, spec: Value) -> Value {
        self.apply(kind, name, json!({ "spec": spec })).await
    }

    /// A change of the spec; the server's own word where it refuses.
    pub async fn try_edit(&self, kind: &str, name: &str, spec: &Value) -> Result<(), String> {
        self.try_patch(kind, name, &json!({ "spec": spec })).await
    }

    pub async fn edit(&self, kind: &str, name: &str, spec: Value) {
        let edited = self.try_edit(kind, name, &spec).await;
        edited.unwrap_or_else(|error| panic!("{kind} {name} {spec}: {error}"));
    }

    pub async fn patch(&self, kind: &str, name: &str, patch: Value) {
        let patched = self.try_patch(kind, name, &patch).await;
        patched.unwrap_or_else(|error| panic!("{kind} {name} {patch}: {error}"));
    }

    async fn try_patch(&self, kind: &str, name: &str, patch: &Value) -> Result<(), String> {
        let patched = self
            .api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.map(|_| ()).map_err(|error| error.to_string())
    }

    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// Null where there is none.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        let found = self.api(kind).get_opt(name).await.unwrap();
        found.map_or(Value::Null, |found| serde_json::to_value(found).unwrap())
    }

    async fn list(&self, kind: &str) -> Vec<(String, Value)> {
        let found = self.api(kind).list(&ListParams::default()).await.unwrap();
        let named = found
            .items
            .into_iter()
            .map(|item| (item.metadata.name.clone().unwrap(), item));
        named
            .map(|(name, item)| (name, serde_json::to_value(item).unwrap()))
            .collect()
    }

    /// Looks until it is so; what was wrong at last where it never is.
    pub async fn until<T>(&self, mut look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            match look().await {
                Ok(found) => return Ok(found),
                Err(why) if begun.elapsed() > self.patience => {
                    return Err(format!("not within {:?}: {why}", self.patience));
                }
                Err(_) => sleep(pause).await,
            }
            // Looking costs more than what is looked for.
            pause = (pause * 3 / 2).min(Duration::from_secs(1));
        }
    }

    /// Waits for a condition of this status and reason, and gives its message.
    pub async fn condition(
        &self,
        kind: &str,
        name: &str,
        condition: &str,
        status: &str,
        reason: &str,
    ) -> Result<String, String> {
        self.until(async || {
            let object = self.get(kind, name).await;
            let found = condition_of(&object, condition);
            if found["status"] == status && found["reason"] == reason && is_of_now(&object) {
                Ok(found["message"].as_str().unwrap_or_default().to_owned())
            } else {
                Err(format!(
                    "{kind} {name}: {condition} is {found}, not {status}/{reason}"
                ))
            }
        })
        .await
    }

    pub async fn ready(&self, kind: &str, name: &str) -> Result<(), String> {
        self.until(async || {
            let object = self.get(kind, name).await;
            let found = condition_of(&object, "Ready");
            if found["status"] == "True" && is_of_now(&object) {
                Ok(())
            } else {
                Err(format!("{kind} {name} is not Ready: {found}"))
            }
        })
        .await
    }

    pub async fn gone(&self, kind: &str, name: &str) -> Result<(), String> {
        self.until(async || {
            let found = self.get(kind, name).await;
            so(found.is_null(), || {
                format!("{kind} {name} is still there: {}", found["status"])
            })
        })
        .await
    }

    /// Every Agent in the gateway, as it is there.
    pub async fn picture(&self) -> Picture {
        let configuration = self.inside.configuration();
        let mut agents = BTreeMap::new();
        for (name, object) in self.list("Agent").await {
            let status = &object["status"];
            let (Some(id), Some(workspace)) = (status["agentId"].as_str(), status["workspace"].as_str())
            else {
                continue;
            };
            let seen = Seen {
                files: self.inside.files(id, workspace),
                entry: configuration["agents"]["entries"][id].clone(),
                id: id.to_owned(),
            };
            agents.insert(name, seen);
        }
        Picture {
            agents,
            bindings: configuration["bindings"].clone(),
            configuration_stamp: self.inside.configuration_stamp(),
        }
    }

    /// Everybody has read everything anew and is Ready, and then had time for whatever was still to be done.
    pub async fn settled(&self) -> Result<(), String> {
        let word = self.next_word();
        for (name, _) in self.list("Agent").await {
            self.patch("Agent", &name, ask(&word)).await;
        }
        self.until(async || {
            let agents = self.list("Agent").await;
            let is_ready = |agent: &Value| condition_of(agent, "Ready")["status"] == "True";
            let silent: Vec<&String> = agents
                .iter()
                .filter(|(_, agent)| !(is_ready(agent) && has_answered(agent, &word)))
                .map(|(name, _)| name)
                .collect();
            so(silent.is_empty(), || {
                format!("these Agents have not looked again, or are not Ready: {silent:?}")
            })
        })
        .await?;
        sleep(self.rest).await;
        Ok(())
    }

    /// One Agent has.
    pub async fn looked(&self, agent: &str) -> Result<(), String> {
        let word = self.next_word();
        self.patch("Agent", agent, ask(&word)).await;
        self.until(async || {
            let object = self.get("Agent", agent).await;
            so(has_answered(&object, &word), || {
                format!("{agent} does not look again: {}", object["status"])
            })
        })
        .await?;
        sleep(self.rest).await;
        Ok(())
    }

    /// Words in the order of the alphabet: several may ask at once, and the last one counts for all.
    fn next_word(&self) -> String {
        format!("look-{:06}", self.words.fetch_add(1, Ordering::Relaxed))
    }

    /// As somebody does who sits at the gateway's disk.
    pub async fn spoil(&self, agent: &str, name: &str, text: &str) {
        let status = self.get("Agent", agent).await["status"].take();
        let (id, workspace) = (status["agentId"].as_str(), status["workspace"].as_str());
        self.inside.edit(id.unwrap(), workspace.unwrap(), name, text);
    }

    /// A file as it lies in an agent's workspace.
    pub async fn file(&self, agent: &str, name: &str) -> Option<String> {
        let status = self.get("Agent", agent).await["status"].take();
        let files = self
            .inside
            .files(status["agentId"].as_str()?, status["workspace"].as_str()?);
        files.get(name).map(|file| file.text.clone())
    }

    pub async fn until_file(
        &self,
        agent: &str,
        name: &str,
        so: impl Fn(Option<&str>) -> bool,
    ) -> Result<(), String> {
        self.until(async || {
            let text = self.file(agent, name).await;
            if so(text.as_deref()) {
                Ok(())
            } else {
                Err(format!("{name} of {agent} is {text:?}"))
            }
        })
        .await
    }

    /// The rest of a Gateway's spec that leads to this gateway.
    pub fn gateway_spec(&self) -> Value {
        json!({ "url": self.url, "workspaceRoot": "~/.openclaw", "tokenSecretRef": { "name": "harbour-token" },
            // Nobody looks by the clock: what happens is what somebody has caused.
            "resyncInterval": "1h" })
    }

    pub async fn entry(&self, agent: &str) -> Value {
        let id = self.get("Agent", agent).await["status"]["agentId"].take();
        let id = id.as_str().unwrap_or_default();
        self.inside.configuration()["agents"]["entries"][id].clone()
    }
}

/// `Ok` where it is so, or else the words.
pub fn so(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

fn ask(word: &str) -> Value {
    json!({ "metadata": { "annotations": { "quartermaster.dev/reconcile-at": word } } })
}

fn has_answered(object: &Value, word: &str) -> bool {
    object["status"]["lastHandledRequest"].as_str() >= Some(word)
}

/// Null where there is none.
pub fn condition_of(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|it| it["type"] == kind);
    found.cloned().unwrap_or_default()
}

/// Whether the status speaks of the spec as it stands.
pub fn is_of_now(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

impl Picture {
    /// Which files were written since, each with its agent; those that have come or gone among them.
    pub fn written_since(&self, before: &Self) -> BTreeSet<(String, String)> {
        let mut written = BTreeSet::new();
        for (agent, seen) in &self.agents {
            let earlier = before.agents.get(agent);
            for (name, file) in &seen.files {
                if earlier.and_then(|earlier| earlier.files.get(name)) != Some(file) {
                    written.insert((agent.clone(), name.clone()));
                }
            }
        }
        written
    }

    /// Whose entries are others than before.
    pub fn entries_changed_since(&self, before: &Self) -> BTreeSet<String> {
        let differs = |(agent, seen): &(&String, &Seen)| {
            before.agents.get(*agent).map(|earlier| &earlier.entry) != Some(&seen.entry)
        };
        self.agents
            .iter()
            .filter(differs)
            .map(|(agent, _)| agent.clone())
            .collect()
    }

    pub fn file(&self, agent: &str, name: &str) -> &str {
        let file = self.agents.get(agent).and_then(|seen| seen.files.get(name));
        file.map_or("", |file| file.text.as_str())
    }
}

/// A text may break where it was wrapped, so spaces count as any gap.
pub fn shows(text: &str, words: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    plain(text).contains(&plain(words))
}
